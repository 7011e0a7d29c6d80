"""The documentation agrees with the code, for example in its generated parts, and every cited page exists."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from convoke.domain.errors import CATALOGUE, LOG_ENTRIES
from convoke.storage import keys
from convoke.storage.table import Key
from tests.benchmarks import figures
from tests.benchmarks.results import PLOT
from tests.support import error_table, operations_table
from tests.support.docs import API_COVERAGE, BENCHMARKS, DATA_MODEL, DOCS, ERRORS, README, anchors
from tests.support.template import ROOT, resources, template, written_template

GIVEN: dict[str, object] = {
    "account_sid": "AC",
    "conversation_sid": "CH",
    "chat_service_sid": "IS",
    "participant_sid": "MB",
    "message_sid": "IM",
    "receipt_sid": "DY",
    "change_sid": "EV",
    "alert_sid": "NO",
    "address_configuration_sid": "IG",
    "binding_sid": "BS",
    "credential_sid": "CR",
    "user_sid": "US",
    "role_sid": "RL",
    "key_sid": "SK",
    "sender_sid": "XE",
    "second": "SECOND",
    "media_sid": "ME",
    "business_address": "BUSINESS",
    "number": "+1",
    "event_id": "EV-PLACE",
    "code_hash": "HASH",
    "position": "RP#TARGET#NUMBER",
    "unique_name": "NAME",
    "identity": "IDENTITY",
    "idempotency_key": "KEY",
    "address": "ADDRESS",
    "proxy_address": "PROXY",
    "projected_address": "PROJECTED",
    "provider": "PROVIDER",
    "provider_message_id": "ID",
    "numbers": ["+1"],
    "kind": "KIND",
    "touch_position": "EVENT-ID",
    "receiver": "AC https://HOST:443",
}
"""Maps each parameter of the functions of `storage.keys` to an example value.

