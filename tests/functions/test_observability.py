"""The deployed functions write metrics, and JSON logs without personal data.

The log lines of a request or a conversation have a correlation ID.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from convoke.observability import json_logger
from tests.support.aws import MotoInstance, moto_instance
from tests.support.template import STACK_NAME

PEOPLE = ["Visit at Ms Doe's", "+15558675310", "+15017122661", "alice@example.com"]

CREATE = {
    "FriendlyName": PEOPLE[0],
    "Participant": [
        json.dumps({"messaging_binding": {"address": PEOPLE[1], "proxy_address": PEOPLE[2]}}),
        json.dumps({"identity": PEOPLE[3]}),
    ],
}

Lines = Callable[[], list[dict[str, Any]]]


def forget_logger() -> None:
    """Remove the logger's handlers. Powertools then creates new handlers for the test's stdout."""
    logger = logging.getLogger("convoke")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    for name in ("init", "powertools_handler"):
        vars(logger).pop(name, None)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Yield a function that returns the lines that were logged since its previous call."""
    forget_logger()
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    forget_logger()


@pytest.fixture
def moto(lines: Lines) -> Iterator[MotoInstance]:
    with moto_instance() as instance:
        yield instance


def logged(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the log lines without the metrics."""
    return [line for line in lines if "_aws" not in line]


def counted(lines: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the values of each metric. If several lines contain the metric, return the values of the last line.

    Check that each metric belongs to this stack.
    """
    found = {}
    for line in lines:
        if "_aws" in line:
            (directive,) = line["_aws"]["CloudWatchMetrics"]
            assert (directive["Namespace"], directive["Dimensions"]) == ("Convoke", [["service"]])
            assert line["service"] == STACK_NAME
            found.update({metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]})
    return found


def test_creation_is_logged_with_the_request_id_and_counted(moto: MotoInstance, lines: Lines) -> None:
    answered = moto.call("POST", "/v1/ConversationWithParticipants", CREATE)
    written = lines()
    (line,) = logged(written)
    assert line["correlation_id"] == answered.headers["Twilio-Request-Id"]
    assert line["conversation_sid"] == answered.body["sid"]
    assert (line["level"], line["stack"]) == ("INFO", STACK_NAME)
    assert counted(written) == {"ConversationsCreated": [1.0]}


def test_refused_request_logs_and_counts_nothing(moto: MotoInstance, lines: Lines) -> None:
    assert moto.call("POST", "/v1/ConversationWithParticipants", {"Participant": "nonsense"}).status == 400
    assert lines() == []


def test_asynchronous_work_is_logged_with_the_conversation_sid_and_counted_once(
    moto: MotoInstance, lines: Lines
) -> None:
    sid = moto.call("POST", "/v1/ConversationWithParticipants", CREATE).body["sid"]
    lines()
    (record,) = moto.items("provisioning")
    moto.repeat(record)
    moto.work()
    written = lines()
    assert {line["correlation_id"] for line in logged(written)} == {sid}
    figures = counted(written)
    assert set(figures) == {"ConversationsActivated", "TimeToActive"}
    assert figures["ConversationsActivated"] == [1.0]
    assert 0 <= figures["TimeToActive"][0] < 60_000


def test_failed_conversation_is_logged_with_its_causes_and_counted(moto: MotoInstance, lines: Lines) -> None:
    sid = moto.call("POST", "/v1/ConversationWithParticipants", CREATE).body["sid"]
    lines()
    cause = {"code": 50433, "message": "refused"}
    moto.execute({"account_sid": moto.account.sid, "conversation_sid": sid, "causes": [cause]})
    written = lines()
    (line,) = logged(written)
    assert (line["level"], line["code"], line["correlation_id"]) == ("ERROR", 50427, sid)
    assert [cause["code"] for cause in line["causes"]] == [50433]
    assert counted(written) == {"ConversationsClosed": [1.0]}


@pytest.mark.parametrize(("status", "measure"), [(204, "WebhooksDelivered"), (404, "WebhooksFailed")])
def test_webhook_outcome_is_counted(moto: MotoInstance, lines: Lines, status: int, measure: str) -> None:
    moto.receivers.statuses = [status]
    webhook = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationStateUpdated"}
    moto.call("POST", "/v1/Configuration/Webhooks", webhook)
    moto.call("POST", "/v1/ConversationWithParticipants", CREATE)
    moto.work()
    figures = counted(lines())
    assert figures[measure] == [1.0]
    assert len({"WebhooksDelivered", "WebhooksFailed"} & set(figures)) == 1


def test_failed_record_is_logged_without_the_correlation_id_of_another(moto: MotoInstance, lines: Lines) -> None:
    moto.call("POST", "/v1/ConversationWithParticipants", CREATE)
    queue = moto.deployment.values["ParticipantQueue"]
    moto.deployment.client("sqs").send_message(QueueUrl=queue, MessageBody="poison")
    lines()
    moto.work()
    (line,) = (line for line in logged(lines()) if line["level"] == "ERROR")
    assert (line["message"], line["exception_name"]) == ("a record failed and comes again", "ValidationError")
    assert "correlation_id" not in line
    assert line["record_id"]


def test_webhook_retry_is_logged_as_warning(moto: MotoInstance, lines: Lines) -> None:
    # On a slow machine, several retries can become due during `work`. Therefore every answer is a 503.
    moto.receivers.statuses = [503] * 9
    webhook = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationStateUpdated"}
    moto.call("POST", "/v1/Configuration/Webhooks", webhook)
    moto.call("POST", "/v1/ConversationWithParticipants", CREATE)
    lines()
    moto.work()
    written = lines()
    assert {line["level"] for line in logged(written)} == {"INFO", "WARNING"}
    assert set(counted(written)) == {"ConversationsActivated", "TimeToActive"}


def test_logs_contain_no_personal_data_or_tokens(
    moto: MotoInstance, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    """The test causes a success, a refused webhook, two unreadable queue messages and an internal error."""
    moto.receivers.statuses = [404]
    webhook = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationStateUpdated"}
    moto.call("POST", "/v1/Configuration/Webhooks", webhook)
    moto.call("POST", "/v1/ConversationWithParticipants", CREATE)
    moto.work()
    spoiled = json.dumps({"conversation_sid": 7, "participants": CREATE["Participant"], "event": moto.token})
    for queue in ("ParticipantQueue", "DeliveryQueue"):
        url = moto.deployment.values[queue]
        moto.deployment.client("sqs").send_message(QueueUrl=url, MessageBody=spoiled)
    moto.work()
    moto.deployment.client("dynamodb").delete_table(TableName=moto.deployment.values["Table"])
    assert moto.call("POST", "/v1/ConversationWithParticipants", CREATE).status == 500
    out, err = capsys.readouterr()
    messages = [line["message"] for line in map(json.loads, out.splitlines()) if "message" in line]
    assert messages.count("a record failed and comes again") == 1
    assert len([message for message in messages if message.startswith("a queue message was given up")]) == 2
    assert {"conversation created", "a webhook did not accept an event", "a request failed"} <= set(messages)
    for secret in [*PEOPLE, moto.token]:
        assert secret not in out + err


def test_json_logger_is_the_root_logger_of_the_package() -> None:
    forget_logger()
    assert json_logger(STACK_NAME)._logger is logging.getLogger("convoke")
    forget_logger()
