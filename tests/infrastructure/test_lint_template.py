"""`make lint-template` reports each finding without a baseline entry, and each baseline entry without a finding."""

from __future__ import annotations

import pytest

from tests.support.lint_template import CFN_LINT, CHECKOV, differences


def test_new_finding_and_obsolete_entry_are_reported() -> None:
    found = {"W1": ["Table: one", "Queue: two"], "W2": ["Queue: three"]}
    assert differences(found, {"W2": "reviewed", "W3": "reviewed"}) == [
        "W1 Queue: two",
        "W1 Table: one",
        "W3 is in the baseline, but nothing is found: remove it",
    ]


@pytest.mark.parametrize("baseline", [CFN_LINT, CHECKOV])
def test_every_accepted_finding_has_a_reason(baseline: dict[str, str]) -> None:
    assert all(len(reason) > 10 or reason.removeprefix("as ") in baseline for reason in baseline.values())
