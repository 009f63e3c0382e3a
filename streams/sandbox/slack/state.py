"""The channels, people and messages of a sandbox Slack, kept and journalled."""

import bisect
import time
from base64 import b32encode
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from streams.sandbox.journal import Journal

TEAM = "T0SANDBOX1"


class Person(msgspec.Struct):
    id: str
    name: str
    full_name: str
    email: str
    is_bot: bool = False
    team: str = TEAM  # another one: a guest of a shared channel


class Group(msgspec.Struct):
    id: str
    handle: str
    name: str
    users: list[str]


class Message(msgspec.Struct, omit_defaults=True):
    ts: str
    user: str
    text: str = ""
    blocks: list[dict[str, Any]] = []
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: dict[str, Any] | None = None
    edited: str | None = None
    reactions: dict[str, list[str]] = {}
    buried: bool = False  # deleted, but its thread goes on

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


class Line(msgspec.Struct, omit_defaults=True):
    """One line of the journal: the newest one about a message is the message."""

    channel: str
    name: str | None = None  # the channel was made
    message: Message | None = None
    deleted: str | None = None


class Channel:
    """Messages in the order of their ts, which only grows."""

    def __init__(self, name: str) -> None:
        self.id = number("C", name)
        self.name = name
        self.is_member = True  # whether the app is
        self.is_archived = False
        self.whispers: list[tuple[str, str]] = []  # to one person alone: who, and what; gone with a restart
        self.created = int(time.time())
        self._messages: dict[str, Message] = {}
        self._order: list[int] = []
        self._threads: dict[str, list[str]] = {}
        self._last = 0

    def next_ts(self) -> str:
        self._last = max(time.time_ns() // 1000, self._last + 1)
        return written(self._last)

    def find(self, ts: Any) -> Message | None:
        return self._messages.get(ts) if isinstance(ts, str) else None

    def put(self, message: Message) -> None:
        if message.ts not in self._messages:
            at = micros(message.ts)
            bisect.insort(self._order, at)
            self._last = max(self._last, at)
            if message.is_reply and message.thread_ts is not None:
                self._threads.setdefault(message.thread_ts, []).append(message.ts)
        self._messages[message.ts] = message

    def drop(self, ts: str) -> None:
        message = self._messages.pop(ts, None)
        if message is None:
            return
        del self._order[bisect.bisect_left(self._order, micros(ts))]
        if message.is_reply and message.thread_ts is not None:
            self._threads[message.thread_ts].remove(ts)

    def replies(self, ts: str) -> list[Message]:
        return [self._messages[reply] for reply in self._threads.get(ts, ())]

    def newest(self, oldest: int, latest: int) -> Iterator[Message]:
        """What the channel shows with oldest <= ts <= latest: no replies, unless they were broadcast."""
        for place in range(bisect.bisect_right(self._order, latest) - 1, -1, -1):
            if self._order[place] < oldest:
                return
            message = self._messages[written(self._order[place])]
            if not message.is_reply or message.broadcast:
                yield message


class Workspace:
    """Everything; people and groups are there from the start and can be added to."""

    def __init__(self, channels: tuple[str, ...], path: Path | None) -> None:
        self.people: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}
        self.channels: dict[str, Channel] = {}
        self.robot = self.add_person("tocsin", "Tocsin", "tocsin@example.com", is_bot=True)
        ada = self.add_person("ada", "Ada Lindqvist", "ada@example.com")
        bruno = self.add_person("bruno", "Bruno Okafor", "bruno@example.com")
        chen = self.add_person("chen", "Chen Wei", "chen@example.com")
        self.add_group("oncall", "On call", [ada.id, bruno.id])
        self.add_group("platform", "Platform", [bruno.id, chen.id])
        for name in channels:
            self._add_channel(name)
        self._journal = Journal(path)
        for raw in self._journal.read():
            self._replay(msgspec.json.decode(raw, type=Line))

    def _replay(self, line: Line) -> None:
        if line.name is not None:
            self._add_channel(line.name)
        channel = self.channels.get(line.channel)
        if channel is None:
            return
        if line.message is not None:
            channel.put(line.message)
        if line.deleted is not None:
            channel.drop(line.deleted)

    def close(self) -> None:
        self._journal.close()

    def add_person(self, name: str, full_name: str, email: str, *, is_bot: bool = False) -> Person:
        person = Person(number("U", email), name, full_name, email, is_bot)
        self.people[person.id] = person
        return person

    def add_group(self, handle: str, name: str, users: list[str]) -> Group:
        group = Group(number("S", handle), handle, name, users)
        self.groups[group.id] = group
        return group

    def _add_channel(self, name: str) -> Channel:
        channel = Channel(name)
        return self.channels.setdefault(channel.id, channel)

    def make_channel(self, name: str) -> Channel:
        channel = self._add_channel(name)
        self._journal.append(Line(channel.id, name=name))
        return channel

    def channel(self, id_or_name: Any) -> Channel | None:
        wanted = str(id_or_name).removeprefix("#")
        return self.channels.get(wanted) or self.channels.get(number("C", wanted))

    def keep(self, channel: Channel, message: Message) -> None:
        channel.put(message)
        self._journal.append(Line(channel.id, message=message))

    def delete(self, channel: Channel, message: Message) -> None:
        if channel.replies(message.ts):
            self.keep(channel, Message(message.ts, message.user, "This message was deleted.", buried=True))
            return
        channel.drop(message.ts)
        self._journal.append(Line(channel.id, deleted=message.ts))


def number(kind: str, name: str) -> str:
    """An id in Slack's shape that is the same after a restart."""
    return kind + "0" + b32encode(blake2b(name.encode(), digest_size=5).digest()).decode()


def micros(ts: str) -> int:
    """Raises ValueError for what is not a time."""
    seconds, _, rest = ts.partition(".")
    return int(seconds) * 1_000_000 + int(rest[:6].ljust(6, "0") or 0)


def written(at: int) -> str:
    return f"{at // 1_000_000}.{at % 1_000_000:06d}"
