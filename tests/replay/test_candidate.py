"""`--set NAME=VALUE`: what it stands for in a policy file, and what is said about a name that nobody knows."""

from __future__ import annotations

import pytest

from streams import policy
from streams.detect.catalogue import DETECTORS
from streams.replaying.candidate import UnknownSetting, changes, names

SCHEMA = policy.schema()


@pytest.mark.parametrize(
    ("setting", "over"),
    [
        ("tool.repeated_error.errors_min=4", {"detectors": {"tool.repeated_error": {"errors_min": 4}}}),
        ("detectors.tool.repeated_error.errors_min=4", {"detectors": {"tool.repeated_error": {"errors_min": 4}}}),
        ('detectors."tool.repeated_error".errors_min=4', {"detectors": {"tool.repeated_error": {"errors_min": 4}}}),
        ("cost.session.floor = 2.5", {"detectors": {"cost.session": {"floor": 2.5}}}),
        ("cost.session.severity=low", {"detectors": {"cost.session": {"severity": "low"}}}),
        ("cost.session.dry_run=true", {"detectors": {"cost.session": {"dry_run": True}}}),
        ('eval.critical.critical=["safety"]', {"detectors": {"eval.critical": {"critical": ["safety"]}}}),
        ("eval.failure_rate.baselines.tone=0.1", {"detectors": {"eval.failure_rate": {"baselines": {"tone": 0.1}}}}),
        (
            'cost.session.agents."billing.*".floor=9',
            {"detectors": {"cost.session": {"agents": {"billing.*": {"floor": 9}}}}},
        ),
        ("grouping.window_s=60", {"grouping": {"window_s": 60}}),
        ("gates.canary.sessions_min=3", {"gates": {"canary": {"sessions_min": 3}}}),
        ("name=ours", {"name": "ours"}),
        ('owners=[{name="a"}]', {"owners": [{"name": "a"}]}),
        ("cost.session.runbook=a=b", {"detectors": {"cost.session": {"runbook": "a=b"}}}),
        ("cost.session.runbook=1\nfloor=2", {"detectors": {"cost.session": {"runbook": "1\nfloor=2"}}}),
    ],
)
def test_a_setting_is_a_part_of_a_policy_file(setting, over):
    assert changes([setting], SCHEMA) == over


def test_several_settings_are_one_part_and_the_last_one_wins():
    found = changes(["cost.session.floor=1", "cost.session.budget=3", "cost.session.floor=2"], SCHEMA)
    assert found == {"detectors": {"cost.session": {"floor": 2, "budget": 3}}}


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("tool.repeated_error.error_min=4", "did you mean `tool.repeated_error.errors_min`?"),
        ("tool.repeated_eror.errors_min=4", "did you mean `tool.repeated_error.errors_min`?"),
        ("grouping.windows=3", "did you mean `grouping.window_s`?"),
        ("cost.session.floor.more=3", "did you mean `cost.session.floor`?"),
        ("zzzzzz=3", "known detectors: "),
        ("detectors=3", "known detectors"),
        ("cost.session=3", "`cost.session` is a detector; set one of its values: agents"),
        ("cost.session.floor", "is not name=value"),
        ("=3", "is not name=value"),
        ("a..b=3", "is not name=value"),
        ('cost.session."floor=3', "is not name=value"),
    ],
)
def test_a_name_that_nobody_knows_is_answered_with_what_was_meant(setting, answer):
    with pytest.raises(UnknownSetting) as raised:
        changes([setting], SCHEMA)
    assert answer in str(raised.value)


def test_every_threshold_of_every_detector_can_be_set():
    known = set(names(SCHEMA))
    for detector in DETECTORS:
        for name in (*detector.limits.__struct_fields__, "severity", "dry_run"):
            assert f"{detector.name}.{name}" in known
            assert changes([f"{detector.name}.{name}=1"], SCHEMA) == {"detectors": {detector.name: {name: 1}}}


def test_a_changed_policy_keeps_what_the_file_says(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text('[detectors."cost.session"]\nfloor = 7.0\n', encoding="utf-8")
    found = policy.changed(path, {"detectors": {"cost.session": {"budget": 20}}}).detectors["cost.session"].thresholds
    assert (found.floor, found.budget) == (7.0, 20.0)
    assert policy.changed(None, {}).digest == policy.load().digest


def test_wrong_values_are_all_named_without_a_line_of_a_file_nobody_wrote():
    over = changes(["cost.session.floor=-1", "cost.session.severity=hihg"], SCHEMA)
    with pytest.raises(policy.PolicyError) as raised:
        policy.changed(None, over)
    first, second = str(raised.value).splitlines()
    assert first.startswith("--set: detectors.cost.session.floor: -1")
    assert second.startswith("--set: detectors.cost.session.severity: 'hihg'")
