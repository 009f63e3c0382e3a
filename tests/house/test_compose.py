"""docker-compose.yml follows the compose schema, and everything it starts exists."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import yaml

from streams import roles
from streams.settings import load

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "tocsin"}


def test_the_file_follows_the_compose_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    answer = subprocess.run([*command, str(ROOT / "docker-compose.yml")], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_role_is_a_service_whose_command_exists() -> None:
    commands = [service["command"] for service in OURS.values() if "entrypoint" not in service]
    assert sorted(commands) == sorted(["run", role] for role in roles.ROLES)


def test_the_sandbox_profile_starts_modules_that_exist() -> None:
    sandbox = [service for service in OURS.values() if "entrypoint" in service]
    assert len(sandbox) == 2
    for service in sandbox:
        assert service["profiles"] == ["sandbox"]
        assert importlib.util.find_spec(service["entrypoint"][-1] + ".__main__")


def usual(value: str) -> str:
    """What it is when nobody sets the variables that it is made of."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def test_every_setting_in_it_is_one_that_tocsin_knows() -> None:
    for service in OURS.values():
        load({key: usual(value) for key, value in service.get("environment", {}).items()})


def test_nothing_is_published_beyond_loopback() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_prometheus_asks_every_role() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = {target for job in scraped for each in job["static_configs"] for target in each["targets"]}
    assert targets == {f"{role}:9464" for role in roles.ROLES}


def test_every_rule_is_about_metrics_that_somebody_makes() -> None:
    rules = yaml.safe_load((ROOT / "deploy/rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    reference = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    assert {rule["labels"]["severity"] for rule in rules} <= {"critical", "high", "medium", "low"}
    named = {name for rule in rules for name in re.findall(r"tocsin_[a-z_]+", rule["expr"])}
    assert not [name for name in named if f"`{name}`" not in reference]
    for what in ("obligations_age", "answers", "retired", "asked", "left_alone", "promise_broken"):
        assert any(what in name for name in named), f"no rule looks at {what}"


def test_prometheus_gets_the_rules_it_is_told_to_read() -> None:
    (path,) = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text(encoding="utf-8"))["rule_files"]
    assert f"./deploy/rules.yml:{path}:ro" in COMPOSE["services"]["prometheus"]["volumes"]
