"""What we believe: policy.toml -> owners, thresholds, grouping, gates. Strict: every error at once, no start."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from msgspec import Struct, field

from .beliefs import (
    Breaker,
    Calibration,
    Canary,
    Fixing,
    Gate,
    Grouping,
    Level,
    Owner,
    Person,
    Promise,
    Quiet,
    Repository,
    Rota,
    Routing,
    Source,
    Stanza,
    Storm,
    Time,
    Upgrade,
)
from .detect.agents import AgentRules, Given
from .detect.catalogue import DETECTORS
from .detect.detector import Chosen
from .records import SEVERITIES
from .respond import oncalls
from .respond.routing import Inhibition, matching_none


class Policy(Struct, frozen=True, kw_only=True):
    name: str
    time: Time
    owners: tuple[Owner, ...]
    routing: Routing
    grouping: Grouping
    storm: Storm
    inhibitions: tuple[Inhibition, ...]
    escalation: tuple[Level, ...]
    rotas: tuple[Rota, ...]
    quiet: Quiet
    upgrades: tuple[Upgrade, ...]
    promise: Promise
    canary: Canary
    sources: tuple[Source, ...]
    agents: tuple[AgentRules, ...]
    gates: dict[str, Gate]
    detectors: dict[str, Stanza]
    outcomes: dict[str, str]  # Jira resolution name -> outcome
    people: tuple[Person, ...]
    calibration: Calibration
    fixing: Fixing
    breaker: Breaker
    repositories: tuple[Repository, ...]
    digest: str = ""

    @property
    def given(self) -> Given:
        """What detectors are told besides their thresholds."""
        return Given(
            bucket_s=self.time.bucket_s,
            minute_s=self.time.minute_s,
            agents=self.agents,
            owned=tuple(glob for owner in self.owners for glob in owner.agents),
        )


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = "default"
    time: Time = Time()
    owners: list[Owner] = []
    routing: Routing = Routing()
    grouping: Grouping = Grouping()
    storm: Storm = Storm()
    inhibitions: list[Inhibition] = []
    escalation: list[Level] = []
    rotas: list[Rota] = []
    quiet: Quiet = Quiet()
    upgrades: list[Upgrade] = []
    promise: Promise = Promise()
    canary: Canary = Canary()
    sources: list[Source] = []
    agents: list[AgentRules] = []
    gates: dict[str, Gate] = field(default_factory=lambda: {"promotion": Gate()})
    outcomes: dict[str, str] = {}
    people: list[Person] = []
    calibration: Calibration = Calibration()
    fixing: Fixing = Fixing()
    breaker: Breaker = Breaker()
    repositories: list[Repository] = []
    detectors: dict[str, dict[str, Any]] = {}


class PolicyError(Exception):
    """Every error of a policy file, each with its line and a suggestion."""


DEFAULT = Path(__file__).with_name("policy.toml").read_text(encoding="utf-8")


def load(path: Path | None = None) -> Policy:
    """The shipped policy, overlaid by the file at `path`. Raises PolicyError with every error."""
    return parse(*_text(path))


def changed(path: Path | None, over: dict[str, Any]) -> Policy:
    """The policy at `path`, which has no errors, with what `over` says laid over it: errors are about that."""
    return _believed(_overlay(tomllib.loads(_text(path)[0]), over), "--set")


def _text(path: Path | None) -> tuple[str, str]:
    """The text of the policy file and what to call it in errors."""
    if path is None:
        return DEFAULT, "policy.toml"
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: is not UTF-8: {error.reason} at byte {error.start}") from None


def parse(text: str, name: str) -> Policy:
    """Check `text` against the schema, then lay it over the shipped defaults."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name}: not TOML: {error}") from None
    except RecursionError:
        raise PolicyError(f"{name}: is nested too deeply") from None
    return _believed(given, name, text)


def _believed(given: dict[str, Any], name: str, text: str = "") -> Policy:
    errors = [_explain(error, text) for error in jsonschema.Draft202012Validator(schema()).iter_errors(given)]
    merged = given if errors else _overlay(tomllib.loads(DEFAULT), given)
    if not errors:
        errors = [(_line(text, [*path]), f"{'.'.join(path)}: {why}") for path, why in oncalls.problems(merged)]
    if errors:
        lines = (f"{name}:{line}: {message}" if text else f"{name}: {message}" for line, message in sorted(errors))
        raise PolicyError("\n".join(lines))
    try:
        return _policy(merged)
    except msgspec.ValidationError as error:  # what the schema lets pass: `nan`, or 1.0 for a whole number
        raise PolicyError(f"{name}: {error}") from None


def schema() -> dict[str, Any]:
    """JSON Schema of policy.toml, generated from the Structs here and the detectors' thresholds."""
    components: dict[str, Any] = {}
    (root,), components = msgspec.json.schema_components([_File], ref_template="#/$defs/{name}")
    stanzas = {detector.name: _stanza_schema(detector) for detector in DETECTORS}
    file = components["_File"]
    file["properties"]["detectors"] = {"type": "object", "properties": stanzas, "additionalProperties": False}
    return {**root, "$defs": components}


