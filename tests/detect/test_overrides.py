"""What the policy says otherwise for some agents."""

from __future__ import annotations

from streams import policy

ONE = '[detectors."tool.repeated_error".agents."billing-*"]\nerrors_min = 5\n'
OTHER = '[detectors."tool.repeated_error".agents."*-eu"]\nerrors_min = 9\n'


def test_the_first_override_that_matches_wins_and_another_order_is_another_policy() -> None:
    one, other = policy.parse(ONE + OTHER, "p"), policy.parse(OTHER + ONE, "p")
    first = [policy.detectors["tool.repeated_error"].overrides[0][0] for policy in (one, other)]
    assert first == ["billing-*", "*-eu"]
    assert one.digest != other.digest
    assert one.digest == policy.parse(ONE + OTHER, "p").digest
