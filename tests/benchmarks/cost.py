"""Compute the cost of a million conversations of ten chat members with one webhook: `python -m tests.benchmarks.cost`.

`--json PATH` also writes the result to a file. On MiniStack, the program counts the AWS calls, the read and write units
of DynamoDB, and the events on the bus, for Convoke and for a straightforward design. The program measures no durations.
The constants below contain the assumed durations.

The counts are an upper bound, because the program assumes that each batch has records of only one conversation. Under
sustained load, the queues and the stream deliver records of several conversations in one batch.

The conversations are spread evenly over a month. Therefore one environment of each function is enough.

The program also computes two other costs: the monthly cost of a deployment's alarms, metrics, secrets and snapshot, and
the additional cost of a receiver that never answers.
"""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convoke.aws.secrets import TOKEN_CACHE_SECONDS
from convoke.domain.connections import DEFAULT_RETRIES, DEFAULT_TIMEOUT_SECONDS
from convoke.observability import Measure
from tests.benchmarks.aws_calls import Cost, measure, on_ministack
from tests.benchmarks.prices import DATE, MONTH_SECONDS, MONTHLY_PRICES, PRICES, REGION
from tests.benchmarks.straightforward import FIXED_TRANSITIONS, Straightforward
from tests.support.examples import chat
from tests.support.template import functions, resources, template

CONVERSATIONS = 1_000_000

INVOCATION_CPU_MS = 14
"""The assumed processor time of an invocation in milliseconds, without the time of AWS calls.

On 2026-11-22 an invocation took 8 ms on average on one core of an AMD EPYC. A Lambda function with 1 GB of memory has
0.58 of a core, so 8 ms become 14 ms. Nobody has measured an arm64 processor of Lambda.
"""

CALL_LATENCY_MS = {
    "dynamodb:TransactWriteItems": 20,
    "dynamodb:BatchGetItem": 5,
    "dynamodb:GetItem": 5,
    "dynamodb:Query": 5,
    "dynamodb:PutItem": 6,
    "dynamodb:UpdateItem": 6,
    "events:PutEvents": 10,
    "sqs:SendMessage": 10,
    "sqs:SendMessageBatch": 10,
    "stepfunctions:StartExecution": 20,
}
"""Maps each AWS call to its assumed duration in milliseconds. The caller is in the same region."""

RECEIVER_MS = 100
"""The assumed response time of the webhook receiver in milliseconds.

Each additional 100 ms would add 0.67 USD per million conversations.
"""

EXECUTION_OVERHEAD_MS = 50
"""The assumed duration of a state machine execution in milliseconds, without its tasks."""

LAMBDA_LOG_BYTES = 300
"""The assumed size of an invocation's log lines START, END and REPORT, in bytes.

Lambda does not write these lines if the template sets the system log level to WARN.
"""

ENVIRONMENT_SECONDS = 2 * 60 * 60
"""The assumed time until Lambda replaces an environment that is in use."""

INIT_SECONDS = 1.0
"""The assumed billed duration of a function's start without SnapStart. This value is an upper bound."""

SECRET_READERS = ("api", "webhook_delivery")
"""The functions that read an account's Auth Token."""

FUNCTION_LOG_BYTES = 1500
"""The assumed size of all lines that the functions log for one conversation, in bytes.

720 of these bytes are metrics (measured on 2026-11-22).
"""

BYTES_OUT = 2_000
"""The assumed size of an API response and a webhook request together, with headers, in bytes.

The body of the API response has 800 bytes (measured on 2026-11-22).
"""

MEMORY_GB: float = template()["Globals"]["Function"]["MemorySize"] / 1024

DELIVERY_MEMORY_GB = functions()["webhook_delivery"]["MemorySize"] / 1024
"""The memory of the function that calls the webhooks, in GB."""

SYSTEM_LOGS = template()["Globals"]["Function"]["LoggingConfig"]["SystemLogLevel"] != "WARN"
"""Whether Lambda writes the log lines START, END and REPORT."""

