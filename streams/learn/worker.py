"""The learn role: counts exposure, reads what people decided, keeps an eye on every release."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from hashlib import blake2b

import psycopg
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Counter, Gauge

from .. import topics
from ..database import Connection, connect, migrate
from ..detect.clock import ScopeClock, forwarded
from ..intake.redact import Redactor
from ..locks import Hint, Lock
from ..policy import Policy
from ..records import DeadLetter, Position, drawn
from ..records.deadletters import appended
from ..settings import Settings
from ..settle import LogReader, Read, positions
from .controls.commanding import Commanding
from .controls.leading import Leading, settings_key
from .counting import READER, Counting, Decides, Names
from .deciders import Wired, choosing, proving, writers
from .gates import missed, overrides
from .gates import rules as gates
from .gates.inputs import Index
from .gates.minding import Minding, Said
from .gates.standing import Standing
from .gates.values import gate_values
from .github import outgoing
from .github.calling import counter
from .outcomes.jira import JiraReader, TrackerAway
from .outcomes.judging import Judging
from .outcomes.meaning import Rules
from .outcomes.persons import Persons
from .outcomes.polling import Polling, hinted
from .outcomes.recorder import Recorder
from .power.evaluator_series import EvaluatorSeries
from .power.sampling import Sampling
from .recording import forget
from .releases import implied, registration
from .releases.fixing import Fixing
from .releases.series import Series
from .settling import Settling, settle_for_ever
from .watching import Topics, Watching, gauge

log = logging.getLogger(__name__)
AGAIN_S = 1.0
STANDING_S = 2.0
TIDY_S = 3600.0
HINTS_S = 0.4  # between two readings of hinted tickets: a decision counts within a second


class Learn:
    """One running copy of the role: three loops, each on its own connection, for as long as the lock is held."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        registry: CollectorRegistry,
        progress: Callable[[], None],
        stop: asyncio.Event,
    ) -> None:
        self._settings, self._policy, self._progress, self._stop = settings, policy, progress, stop
        self._exposure = topics.named(topics.EXPOSURE, settings.generation)
        self._redactor = Redactor()
        given = policy.calibration
        self._sampling = Sampling(settings.generation, given.audit_share, given.audit_weekly_min, drawn)
        self._commanding = Commanding(topics.CONTROL.name, settings_key(settings.control_key))
        self._leading = Leading(self._commanding, registry)
        values = gate_values(policy.gates, policy.name, policy.digest, settings.pages, policy.calibration.starts)
        self._standing = Standing(values, (Index, gates.decide), topics.GATES.name, registry, choosing=choosing(policy))
        told = Said(overrides.holds, overrides.against, missed.waiting)
        self._minding = Minding(values, told, registry)
        self._series, self._values, self._called = Series(values, registry), values, counter(registry)
        self._evaluators = EvaluatorSeries(policy.calibration.starts, registry)
        persons = Persons(policy.people)
        self._judge = Judging(policy.outcomes, persons)
        self._recorder = Recorder(topics.OUTCOMES.name, Rules(persons, policy.calibration.bulk_max))
        self._read_s = time.time()
        self._counted = Counter("tocsin_learn_records", "Exposure and delivery records counted", registry=registry)
        self._refused = Counter("tocsin_learn_refused", "Records that became dead letters", registry=registry)
        self._said = Counter(
            "tocsin_outcomes", "Decisions of people read from tickets", ("outcome",), registry=registry
        )
        stale = Gauge("tocsin_tickets_stale_seconds", "Since all watched tickets were last read", registry=registry)
        stale.set_function(lambda: time.time() - self._read_s if settings.jira_url else 0.0)

    async def run(self) -> None:
        """Until stopped. Kafka or the database being away is waited for; losing the lock begins anew."""
        while not self._stop.is_set():
            try:
                await self._session()
            except* (KafkaError, psycopg.OperationalError, OSError) as errors:
                log.warning("learn: %s; trying again", type(errors.exceptions[0]).__name__)
                await self._rest(AGAIN_S)

    async def _session(self) -> None:
        lock = Lock(self._settings.database, READER, wanted=lambda: not self._stop.is_set())
        async with AsyncExitStack() as stack:
            if not await self._entered(stack, lock):
                return
            async with asyncio.TaskGroup() as group:
                loops = [self._count, self._watch, self._settle, self._lead]
                loops += [self._poll] if self._settings.jira_url else []
                loops += [self._tell] if outgoing.wanted(self._settings) else []
                tasks = [group.create_task(self._connected(loop)) for loop in loops]
                while not self._stop.is_set():
                    await lock.conn.execute("SELECT 1")  # the lock ends with its connection
                    await self._rest(AGAIN_S)
                for task in tasks:
                    task.cancel()

    async def _entered(self, stack: AsyncExitStack, lock: Lock) -> bool:
        """Waits for the lock as a standby that is well; False: asked to end."""
        entering = asyncio.create_task(stack.enter_async_context(lock))
        while not entering.done():
            self._progress()
            await asyncio.wait([entering], timeout=AGAIN_S)
        await entering
        return lock.held

    async def _connected(self, loop: Callable[[Connection], Awaitable[None]]) -> None:
        async with await connect(self._settings.database, application="tocsin learn") as conn:
            await loop(conn)

    async def _settle(self, conn: Connection) -> None:
        settling = Settling(
            Wired(self._policy, self._settings.pages, self._settings.deployment),
            writers(self._commanding, topics.named(topics.FINDINGS, self._settings.generation), self._policy.digest),
            topics.DEADLETTERS.name,
        )
        async with Hint(self._settings.database, "learn_inbox") as hint:
            await settle_for_ever(settling, conn, hint, self._progress)

    async def _lead(self, conn: Connection) -> None:
        async with Hint(self._settings.database, "obligations") as hint:
            while True:
                await self._leading.turn(conn)
                await hint.wait(AGAIN_S)

    async def _count(self, conn: Connection) -> None:
        names = Names(self._exposure, topics.DEADLETTERS.name, self._settings.generation)
        rules = Decides(registration.merged, registration.appended, implied.looked, self._sampling.write)
        counting = Counting(names, self._bury, rules)
        reader = LogReader(self._settings.kafka, (self._exposure, topics.DELIVERY.name))
        known = await positions(conn, READER)
        await reader.start(known)
        try:
            while True:
                batch = await reader.batch(500)
                if batch:
                    known = await counting.apply(conn, batch, known)
                    self._counted.inc(len(batch))
                    self._refused.inc(counting.buried)
                    counting.buried = 0
                self._progress()
        finally:
            await reader.stop()

    def _bury(self, read: Read, reason: str, why: str) -> DeadLetter:
        topic, _, partition = read.part.rpartition("/")
        letter = DeadLetter(
            reason=reason,
            errors=(f": {self._redactor.text(why, 1000, [])}",),
            position=Position(f"{topic}/{self._settings.epoch}/{partition}", read.offset),
            value=read.value,
            key=read.key,
            at=appended(read.timestamp_ms),
        )
        digest = blake2b(read.value or b"", digest_size=16).hexdigest()
        return self._redactor.letter(letter, [], digest)

    async def _watch(self, conn: Connection) -> None:
        facts, findings = (topics.named(one, self._settings.generation) for one in (topics.FACTS, topics.FINDINGS))
        read = Topics(facts, findings, topics.DEADLETTERS.name)
        watching = Watching(self._settings.kafka, read, ScopeClock(), forwarded)
        await watching.start()
        fixing = Fixing(proving(self._policy))
        looked_s = tidied_s = 0.0
        try:
            while True:
                await watching.turn(conn)
                now_s = time.monotonic()
                if now_s - looked_s >= STANDING_S:
                    await fixing.turn(conn, now_s)
                    await self._looked(conn)
                    looked_s = now_s
                if not tidied_s or now_s - tidied_s >= TIDY_S:
                    await forget(conn)
                    tidied_s = now_s
        finally:
            await watching.stop()

    async def _looked(self, conn: Connection) -> None:
        await self._standing.turn(conn)
        if self._standing.looked is not None:
            await self._minding.turn(conn, *self._standing.looked)
        await self._series.read(conn)
        await self._evaluators.read(conn)

    async def _tell(self, conn: Connection) -> None:
        """GitHub hears of gates whose answer changed."""
        outside = outgoing.github(self._settings)
        try:
            calling = outgoing.calling(outside, self._settings, self._values, self._standing, self._called)
            await calling.for_ever(conn, self._progress)
        finally:
            await outside.close()

    async def _poll(self, conn: Connection) -> None:
        given = self._settings
        reader = JiraReader(
            given.jira_url,
            given.jira_user,
            given.jira_token.reveal(),
            cloud=given.jira_cloud,
            timeout_s=given.call_timeout_s,
        )
        polling = Polling(reader, self._judge, self._recorder)
        await reader.start()
        try:
            async with Hint(given.database, "hinted") as hint:
                while True:
                    await self._polled(conn, polling)
                    await self._hinted(conn, polling, hint)
        finally:
            await reader.stop()

    async def _hinted(self, conn: Connection, polling: Polling, hint: Hint) -> None:
        """Until it is time to read all of them: those that Jira says have changed, at once."""
        until_s = time.monotonic() + self._settings.poll_tickets_s
        while (left_s := until_s - time.monotonic()) > 0:
            await hint.wait(left_s)
            if only := await hinted(conn):
                await self._polled(conn, polling, only)
                await asyncio.sleep(min(HINTS_S, left_s))  # whoever changes a thousand tickets is read in a few turns

    async def _polled(self, conn: Connection, polling: Polling, only: Sequence[str] = ()) -> None:
        try:
            for outcome in await polling.turn(conn, only):
                self._said.labels(outcome.outcome).inc()
            self._read_s = self._read_s if only else time.time()
            await gauge(conn, "tickets.away", 0)
        except TrackerAway as error:
            log.warning("tickets cannot be read (%s); what people decided so far stands", error)
            await gauge(conn, "tickets.away", 1)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()


async def run(
    settings: Settings,
    policy: Policy,
    registry: CollectorRegistry,
    progress: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Until `stop` is set. One copy works, others stand by."""
    await asyncio.to_thread(migrate, settings.database)
    await topics.ensure(settings.kafka, settings.generation, settings.replication)
    await Learn(settings, policy, registry, progress, stop).run()
