"""Each time limit is shorter than the time limit of its caller.

A call to another service ends before the invocation that makes the call. The invocation ends before its caller stops
waiting. The tests read the limits from template.yaml and from constants in the code.
"""

from __future__ import annotations

import pytest

from convoke.api.preferences import MAX_PREFERRED_WAIT_SECONDS
from convoke.aws.edges import CONNECT_TIMEOUT_SECONDS, MAX_ATTEMPTS, READ_TIMEOUT_SECONDS, AwsEdges
from convoke.aws.handlers.sweeper import SWEEP_MARGIN_MILLISECONDS
from convoke.carriers import twilio
from convoke.domain.connections import MAX_TIMEOUT_SECONDS
from convoke.operations.conversations import MAX_CONTENTION_SECONDS
from tests.support.aws import CREDENTIALS
from tests.support.template import functions, resources, state_machine
from tests.support.translated import deployed, references

GATEWAY_SECONDS = 30
"""The maximum time that an HTTP API waits for a function.

See https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html.
"""

EXPRESS_SECONDS = 300
"""The maximum duration of an Express execution.

See https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html.
"""

MAX_BACKOFF_SECONDS = (1, 2)
"""The maximum pauses of botocore's retry mode `standard`, after the first and the second attempt."""

CALL_SECONDS = MAX_ATTEMPTS * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS) + sum(MAX_BACKOFF_SECONDS)
"""The maximum duration of one AWS call, including retries."""

TIMEOUTS = {name: properties["Timeout"] for name, properties in functions().items()}
"""Maps each function's folder name to the function's timeout in seconds."""


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> AwsEdges:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return AwsEdges({"AWS_REGION": "us-east-1"})


def test_every_client_of_aws_has_the_time_limits_and_keeps_connections_alive(edges: AwsEdges) -> None:
    config = edges._client("sqs").meta.config
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
    assert config.retries == {"total_max_attempts": MAX_ATTEMPTS, "mode": "standard"}
    assert config.tcp_keepalive is True
    assert len(MAX_BACKOFF_SECONDS) == MAX_ATTEMPTS - 1


@pytest.mark.parametrize("function", sorted(TIMEOUTS))
def test_call_to_aws_ends_before_the_timeout_of_the_function(function: str) -> None:
    assert TIMEOUTS[function] > CALL_SECONDS


def test_api_answers_before_the_gateway_gives_up() -> None:
    assert TIMEOUTS["api"] < GATEWAY_SECONDS


def test_waiting_request_leaves_time_for_a_call_to_aws() -> None:
    """A request with `Prefer: wait` stores the conversation with an AWS call before it waits."""
    assert TIMEOUTS["api"] >= MAX_PREFERRED_WAIT_SECONDS + CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS


def test_request_with_a_pre_event_and_conflicts_ends_before_the_timeout_of_the_function() -> None:
    margin = 5
    assert MAX_TIMEOUT_SECONDS + MAX_CONTENTION_SECONDS + margin <= TIMEOUTS["api"]


def test_call_to_a_webhook_ends_before_the_timeout_of_the_function() -> None:
    # The two DynamoDB calls record the start and the result of the attempt.
    assert TIMEOUTS["webhook_delivery"] > MAX_TIMEOUT_SECONDS + 2 * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS)


def test_call_to_a_carrier_ends_before_the_timeout_of_the_function() -> None:
    # The two DynamoDB calls record the start and the result of the attempt.
    assert TIMEOUTS["message_sender"] > twilio.SETTINGS.total + 2 * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS)


def test_client_of_aws_that_sends_sms_repeats_no_call(edges: AwsEdges) -> None:
    config = edges._sms.meta.config
    assert config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)


def test_sweeper_stops_early_enough_for_the_calls_under_way() -> None:
    assert SWEEP_MARGIN_MILLISECONDS / 1000 > 2 * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS)
    rules = functions()["sweeper"]["Events"].values()
    assert {rule["Properties"]["Schedule"] for rule in rules} == {"rate(1 minute)"}
    assert TIMEOUTS["sweeper"] < 60


@pytest.mark.parametrize("mapping", sorted(deployed("AWS::Lambda::EventSourceMapping")))
def test_visibility_timeout_is_at_least_six_function_timeouts(mapping: str) -> None:
    """The long visibility timeout gives Lambda time to retry a throttled invocation before SQS repeats the message.

    See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
    """
    properties = deployed("AWS::Lambda::EventSourceMapping")[mapping]["Properties"]
    (source,), (function,) = references(properties["EventSourceArn"]), references(properties["FunctionName"])
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    if source in resources("AWS::SQS::Queue"):
        timeout = deployed("AWS::Lambda::Function")[function]["Properties"]["Timeout"]
        assert resources("AWS::SQS::Queue")[source]["VisibilityTimeout"] >= 6 * timeout


def test_task_of_the_state_machine_can_be_retried_within_an_execution() -> None:
    for name, state in state_machine()["States"].items():
        for retry in state.get("Retry", ()):
            pauses = sum(retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(retry["MaxAttempts"]))
            assert pauses + TIMEOUTS["conversation_finalizer"] < EXPRESS_SECONDS, name