Most values are the placeholders of docs/data-model.md. Other values occur in the key only as a hash.
"""


def chart() -> set[tuple[str, str]]:
    """Return the partition key and the sort key of each row in the table of docs/data-model.md."""
    section = DATA_MODEL.read_text().partition("## Items")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| [^|`]+ \| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE))


def made() -> set[tuple[str, str]]:
    """Return the keys that the functions of `storage.keys` make from the values in GIVEN."""
    found = set()
    for _, function in inspect.getmembers(keys, inspect.isfunction):
        signature = inspect.signature(function)
        if function.__module__ == keys.__name__ and signature.return_annotation == "Key":
            missing = set(signature.parameters) - set(GIVEN)
            assert not missing, f"GIVEN in {__file__} has no placeholder for {missing} of keys.{function.__name__}"
            key = function(**{name: GIVEN[name] for name in signature.parameters})
            assert isinstance(key, Key)
            found.add((_readable(key.pk), _readable(key.sk)))
    return found


def _readable(key: str) -> str:
    return re.sub(r"[0-9a-f]{64}", "SHA-256", key)


def test_key_chart_lists_every_key() -> None:
    assert chart() == made(), f"{DATA_MODEL} must list every key of storage/keys.py, and no other"


def test_indexes_are_declared_in_docs_keys_and_template() -> None:
    page = DATA_MODEL.read_text()
    declared = resources("AWS::DynamoDB::Table")["Table"]["GlobalSecondaryIndexes"]
    projections = {index["IndexName"]: index["Projection"] for index in declared}
    assert projections == {
        index.name: {"ProjectionType": "INCLUDE", "NonKeyAttributes": [*index.projected]}
        if index.projected
        else {"ProjectionType": "KEYS_ONLY"}
        for index in keys.INDEXES
    }
    for index in keys.INDEXES:
        assert all(f"`{name}`" in page for name in (index.name, index.partition, index.sort))


def test_errors_page_lists_every_error_that_a_request_can_raise() -> None:
    page = ERRORS.read_text()
    assert error_table.with_table(page) == page, "run `make docs-tables`"


def test_every_error_code_has_an_anchor() -> None:
    codes = {str(code) for code in (*error_table.raised(), *LOG_ENTRIES)}
    assert codes - anchors(ERRORS) == set()


def test_every_error_code_of_the_catalogue_is_mentioned() -> None:
    page = ERRORS.read_text()
    assert [code for code in (*CATALOGUE, *LOG_ENTRIES) if str(code) not in page] == []


def test_api_coverage_lists_all_103_operations_of_twilio() -> None:
    page = API_COVERAGE.read_text()
    assert operations_table.with_table(page) == page, "run `make docs-tables`"
    known = operations_table.known()
    assert (len(known), len(set(known)), len({path for _, path in known})) == (103, 103, 49)


def test_benchmark_table_shows_the_last_run() -> None:
    """The table in docs/benchmarks.md is generated from the last run of `make bench`.

    `make bench` updates the table after its measurements. `make docs-tables` updates the table without a new run.
    """
    page = BENCHMARKS.read_text()
    assert figures.with_table(page) == page, "run `make docs-tables`"
    assert f"]({PLOT.relative_to(DOCS)})" in page
    assert PLOT.exists()


def test_every_served_twilio_path_is_a_known_twilio_operation() -> None:
    assert operations_table.served() <= set(operations_table.known())


def test_number_of_served_operations_is_the_same_in_prose() -> None:
    sentence = f"{len(operations_table.served())} of the {len(operations_table.known())} operations"
    for page in (README, DOCS / "index.md"):
        assert sentence in " ".join(page.read_text().replace("[", "").split()), page


def test_cost_of_an_unused_deployment_is_the_same_in_prose() -> None:
    costs = [
        re.findall(r"unused deployment costs about (\d+) USD a month", " ".join(page.read_text().split()))
        for page in (README, DOCS / "operate.md")
    ]
    assert len(costs[0]) == 1
    assert costs[0] == costs[1]


def test_index_of_decisions_has_every_title_and_marks_what_is_superseded() -> None:
    index = (DOCS / "decisions/index.md").read_text()
    for path in (DOCS / "decisions").glob("0*.md"):
        decision = path.read_text()
        title = decision.partition("\n")[0].removeprefix("# ")
        mark = " (superseded)" if "- **Status**: superseded" in decision else ""
        assert index.count(f"- [{path.name[:4]}]({path.name}): {title}{mark}\n") == 1, path.name


def test_readme_has_at_most_200_lines() -> None:
    assert len(README.read_text().splitlines()) <= 200


CITING = (
    *(ROOT / "layers").rglob("*"),
    *(ROOT / "functions").rglob("*"),
    *(ROOT / "events").rglob("*"),
    *(ROOT / "tests").rglob("*"),
    *ROOT.glob("*.toml"),
    *ROOT.glob("*.md"),
    *(ROOT / ".ci").glob("*"),
    ROOT / "template.yaml",
    ROOT / "Makefile",
)
"""The files that can cite a page of docs/."""

NOT_OURS = {"node_modules", ".aws-sam", "__pycache__"}

CITATION = re.compile(r"\bdocs/([\w./-]+\.md)(?:#([\w-]+))?")
RELATIVE_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#([^)\s]+))?\)")
PRIVATE_NOTES = re.compile(r"\b[Rr]eference, [a-j]\b")


def sources() -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of each file in CITING.

    Skip this file, binary files, and files in the folders NOT_OURS.
    """
    for path in sorted(CITING):
        if path.is_file() and not NOT_OURS & set(path.parts) and path != Path(__file__):
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def dead(page: Path, anchor: str | None) -> bool:
    """Return True if the page or the anchor of a link does not exist. Only anchors in Markdown pages are checked."""
    if anchor is None or page.suffix != ".md":
        return not page.exists()
    return not page.is_file() or anchor not in anchors(page)


def test_every_cited_page_and_anchor_exists() -> None:
    cited = [(path, *found) for path, text in sources() for found in CITATION.findall(text)]
    missing = [
        f"{path.relative_to(ROOT)} cites docs/{page}{f'#{anchor}' if anchor else ''}"
        for path, page, anchor in cited
        if dead(DOCS / page, anchor or None)
    ]
    assert missing == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_of_pages_outside_docs_lead_somewhere(page: Path) -> None:
    """`make docs` checks only the links between pages in docs/.

    Therefore this test checks the links of the Markdown files in the root folder.
    """
    links = RELATIVE_LINK.findall(page.read_text())
    assert [(link, anchor) for link, anchor in links if dead(ROOT / link, anchor or None)] == []


def test_no_source_cites_private_notes() -> None:
    citing = [(path, PRIVATE_NOTES.findall(text)) for path, text in sources()]
    assert {str(path.relative_to(ROOT)): found for path, found in citing if found} == {}


