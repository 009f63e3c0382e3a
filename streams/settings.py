"""Where things are: read once from the environment, never from code. What we believe is policy, not here."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from . import addresses


class Secret:
    """A value that never shows itself: not in repr, logs, or exceptions."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"

    def __bool__(self) -> bool:
        return bool(self._value)


class SettingsError(Exception):
    """Every wrong setting, one a line, each with what would be right."""


class Settings(Struct, frozen=True, kw_only=True):
    kafka: str = ""
    database: str = ""
    datadir: Path = Path(".tocsin")
    policy: Path | None = None
    prices: Path | None = None  # the price book; default prices.json in the data directory, where there is one
    deployment: str = "tocsin"  # part of a ticket's identity: two deployments may share a Jira project
    generation: int = 1
    epoch: int = 1  # raised when an input topic is recreated
    replica: str = "0"  # static membership: one id per running copy of a role
    jira_url: str = ""
    jira_user: str = ""
    jira_token: Secret = Secret("")
    jira_cloud: bool = True
    slack_url: str = "https://slack.com/api/"
    slack_token: Secret = Secret("")
    slack_app_token: Secret = Secret("")  # Socket Mode: buttons without a public address
    slack_signing_secret: Secret = Secret("")  # buttons over HTTP: what /v1/slack/interactions checks
    slack_team: str = ""  # whose members may press buttons; empty: the workspace of the token
    jira_webhook_secret: Secret = Secret("")  # what /v1/jira/webhook checks
    pagerduty_keys: Secret = Secret("")  # service=key,...: routing keys of Events API v2
    pagerduty_url: str = "https://events.pagerduty.com/v2/enqueue"
    pagerduty_token: Secret = Secret("")  # REST API: who is on call
    pagerduty_api: str = "https://api.pagerduty.com"
    pagerduty_webhook_secret: Secret = Secret("")  # what /v1/pagerduty/webhook checks
    webhooks: Secret = Secret("")  # name=address,...: an address may be a secret itself
    webhook_secrets: Secret = Secret("")  # name=whsec_...,...
    plain_http: bool = False  # PagerDuty and webhooks may be http:// beyond this machine
    control_key: Secret = Secret("")  # signs what agents are told on the control topic; they check it with the same
    token: Secret = Secret("")  # what writing endpoints of the API ask for
    agent_token: Secret = Secret("")  # what agents show instead: it sends events and asks for approvals, no more
    web_host: str = "127.0.0.1"
    web_port: int = 8080
    web_url: str = ""  # how people reach the pages; default http://host:port
    web_names: str = ""  # further names, parted by commas, by which programs call: a service in a cluster
    flagger_token: Secret = Secret("")  # what Flagger's hooks must show in metadata.token; empty: nothing, as the gate
    github_url: str = "https://api.github.com"  # its API; of an enterprise server https://HOST/api/v3
    github_token: Secret = Secret("")  # a token of the app's installation; or the app itself, which makes its own:
    github_app: str = ""
    github_key: Secret = Secret("")  # the app's private key, PEM
    github_webhook_secret: Secret = Secret("")  # what /v1/github/webhook checks
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0  # 0: any free port
    call_timeout_s: float = 15.0
    ask_after_s: float = 45.0  # call timeout + 30 s: nobody asks or repeats an unanswered call earlier
    sweep_after_s: float = 900.0  # so old, a ticket that nobody recorded is adopted or retired, a refusal tried again
    audit_after_s: float = 60.0  # after a doubt a second ticket is looked for then, at 5 and at 30 times that
    poll_tickets_s: float = 60.0
    replication: int = 1
    heartbeat_url: Secret = Secret("")  # asked once a minute while every promise is kept; such addresses are secrets
    self_report_s: float = 30.0  # how often a role says how it is, as a heartbeat of its own; 0: never

    def __repr__(self) -> str:
        """An address of a database bears its password."""
        return f"Settings(deployment={self.deployment!r}, ...)"

    @property
    def price_book(self) -> Path:
        return self.prices or self.datadir / "prices.json"

    @property
    def buttons(self) -> bool:
        """Whether anybody hears a press on a button in Slack."""
        return bool(self.slack_app_token or self.slack_signing_secret)

    @property
    def pages(self) -> str:
        return (self.web_url or f"http://{self.web_host}:{self.web_port}").rstrip("/")

    @property
    def pagerduty_services(self) -> dict[str, Secret]:
        return {name: Secret(key) for name, key in addresses.pairs(self.pagerduty_keys.reveal()).items()}

    @property
    def hooks(self) -> dict[str, addresses.Hook]:
        return addresses.hooks(self.webhooks.reveal(), self.webhook_secrets.reveal(), plain=self.plain_http)


