"""python -m streams.sandbox.jira: the sandbox Jira as a process of its own."""

import argparse
import asyncio

from streams.sandbox.jira.server import SandboxDataCenter, SandboxJira
from streams.sandbox.serving import arguments, until_stopped


async def main(given: argparse.Namespace) -> None:
    jira = (SandboxDataCenter if given.data_center else SandboxJira)(
        host=given.host,
        port=given.port,
        index_lag=given.index_lag,
        projects=tuple(given.project or ["OPS"]),
        token=given.token,
        path=given.state,
    )
    jira.serving.public_url = given.public_url
    await until_stopped("Jira", jira.start, jira.stop)


if __name__ == "__main__":
    parser = arguments("A sandbox Jira", port=8090)
    parser.add_argument("--index-lag", type=float, default=0.0, help="seconds until search sees a change")
    parser.add_argument("--project", action="append", help="a project key; may be given several times (default OPS)")
    parser.add_argument("--data-center", action="store_true", help="speak as Data Center does instead of Cloud")
    asyncio.run(main(parser.parse_args()))
