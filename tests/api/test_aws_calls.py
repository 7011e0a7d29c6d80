"""AWS calls, write units and cost per conversation stay within fixed limits. MiniStack takes the place of AWS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from itertools import count

import boto3
import pytest

from convoke.domain import sids
from tests.benchmarks.aws_calls import Cost, measure, measure_message
from tests.benchmarks.cost import as_deployed, dollars
from tests.benchmarks.partitions import CHANGES, CONVERSATION_UNITS
from tests.support.aws import CREDENTIALS
from tests.support.examples import chat, chat_of_36_characters, sms

pytestmark = pytest.mark.xdist_group("ministack")

Counted = dict[str, dict[str, Cost]]


class SlowTime:
    """A clock for SIDs that advances one millisecond per reading, so that few SIDs contain the same time.

    SIDs with different times are the worst case for the cost: an item stores a common beginning of SIDs only once. With
    the real clock, the measured cost could be lower on a fast machine.
    """

    def __init__(self) -> None:
        self._moments = count(time.time_ns(), 1_000_000)

    def time_ns(self) -> int:
        return next(self._moments)


@pytest.fixture(scope="module")
def costs(ministack_url: str) -> Iterator[Counted]:
    """Return a mapping from each kind of conversation or message to the costs of its steps.

    The costs of each kind are measured in a separate account.
    """
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(StringIO()):
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": ministack_url}.items():
            patched.setenv(name, value)
        patched.setattr(boto3, "DEFAULT_SESSION", None)
        patched.setattr(sids, "time", SlowTime())
        yield {
            "1 chat": measure(chat(1), webhook=False, account=1),
            "10 chat": measure(chat(10), webhook=False, account=2),
            "10 chat, webhook": measure(chat(10), webhook=True, account=3),
            "10 sms": measure(sms(10), webhook=False, account=4),
            "message, 10 members": measure_message(10, account=5),
            "message, 1000 members": measure_message(1000, account=6),
            "10 uuids": measure(chat_of_36_characters(10), webhook=False, account=8),
            "10 new chat": measure(chat(10), webhook=False, account=7, known=False),
        }


def units(cost: Cost) -> float:
    return cost.write_units + cost.index_write_units


@pytest.mark.parametrize(("asked", "create", "settled"), [("10 chat", 9, 74), ("10 uuids", 9, 74), ("10 sms", 33, 83)])
def test_write_units_per_conversation_stay_within_limit(costs: Counted, asked: str, create: int, settled: int) -> None:
    assert units(costs[asked]["create"]) <= create
    assert units(costs[asked]["all"]) <= settled


def test_known_identity_costs_half_a_read_unit_and_no_write(costs: Counted) -> None:
    known, anonymous = costs["10 chat"]["add"], costs["10 sms"]["add"]
    assert known.read_units == anonymous.read_units + 10 * 0.5
    assert known.calls - anonymous.calls == {"dynamodb:BatchGetItem": 1}


def test_new_identity_costs_three_write_units_and_one_event(costs: Counted) -> None:
    new, known = costs["10 new chat"], costs["10 chat"]
    assert new["add"].index_write_units == known["add"].index_write_units + 10
    assert new["add"].read_units == known["add"].read_units
    assert new["add"].calls == known["add"].calls
    assert new["all"].bus_events == known["all"].bus_events + 10
    # Each new User costs three write units. The ten events of the Users make the change record larger, which costs at
    # most two write units.
    assert units(new["all"]) - units(known["all"]) <= 3 * 10 + 2


def test_create_makes_two_aws_calls_and_no_read(costs: Counted) -> None:
    for asked in ("1 chat", "10 chat", "10 chat, webhook", "10 sms"):
        steps = costs[asked]
        assert steps["create"].calls == {"dynamodb:TransactWriteItems": 1, "sqs:SendMessage": 1}
        assert steps["create"].read_units == 0


def test_provisioning_makes_at_most_seven_aws_calls(costs: Counted) -> None:
    """Count the AWS calls until the conversation is active.

    The steps `add` and `publish` together make at most five calls. The step `finalize` activates the conversation with
    its first two calls. Its last two calls do not count: `events:PutEvents` publishes the state event, and
    `dynamodb:UpdateItem` settles the conversation.
    """
    for asked in ("1 chat", "10 chat", "10 sms"):
        steps = costs[asked]
        assert steps["add"].calls.total() + steps["publish"].calls.total() <= 5
        assert steps["finalize"].calls == {
            "dynamodb:BatchGetItem": 1,
            "dynamodb:TransactWriteItems": 1,
            "events:PutEvents": 1,
            "dynamodb:UpdateItem": 1,
        }


def test_message_costs_as_much_with_1000_members_as_with_10(costs: Counted) -> None:
    few, many = costs["message, 10 members"], costs["message, 1000 members"]
    assert few == many
    calls = {"dynamodb:BatchGetItem": 1, "dynamodb:GetItem": 1, "dynamodb:TransactWriteItems": 1}
    assert many["create"].calls == calls, "one read of the author's lock, and no query of the members"


def test_one_million_conversations_with_webhook_cost_at_most_75_dollars(costs: Counted) -> None:
    steps = {step: cost for step, cost in costs["10 chat, webhook"].items() if step != "all"}
    assert sum(dollars(as_deployed(steps)).values()) <= 75


def test_partition_plan_matches_counted_write_units(costs: Counted) -> None:
    total = costs["10 chat"]["all"]
    assert total.write_units <= CONVERSATION_UNITS
    assert total.index_write_units == 2 + 2 + CHANGES + 10