PORT_MAX = 65_535
DAY_S = 86_400
_PORTS = ("web_port", "metrics_port")
_SECRETS = (
    "jira_token",
    "jira_webhook_secret",
    "slack_token",
    "slack_app_token",
    "slack_signing_secret",
    "pagerduty_keys",
    "pagerduty_token",
    "pagerduty_webhook_secret",
    "webhooks",
    "webhook_secrets",
    "heartbeat_url",
    "control_key",
    "token",
    "agent_token",
    "flagger_token",
    "github_token",
    "github_key",
    "github_webhook_secret",
)


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `TOCSIN_*`; secrets also from files named by `TOCSIN_*_FILE`."""
    values: dict[str, object] = {}
    errors: list[str] = []
    for name in Settings.__struct_fields__:
        key = f"TOCSIN_{name.upper()}"
        raw = environ.get(key)
        if raw is None and f"{key}_FILE" in environ:
            raw = _read(environ[f"{key}_FILE"], f"{key}_FILE", errors)
        if raw is not None:
            values[name] = _value(name, raw, key, errors)
    known = {f"TOCSIN_{name.upper()}" for name in Settings.__struct_fields__}
    known |= {f"{name}_FILE" for name in known} | {"TOCSIN_TEST_DATA"}
    errors += [f"{key} is not a setting of Tocsin" for key in environ if key.startswith("TOCSIN_") and key not in known]
    settings = Settings(**values)  # type: ignore[arg-type]
    errors += _outside(settings)
    if errors:
        raise SettingsError("\n".join(errors))
    return settings


def _outside(settings: Settings) -> Iterator[str]:
    """What is wrong with the lists of addresses and keys; never what they say."""
    for key in ("pagerduty_url", "pagerduty_api", "github_url"):
        if why := addresses.unsafe(getattr(settings, key), plain=settings.plain_http):
            yield f"TOCSIN_{key.upper()} {why}"
    if settings.database and (why := addresses.unreadable(settings.database)):
        yield f"TOCSIN_DATABASE {why}"
    for key, name in (("pagerduty_services", "TOCSIN_PAGERDUTY_KEYS"), ("hooks", "TOCSIN_WEBHOOKS")):
        try:
            getattr(settings, key)
        except ValueError as error:
            yield f"{name}: {error}"


def _read(path: str, key: str, errors: list[str]) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        errors.append(f"{key}: cannot read {path}: {error.strerror}")
    except UnicodeDecodeError:
        errors.append(f"{key}: {path} is not UTF-8 text")
    return None


def _value(name: str, raw: str, key: str, errors: list[str]) -> object:
    default = getattr(Settings(), name)
    if name in _SECRETS:
        return Secret(raw.strip())  # a line's end in a header is refused with each call
    if name in ("datadir", "policy", "prices"):
        return Path(raw) if raw else default
    if isinstance(default, bool):
        if raw.lower() in ("1", "true", "yes"):
            return True
        if raw.lower() in ("0", "false", "no"):
            return False
        errors.append(f"{key} must be true or false")
        return default
    try:
        value = type(default)(raw)
    except ValueError:
        errors.append(f"{key} must be a {'whole number' if isinstance(default, int) else 'number'}")
        return default
    if not isinstance(value, str):
        _check(name, value, key, errors)
    return value


def _check(name: str, value: float, key: str, errors: list[str]) -> None:
    if name in _PORTS:
        if not 0 <= value <= PORT_MAX:
            errors.append(f"{key} must be a port, 0 to {PORT_MAX}")
    elif name == "self_report_s":
        if not 0 <= value <= DAY_S:
            errors.append(f"{key} must be a number of seconds, at most {DAY_S}; 0 is never")
    elif not 0 < value < math.inf:
        errors.append(f"{key} must be greater than 0")
