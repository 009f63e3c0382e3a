"""What a user may meet is in docs/reference.md: detectors, dead-letter reasons, metrics, settings."""

from __future__ import annotations

import re
from pathlib import Path

from streams.detect.catalogue import DETECTORS
from streams.intake.reasons import Reason
from streams.policy import DEFAULT
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")


def test_every_detector_is_documented_and_in_the_policy() -> None:
    for detector in DETECTORS:
        assert f"| `{detector.name}` |" in REFERENCE
        assert f'[detectors."{detector.name}"]' in DEFAULT
        for threshold in detector.limits.__struct_fields__:
            assert f"`{threshold}`" in REFERENCE, f"{detector.name}: {threshold}"


def test_every_detector_has_a_runbook_of_three_steps() -> None:
    for detector in DETECTORS:
        assert len(detector.runbook.splitlines()) == 3


def test_every_detector_says_how_much_it_needs_and_how_often_it_is_wrong() -> None:
    for detector in DETECTORS:
        assert detector.minimum, detector.name
        assert detector.false_alarms, detector.name


def test_every_detector_has_a_page_for_the_person_who_was_woken() -> None:
    for detector in DETECTORS:
        page = (ROOT / f"docs/runbooks/{detector.name}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {detector.name}: ")
        for part in ("What it means", "What to look at", "What usually fixes it", "Thresholds", "How it may be wrong"):
            assert f"**{part}.**" in page, f"{detector.name}: {part}"


def test_no_page_is_about_a_detector_that_is_gone() -> None:
    pages = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")}
    assert pages == {detector.name for detector in DETECTORS}


def test_every_reason_for_a_dead_letter_is_documented() -> None:
    for reason in Reason:
        assert f"`{reason.value}`" in REFERENCE


def test_every_setting_is_documented() -> None:
    for name in Settings.__struct_fields__:
        assert f"`TOCSIN_{name.upper()}`" in REFERENCE


def test_every_metric_is_documented() -> None:
    """Metrics are found where they are made: a name in quotes beside what it says."""
    made = set()
    for path in (ROOT / "streams").rglob("*.py"):
        made |= set(
            re.findall(r"\b(?:Counter|Gauge|Histogram)\(\s*\"(tocsin_[a-z_]+)\"", path.read_text(encoding="utf-8"))
        )
    missing = sorted(name for name in made if f"`{name}" not in REFERENCE)
    assert not missing
