"""python -m streams.sandbox.slack: the sandbox Slack as a process of its own."""

import argparse
import asyncio

from streams.sandbox.serving import arguments, until_stopped
from streams.sandbox.slack.server import CHANNELS, SandboxSlack


async def main(given: argparse.Namespace) -> None:
    slack = SandboxSlack(
        host=given.host,
        port=given.port,
        channels=tuple(given.channel or CHANNELS),
        token=given.token,
        path=given.state,
        rate_limit=given.rate_limit,
    )
    slack.serving.public_url = given.public_url
    slack.sockets.app_token = given.app_token
    slack.interaction.url, slack.interaction.secret = given.interactivity_url, given.signing_secret
    await until_stopped("Slack", slack.start, slack.stop)


if __name__ == "__main__":
    parser = arguments("A sandbox Slack", port=8091)
    parser.add_argument(
        "--channel", action="append", help=f"a channel; may be given several times (default {CHANNELS})"
    )
    parser.add_argument("--rate-limit", type=float, help="messages per second and channel")
    parser.add_argument("--app-token", help="what opens a socket; without it everybody is let in")
    parser.add_argument("--interactivity-url", help="where presses are posted to; without it they go to open sockets")
    parser.add_argument("--signing-secret", help="what they are signed with")
    asyncio.run(main(parser.parse_args()))
