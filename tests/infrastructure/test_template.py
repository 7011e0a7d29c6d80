"""template.yaml agrees with the code about names, sizes, time limits and policies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from convoke.cli.deployment import FIRST_ACCOUNT, OUTPUTS, QUEUES
from convoke.domain.connections import MAX_RETRIES, MAX_TIMEOUT_SECONDS
from convoke.domain.retention import WEBHOOKS_RETENTION
from convoke.operations.conversations import MAX_CONTENTION_SECONDS
from convoke.storage import keys
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
"""IAM cannot restrict these actions to certain resources."""


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each policy statement, with the logical ID of the function or state machine that has the policy."""
    for type_ in ("AWS::Serverless::Function", "AWS::Serverless::StateMachine"):
        for name, properties in resources(type_).items():
            for policy in properties["Policies"]:
                yield from ((name, statement) for statement in policy["Statement"])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_function_folder_is_deployed() -> None:
    assert set(functions()) == FUNCTIONS == {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}


def test_function_modules_are_at_most_25_lines() -> None:
    for path in (ROOT / "functions").glob("*/app.py"):
        assert len(path.read_text().splitlines()) <= 25, path


def test_policies_have_no_wildcards() -> None:
    for name, statement in statements():
        actions = listed(statement["Action"])
        assert all("*" not in action for action in actions), name
        if statement["Resource"] == "*":
            assert set(actions) <= WITHOUT_RESOURCE, name


def test_environment_variables_are_those_that_the_settings_read() -> None:
    known = set(re.findall(r'"(CONVOKE_\w+)"', (ROOT / "layers/convoke/src/convoke/config.py").read_text()))
    given = {name for properties in functions().values() for name in properties["Environment"]["Variables"]}
    # The settings do not read the variables that botocore reads.
    assert given == known | {"AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"}


def test_functions_on_aws_call_aws() -> None:
    """The variable is declared for `sam local invoke`. botocore takes an empty value as not set."""
    for properties in functions().values():
        assert properties["Environment"]["Variables"]["AWS_ENDPOINT_URL"] == ""


def test_outputs_for_the_command_line_equal_the_variables_of_the_api() -> None:
    outputs = {name: output["Value"] for name, output in template()["Outputs"].items()}
    variables = functions()["api"]["Environment"]["Variables"]
    assert {output for queue in QUEUES.values() for output in queue} <= set(outputs)
    assert {name: outputs[output] for name, output in OUTPUTS.items()} == {name: variables[name] for name in OUTPUTS}


def test_first_auth_token_secret_has_the_expected_name() -> None:
    outputs = {name: output["Value"] for name, output in template()["Outputs"].items()}
    (secret,) = resources("AWS::SecretsManager::Secret").values()
    prefix, (account_sid, digits) = outputs["AuthTokenPrefix"]["Fn::Sub"], outputs[FIRST_ACCOUNT]["Fn::Sub"]
    assert secret["Name"]["Fn::Sub"] == [prefix + account_sid, digits]


def test_snapstart_is_on_and_the_runtime_supports_it() -> None:
    api = functions()["api"]
    assert api["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert api["AutoPublishAlias"]
    assert tuple(map(int, api["Runtime"].removeprefix("python").split("."))) >= (3, 12)


@pytest.mark.parametrize("function", ["participant_adder", "webhook_delivery"])
def test_visibility_timeout_is_at_least_six_function_timeouts(function: str) -> None:
    properties = functions()[function]
    (event,) = properties["Events"].values()
    queue, _, _ = event["Properties"]["Queue"]["Fn::GetAtt"].partition(".")
    assert resources("AWS::SQS::Queue")[queue]["VisibilityTimeout"] >= 6 * properties["Timeout"]
    assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("function", ["api", "webhook_delivery"])
def test_function_timeout_is_at_least_twice_the_longest_webhook_timeout(function: str) -> None:
    assert functions()[function]["Timeout"] >= 2 * MAX_TIMEOUT_SECONDS


def test_request_with_a_pre_event_and_conflicts_ends_before_the_timeout_of_the_function() -> None:
    margin = 5
    assert functions()["api"]["Timeout"] >= MAX_TIMEOUT_SECONDS + MAX_CONTENTION_SECONDS + margin


def test_webhook_delivery_batch_size_is_one() -> None:
    # If a batch were larger, a slow receiver would delay deliveries to other receivers.
    (event,) = functions()["webhook_delivery"]["Events"].values()
    assert event["Properties"]["BatchSize"] == 1


def test_webhooks_of_deleted_conversations_are_kept_as_long_as_dead_letters() -> None:
    dead_letters = resources("AWS::SQS::Queue")["DeliveryDeadLetterQueue"]
    assert dead_letters["MessageRetentionPeriod"] == WEBHOOKS_RETENTION.total_seconds()


def test_max_receive_count_exceeds_the_retries_of_the_program() -> None:
    queues = resources("AWS::SQS::Queue")
    assert queues["DeliveryQueue"]["RedrivePolicy"]["maxReceiveCount"] > 1 + MAX_RETRIES
    redriven = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }
    assert redriven == {"ParticipantDeadLetterQueue.Arn", "DeliveryDeadLetterQueue.Arn"}


def test_stream_filter_agrees_with_is_streamed() -> None:
    mapping = functions()["event_publisher"]["Events"]["Changes"]["Properties"]
    (wanted,) = mapping["FilterCriteria"]["Filters"]
    pattern = json.loads(wanted["Pattern"])
    assert pattern["eventName"] == ["INSERT"]
    assert pattern["dynamodb"]["NewImage"] == {"sk": {"S": ["change"]}, "published_by_maker": {"BOOL": [False]}}
    assert keys.is_streamed({"sk": "change", "published_by_maker": False})
    assert not keys.is_streamed({"sk": "change", "published_by_maker": True})
    assert not keys.is_streamed({"sk": "conversation"})
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_table_has_recovery_encryption_and_is_retained() -> None:
    table = template()["Resources"]["Table"]
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": EXPIRES_AT, "Enabled": True}
    # DynamoDB encrypts every table. True would use a KMS key of the account, whose use is charged.
    assert table["Properties"]["SSESpecification"] == {"SSEEnabled": False}
    assert table["UpdateReplacePolicy"] == "Retain"


def test_only_finalize_and_close_catch_errors() -> None:
    states = state_machine()["States"]
    assert states["Finalize"]["Catch"][0]["ErrorEquals"] == ["MustCloseError"]
    assert states["Finalize"]["Catch"][0]["Next"] == "Close"
    assert "Catch" not in states["Publish"]
    assert "Catch" not in states["Settle"]
    (machine,) = resources("AWS::Serverless::StateMachine").values()
    assert machine["Type"] == "EXPRESS"


def test_lambda_logs_no_lines_for_successful_invocations() -> None:
    """SAM merges the global setting with the log group of each function."""
    assert template()["Globals"]["Function"]["LoggingConfig"] == {"LogFormat": "JSON", "SystemLogLevel": "WARN"}


def test_every_function_has_its_own_log_group_with_retention() -> None:
    groups = resources("AWS::Logs::LogGroup")
    used = [properties["LoggingConfig"]["LogGroup"]["Ref"] for properties in functions().values()]
    assert len(set(used)) == len(FUNCTIONS)
    assert set(used) <= set(groups)
    assert all("RetentionInDays" in group for group in groups.values())
