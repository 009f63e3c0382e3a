"""python -m streams.sandbox.hook: the sandbox receiver of webhooks as a process of its own."""

import argparse
import asyncio

from streams.sandbox.hook.server import SECRET, SandboxHook
from streams.sandbox.serving import arguments, until_stopped


async def main(given: argparse.Namespace) -> None:
    hook = SandboxHook(host=given.host, port=given.port, secret=given.token or SECRET, path=given.state)
    hook.serving.public_url = given.public_url
    await until_stopped("hook", hook.start, hook.stop)


if __name__ == "__main__":
    asyncio.run(main(arguments("A sandbox receiver of webhooks; --token is its secret", port=8093).parse_args()))
