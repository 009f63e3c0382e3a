"""python -m streams.sandbox.pagerduty: the sandbox PagerDuty as a process of its own."""

import argparse
import asyncio

from streams.sandbox.pagerduty.server import SandboxPagerDuty
from streams.sandbox.pagerduty.webhooks import Subscription
from streams.sandbox.serving import arguments, until_stopped


async def main(given: argparse.Namespace) -> None:
    subscription = Subscription(given.webhook, given.webhook_secret) if given.webhook else None
    pagerduty = SandboxPagerDuty(
        host=given.host, port=given.port, token=given.token, path=given.state, subscription=subscription
    )
    pagerduty.services.update(dict(pair.split("=", 1) for pair in given.service or ()))
    pagerduty.rate_limit = given.rate_limit
    pagerduty.serving.public_url = given.public_url
    await until_stopped("PagerDuty", pagerduty.start, pagerduty.stop)


if __name__ == "__main__":
    parser = arguments("A sandbox PagerDuty", port=8092)
    parser.add_argument("--service", action="append", metavar="NAME=KEY", help="a service and its routing key")
    parser.add_argument("--rate-limit", type=int, help="events per minute and routing key")
    parser.add_argument("--webhook", help="where acknowledgements go, e.g. http://localhost:8080/v1/pagerduty/webhook")
    parser.add_argument("--webhook-secret", default="", help="what they are signed with")
    asyncio.run(main(parser.parse_args()))
