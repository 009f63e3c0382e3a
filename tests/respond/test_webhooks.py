"""A webhook is signed as Standard Webhooks has it, has one id however often it is sent, and goes nowhere in the clear."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import time
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace
from respond.outside import CANARY, HOSTILE, comment, page
from respond.suite_worlds import SIGNING

from streams.addresses import hooks
from streams.records import Done, Obligation, Refused, Unknown
from streams.respond.messages import NoteDoc, body
from streams.respond.receivers.http_wire import ANSWER_BYTES_MAX, Wire
from streams.respond.receivers.webhook import Webhooks, identity, signature
from streams.sandbox.faults import Fault
from streams.sandbox.hook import SandboxHook
from streams.schemas import schemas
from streams.settings import SettingsError, load

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/receive_webhook.py"
PAGE = replace(page(), destination="webhook:desk")
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()


def example() -> Any:
    specification = importlib.util.spec_from_file_location("receive_webhook", EXAMPLE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def note() -> Obligation:
    doc = NoteDoc(incident="i1", deployment="test", page="i1:page:1", headline="Recovered", lines=("It works again.",))
    return Obligation("i1:note:1", "i1", "note", 1, "webhook:desk", body(doc))


class Listening:
    """A receiver that keeps what it got, and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer: dict[str, Any] = {"status": 204}
        self.url = ""

    async def __aenter__(self) -> Listening:
        app = web.Application()
        app.router.add_post("/in", self._receive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/in"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(**self.answer)

    def receiver(self, secret: str = SIGNING) -> Webhooks:
        return Webhooks(Wire(timeout_s=5.0), hooks(f"desk={self.url}", f"desk={secret}", plain=False))


def test_a_signature_is_the_published_one() -> None:
    """The vector of the specification's own libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature((key,), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_example_in_the_documentation_takes_what_is_sent_and_nothing_else() -> None:
    check = example()
    async with Listening() as listening:
        receiver = listening.receiver()
        assert isinstance(await receiver.carry(PAGE, {}, "n1"), Done)
        await receiver.close()
    ((headers, sent),) = listening.got
    now = time.time()
    assert check.genuine(headers, sent, SIGNING, now)
    assert not check.genuine(headers, sent + b" ", SIGNING, now)
    assert not check.genuine(headers, sent, OTHER, now)
    assert not check.genuine({**headers, "webhook-id": "msg_another"}, sent, SIGNING, now)
    assert not check.genuine({**headers, "webhook-timestamp": str(int(now) + 1)}, sent, SIGNING, now)
    assert not check.genuine(headers, sent, SIGNING, now + 301)
    assert not check.genuine({}, sent, SIGNING, now)
    seen = check.Seen()
    assert [seen.before(headers["webhook-id"], now) for _ in range(2)] == [False, True]


async def test_while_one_secret_replaces_another_either_checks_it() -> None:
    check = example()
    async with Listening() as listening:
        receiver = listening.receiver(f"{OTHER}|{SIGNING}")
        await receiver.carry(PAGE, {}, "n1")
        await receiver.close()
    ((headers, sent),) = listening.got
    assert check.genuine(headers, sent, SIGNING, time.time()) and check.genuine(headers, sent, OTHER, time.time())


@pytest.mark.parametrize("obligation", [PAGE, note()], ids=["page", "note"])
async def test_a_repeat_has_the_same_id_and_body_and_a_body_follows_its_schema(obligation: Obligation) -> None:
    async with Listening() as listening:
        receiver = listening.receiver()
        answers = [await receiver.carry(obligation, {}, nonce) for nonce in ("n1", "n2")]
        await receiver.close()
    (first, sent), (second, again) = listening.got
    assert sent == again and first["webhook-id"] == second["webhook-id"]
    assert answers == [Done(first["webhook-id"])] * 2
    jsonschema.Draft202012Validator(schemas()["webhook"]).validate(msgspec.json.decode(sent))


def test_no_two_obligations_have_the_same_id() -> None:
    assert identity("a", "i1:page:1") != identity("b", "i1:page:1") != identity("b", "i1:page:2")
    assert "." not in identity("a.b", "c.d")


async def test_hostile_text_is_json_and_nothing_more() -> None:
    async with Listening() as listening:
        receiver = listening.receiver()
        hostile = replace(page(headline=HOSTILE, lines=((HOSTILE, HOSTILE),)), destination="webhook:desk")
        assert isinstance(await receiver.carry(hostile, {}, "n1"), Done)
        await receiver.close()
    assert msgspec.json.decode(listening.got[0][1])["data"]["headline"] == HOSTILE


@pytest.mark.parametrize(
    ("answer", "url"),
    [
        (
            {"status": 201, "headers": {"Location": "https://desk.example/cases/7"}},
            "https://desk.example/cases/7",
        ),
        ({"status": 201, "headers": {"Location": "javascript:alert(1)"}}, None),
        ({"status": 200, "body": b"x" * (2 * ANSWER_BYTES_MAX)}, None),
        ({"status": 202, "text": "thanks"}, None),
    ],
    ids=["place", "strange-place", "long", "words"],
)
async def test_a_2xx_is_done_whatever_it_says(answer: dict[str, Any], url: str | None) -> None:
    async with Listening() as listening:
        listening.answer = answer
        receiver = listening.receiver()
        assert await receiver.carry(PAGE, {}, "n1") == Done(identity("test", PAGE.id), url)
        await receiver.close()


async def test_a_redirect_is_not_followed() -> None:
    async with Listening() as listening, Listening() as elsewhere:
        listening.answer = {"status": 307, "headers": {"Location": elsewhere.url}}
        receiver = listening.receiver()
        assert isinstance(await receiver.carry(PAGE, {}, "n1"), Refused)
        await receiver.close()
    assert len(listening.got) == 1 and elsewhere.got == []


async def test_one_webhook_that_does_not_know_us_is_owed_again_at_a_start_and_stops_no_other() -> None:
    async with Listening() as listening:
        listening.answer = {"status": 401}
        receiver = listening.receiver()
        answer = await receiver.carry(PAGE, {}, "n1")
        await receiver.close()
    assert answer == Refused("desk: credentials: 401")


async def test_what_nobody_has_an_address_or_a_use_for_is_refused_in_words() -> None:
    receiver = Webhooks(Wire(), {})
    unknown = await receiver.carry(PAGE, {}, "n1")
    assert isinstance(unknown, Refused) and "TOCSIN_WEBHOOKS has no address for it" in unknown.why
    useless = await receiver.carry(replace(comment(), destination="webhook:desk"), {}, "n1")
    assert useless == Refused("a webhook has no use for a comment")
    broken = await receiver.carry(replace(PAGE, body={"doc": "nonsense"}), {}, "n1")
    assert isinstance(broken, Refused)
    await receiver.close()


async def test_an_answer_that_never_ends_is_cut_off() -> None:
    server = SandboxHook(secret=SIGNING)
    url = await server.start()
    server.faults.add(Fault(path="/hooks/*", kind="hang"))
    receiver = Webhooks(Wire(timeout_s=0.3), hooks(f"desk={url}/hooks/desk", f"desk={SIGNING}", plain=False))
    began = asyncio.get_running_loop().time()
    assert isinstance(await receiver.carry(PAGE, {}, "n1"), Unknown)
    assert asyncio.get_running_loop().time() - began < 3.0
    await receiver.close()
    await server.stop()


GOOD = {"TOCSIN_WEBHOOKS": "desk=https://desk.example/in", "TOCSIN_WEBHOOK_SECRETS": f"desk={SIGNING}"}


def test_settings_name_webhooks_and_services() -> None:
    settings = load({**GOOD, "TOCSIN_PAGERDUTY_KEYS": f" payments = {CANARY} ,search=another,"})
    assert settings.hooks["desk"].url == "https://desk.example/in"
    assert {name: key.reveal() for name, key in settings.pagerduty_services.items()} == {
        "payments": CANARY,
        "search": "another",
    }
    assert CANARY not in repr(settings) and CANARY not in repr(settings.hooks) and "desk.example" not in repr(settings)


def test_secrets_of_webhooks_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text(f"desk={SIGNING}\n")
    given = {"TOCSIN_WEBHOOKS": GOOD["TOCSIN_WEBHOOKS"], "TOCSIN_WEBHOOK_SECRETS_FILE": str(tmp_path / "secrets")}
    assert load(given).hooks["desk"].keys == (CANARY.encode(),)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"TOCSIN_WEBHOOK_SECRETS": ""}, "`desk` has no secret"),
        ({"TOCSIN_WEBHOOK_SECRETS": f"desk={SIGNING},other={OTHER}"}, "a secret for `other`, which has no address"),
        ({"TOCSIN_WEBHOOK_SECRETS": f"desk={CANARY}"}, "is not whsec_ and base64"),
        ({"TOCSIN_WEBHOOK_SECRETS": "desk=whsec_c2hvcnQ="}, "24 to 64 bytes"),
        ({"TOCSIN_WEBHOOKS": f"desk=http://desk.example/{CANARY}"}, "is http:// and not on this machine"),
        ({"TOCSIN_WEBHOOKS": f"desk=https://u:{CANARY}@desk.example/"}, "bears a user or a password"),
        ({"TOCSIN_WEBHOOKS": f"desk=ftp://{CANARY}/"}, "is not an address that begins with https://"),
        ({"TOCSIN_WEBHOOKS": f"desk=https://[{CANARY}"}, "is not an address"),
        ({"TOCSIN_WEBHOOKS": f"https://desk.example/{CANARY}"}, "entry 1 is not name=value"),
        ({"TOCSIN_WEBHOOKS": "desk=https://a.example/,desk=https://b.example/"}, "`desk` is there twice"),
        ({"TOCSIN_PAGERDUTY_KEYS": CANARY}, "TOCSIN_PAGERDUTY_KEYS: entry 1 is not name=value"),
        ({"TOCSIN_PAGERDUTY_URL": "http://events.example/"}, "TOCSIN_PAGERDUTY_URL is http://"),
        ({"TOCSIN_PAGERDUTY_API": "api"}, "TOCSIN_PAGERDUTY_API is not an address"),
    ],
)
def test_a_wrong_list_of_addresses_is_an_error_that_shows_no_secret(given: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError) as error:
        load({**GOOD, **given})
    assert why in str(error.value)
    assert CANARY not in str(error.value) and SIGNING not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/", "http://127.0.0.1/", "http://[::1]:8/", "https://desk.example/"]
)
def test_this_machine_may_be_told_in_the_clear(url: str) -> None:
    assert load({**GOOD, "TOCSIN_WEBHOOKS": f"desk={url}"}).hooks["desk"].url == url


def test_plain_http_is_allowed_only_by_a_setting_of_its_own() -> None:
    given = {**GOOD, "TOCSIN_WEBHOOKS": "desk=http://desk.example/", "TOCSIN_PLAIN_HTTP": "true"}
    assert load(given).hooks["desk"].url == "http://desk.example/"