def _stanza_schema(detector: Any) -> dict[str, Any]:
    own = msgspec.json.schema(detector.limits)["$defs"][detector.limits.__name__]["properties"]
    per_agent = {"severity": {"enum": list(SEVERITIES)}, "dry_run": {"type": "boolean"}, **own}
    override = {"type": "object", "properties": per_agent, "additionalProperties": False}
    shared = {
        "runbook": {"type": "string"},
        "owner": {"type": "string"},
        "control": {"enum": ["", "throttle", "pause", "deny_tool"]},
        "agents": {"type": "object", "additionalProperties": override},
    }
    return {"type": "object", "properties": {**shared, **per_agent}, "additionalProperties": False}


def _overlay(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlay(merged[key], value) if both else value
    return merged


def _policy(merged: dict[str, Any]) -> Policy:
    file = msgspec.convert(merged, _File)
    names = [detector.name for detector in DETECTORS]
    wrong = [_unknown(f"inhibitions.{place}", glob, names) for place, glob in matching_none(file.inhibitions, names)]
    for place, rule in enumerate(file.upgrades):
        strangers = (glob for glob in rule.detectors if not any(fnmatchcase(name, glob) for name in names))
        wrong += [_unknown(f"upgrades.{place}", glob, names) for glob in strangers]
    if wrong:
        raise PolicyError("\n".join(wrong))
    stanzas = {detector.name: _stanza(detector, file.detectors.get(detector.name, {})) for detector in DETECTORS}
    digest = hashlib.sha256(msgspec.json.encode(_ordered(merged), order="deterministic")).hexdigest()
    return Policy(
        name=file.name,
        time=file.time,
        owners=tuple(file.owners),
        routing=file.routing,
        grouping=file.grouping,
        storm=file.storm,
        inhibitions=tuple(file.inhibitions),
        escalation=tuple(file.escalation),
        rotas=tuple(file.rotas),
        quiet=file.quiet,
        upgrades=tuple(file.upgrades),
        promise=file.promise,
        canary=file.canary,
        sources=tuple(file.sources),
        agents=tuple(file.agents),
        gates=file.gates,
        detectors=stanzas,
        outcomes={key.lower(): value for key, value in file.outcomes.items()},
        people=tuple(file.people),
        calibration=file.calibration,
        fixing=file.fixing,
        breaker=file.breaker,
        repositories=tuple(file.repositories),
        digest=f"sha256:{digest[:16]}",
    )


def _ordered(merged: dict[str, Any]) -> Any:
    """With the order of overrides, in which the first that matches wins."""
    orders = {name: list(one["agents"]) for name, one in merged["detectors"].items() if len(one.get("agents", {})) > 1}
    return [merged, orders] if orders else merged


def _stanza(detector: Any, given: dict[str, Any]) -> Stanza:
    shared: dict[str, Any] = {
        key: given[key] for key in ("severity", "runbook", "dry_run", "owner", "control") if key in given
    }
    own = {key: value for key, value in given.items() if key not in shared and key != "agents"}
    shared.setdefault("severity", detector.severity)
    try:
        thresholds = msgspec.convert(own, detector.limits)
        overrides = tuple(
            (glob, _chosen(detector, {**own, **some}, shared)) for glob, some in given.get("agents", {}).items()
        )
    except msgspec.ValidationError as error:
        raise PolicyError(f"detectors.{detector.name}: {error}") from None
    return Stanza(**shared, thresholds=thresholds, overrides=overrides)


def _chosen(detector: Any, given: dict[str, Any], usual: dict[str, Any]) -> Chosen[Any]:
    own = {key: value for key, value in given.items() if key not in ("severity", "dry_run")}
    severity = given.get("severity", usual["severity"])
    return Chosen(msgspec.convert(own, detector.limits), severity, given.get("dry_run", usual.get("dry_run", False)))


def _explain(error: Any, text: str) -> tuple[int, str]:
    path = [str(part) for part in error.absolute_path]
    where = ".".join(path) or "the file"
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        extra = [key for key in error.instance if key not in known]
        return _line(text, [*path, extra[0]]), "; ".join(_unknown(where, key, known) for key in extra)
    return _line(text, path), f"{where}: {error.message}"


def _unknown(where: str, key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else "known: " + ", ".join(sorted(known))
    return f"{where}: unknown `{key}`; {hint}"


def _line(text: str, path: list[str]) -> int:
    """Where the last part of `path` is written; tables are found by their headers, in order."""
    at, lines, table = 0, text.splitlines(), ""
    for part in path:
        if part.isdigit():
            header = f"[[{table}]]"
            headers = [n for n in range(at, len(lines)) if lines[n].replace(" ", "").startswith(header)]
            at = headers[int(part)] if int(part) < len(headers) else at
            continue
        table = f"{table}.{part}" if table else part
        pattern = re.compile(rf'^\s*(\[.*\b{re.escape(part)}\b.*\]|"?{re.escape(part)}"?\s*=)')
        at = next((n for n in range(at, len(lines)) if pattern.match(lines[n])), at)
    return at + 1
