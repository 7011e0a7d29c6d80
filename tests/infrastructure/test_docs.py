"""What the README says of keys, errors and operations is what the code does."""

from __future__ import annotations

import inspect
import re

from convoke.storage import keys
from convoke.storage.table import Key
from tests.benchmarks import figures
from tests.benchmarks.results import PLOT
from tests.support import operations_table
from tests.support.error_table import raised, with_table
from tests.support.readme import README
from tests.support.template import ROOT, resources

GIVEN: dict[str, object] = {
    "account_sid": "AC",
    "conversation_sid": "CH",
    "chat_service_sid": "IS",
    "participant_sid": "MB",
    "message_sid": "IM",
    "receipt_sid": "DY",
    "change_sid": "EV",
    "alert_sid": "NO",
    "key_sid": "SK",
    "event_id": "EV-PLACE",
    "position": "RP#TARGET#NUMBER",
    "unique_name": "NAME",
    "identity": "IDENTITY",
    "idempotency_key": "KEY",
    "address": "ADDRESS",
    "proxy_address": "PROXY",
    "numbers": ["+1"],
}
"""What the chart writes for each part of a key."""


def chart() -> set[tuple[str, str]]:
    section = (ROOT / "README.md").read_text().partition("### The table")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| [^|`]+ \| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE))


def made() -> set[tuple[str, str]]:
    found = set()
    for _, function in inspect.getmembers(keys, inspect.isfunction):
        signature = inspect.signature(function)
        if function.__module__ == keys.__name__ and signature.return_annotation == "Key":
            key = function(**{name: GIVEN[name] for name in signature.parameters})
            assert isinstance(key, Key)
            found.add((_readable(key.pk), _readable(key.sk)))
    return found


def _readable(key: str) -> str:
    return re.sub(r"[0-9a-f]{64}", "SHA-256", key)


def test_the_entity_chart_shows_every_key() -> None:
    assert chart() == made()


def test_the_indexes_are_in_the_chart_the_keys_and_the_template() -> None:
    readme = (ROOT / "README.md").read_text()
    declared = resources("AWS::DynamoDB::Table")["Table"]["GlobalSecondaryIndexes"]
    assert {index.name for index in keys.INDEXES} == {index["IndexName"] for index in declared}
    for index in keys.INDEXES:
        assert all(f"`{name}`" in readme for name in (index.name, index.partition, index.sort))


def test_the_error_table_shows_what_a_request_can_be_answered_with() -> None:
    """`python -m tests.support.error_table` writes it anew."""
    readme = README.read_text()
    assert with_table(readme) == readme
    assert all(f"| {code} | {error.status} |" in readme for code, error in raised().items())


def test_the_operations_of_conversations_are_told_whether_they_are_served_or_not() -> None:
    """`python -m tests.support.operations_table` writes it anew."""
    readme = README.read_text()
    assert operations_table.with_table(readme) == readme
    known = operations_table.known()
    assert (len(known), len(set(known)), len({path for _, path in known})) == (103, 103, 49)


def test_the_figures_are_those_of_the_last_run() -> None:
    """`make bench` writes them anew, or `python -m tests.benchmarks.figures` from what it found."""
    readme = README.read_text()
    assert figures.with_table(readme) == readme
    assert f"]({PLOT.relative_to(ROOT)})" in readme
    assert PLOT.exists()


def test_nothing_is_served_where_twilio_has_its_operations_but_these() -> None:
    assert operations_table.served() <= set(operations_table.known())
