"""The cost and partition benchmarks compute the same numbers as a calculation by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.benchmarks import partitions
from tests.benchmarks.aws_calls import Cost
from tests.benchmarks.cost import as_deployed, as_straightforward, dollars


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
    # Lambda runs for 262 ms: eight invocations of 14 ms, AWS calls of 20, 10 and 20 ms, and a receiver call of 100 ms.
    # The state machine runs for 78 ms. AWS bills the time as 100 ms.
    assert used["Lambda GB-seconds"] == pytest.approx(0.262)
    assert used["Express GB-seconds"] == pytest.approx(0.1 / 16)
    assert used["SQS requests"] == 9
    costs = dollars(used)
    assert costs["DynamoDB write units"] == pytest.approx(33 * 0.625)
    assert costs["DynamoDB read units"] == pytest.approx(0.5)
    assert costs["bus events"] == pytest.approx(12)
    assert costs["Lambda requests"] == pytest.approx(1.6)
    assert costs["SQS requests"] == pytest.approx(3.6)
    others = 1 + 1 + 0.262 * 16.6667 + 0.00625 * 16.67 + 3.9 * 0.5 + 2 * 0.09
    assert sum(costs.values()) == pytest.approx(33 * 0.625 + 0.5 + 12 + 1.6 + 3.6 + others)


def test_standard_workflow_is_charged_transitions_per_participant() -> None:
    steps = {"create": Cost(invocations=1), "add": Cost(invocations=10), "finalize": Cost(invocations=1)}
    assert dollars(as_straightforward(steps))["Standard transitions"] == pytest.approx(13 * 25)


def test_no_partition_exceeds_its_limit_at_the_planned_rate() -> None:
    busiest = partitions.hottest(partitions.PLANNED_RATE)
    assert busiest.keys() == partitions.LIMITS.keys()
    assert {name: units for name, units in busiest.items() if units > partitions.LIMITS[name]} == {}
