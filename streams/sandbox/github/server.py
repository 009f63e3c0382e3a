"""A GitHub that runs inside this process: protection rules, check runs, tokens of an app, a page for people."""

import base64
import hmac
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from streams.sandbox.faults import Faults
from streams.sandbox.github.pages import Pages
from streams.sandbox.github.state import Book, Check, Run
from streams.sandbox.github.webhooks import INSTALLATION, Sender, Subscription, pushed, requested
from streams.sandbox.serving import Serving, answered

TOKEN_S = 3600
BOT = "tocsin[bot]"
STATUSES = {"queued", "in_progress", "completed"}
CONCLUSIONS = {"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"}


class SandboxGitHub:
    """`token` is a fixed one; `app` is the id and the public key (PEM) of an app, which then gets tokens by proof."""

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        token: str | None = None,
        path: Path | None = None,
        subscription: Subscription | None = None,
        app: tuple[str, str] | None = None,
    ) -> None:
        self.book = Book(path)
        self.serving = Serving(Path(__file__).parent, host, port)
        self.sender = Sender(subscription)
        self.tokens: dict[str, float] = {}
        self.proofs: list[dict[str, Any]] = []
        self._token, self._app = token, app
        self._url = ""
        router = self.serving.app.router
        repository = "/repos/{owner}/{name}"
        router.add_post("/app/installations/{id}/access_tokens", self._grant)
        router.add_post(repository + "/actions/runs/{run}/deployment_protection_rule", self._review)
        router.add_get(repository + "/actions/runs/{run}/pending_deployments", self._pending)
        router.add_get(repository + "/actions/runs/{run}/approvals", self._approvals)
        router.add_post(repository + "/check-runs", self._create)
        router.add_patch(repository + "/check-runs/{check}", self._update)
        router.add_get(repository + "/commits/{sha}/check-runs", self._checks)
        Pages(self.book, self.serving, self.deploy)

    async def start(self) -> str:
        """The address of the page and of the API."""
        self._url = await self.serving.start()
        return self._url

    async def stop(self) -> None:
        await self.sender.stop()
        await self.serving.stop()
        self.book.close()

    @property
    def faults(self) -> Faults:
        return self.serving.faults

    def deploy(self, repository: str, environment: str, sha: str, ref: str = "main") -> Run:
        """A workflow comes to a protected environment: the app is asked."""
        run = self.book.wait(repository, environment, sha, ref)
        self.sender.tell("deployment_protection_rule", requested(run, self._url))
        return run

    def push(self, repository: str, sha: str) -> None:
        self.sender.tell("check_suite", pushed(repository, sha))

    def _let_in(self, request: web.Request) -> web.Response | None:
        """None: come in."""
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        fixed = self._token is not None and hmac.compare_digest(shown.encode(), self._token.encode())
        free = self._token is None and self._app is None
        if free or (scheme == "Bearer" and (fixed or self.tokens.get(shown, 0.0) > time.time())):
            return None
        return answered({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, status=401)

    async def _grant(self, request: web.Request) -> web.Response:
        claims = self._proved(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if claims is None:
            return answered({"message": "A JSON web token could not be decoded"}, status=401)
        if request.match_info["id"] != str(INSTALLATION):
            return answered({"message": "Not Found"}, status=404)
        self.proofs.append(claims)
        token = f"ghs_{secrets.token_hex(18)}"
        self.tokens[token] = time.time() + TOKEN_S
        until = datetime.fromtimestamp(self.tokens[token], UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        rights = {"actions": "read", "deployments": "write", "checks": "write"}
        return answered({"token": token, "expires_at": until, "permissions": rights}, status=201)

    def _proved(self, proof: str) -> dict[str, Any] | None:
        """The claims of a proof that is genuine and of now."""
        if self._app is None:
            return None
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where an app is played
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

        name, pem = self._app
        key: Any = serialization.load_pem_public_key(pem.encode())
        try:
            signed, _, signature = proof.rpartition(".")
            key.verify(_plain(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            claims: dict[str, Any] = msgspec.json.decode(_plain(signed.partition(".")[2]))
        except (ValueError, InvalidSignature, msgspec.DecodeError):
            return None
        now_s, until_s = time.time(), claims.get("exp", 0)
        fresh = claims.get("iat", now_s + 1) <= now_s < until_s <= now_s + 600
        return claims if claims.get("iss") == name and fresh else None

    def _run(self, request: web.Request) -> Run | None:
        given = request.match_info
        run = self.book.runs.get(int(given["run"])) if given["run"].isdecimal() else None
        return run if run and run.repository == f"{given['owner']}/{given['name']}" else None

    async def _review(self, request: web.Request) -> web.Response:
        if refused := self._let_in(request):
            return refused
        run, body = self._run(request), await _body(request)
        if run is None:
            return answered({"message": "Not Found"}, status=404)
        state, comment = body.get("state", ""), body.get("comment", "")
        well = state in ("", "approved", "rejected") and isinstance(comment, str) and (state or comment)
        if not well or body.get("environment_name") != run.environment:
            return answered({"message": "Validation Failed"}, status=422)
        if why := self.book.review(run, state, comment, BOT):
            return answered({"message": why}, status=422)
        return web.Response(status=204)

    async def _pending(self, request: web.Request) -> web.Response:
        run = self._run(request)
        if (refused := self._let_in(request)) or run is None:
            return refused or answered({"message": "Not Found"}, status=404)
        place = {"id": 1, "name": run.environment}
        one = {"environment": place, "wait_timer": 0, "current_user_can_approve": False, "reviewers": []}
        return answered([one] if run.state == "waiting" else [])

    async def _approvals(self, request: web.Request) -> web.Response:
        run = self._run(request)
        if (refused := self._let_in(request)) or run is None:
            return refused or answered({"message": "Not Found"}, status=404)
        places = [{"id": 1, "name": run.environment}]
        said = [one for one in run.reviews if one.state]
        return answered(
            [
                {"state": one.state, "comment": one.comment, "environments": places, "user": {"login": one.by}}
                for one in said
            ]
        )

    async def _create(self, request: web.Request) -> web.Response:
        given, body = request.match_info, await _body(request)
        if refused := self._let_in(request):
            return refused
        if not all(isinstance(body.get(one), str) and body[one] for one in ("name", "head_sha")) or _wrong(body):
            return answered({"message": "Validation Failed"}, status=422)
        check = Check(len(self.book.checks) + 1, f"{given['owner']}/{given['name']}", body["head_sha"], body["name"])
        return answered(self.book.check(_changed(check, body)), status=201)

    async def _update(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if refused := self._let_in(request):
            return refused
        number = request.match_info["check"]
        check = self.book.checks.get(int(number)) if number.isdecimal() else None
        if check is None:
            return answered({"message": "Not Found"}, status=404)
        if _wrong(body):
            return answered({"message": "Validation Failed"}, status=422)
        return answered(self.book.check(_changed(check, body)))

    async def _checks(self, request: web.Request) -> web.Response:
        if refused := self._let_in(request):
            return refused
        given, name = request.match_info, request.query.get("check_name")
        where = (f"{given['owner']}/{given['name']}", given["sha"])
        found = [one for one in self.book.checks.values() if (one.repository, one.head_sha) == where]
        found = [one for one in found if name is None or one.name == name]
        return answered({"total_count": len(found), "check_runs": found})


def _plain(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(await request.read() or b"{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _wrong(body: dict[str, Any]) -> bool:
    status, conclusion = body.get("status", "queued"), body.get("conclusion")
    if status not in STATUSES or (conclusion is not None and conclusion not in CONCLUSIONS):
        return True
    output = body.get("output", {"title": "x", "summary": "x"})
    told = isinstance(output, dict) and output.get("title") and isinstance(output.get("summary"), str)
    return (status == "completed") != (conclusion is not None) or not told or len(output["summary"]) > 65_535


def _changed(check: Check, body: dict[str, Any]) -> Check:
    known = {key: body[key] for key in ("name", "status", "external_id", "details_url", "output") if key in body}
    return msgspec.structs.replace(check, **known, conclusion=body.get("conclusion"))
