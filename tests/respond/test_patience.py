"""An outside that is down waits by itself; the others of the same receiver are told as if it were not there."""

from __future__ import annotations

import asyncio
import socket
import time

from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from respond.outside import PACE, page, promise, rows, states, until
from respond.suite_worlds import SIGNING

from streams.addresses import hooks
from streams.records import Done, NotDone, Refused, Unknown
from streams.respond.carry import Carrier
from streams.respond.meters import Meters
from streams.respond.receivers.http_wire import Wire
from streams.respond.receivers.patience import FORGOTTEN_S, TOGETHER, WAIT_S_MAX, Patience
from streams.respond.receivers.webhook import Webhooks
from streams.sandbox.faults import Fault
from streams.sandbox.hook import SandboxHook


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_has_so_many_places_and_no_more() -> None:
    patience = Patience(Clock())
    assert [patience.take("a", str(n)) > 0 for n in range(TOGETHER + 1)] == [False] * TOGETHER + [True]
    assert patience.take("b", "0") == 0
    patience.heed("a", "0", Done("r"))
    assert patience.take("a", "x") == 0


def test_a_place_that_was_never_used_is_free_again() -> None:
    clock = Clock()
    patience = Patience(clock)
    for number in range(TOGETHER):
        patience.take("a", str(number))
    clock.now += FORGOTTEN_S
    assert patience.take("a", "x") == 0


def test_trouble_makes_the_wait_longer_and_an_answer_ends_it() -> None:
    clock = Clock()
    patience = Patience(clock)
    waits = []
    for number in range(12):
        clock.now += patience.take("a", str(number))
        assert patience.take("a", str(number)) == 0
        patience.heed("a", str(number), Unknown("") if number % 2 else NotDone(""))
        waits.append(patience.take("a", "next"))
        clock.now += 1e6 if waits[-1] == 0 else 0
    assert waits[:6] == [0, 0, 1, 2, 4, 8] and waits[-1] == WAIT_S_MAX
    assert patience.take("b", "0") == 0
    clock.now += WAIT_S_MAX
    assert patience.take("a", "one") == 0 and patience.take("a", "two") > 0, "one at a time, to see"
    for answer in (Done("r"), Refused(""), NotDone("", 5.0)):
        patience.heed("a", "one", answer)
        assert patience.take("a", "one") == 0


async def test_a_dead_webhook_keeps_nobody_else_from_being_told(book: str) -> None:
    alive, dead = SandboxHook(secret=SIGNING), SandboxHook(secret=SIGNING)
    urls = (await alive.start(), await dead.start())
    dead.faults.add(Fault(path="/hooks/*", kind="hang", times=None))
    addresses = ",".join(f"{name}={url}/hooks/{name}" for name, url in zip(("alive", "dead"), urls, strict=True))
    named = hooks(addresses, f"alive={SIGNING},dead={SIGNING}", plain=False)
    receiver = Webhooks(Wire(timeout_s=2.0), named)
    await promise(book, *(replace(page(f"d{n}"), destination="webhook:dead") for n in range(100)))
    await promise(book, *(replace(page(f"a{n}"), destination="webhook:alive") for n in range(20)))
    carrier = Carrier(book, receiver, PACE._replace(ask_after_s=5.0), Meters(CollectorRegistry()))
    running = asyncio.create_task(carrier.run())
    began = time.monotonic()

    async def told() -> bool:
        found = await states(book)
        return all(found[f"a{n}:page:1"] == "done" for n in range(20))

    await until(told, 30.0, "telling the one that listens")
    took = time.monotonic() - began
    dead.faults.clear()
    carrier.stop()
    await running
    await receiver.close()
    await alive.stop()
    await dead.stop()
    assert took < 8.0, "each call to the other one takes 2 s, and there are 100"
    assert len(alive.kept) == 20


async def test_a_webhook_that_refuses_connections_does_not_close_the_way_to_the_others(book: str) -> None:
    """The carrier's clock stands: whatever it closes stays closed."""
    alive = SandboxHook(secret=SIGNING)
    url = await alive.start()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}/x"
        named = hooks(f"alive={url}/hooks/alive,dead={away}", f"alive={SIGNING},dead={SIGNING}", plain=False)
        receiver = Webhooks(Wire(timeout_s=2.0), named)
        await promise(book, *(replace(page(f"d{n}"), destination="webhook:dead") for n in range(10)))
        carrier = Carrier(book, receiver, PACE, Meters(CollectorRegistry()), clock=Clock())
        running = asyncio.create_task(carrier.run())

        async def in_trouble() -> bool:
            return len(await rows(book, "SELECT 1 FROM obligations WHERE failures > 0")) >= 3

        async def told() -> bool:
            return (await states(book))["a1:page:1"] == "done"

        await until(in_trouble, what="the trouble")
        await promise(book, replace(page("a1"), destination="webhook:alive"))
        await until(told, what="the page")
        carrier.stop()
        await running
    await receiver.close()
    await alive.stop()
