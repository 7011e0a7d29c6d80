"""template.yaml agrees with the names and limits in the code, and has the required settings."""

from __future__ import annotations

import json
import re

from convoke.aws.event_bus import SOURCE
from convoke.aws.handlers.message_sender import MAX_RECEIVES
from convoke.cli.deployment import CHANGE_DEAD_LETTERS, FIRST_ACCOUNT, OUTPUTS, QUEUES
from convoke.domain.carriers import MAX_ATTEMPTS
from convoke.domain.connections import MAX_RETRIES
from convoke.domain.retention import WEBHOOKS_RETENTION
from convoke.storage import keys
from convoke.storage.table import EXPIRES_AT
from tests.support.template import ROOT, functions, resources, state_machine, template

FUNCTIONS = {
    *("api", "participant_adder", "conversation_finalizer", "event_publisher", "webhook_delivery"),
    *("message_sender", "inbound_messages", "sweeper"),
}


def test_every_function_folder_is_deployed() -> None:
    assert set(functions()) == FUNCTIONS == {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}


def test_function_modules_are_at_most_25_lines() -> None:
    for path in (ROOT / "functions").glob("*/app.py"):
        assert len(path.read_text().splitlines()) <= 25, path


def test_environment_variables_are_those_that_the_settings_read() -> None:
    known = set(re.findall(r'"(CONVOKE_\w+)"', (ROOT / "layers/convoke/src/convoke/config.py").read_text()))
    given = {name for properties in functions().values() for name in properties["Environment"]["Variables"]}
    # botocore itself reads AWS_CA_BUNDLE and AWS_ENDPOINT_URL. Only the embedded engine reads CONVOKE_SYNCHRONOUS.
    assert given == known - {"CONVOKE_SYNCHRONOUS"} | {"AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"}


def test_functions_on_aws_call_aws() -> None:
    """An empty value of AWS_ENDPOINT_URL means the real AWS.

    The template declares this variable, because `sam local invoke` can set only declared variables.
    """
    for properties in functions().values():
        assert properties["Environment"]["Variables"]["AWS_ENDPOINT_URL"] == ""


def test_outputs_for_the_command_line_equal_the_variables_of_the_functions() -> None:
    outputs = {name: output["Value"] for name, output in template()["Outputs"].items()}
    assert {CHANGE_DEAD_LETTERS, *(output for _, *queue in QUEUES for output in queue)} <= set(outputs)
    for function in functions().values():
        variables = function["Environment"]["Variables"]
        for name in OUTPUTS.keys() & variables:
            assert outputs[OUTPUTS[name]] == variables[name]


def test_first_auth_token_secret_has_the_expected_name() -> None:
    outputs = {name: output["Value"] for name, output in template()["Outputs"].items()}
    secret = resources("AWS::SecretsManager::Secret")["FirstAuthToken"]
    prefix, (account_sid, digits) = outputs["AuthTokenPrefix"]["Fn::Sub"], outputs[FIRST_ACCOUNT]["Fn::Sub"]
    assert secret["Name"]["Fn::Sub"] == [prefix + account_sid, digits]


def test_snapstart_is_on_and_the_runtime_supports_it() -> None:
    api = functions()["api"]
    assert api["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert api["AutoPublishAlias"]
    assert tuple(map(int, api["Runtime"].removeprefix("python").split("."))) >= (3, 12)


def test_webhook_delivery_batch_size_is_one() -> None:
    # With a larger batch, one slow receiver would delay deliveries to other receivers.
    (event,) = functions()["webhook_delivery"]["Events"].values()
    assert event["Properties"]["BatchSize"] == 1


def test_webhooks_of_deleted_conversations_are_kept_as_long_as_dead_letters() -> None:
    dead_letters = resources("AWS::SQS::Queue")["DeliveryDeadLetterQueue"]
    assert dead_letters["MessageRetentionPeriod"] == WEBHOOKS_RETENTION.total_seconds()


def test_receives_without_an_attempt_do_not_use_up_the_receives_of_a_message() -> None:
    """If Lambda throttles an invocation, SQS counts a receive of the message, although the function makes no attempt.

    Therefore `maxReceiveCount` must be much larger than the number of attempts.
    """
    queues = resources("AWS::SQS::Queue")
    for name in ("ParticipantQueue", "DeliveryQueue", "OutboundQueue"):
        assert queues[name]["RedrivePolicy"]["maxReceiveCount"] == 100 > 10 * (1 + MAX_RETRIES)
    assert queues["CopyQueue"]["RedrivePolicy"]["maxReceiveCount"] == 1000 > MAX_RECEIVES > 10 * MAX_ATTEMPTS
    redriven = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }
    assert redriven == {
        "ParticipantDeadLetterQueue.Arn",
        "DeliveryFailureQueue.Arn",
        "OutboundFailureQueue.Arn",
        "CopyFailureQueue.Arn",
    }


def test_copy_queues_keep_the_order_of_each_message_group() -> None:
    """SQS requires that the dead-letter queue of a FIFO queue is a FIFO queue too."""
    queues = resources("AWS::SQS::Queue")
    assert {name for name, queue in queues.items() if queue.get("FifoQueue")} == {"CopyQueue", "CopyFailureQueue"}
    assert queues["CopyQueue"]["FifoThroughputLimit"] == "perMessageGroupId"
    assert queues["CopyQueue"]["DeduplicationScope"] == "messageGroup"


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


def test_rules_pass_the_events_that_webhooks_may_get_and_the_events_with_copies() -> None:
    patterns = {name: rule["EventPattern"] for name, rule in resources("AWS::Events::Rule").items()}
    assert patterns == {
        "WebhookRule": {"source": [SOURCE], "detail": {"webhooks": [True]}},
        "CopyRule": {"source": [SOURCE], "detail": {"copies": [{"numeric": [">", 0]}]}},
    }


def test_table_has_recovery_encryption_and_is_retained() -> None:
    table = template()["Resources"]["Table"]
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": EXPIRES_AT, "Enabled": True}
    # DynamoDB encrypts every table. With SSEEnabled, DynamoDB would use a KMS key of the account, which costs money.
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
    """`LoggingConfig` is a global setting, which SAM adds to the configuration of each function."""
    assert template()["Globals"]["Function"]["LoggingConfig"] == {"LogFormat": "JSON", "SystemLogLevel": "WARN"}
