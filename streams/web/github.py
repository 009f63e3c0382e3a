"""GitHub's webhook: a deployment that waits for the gate, or a commit that shows it. Answered at once, told later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from litestar import Request, Response, post
from msgspec import Struct
from psycopg.types.json import Jsonb

from ..database import Connection
from ..records import GateValues, Hook
from ..respond.hearing import signatures
from ..respond.hearing.ears import Ears, first
from ..respond.hearing.signatures import Rejected
from ..settings import Settings
from .answers import Refused
from .hooks import SAID
from .shop import Shop

BODY_BYTES_MAX = 1024 * 1024
SOURCE = "github"
SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
KEPT = "INSERT INTO hooks (id, kind, body, at) VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO NOTHING"


class Deploying(Protocol):
    """What the policy says about a repository."""

    @property
    def name(self) -> str: ...

    @property
    def agent(self) -> str: ...

    @property
    def gate(self) -> str: ...

    @property
    def release(self) -> str: ...

    @property
    def environments(self) -> dict[str, str]: ...

    @property
    def checks(self) -> str: ...


class Repository(Struct, frozen=True):
    full_name: str


class Installation(Struct, frozen=True):
    id: int


class Deployment(Struct, frozen=True):
    sha: str
    ref: str = ""


class Commit(Struct, frozen=True):
    head_sha: str


class Body(Struct, frozen=True):
    """As much of it as is used. `deployment.payload` is not: whoever writes a workflow would choose the release."""

    repository: Repository
    action: str = ""
    environment: str = ""
    deployment_callback_url: str = ""
    deployment: Deployment | None = None
    installation: Installation | None = None
    check_suite: Commit | None = None
    check_run: Commit | None = None


class GitHubHooks:
    """One of it per process."""

    def __init__(
        self,
        settings: Settings,
        shop: Shop,
        ears: Ears,
        repositories: Iterable[Deploying],
        gates: Mapping[str, GateValues],
    ) -> None:
        self._secret, self._shop, self._ears, self._gates = settings.github_webhook_secret, shop, ears, gates
        self._known = {one.name.lower(): one for one in repositories}
        self._api = settings.github_url.rstrip("/")

    async def heard(self, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        if not self._secret:
            raise Refused(403, "This webhook is off: no secret is set (TOCSIN_GITHUB_WEBHOOK_SECRET).")
        try:
            signature = signatures.jira(self._secret, _sha256(headers.get("x-hub-signature-256", "")), body)
            hook = self._hook(headers.get("x-github-event", ""), body)
            result = await self._written(headers.get("x-github-delivery", ""), signature, hook)
        except Rejected as error:
            self._ears.count(SOURCE, error.reason)
            raise Refused(401, SAID[error.reason]) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._ears.count(SOURCE, "garbage")
            raise Refused(400, "This is nothing that GitHub tells.") from None
        self._ears.count(SOURCE, result)
        return {"result": result, **({"hook": hook.id} if hook else {})}

    async def _written(self, delivery: str, signature: str, hook: Hook | None) -> str:
        """A delivery that is told again is no harm, and none of ours to refuse: GitHub repeats what it is asked to."""
        if hook is None:
            return "ignored"
        seen = {"github_signature": signature, **({"github_delivery": delivery} if delivery else {})}
        async with self._shop.connection() as conn:
            async with conn.transaction():
                new = [await first(conn, source, key) for source, key in seen.items()]
                if all(new):
                    await keep(conn, hook)
            await self._ears.tidy(conn)
        return "heard" if all(new) else "again"

    def _hook(self, event: str, raw: bytes) -> Hook | None:
        told = msgspec.json.decode(raw, type=Body) if event != "ping" else None
        if told is None:
            return None
        match event, told.action:
            case "deployment_protection_rule", "requested":
                return self._rule(told)
            case ("check_suite", "requested" | "rerequested") | ("check_run", "rerequested"):
                return self._check(told)
        return None

    def _rule(self, told: Body) -> Hook:
        known = self._repository(told)
        run = self._run(told)
        if told.deployment is None or not SHA.fullmatch(told.deployment.sha) or not 0 < len(told.environment) <= 256:
            raise Refused(422, "The deployment names no commit, or no environment.")
        release = told.deployment.sha if known.release == "sha" else told.deployment.ref
        environment = known.environments.get(told.environment, told.environment)
        return self._made(
            known, told, kind="rule", run=run, target=told.environment,
            sha=told.deployment.sha, release=release, environment=environment,
        )  # fmt: skip

    def _check(self, told: Body) -> Hook | None:
        known, commit = self._known.get(told.repository.full_name.lower()), told.check_suite or told.check_run
        if known is None or not known.checks or commit is None or not SHA.fullmatch(commit.head_sha):
            return None
        sha = commit.head_sha
        return self._made(known, told, kind="check", sha=sha, release=sha, environment=known.checks)

    def _made(self, known: Deploying, told: Body, **given: Any) -> Hook:
        values = self._gates.get(known.gate)
        if values is None or not given["release"] or not given["release"].isprintable() or len(given["release"]) > 256:
            raise Refused(422, "The policy's gate for this repository, or the release's name, is none.")
        installation = told.installation.id if told.installation else 0
        kind, at = given["kind"], datetime.now(UTC)
        what = f"{given['run']}/{given['target']}" if kind == "rule" else given["sha"]
        return Hook(
            id=f"github:{kind}:{known.name}:{what}", repository=known.name, gate=known.gate, agent=known.agent,
            at=at, installation=installation, wait_s=values.max_wait_s, **given,
        )  # fmt: skip

    def _repository(self, told: Body) -> Deploying:
        known = self._known.get(told.repository.full_name.lower())
        if known is None:
            raise Refused(422, "The policy has no [[repositories]] of this name: nobody knows which agent it deploys.")
        return known

    def _run(self, told: Body) -> str:
        """The run that the callback's address names. The address itself is never called: ours is made of the run."""
        wanted = rf"{re.escape(self._api)}/repos/([\w.-]+/[\w.-]+)/actions/runs/(\d{{1,20}})/deployment_protection_rule"
        found = re.fullmatch(wanted, told.deployment_callback_url, re.ASCII)
        if found is None or found[1].lower() != told.repository.full_name.lower():
            raise Refused(422, "The callback's address is not one of GitHub's API (TOCSIN_GITHUB_URL).")
        return found[2]


def _sha256(header: str) -> str:
    """The only method that this header has."""
    return header if header.startswith("sha256=") else ""


async def keep(conn: Connection, hook: Hook) -> None:
    await conn.execute(KEPT, [hook.id, hook.kind, Jsonb(msgspec.to_builtins(hook)), hook.at])


@post("/v1/github/webhook", status_code=202, request_max_body_size=BODY_BYTES_MAX, include_in_schema=False)
async def told(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Something happened, as GitHub posts it."""
    hooks: GitHubHooks = request.app.state.github
    return Response(await hooks.heard(request.headers, await request.body()), status_code=202)


HANDLERS = [told]