PHONE_FUNCTIONS = {"inbound_messages", "message_sender"}
"""Functions that run only if a conversation has a phone."""

MONTHLY_STARTS = MONTH_SECONDS / ENVIRONMENT_SECONDS
"""How often a function's environment starts in a month."""

Usage = Mapping[str, float]
"""Maps priced items to the amounts that one conversation or one delivery uses."""


def milliseconds(cost: Cost) -> float:
    """Return the billed duration of all invocations in a step, in milliseconds, without waits for a receiver."""
    return cost.invocations * INVOCATION_CPU_MS + sum(
        float(times * CALL_LATENCY_MS[call]) for call, times in cost.calls.items()
    )


def gb_seconds(cost: Cost, memory_gb: float) -> float:
    """Return the billed GB-seconds of a step: the time multiplied by the memory.

    The step waits with `memory_gb`, but its computation is billed as with MEMORY_GB. With half the memory, a function
    gets half as much of a processor core, so the computation takes twice as long and costs the same.
    """
    processor = cost.invocations * INVOCATION_CPU_MS / 1000
    return processor * MEMORY_GB + (milliseconds(cost) / 1000 - processor) * memory_gb


def usage(steps: Mapping[str, Cost], *, delivery_memory_gb: float, system_logs: bool) -> Usage:
    """Return how much one conversation uses of each priced item that both designs use."""
    memory_gb = {"deliver": delivery_memory_gb}
    lambda_gb_seconds = sum(gb_seconds(cost, memory_gb.get(step, MEMORY_GB)) for step, cost in steps.items())
    total = sum(steps.values(), Cost())
    return {
        "API requests": 1,
        "Lambda requests": total.invocations,
        "Lambda GB-seconds": lambda_gb_seconds + RECEIVER_MS / 1000 * delivery_memory_gb,
        "DynamoDB write units": total.write_units + total.index_write_units,
        "DynamoDB read units": total.read_units,
        "bus events": total.bus_events,
        "log bytes": (total.invocations * LAMBDA_LOG_BYTES if system_logs else 0) + FUNCTION_LOG_BYTES,
        "bytes to the internet": BYTES_OUT,
    }


def as_deployed(counted: Mapping[str, Cost]) -> Usage:
    """Return how much one conversation in Convoke uses of each priced item.

    `counted` maps each step to its measured cost. The event publisher receives two changes of the conversation. In the
    measurement, one invocation receives both changes. On AWS, two invocations can receive the changes. Therefore this
    function adds one invocation.
    """
    steps = {**counted, "publish": counted["publish"] + Cost(invocations=1)}
    used = {
        **usage(steps, delivery_memory_gb=DELIVERY_MEMORY_GB, system_logs=SYSTEM_LOGS),
        **_queue_usage(steps),
        **_execution_usage(steps["finalize"]),
        "secret reads": len(SECRET_READERS) * MONTH_SECONDS / TOKEN_CACHE_SECONDS / CONVERSATIONS,
        "SnapStart restored GB": MONTHLY_STARTS * MEMORY_GB / CONVERSATIONS,
    }
    starts = (len(functions().keys() - PHONE_FUNCTIONS) - 1) * MONTHLY_STARTS * INIT_SECONDS * MEMORY_GB / CONVERSATIONS
    return {**used, "Lambda GB-seconds": used["Lambda GB-seconds"] + starts}


def _queue_usage(steps: Mapping[str, Cost]) -> Usage:
    """Return the number of SQS requests. Each message needs three requests: send, receive and delete."""
    messages = steps["add"].invocations + steps["deliver"].invocations
    return {"SQS requests": 3 * messages}


def _execution_usage(finalize: Cost) -> Usage:
    """Return the usage of one Express execution.

    AWS bills the memory in steps of 64 MB and the duration in steps of 100 ms.
    """
    seconds = math.ceil((milliseconds(finalize) + EXECUTION_OVERHEAD_MS) / 100) / 10
    return {"Express executions": 1, "Express GB-seconds": seconds * 64 / 1024}