def in_nav(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the pages in the documentation's navigation, in order."""
    for entry in entries:
        for page in entry.values():
            yield from in_nav(page) if isinstance(page, list) else [page]


def test_navigation_has_every_page_except_single_decisions() -> None:
    listed = list(in_nav(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    decisions = {page for page in pages if re.fullmatch(r"decisions/\d+.*", page)}
    assert sorted(listed) == sorted(pages - decisions)


VARIABLE = {True: re.compile(r'"(CONVOKE_[A-Z_]*[A-Z])"'), False: re.compile(r"\bCONVOKE_[A-Z_]*[A-Z]\b")}
"""The patterns that find names of environment variables: in Python files (True), and in other files (False).

In a Python file, a name is a whole string literal. In other files, a name is a word.
"""


def test_every_environment_variable_is_documented() -> None:
    product = [
        (path, text) for path, text in sources() if not path.is_relative_to(ROOT / "tests") and path.suffix != ".md"
    ]
    read = {name for path, text in product for name in VARIABLE[path.suffix == ".py"].findall(text)}
    documented = set(re.findall(r"`(CONVOKE_[A-Z_]+)`", (DOCS / "command-line.md").read_text()))
    assert read - documented == set()
    assert documented - read == set()


def command_line() -> click.Group:
    """Return the click group of the program `convoke`."""
    project = tomllib.loads((ROOT / "layers/convoke/pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["convoke"].partition(":")
    group = getattr(importlib.import_module(module), name)
    assert isinstance(group, click.Group)
    return group


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield each command of a group and of its subgroups, with the command's full name."""
    with click.Context(group) as context:
        found = [group.get_command(context, each) for each in group.list_commands(context)]
    for each in found:
        assert each is not None
        if isinstance(each, click.Group):
            yield from commands(each, f"{name} {each.name}")
        else:
            yield f"{name} {each.name}", each


def test_every_command_and_option_is_documented() -> None:
    page = (DOCS / "command-line.md").read_text()
    for name, command in commands(command_line(), "convoke"):
        assert f"`{name}" in page, name
        options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        missing = [flag for option in options for flag in option.opts if not re.search(rf"`{flag}\b", page)]
        assert (name, missing) == (name, [])


def test_every_parameter_of_the_template_is_documented() -> None:
    page = (DOCS / "deploy-to-aws.md").read_text()
    assert [name for name in template()["Parameters"] if f"`{name}`" not in page] == []


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def test_deploy_page_counts_the_resources_of_the_template() -> None:
    page = (DOCS / "deploy-to-aws.md").read_text()
    queues = resources("AWS::SQS::Queue")
    dead_letter_queues = [name for name in queues if name.endswith(("DeadLetterQueue", "FailureQueue"))]
    counted = {
        "functions": len(resources("AWS::Serverless::Function")),
        "queues": len(queues) - len(dead_letter_queues),
        "dead-letter queues": len(dead_letter_queues),
        "rules": len(resources("AWS::Events::Rule")),
    }
    assert [what for what, count in counted.items() if f" {NUMBERS[count]} {what}" not in page] == []


def test_no_curl_command_sends_a_plus_sign_that_becomes_a_space() -> None:
    pages = [README, *DOCS.rglob("*.md")]
    assert [page for page in pages if re.search(r"-d '?[\w.]+=\+", page.read_text())] == []


def test_every_alarm_is_documented() -> None:
    page = (DOCS / "operate.md").read_text()
    assert [name for name in resources("AWS::CloudWatch::Alarm") if f"`{name}`" not in page] == []


IAM_PREFIXES = {
    "AWS::ApiGatewayV2": "apigateway",
    "AWS::CloudWatch": "cloudwatch",
    "AWS::DynamoDB": "dynamodb",
    "AWS::Events": "events",
    "AWS::IAM": "iam",
    "AWS::Lambda": "lambda",
    "AWS::Logs": "logs",
    "AWS::SNS": "sns",
    "AWS::S3": "s3",
    "AWS::SQS": "sqs",
    "AWS::SecretsManager": "secretsmanager",
}

BY_SAM = {
    "AWS::Serverless::Function": {"lambda", "iam", "events"},
    "AWS::Serverless::LayerVersion": {"lambda"},
    "AWS::Serverless::StateMachine": {"states", "iam"},
}
"""Maps a SAM resource type to the AWS services in which SAM creates resources for it."""


def test_policy_for_deploying_covers_the_services_of_the_template() -> None:
    page = (DOCS / "deploy-to-aws.md").read_text()
    policy = json.loads(page.partition("```json\n")[2].partition("```")[0])
    actions = [action for statement in policy["Statement"] for action in listed(statement["Action"])]
    types = {resource["Type"] for resource in written_template()["Resources"].values()}
    needed = {"cloudformation", "s3"}.union(
        *(BY_SAM.get(each) or {IAM_PREFIXES[each.rpartition("::")[0]]} for each in types)
    )
    assert {action.partition(":")[0] for action in actions} == needed | {"ec2"}
    assert not [
        statement["Sid"]
        for statement in policy["Statement"]
        if statement["Resource"] == "*" and "*" in str(statement["Action"])
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_cost_of_the_alarms_is_documented() -> None:
    metrics = sum(
        len([query for query in alarm.get("Metrics", [alarm]) if "Expression" not in query])
        for alarm in resources("AWS::CloudWatch::Alarm").values()
    )
    assert f"{metrics / 10:.2f}\nfor alarms on {metrics} metrics" in (DOCS / "operate.md").read_text()
