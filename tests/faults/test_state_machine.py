"""The state machine retries a failed task with backoff. Therefore every task must be safe to repeat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.aws import MotoInstance, TaskError, moto_instance
from tests.support.examples import chat
from tests.support.template import state_machine

LAMBDA_ERRORS = {
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
}
"""The Lambda errors that a task must retry.

See https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html.
"""

BUS_ERRORS = {"States.TaskFailed"}
"""The errors that a PutEvents task must retry. States.TaskFailed covers every known error except States.Timeout.

PutEvents fails with `EventBridge.FailedEntry` if the bus is throttled or has an internal failure.

See https://docs.aws.amazon.com/step-functions/latest/dg/connect-eventbridge.html.
"""

TASKS = {name: state for name, state in state_machine()["States"].items() if state["Type"] == "Task"}

ERRORS = {"lambda:invoke": "Lambda.ServiceException", "events:putEvents": "EventBridge.FailedEntry"}

CAUSE = {"code": 50109, "message": "The role is gone"}


def service(task: str) -> str:
    """Return the task's service integration, such as `lambda:invoke`."""
    return str(TASKS[task]["Resource"].partition(":states:::")[2])


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoInstance]:
    with moto_instance() as instance:
        yield instance


def created(moto: MotoInstance, task: str) -> str:
    """Create a conversation, so that an execution can reach `task`. Return the conversation SID.

    Also add the participants, unless `task` is `Close`.
    """
    sid: str = moto.client().conversations.v1.conversation_with_participants.create(participant=chat(2)).sid
    if task != "Close":
        moto._add_participants()
    return sid


def executed(moto: MotoInstance, task: str, conversation_sid: str) -> list[str]:
    """Run the state machine with an input that leads to `task`. Return the visited states in order."""
    causes = [CAUSE] if task == "Close" else []
    data: dict[str, Any] = {"account_sid": moto.account.sid, "conversation_sid": conversation_sid, "causes": causes}
    return moto.execute(data)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_retried_with_backoff_and_jitter(task: str) -> None:
    (retrier,) = TASKS[task]["Retry"]
    assert set(retrier["ErrorEquals"]) == (LAMBDA_ERRORS if service(task) == "lambda:invoke" else BUS_ERRORS)
    assert (retrier["BackoffRate"], retrier["JitterStrategy"]) == (2, "FULL")


@pytest.mark.parametrize("task", TASKS)
def test_execution_succeeds_although_a_task_fails_after_its_work(moto: MotoInstance, task: str) -> None:
    sid = created(moto, task)
    moto.task_errors = {task: [TaskError(ERRORS[service(task)])]}
    passed = executed(moto, task, sid)
    assert moto.task_errors == {task: []}
    assert passed[-2:] == ["Publish", "Settle"]
    state = moto.client().conversations.v1.conversations(sid).fetch().state
    assert state == ("closed" if task == "Close" else "active")


@pytest.mark.parametrize("task", TASKS)
def test_execution_fails_if_a_task_fails_every_time_and_the_sweeper_starts_another(
    moto: MotoInstance, task: str
) -> None:
    sid, error = created(moto, task), TaskError(ERRORS[service(task)])
    moto.task_errors = {task: [error] * (1 + TASKS[task]["Retry"][0]["MaxAttempts"])}
    with pytest.raises(TaskError):
        executed(moto, task, sid)
    assert moto.task_errors == {task: []}
    assert executed(moto, task, sid)


def test_definition_works_in_every_partition() -> None:
    """The partition is the second part of an ARN. In China and in GovCloud, the partition is not `aws`."""
    assert all(task["Resource"].startswith("arn:${Partition}:states:::") for task in TASKS.values())
