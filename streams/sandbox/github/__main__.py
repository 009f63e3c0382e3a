"""python -m streams.sandbox.github: the sandbox GitHub as a process of its own."""

import argparse
import asyncio

from streams.sandbox.github.server import SandboxGitHub
from streams.sandbox.github.webhooks import Subscription
from streams.sandbox.serving import arguments, until_stopped


async def main(given: argparse.Namespace) -> None:
    subscription = Subscription(given.webhook, given.webhook_secret) if given.webhook else None
    github = SandboxGitHub(
        host=given.host, port=given.port, token=given.token, path=given.state, subscription=subscription
    )
    github.serving.public_url = given.public_url
    await until_stopped("GitHub", github.start, github.stop)


if __name__ == "__main__":
    parser = arguments("A sandbox GitHub", port=8094)
    parser.add_argument("--webhook", help="where it asks, e.g. http://localhost:8080/v1/github/webhook")
    parser.add_argument("--webhook-secret", default="", help="what that is signed with")
    asyncio.run(main(parser.parse_args()))