def as_straightforward(steps: Mapping[str, Cost]) -> Usage:
    transitions = steps["add"].invocations + FIXED_TRANSITIONS
    return {**usage(steps, delivery_memory_gb=MEMORY_GB, system_logs=True), "Standard transitions": transitions}


def unanswered(deliver: Cost) -> Usage:
    """Return how much more a delivery uses if its receiver never answers, compared with one successful attempt.

    `deliver` is the cost of the step `deliver`, which makes one attempt. Every attempt without an answer waits until
    the timeout. Apart from the wait, each retry uses at most as much as the step.
    """
    waiting = (1 + DEFAULT_RETRIES) * DEFAULT_TIMEOUT_SECONDS - RECEIVER_MS / 1000
    return {
        "Lambda requests": DEFAULT_RETRIES,
        "Lambda GB-seconds": DEFAULT_RETRIES * gb_seconds(deliver, DELIVERY_MEMORY_GB) + waiting * DELIVERY_MEMORY_GB,
        "DynamoDB write units": DEFAULT_RETRIES * (deliver.write_units + deliver.index_write_units),
        "DynamoDB read units": DEFAULT_RETRIES * deliver.read_units,
        # Each retry causes two requests. The first request changes the message's visibility. The second request
        # receives the message.
        "SQS requests": 2 * DEFAULT_RETRIES,
    }


def monthly() -> dict[str, float]:
    """Return a mapping from each monthly price item to its cost in US dollars, for a deployment with one account.

    The custom metrics cost this amount only if every hour has traffic.
    """
    quantities = {
        "alarms": sum(map(metric_count, resources("AWS::CloudWatch::Alarm").values())),
        "custom metrics": len(Measure),
        "secrets": len(resources("AWS::SecretsManager::Secret")),
        "SnapStart cached GB": MEMORY_GB,
    }
    return {item: price.of(quantities[item]) for item, price in MONTHLY_PRICES.items()}


def metric_count(alarm: Mapping[str, Any]) -> int:
    """Return the number of metrics in an alarm. AWS charges for each metric."""
    return sum("MetricStat" in query for query in alarm["Metrics"]) if "Metrics" in alarm else 1


def dollars(used: Usage) -> dict[str, float]:
    """Return a mapping from each item to its cost in US dollars, for CONVERSATIONS times `used`."""
    return {item: PRICES[item].of(quantity * CONVERSATIONS) for item, quantity in used.items()}


def count() -> tuple[dict[str, Usage], Usage]:
    """Measure what one conversation uses in each design.

    Return a mapping from each design's name to its usage. Also return how much more a delivery of Convoke uses if its
    receiver never answers (see `unanswered`).
    """
    with on_ministack():
        deployed = measure(chat(10), webhook=True, account=1)
        straightforward = Straightforward().count()
    del deployed["all"]
    used = {"deployed": as_deployed(deployed), "straightforward": as_straightforward(straightforward)}
    return used, unanswered(deployed["deliver"])


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


def print_items(title: str, costs: Mapping[str, float]) -> None:
    print(f"\n{title}")
    for item, usd in {**costs, "all": sum(costs.values())}.items():
        print(f"{item:24}{usd:>9.2f}")


def main() -> None:
    arguments = ArgumentParser()
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write quantities and dollars to this file, too")
    path: Path | None = arguments.parse_args().json
    used, failing = count()
    print_table(used)
    print_items("A deployment, each month", monthly())
    print_items("A million deliveries to a receiver that never answers, in addition", dollars(failing))
    if path:
        content: dict[str, object] = {
            design: {"used": dict(each), "usd": dollars(each)} for design, each in used.items()
        }
        content |= {"monthly": {"usd": monthly()}, "unanswered": {"used": dict(failing), "usd": dollars(failing)}}
        path.write_text(json.dumps({"region": REGION, "prices_of": DATE, **content}, indent=2) + "\n")


if __name__ == "__main__":
    main()
