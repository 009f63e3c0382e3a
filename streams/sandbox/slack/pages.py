"""The pages of the sandbox Slack: the channels, and one channel as people would see it."""

import asyncio
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aiohttp import web
from markupsafe import Markup

from streams.sandbox.serving import Serving
from streams.sandbox.slack import mrkdwn
from streams.sandbox.slack.interaction import Interaction, NothingThere, Press
from streams.sandbox.slack.reading import FOREVER
from streams.sandbox.slack.state import Channel, Message, Workspace, micros

SHOWN = 100
WAIT_S = 3.0
HEARD = {"yes": "The app has heard it.", "no": "The app has not answered; Slack tells it again.", "none": ""}


class Pages:
    def __init__(self, workspace: Workspace, serving: Serving, interaction: Interaction) -> None:
        self._workspace, self._interaction = workspace, interaction
        self._pressing: set[asyncio.Task[Press]] = set()
        self._page = serving.page
        router = serving.app.router
        router.add_get("/", self.channels)
        router.add_get("/archives/{channel}", self.channel)
        router.add_get("/archives/{channel}/p{ts:\\d{16}}", self.message)
        router.add_post("/archives/{channel}/p{ts:\\d{16}}/press", self.press)

    async def channels(self, _: web.Request) -> web.Response:
        rows = []
        for channel in self._workspace.channels.values():
            last = next(channel.newest(0, FOREVER), None)
            rows.append((channel, _when(last.ts) if last else None, last.text if last else ""))
        return self._page("channels.html", rows=rows)

    async def channel(self, request: web.Request) -> web.Response:
        channel = self._workspace.channel(request.match_info["channel"])
        if channel is None:
            return self._trouble("There is no such channel")
        before = request.query.get("before", "")
        latest = int(before) - 1 if before.isdecimal() else FOREVER
        found = list(islice(channel.newest(0, latest), SHOWN + 1))
        messages = [self._shown(channel, message) for message in reversed(found[:SHOWN])]
        older = micros(found[SHOWN - 1].ts) if len(found) > SHOWN else None
        return self._page(
            "channel.html",
            channel=channel,
            channels=self._workspace.channels.values(),
            messages=messages,
            older=older,
            before=before,
            everybody=[person for person in self._workspace.people.values() if not person.is_bot],
            whispers=[(self._name(who), text) for who, text in channel.whispers[-5:]],
            pressed=HEARD.get(request.query.get("heard", "none"), ""),
        )

    async def message(self, request: web.Request) -> web.Response:
        """A permalink: the channel, from this message's page on, at this message."""
        channel, message = self._place(request)
        if channel is None or message is None:
            return self._trouble("There is no such message")
        digits = request.match_info["ts"]
        root = message.thread_ts or message.ts
        newer = sum(1 for _ in islice(channel.newest(micros(root) + 1, FOREVER), SHOWN))
        before = f"?before={micros(root) + 1}" if newer >= SHOWN else ""
        where = f"/archives/{channel.id}{before}#p{digits}"
        return web.Response(status=303, headers={"Location": where})

    async def press(self, request: web.Request) -> web.Response:
        """Somebody presses a button, or chooses something; the app is told as Slack would tell it."""
        (channel, message), form = self._place(request), await request.post()
        person = self._workspace.people.get(str(form.get("person", "")))
        if channel is None or message is None or person is None:
            return self._trouble("There is no such message")
        pressed = str(form.get("press", ""))
        work = self._interaction.press((channel, message), pressed, person, str(form.get(pressed, "")))
        task = asyncio.create_task(work)
        self._pressing.add(task)
        task.add_done_callback(self._pressing.discard)
        await asyncio.wait([task], timeout=WAIT_S)
        if task.done() and isinstance(task.exception(), NothingThere):
            return self._trouble("There is nothing to press")
        heard = "yes" if task.done() and task.result().heard else "no"
        where = f"/archives/{channel.id}?heard={heard}#p{message.ts.replace('.', '')}"
        return web.Response(status=303, headers={"Location": where})

    def _place(self, request: web.Request) -> tuple[Channel | None, Message | None]:
        channel, digits = self._workspace.channel(request.match_info["channel"]), request.match_info["ts"]
        return channel, channel.find(f"{digits[:-6]}.{digits[-6:]}") if channel else None

    def _name(self, number: str) -> str:
        person = self._workspace.people.get(number)
        return person.full_name if person else number

    def _trouble(self, title: str) -> web.Response:
        return self._page("missing.html", status=404, title=title)

    def _shown(self, channel: Channel, message: Message) -> dict[str, Any]:
        workspace = self._workspace
        person, name = workspace.people.get(message.user), self._name(message.user)
        return {
            "where": f"/archives/{channel.id}/p{message.ts.replace('.', '')}",
            "anchor": f"p{message.ts.replace('.', '')}",
            "name": name,
            "face": name[:1],
            "is_bot": person is not None and person.is_bot,
            "at": _when(message.ts),
            "edited": message.edited is not None,
            "buried": message.buried,
            "broadcast": message.broadcast,
            "text": mrkdwn.html(message.text, workspace),
            "blocks": message.blocks,
            "mrkdwn": self._text,
            "metadata": message.metadata,
            "reactions": {mrkdwn.EMOJI.get(name, f":{name}:"): len(users) for name, users in message.reactions.items()},
            "replies": []
            if message.is_reply
            else [self._shown(channel, reply) for reply in channel.replies(message.ts)],
        }

    def _text(self, node: dict[str, Any]) -> Markup:
        """A text object of a block."""
        text = str(node.get("text", ""))
        return mrkdwn.html(text, self._workspace) if node.get("type") == "mrkdwn" else mrkdwn.plain(text)


def _when(ts: str) -> str:
    return f"{datetime.fromtimestamp(micros(ts) / 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"
