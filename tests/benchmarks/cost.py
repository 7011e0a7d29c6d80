"""What a million conversations cost, of ten chat members with one webhook: `python -m tests.benchmarks.cost`.

`--json PATH` writes it down, too. Calls, units and events are counted on MiniStack, those of a straightforward design
beside them; how long things take is assumed, below. Every conversation comes alone and shares no batch, which makes it
the most that is paid: at sustained rates the queues and the stream hand over several at once.
"""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.aws_calls import Cost, measure, on_ministack
from tests.benchmarks.prices import DATE, PRICES, REGION
from tests.benchmarks.straightforward import TRANSITIONS_BESIDE_MEMBERS, Straightforward
from tests.support.examples import chat
from tests.support.template import template

CONVERSATIONS = 1_000_000

OWN_WORK = 14
"""Milliseconds of an invocation that are Python's. Measured were 8, on average of the functions, on a core of an AMD
EPYC on 2026-11-22; 1 GB of Lambda has 0.58 of a core."""

LATENCIES = {
    "dynamodb:TransactWriteItems": 20,
    "dynamodb:BatchGetItem": 5,
    "dynamodb:GetItem": 5,
    "dynamodb:PutItem": 6,
    "dynamodb:UpdateItem": 6,
    "events:PutEvents": 10,
    "sqs:SendMessage": 10,
    "sqs:SendMessageBatch": 10,
    "stepfunctions:StartExecution": 20,
}
"""Milliseconds of a call within the region. Assumed."""

RECEIVER = 100
"""Milliseconds that a webhook's receiver takes. Assumed; each 100 more are 1.67 USD."""

EXECUTION = 50
"""Milliseconds that an execution of the finalizer takes beyond its tasks. Assumed."""

LOG_BYTES = 300
"""Of Lambda's own lines of an invocation, START, END and REPORT. Assumed."""

OWN_LOG_BYTES = 1500
"""Of the functions' own lines, all together. Assumed; 720 of them are metrics, as measured on 2026-11-22."""

BYTES_OUT = 2_000
"""Of an answer and a webhook with their headers. Assumed; the body of an answer is 800, as measured on 2026-11-22."""

MEMORY = template()["Globals"]["Function"]["MemorySize"] / 1024

Usage = Mapping[str, float]
"""How much one conversation uses of what has a price."""


def milliseconds(cost: Cost) -> float:
    """Billed for the invocations of a step."""
    return cost.invocations * OWN_WORK + sum(times * LATENCIES[call] for call, times in cost.calls.items())


def usage(steps: Mapping[str, Cost]) -> Usage:
    """Of what both designs use."""
    total = sum(steps.values(), Cost())
    return {
        "API requests": 1,
        "Lambda requests": total.invocations,
        "Lambda GB-seconds": (sum(map(milliseconds, steps.values())) + RECEIVER) / 1000 * MEMORY,
        "DynamoDB write units": total.write_units + total.index_write_units,
        "DynamoDB read units": total.read_units,
        "bus events": total.bus_events,
        "log bytes": total.invocations * LOG_BYTES + OWN_LOG_BYTES,
        "bytes to the internet": BYTES_OUT,
    }


def as_deployed(counted: Mapping[str, Cost]) -> Usage:
    """Where the two changes that the stream carries do not share an invocation, which they do in the count."""
    steps = {**counted, "publish": counted["publish"] + Cost(invocations=1)}
    return {**usage(steps), **_of_queues(steps), **_of_execution(steps["finalize"])}


def _of_queues(steps: Mapping[str, Cost]) -> Usage:
    """Every message is sent, by us or by the bus, received and deleted, for an invocation each."""
    messages = steps["add"].invocations + steps["deliver"].invocations
    return {"SQS requests": 3 * messages}


def _of_execution(finalize: Cost) -> Usage:
    """In steps of 64 MB and 100 ms."""
    seconds = math.ceil((milliseconds(finalize) + EXECUTION) / 100) / 10
    return {"Express executions": 1, "Express GB-seconds": seconds * 64 / 1024}


def as_straightforward(steps: Mapping[str, Cost]) -> Usage:
    transitions = steps["add"].invocations + TRANSITIONS_BESIDE_MEMBERS
    return {**usage(steps), "Standard transitions": transitions}


def dollars(used: Usage) -> dict[str, float]:
    """What each item costs for all conversations."""
    return {item: PRICES[item].of(quantity * CONVERSATIONS) for item, quantity in used.items()}


def count() -> dict[str, Usage]:
    """Of a conversation, as each design uses it."""
    with on_ministack():
        deployed = measure(chat(10), webhook=True, account=1)
        straightforward = Straightforward().count()
    del deployed["all"]
    return {"deployed": as_deployed(deployed), "straightforward": as_straightforward(straightforward)}


def print_table(used: Mapping[str, Usage]) -> None:
    print(f"US dollars for a million conversations of 10 chat members with one webhook, {REGION}, prices of {DATE}")
    print(f"{'':24}{'deployed':>10}{'USD':>9}{'straightforward':>18}{'USD':>9}")
    costs = {design: dollars(quantities) for design, quantities in used.items()}
    for item in PRICES:
        columns = ((used[design].get(item, 0), costs[design].get(item, 0)) for design in used)
        (ours, our_cost), (theirs, their_cost) = columns
        print(f"{item:24}{ours:>10.5g}{our_cost:>9.2f}{theirs:>18.5g}{their_cost:>9.2f}")
    ours, theirs = (sum(costs[design].values()) for design in used)
    print(f"{'all':24}{'':10}{ours:>9.2f}{'':18}{theirs:>9.2f}   {theirs / ours:.1f} times as much")


def main() -> None:
    arguments = ArgumentParser()
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write quantities and dollars to this file, too")
    path: Path | None = arguments.parse_args().json
    used = count()
    print_table(used)
    if path:
        content = {design: {"used": dict(each), "usd": dollars(each)} for design, each in used.items()}
        path.write_text(json.dumps({"region": REGION, "prices_of": DATE, **content}, indent=2) + "\n")


if __name__ == "__main__":
    main()
