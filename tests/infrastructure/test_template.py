"""template.yaml holds what the code takes for granted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from convoke.cli.deployment import FIRST_ACCOUNT, OUTPUTS, QUEUES
from convoke.domain.connections import MAX_RETRIES, MAX_TIMEOUT_SECONDS
from convoke.storage import keys
from convoke.storage.conversations import WEBHOOKS_RETENTION
from convoke.storage.table import EXPIRES_AT
from tests.support.template import ROOT, functions, resources, state_machine, template

FUNCTIONS = {"api", "participant_adder", "conversation_finalizer", "event_publisher", "webhook_delivery", "sweeper"}

WITHOUT_RESOURCE = {
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}
"""Actions that IAM knows no resource for."""


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of a policy, with the resource that has it."""
    for type_ in ("AWS::Serverless::Function", "AWS::Serverless::StateMachine"):
        for name, properties in resources(type_).items():
            for policy in properties["Policies"]:
                yield from ((name, statement) for statement in policy["Statement"])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_function_folder_is_deployed_and_every_function_has_one() -> None:
    assert set(functions()) == FUNCTIONS == {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}


def test_a_function_is_a_cold_start_and_a_handler() -> None:
    for path in (ROOT / "functions").glob("*/app.py"):
        assert len(path.read_text().splitlines()) <= 25, path


def test_no_policy_allows_more_than_it_names() -> None:
    for name, statement in statements():
        actions = listed(statement["Action"])
        assert all("*" not in action for action in actions), name
        if statement["Resource"] == "*":
            assert set(actions) <= WITHOUT_RESOURCE, name


def test_functions_have_the_variables_that_the_settings_read_and_no_others() -> None:
    known = set(re.findall(r'"(CONVOKE_\w+)"', (ROOT / "layers/convoke/src/convoke/config.py").read_text()))
    given = {name for properties in functions().values() for name in properties["Environment"]["Variables"]}
    # botocore reads it: what its calls trust.
    assert given == known | {"AWS_CA_BUNDLE"}


def test_the_command_line_reads_outputs_that_say_what_the_api_is_told() -> None:
    outputs = {name: output["Value"] for name, output in template()["Outputs"].items()}
    variables = functions()["api"]["Environment"]["Variables"]
    assert {output for queue in QUEUES.values() for output in queue} <= set(outputs)
    assert {name: outputs[output] for name, output in OUTPUTS.items()} == {name: variables[name] for name in OUTPUTS}


def test_the_first_token_s_secret_is_named_as_the_command_line_and_the_api_look_for_it() -> None:
    outputs = {name: output["Value"] for name, output in template()["Outputs"].items()}
    (secret,) = resources("AWS::SecretsManager::Secret").values()
    prefix, (account_sid, digits) = outputs["AuthTokenPrefix"]["Fn::Sub"], outputs[FIRST_ACCOUNT]["Fn::Sub"]
    assert secret["Name"]["Fn::Sub"] == [prefix + account_sid, digits]


def test_snapstart_is_on_for_a_runtime_that_has_it() -> None:
    api = functions()["api"]
    assert api["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert api["AutoPublishAlias"]
    assert tuple(map(int, api["Runtime"].removeprefix("python").split("."))) >= (3, 12)


@pytest.mark.parametrize("function", ["participant_adder", "webhook_delivery"])
def test_a_message_is_invisible_for_six_times_as_long_as_its_function_may_take(function: str) -> None:
    properties = functions()[function]
    (event,) = properties["Events"].values()
    queue, _, _ = event["Properties"]["Queue"]["Fn::GetAtt"].partition(".")
    assert resources("AWS::SQS::Queue")[queue]["VisibilityTimeout"] >= 6 * properties["Timeout"]
    assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("function", ["api", "webhook_delivery"])
def test_who_calls_webhooks_has_twice_the_longest_time_that_a_url_can_ask_for(function: str) -> None:
    assert functions()[function]["Timeout"] >= 2 * MAX_TIMEOUT_SECONDS


def test_a_delivery_is_one_invocation_so_that_no_receiver_waits_for_another() -> None:
    (event,) = functions()["webhook_delivery"]["Events"].values()
    assert event["Properties"]["BatchSize"] == 1


def test_webhooks_of_a_deleted_conversation_are_known_as_long_as_a_dead_letter_is_kept() -> None:
    dead_letters = resources("AWS::SQS::Queue")["DeliveryDeadLetterQueue"]
    assert dead_letters["MessageRetentionPeriod"] == WEBHOOKS_RETENTION.total_seconds()


def test_queues_redrive_only_after_the_program_has_given_up() -> None:
    queues = resources("AWS::SQS::Queue")
    assert queues["DeliveryQueue"]["RedrivePolicy"]["maxReceiveCount"] > 1 + MAX_RETRIES
    redriven = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }
    assert redriven == {"ParticipantDeadLetterQueue.Arn", "DeliveryDeadLetterQueue.Arn"}


def test_the_stream_s_filter_and_the_code_mean_the_same() -> None:
    mapping = functions()["event_publisher"]["Events"]["Changes"]["Properties"]
    (wanted,) = mapping["FilterCriteria"]["Filters"]
    pattern = json.loads(wanted["Pattern"])
    assert pattern["eventName"] == ["INSERT"]
    assert pattern["dynamodb"]["NewImage"] == {"sk": {"S": ["change"]}, "published_by_maker": {"BOOL": [False]}}
    assert keys.is_streamed({"sk": "change", "published_by_maker": False})
    assert not keys.is_streamed({"sk": "change", "published_by_maker": True})
    assert not keys.is_streamed({"sk": "conversation"})
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_table_can_be_restored_and_is_not_lost_with_the_stack() -> None:
    table = template()["Resources"]["Table"]
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": EXPIRES_AT, "Enabled": True}
    assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert table["UpdateReplacePolicy"] == "Retain"


def test_only_finalizing_and_closing_are_caught() -> None:
    states = state_machine()["States"]
    assert states["Finalize"]["Catch"][0]["ErrorEquals"] == ["CannotFinalizeError"]
    assert states["Finalize"]["Catch"][0]["Next"] == "Close"
    assert "Catch" not in states["Publish"]
    assert "Catch" not in states["Settle"]
    (machine,) = resources("AWS::Serverless::StateMachine").values()
    assert machine["Type"] == "EXPRESS"


def test_every_function_writes_to_a_log_group_of_its_own_that_forgets() -> None:
    groups = resources("AWS::Logs::LogGroup")
    used = [properties["LoggingConfig"]["LogGroup"]["Ref"] for properties in functions().values()]
    assert len(set(used)) == len(FUNCTIONS)
    assert set(used) <= set(groups)
    assert all("RetentionInDays" in group for group in groups.values())
