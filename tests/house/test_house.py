"""The house rules of the repository, each a test: who may import what, how long things may be, which words are used."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STREAMS = ROOT / "streams"
FILES = sorted(path for path in STREAMS.rglob("*.py"))
PRODUCT = [*FILES, *sorted((ROOT / "benchmarks").glob("*.py")), *sorted((ROOT / "examples").glob("*.py"))]

DECIDE = (
    "detect/about.py",
    "detect/agents.py",
    "detect/catalogue.py",
    "detect/clock.py",
    "detect/detector.py",
    "detect/evidence.py",
    "detect/facts.py",
    "detect/fingerprint.py",
    "detect/fold.py",
    "detect/gathering.py",
    "detect/likeness.py",
    "detect/listing.py",
    "detect/ports.py",
    "detect/readers.py",
    "detect/routes.py",
    "detect/stamps.py",
    "detect/traits.py",
    "detect/methods/*.py",
    "detect/scopes.py",
    "detect/sessions.py",
    "detect/shelf.py",
    "detect/stage.py",
    "detect/wakes.py",
    "detect/session/*.py",
    "detect/scope/*.py",
    "respond/apart.py",
    "respond/book.py",
    "respond/cleaning.py",
    "respond/clock.py",
    "respond/commenting.py",
    "respond/deciding.py",
    "respond/escalation.py",
    "respond/explaining.py",
    "respond/life.py",
    "respond/oncalls.py",
    "respond/promise.py",
    "respond/quiet.py",
    "respond/recurrence.py",
    "respond/sighting.py",
    "respond/writing*.py",
    "respond/holding.py",
    "respond/incident.py",
    "respond/group.py",
    "respond/listening.py",
    "respond/silence.py",
    "respond/owner.py",
    "respond/power.py",
    "respond/telling.py",
    "respond/routing.py",
    "respond/messages.py",
    "intake/cloudevents.py",
    "intake/redact.py",
    "intake/batches.py",
    "intake/check.py",
    "intake/examples.py",
    "intake/explain.py",
    "intake/refusals.py",
    "intake/secrets.py",
    "intake/watermarks.py",
    "intake/reasons.py",
    "learn/cases/exporting.py",
    "learn/cases/making.py",
    "learn/controls/approvals.py",
    "learn/controls/desks.py",
    "learn/controls/flagd.py",
    "learn/controls/flags.py",
    "learn/controls/holds.py",
    "learn/controls/radius.py",
    "learn/controls/switches.py",
    "learn/controls/switching.py",
    "learn/controls/wording.py",
    "learn/gates/arranged.py",
    "learn/gates/covering.py",
    "learn/gates/evidence.py",
    "learn/gates/explained.py",
    "learn/gates/freezing.py",
    "learn/gates/incidents.py",
    "learn/gates/inputs.py",
    "learn/gates/missed.py",
    "learn/gates/overrides.py",
    "learn/gates/overriding.py",
    "learn/gates/pairing.py",
    "learn/gates/rules.py",
    "learn/gates/saying.py",
    "learn/gates/several.py",
    "learn/gates/statistics.py",
    "learn/gates/trust.py",
    "learn/github/callbacks.py",
    "learn/outcomes/judging.py",
    "learn/outcomes/meaning.py",
    "learn/outcomes/persons.py",
    "learn/outcomes/said.py",
    "learn/power/calibration.py",
    "learn/power/crediting.py",
    "learn/power/limits.py",
    "learn/power/proposing.py",
    "learn/power/weighing.py",
    "learn/power/worth.py",
    "learn/releases/fixes.py",
    "learn/releases/implied.py",
    "learn/releases/lineage.py",
    "learn/releases/registration.py",
    "announcement.py",
    "importing/litellm.py",
    "importing/tau2.py",
    "replaying/candidate.py",
    "replaying/columns.py",
    "replaying/comparison.py",
    "pricebook.py",
    "prices.py",
    "selfreport.py",
    "step.py",
    "records/*.py",
)
CONNECT = (
    "*/worker.py",
    "__main__.py",
    "web/app.py",
    "command/*.py",
    "roles.py",
    "respond/watching.py",
    "learn/deciders.py",
    "learn/github/outgoing.py",
    "replay.py",
    "replaying/*.py",
    "importing/merge.py",
    "beliefs.py",
    "policy.py",
    "pricefile.py",
)
NOT_IN_DECIDE = {"asyncio", "threading", "os", "time", "random", "logging", "socket", "subprocess", "uuid", "secrets"}
LIBRARIES = {
    "aiokafka",
    "psycopg",
    "faust",
    "jira",
    "slack_sdk",
    "litestar",
    "aiohttp",
    "requests",
    "prometheus_client",
}
CLOCK_CALLS = {"now", "utcnow", "today"}


def named(path: Path) -> str:
    return path.relative_to(STREAMS).as_posix()


def matches(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(Path(named(path)).match(pattern) for pattern in patterns)


def imports(path: Path) -> set[str]:
    """Absolute names of everything a file imports, its own package's as `streams.…`."""
    found: set[str] = set()
    package = ["streams", *Path(named(path)).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


decide = [path for path in FILES if matches(path, DECIDE) and path.name != "worker.py"]
do = [path for path in FILES if not matches(path, DECIDE) and not matches(path, CONNECT)]


def test_the_rooms_are_not_empty() -> None:
    assert len(decide) > 15
    assert len(do) > 10


@pytest.mark.parametrize("path", decide, ids=named)
def test_what_decides_touches_neither_the_world_nor_the_clock(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & (NOT_IN_DECIDE | LIBRARIES)
    house = {name for name in imports(path) if name.startswith("streams.")}
    connecting = {"streams.settings", "streams.policy", "streams.topics", "streams.settle", "streams.database"}
    assert not {name for name in house if name in connecting or name.endswith(".worker")}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in CLOCK_CALLS, f"{named(path)}:{node.lineno} asks for the time"


@pytest.mark.parametrize("path", do, ids=named)
def test_what_does_neither_decides_nor_knows_the_policy(path: Path) -> None:
    deciders = {f"streams.{named(other)[:-3].replace('/', '.')}" for other in decide if "records" not in named(other)}
    allowed = {
        f"streams.{name}"
        for name in (
            "step",
            "intake.reasons",
            "intake.secrets",  # it reads text and decides nothing
            "intake.examples",
            "respond.messages",
            "detect.ports",
            "detect.methods.sketch",
        )
    }
    assert not imports(path) & ({"streams.policy"} | deciders - allowed - {"streams.detect.shelf"})


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_budgets(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300, "a file has at most 300 lines"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            where = f"{path.name}:{node.lineno} {node.name}"
            assert lines(node) <= 40, f"{where}: a function has at most 40 lines"
            assert parameters(node) <= 6, f"{where}: a function has at most 6 parameters"
            assert nesting(node) <= 3, f"{where}: nesting is at most 3"


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Without its docstring."""
    documented = ast.get_docstring(node) is not None
    start = node.body[0].end_lineno or 0 if documented else node.lineno
    return (node.end_lineno or 0) - start


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    options = [d for d in node.decorator_list if isinstance(d, ast.Call) and "option" in ast.unparse(d.func)]
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([arg for arg in given if arg.arg not in ("self", "cls")]) - len(options)


def nesting(node: ast.AST, depth: int = 0) -> int:
    deeper = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try)
    depths = [depth]
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        chained = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse  # an elif
        depths.append(nesting(child, depth + (isinstance(child, deeper) and not chained)))
    return max(depths)


def test_no_room_for_things_without_a_name() -> None:
    for path in FILES:
        assert path.stem not in {"utils", "helpers", "common", "manager", "base", "misc"}


def test_every_file_says_in_one_sentence_what_it_is_for() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{named(path)} has no docstring"


def test_one_word_one_meaning() -> None:
    """DESIGN's words: an incident is not an alert, a dead letter not a DLQ."""
    forbidden = re.compile(r"\b(alerts?|alerting|dlq|verdicts?|notifications?)\b", re.IGNORECASE)
    for path in FILES:
        if "sandbox" in path.parts:
            continue  # speaks Jira's and Slack's own words
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not forbidden.search(line), f"{named(path)}:{number}: {line.strip()}"


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"#.*\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    for path in PRODUCT:
        assert not later.search(path.read_text(encoding="utf-8")), path


def test_tests_have_no_mocks_and_no_sleeps_to_synchronise() -> None:
    mocks = re.compile(r"unittest\.mock|MagicMock|monkeypatch|mocker\b")
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path == Path(__file__):
            continue
        assert not mocks.search(path.read_text(encoding="utf-8")), path


def test_the_repository_names_no_machine_and_no_registry() -> None:
    """A home or working folder of somebody's machine, or an address that packages come from."""
    hosts = r"pypi|pythonhosted|npmjs|maven|debian|crates|rubygems"
    strange = re.compile(rf"(?<![\w.])/(work|root|home)/\w|//[\w.-]*\b({hosts})\b[\w.-]*\.(org|com|io)")
    for path in [*FILES, ROOT / "requirements.lock", ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "Makefile"]:
        assert not strange.search(path.read_text(encoding="utf-8")), path
