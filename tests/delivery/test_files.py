"""The files under deploy/gates: what each says is what the tool hears, and nothing in them is out of date."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from delivery.gated import AGENT, ALLOWED, BLOCKED, UNKNOWN, filled, served
from web.serving import serving

from streams.command.gate import gate
from streams.database import migrate

GATES = Path(__file__).parents[2] / "deploy/gates"
CANARY, METRIC = yaml.safe_load_all((GATES / "flagger.yaml").read_text("utf-8"))
# Which endpoint a hook must ask: confirm holds, check never fails for want of knowledge, rollback is the inverse.
ASKS = {
    "confirm-rollout": "confirm",
    "rollout": "check",
    "confirm-traffic-increase": "confirm",
    "confirm-promotion": "confirm",
    "rollback": "rollback",
    "event": "event",
}


def test_each_of_flaggers_hooks_asks_the_endpoint_that_is_meant_for_it():
    hooks = CANARY["spec"]["analysis"]["webhooks"]
    assert {one["type"]: one["url"].rpartition("/flagger/")[2] for one in hooks} == ASKS
    assert len({one["name"] for one in hooks}) == len(hooks)


@pytest.mark.parametrize("hook", CANARY["spec"]["analysis"]["webhooks"], ids=lambda one: one["type"])
async def test_each_of_flaggers_hooks_is_understood(site, hook):
    body = {"name": "support-bot", "namespace": "agents", "phase": "Progressing", "metadata": hook["metadata"]}
    assert all(isinstance(value, str) for value in hook["metadata"].values())
    answer = await site.client.post(re.sub(r"^http://[^/]+", "", hook["url"]), json=body)
    assert "hook" not in answer.text and "metadata" not in answer.text
    assert answer.status_code == (403 if ASKS[hook["type"]] in ("confirm", "rollback") else 200)  # nobody knows it


def test_flaggers_metric_asks_for_a_series_that_is_exported():
    series = re.findall(r"\b(agent_\w+)\{", METRIC["spec"]["query"])
    reference = (GATES.parents[1] / "docs/reference.md").read_text("utf-8")
    assert series and all(f"`{one}" in reference for one in series)
    used = set(re.findall(r"variables\.(\w+)", METRIC["spec"]["query"]))
    assert used == set(CANARY["spec"]["analysis"]["metrics"][0]["templateVariables"])


def options(command):
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("name", ["github-workflow.yml", "gitlab-ci.yml", "gate.sh"])
def test_every_option_that_a_file_gives_the_command_exists(name):
    known = options(gate.commands["check"])
    text = (GATES / name).read_text("utf-8").replace("\\\n", " ")
    calls = re.findall(r"tocsin gate check ((?:.+\n?)(?:\s+--.*\n)*)", text)
    assert calls
    for call in calls:
        given = set(re.findall(r"(?<!\S)--[a-z-]+", call))
        assert {"--agent", "--release"} <= given <= known
    assert CliRunner().invoke(gate, ["check", "--help"]).exit_code == 0


def test_gitlab_shows_a_warning_in_yellow_and_stops_at_everything_else():
    pipeline = yaml.safe_load((GATES / "gitlab-ci.yml").read_text("utf-8"))
    assert pipeline["gate"]["allow_failure"] == {"exit_codes": [10]}
    assert "--strict" in pipeline["gate"]["script"][0]
    assert pipeline["deploy"]["needs"] == ["gate"]
    assert pipeline["gate"]["artifacts"]["reports"]["junit"] in pipeline["gate"]["script"][0]


def test_githubs_workflow_deploys_only_after_the_gate():
    jobs = yaml.safe_load((GATES / "github-workflow.yml").read_text("utf-8"))["jobs"]
    assert jobs["deploy"]["needs"] == "gate"
    step = next(one for one in jobs["gate"]["steps"] if one.get("id") == "gate")
    assert "${{" not in step["run"], "what a tag is called must not become a command"
    outputs = {re.search(r"outputs\.([\w-]+)", value)[1] for value in jobs["gate"]["outputs"].values()}
    assert outputs <= {"state", "decision-id", "summary", "allow", "block", "score"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="without curl")
async def test_the_shell_script_answers_by_exit_code_without_the_command(database, unused_tcp_port, tmp_path):
    migrate(database)
    async with serving(database) as site:
        await filled(site)
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("sh", "curl", "sed"):
        (path / name).symlink_to(shutil.which(name))
    async with served(database, unused_tcp_port) as address:
        await answered(path, address)
        for release, code in ((ALLOWED, 0), (UNKNOWN, 20), (BLOCKED, 30), ("a[b", 4), ('x","state":"allow', 20)):
            assert await script(path, address, RELEASE=release) == code, release
        for where in (f"{address}/static", f"{address}/gates?", "http://127.0.0.1:1"):
            assert await script(path, where, RELEASE=ALLOWED) == 4, where


async def answered(path, address):
    """Until the role has read its inputs."""
    async with asyncio.timeout(20):
        while await script(path, address, RELEASE=UNKNOWN) == 4:
            await asyncio.sleep(0.1)


async def script(path, address, **environ):
    process = await asyncio.create_subprocess_exec(
        "sh",
        str(GATES / "gate.sh"),
        env={"PATH": str(path), "AGENT": AGENT, "TOCSIN_GATE": address, **environ},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await asyncio.wait_for(process.wait(), 30)
