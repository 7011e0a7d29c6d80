"""The cost benchmark computes the same numbers as a calculation by hand, and no partition exceeds its limit."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.benchmarks import partitions
from tests.benchmarks.aws_calls import Cost
from tests.benchmarks.cost import as_deployed, as_straightforward, dollars, monthly, unanswered
from tests.benchmarks.prices import MONTHLY_PRICES, PRICES
from tests.support.template import resources, template


def test_cost_of_a_million_conversations_equals_the_sum_by_hand() -> None:
    calls = Counter({"dynamodb:TransactWriteItems": 1, "sqs:SendMessage": 1})
    steps = {
        "create": Cost(invocations=1, write_units=10, index_write_units=3, calls=calls),
        "add": Cost(invocations=1, write_units=20, calls=Counter({"stepfunctions:StartExecution": 1})),
        "finalize": Cost(invocations=2, read_units=2),
        "publish": Cost(invocations=1, bus_events=12),
        "deliver": Cost(invocations=2, read_units=2),
    }
    used = as_deployed(steps)
    # `as_deployed` adds an eighth invocation to the seven invocations of `steps`. For one conversation, Lambda runs for
    # 262 ms: eight invocations of 14 ms, AWS calls of 20, 10 and 20 ms, and a webhook call of 100 ms. A function has
    # 1 GB of memory, but the function that calls the webhook has half a GB, so half of the 100 ms is subtracted. In a
    # month, each of five functions starts 360 times, and each start takes one second. A million conversations share
    # these starts.
    seconds = 0.262 - 0.1 / 2 + 5 * 360 / 1e6
    assert used["Lambda GB-seconds"] == pytest.approx(seconds)
    # The state machine runs for 78 ms. AWS bills this time as 100 ms, with 1/16 GB of memory.
    assert used["Express GB-seconds"] == pytest.approx(0.1 / 16)
    assert used["SQS requests"] == 9
    costs = dollars(used)
    assert costs["DynamoDB write units"] == pytest.approx(33 * 0.625)
    assert costs["DynamoDB read units"] == pytest.approx(0.5)
    assert costs["bus events"] == pytest.approx(12)
    assert costs["Lambda requests"] == pytest.approx(1.6)
    assert costs["SQS requests"] == pytest.approx(3.6)
    # Two functions read the Auth Token, once a minute each. In a month, this makes 86,400 reads.
    assert costs["secret reads"] == pytest.approx(0.432)
    # In a month, the sixth function is restored from a snapshot 360 times.
    assert costs["SnapStart restored GB"] == pytest.approx(360 * 0.0001397998)
    assert costs["log bytes"] == pytest.approx(1.5 * 0.5)
    others = 1 + 1 + seconds * 13.3334 + 0.00625 * 16.67 + 1.5 * 0.5 + 2 * 0.09 + 0.432 + 360 * 0.0001397998
    assert sum(costs.values()) == pytest.approx(33 * 0.625 + 0.5 + 12 + 1.6 + 3.6 + others)


def test_price_of_lambda_is_that_of_the_default_architecture() -> None:
    assert PRICES["Lambda GB-seconds"].item.endswith(template()["Parameters"]["Architecture"]["Default"])


def test_standard_workflow_is_charged_transitions_per_participant() -> None:
    steps = {"create": Cost(invocations=1), "add": Cost(invocations=10), "finalize": Cost(invocations=1)}
    assert dollars(as_straightforward(steps))["Standard transitions"] == pytest.approx(13 * 25)


def test_receiver_that_never_answers_costs_its_timeouts_and_the_retries() -> None:
    deliver = Cost(invocations=2, write_units=3, read_units=2)
    # `unanswered` returns how much more a delivery without an answer uses than a delivery with an answer:
    # - Waits: four attempts wait 5 s each, which makes 20 s, but an answer takes only 0.1 s. The difference is divided
    #   by 2, because the function has half a GB of memory.
    # - Computation: each of the three retries adds two invocations of 14 ms, together 0.028 s. The computation is
    #   billed as with one GB of memory (see `gb_seconds`).
    used = unanswered(deliver)
    assert used["Lambda GB-seconds"] == pytest.approx((20 - 0.1) / 2 + 3 * 0.028)
    assert (used["DynamoDB write units"], used["DynamoDB read units"], used["SQS requests"]) == (9, 6, 6)


def test_monthly_cost_counts_the_alarms_of_the_template_and_the_custom_metrics() -> None:
    costs = monthly()
    assert costs["custom metrics"] == pytest.approx(6 * 0.30)
    # CloudWatch charges for each metric in an alarm's expression.
    assert costs["alarms"] == pytest.approx(0.10 * 36)
    assert len(resources("AWS::CloudWatch::Alarm")) < 36
    assert costs["secrets"] == pytest.approx(0.40 * 2)
    assert costs["SnapStart cached GB"] == pytest.approx(3.90, abs=0.01)


def test_every_price_names_the_page_that_states_it() -> None:
    for price in (*PRICES.values(), *MONTHLY_PRICES.values()):
        assert price.page.startswith("https://aws.amazon.com/")


def test_no_partition_exceeds_its_limit_at_the_planned_rate() -> None:
    busiest = partitions.hottest(partitions.PLANNED_RATE)
    assert busiest.keys() == partitions.LIMITS.keys()
    assert {name: units for name, units in busiest.items() if units > partitions.LIMITS[name]} == {}
