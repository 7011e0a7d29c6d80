"""Compute how many due conversations per second the sweeper processes on AWS.

`python -m tests.benchmarks.sweeper` runs Convoke's sweeper on threads with a simulated clock. For each conversation,
the program simulates the AWS calls of the sweeper. The durations of the calls come from the cost model
(tests/benchmarks/cost.py).

Each shard has its own invocation every minute. Therefore the program simulates one shard whose backlog never ends, and
multiplies the rate by the number of shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from convoke.aws.handlers.sweeper import SWEEP_MARGIN_MILLISECONDS, SWEEP_THREADS
from convoke.domain.provisioning import ProvisioningRetries
from convoke.operations.sweeper import Sweeper
from convoke.storage import keys
from convoke.storage.alerts import AlertRepository
from convoke.storage.due import DueRepository
from convoke.storage.table import Item
from tests.benchmarks.cost import CALL_LATENCY_MS
from tests.support.simulated_time import SimulatedCore, SimulatedTime
from tests.support.template import functions

SCHEDULE_SECONDS = 60.0

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Work(NamedTuple):
    """The simulated work of the sweeper for one due conversation."""

    calls: Mapping[str, int]
    """Maps each AWS operation to its number of calls. The sweeper makes the calls one after another."""
    cpu_ms: float
    """The processor time in milliseconds, on a Lambda function with 1 GB of memory."""


KINDS = {
    "a timer": Work({"dynamodb:BatchGetItem": 1, "dynamodb:TransactWriteItems": 1}, 8),
    "ten participants to add": Work(
        {
            "dynamodb:BatchGetItem": 2,
            "dynamodb:UpdateItem": 1,
            "dynamodb:TransactWriteItems": 1,
            "stepfunctions:StartExecution": 1,
        },
        17,
    ),
}
"""Maps each kind of due work to its simulated calls and processor time.

On 2026-11-28, the sweeper used 4.7 ms of processor time for a timer and 10.1 ms for ten participants, on one core of an
AMD EPYC. MiniStack answered the AWS calls. A Lambda function with 1 GB of memory has 0.58 of a core, so the processor
times become 8 ms and 17 ms.
"""


@dataclass
class EndlessShard:
    """A table with one shard of the index `due`, whose entries never end.

    In the sweeper, a lock prevents the other threads from taking an entry while one thread reads the next page of
    entries. The program simulates this lock in a simple way: each read occupies the simulated core.
    """

    core: SimulatedCore

    def __post_init__(self) -> None:
        self._numbers = count()

    def query(self, partition: str, *, limit: int, **_: Any) -> list[Item]:
        self.core.occupy(CALL_LATENCY_MS["dynamodb:Query"] / 1000)
        moment = keys.due_attributes("CH", NOON)[keys.DUE.sort]
        return [
            {"pk": f"AC#CH{next(self._numbers)}", "sk": keys.CONVERSATION, keys.DUE.sort: moment} for _ in range(limit)
        ]


def rate(work: Work, *, with_cpu: bool = True, threads: int = SWEEP_THREADS) -> float:
    """Return how many due conversations per second the invocations for all shards process together.

    If `with_cpu` is false, the sweeper needs no processor time and only waits for AWS.
    """
    time = SimulatedTime(threads)
    core = SimulatedCore(time)
    seconds = functions()["sweeper"]["Timeout"] - SWEEP_MARGIN_MILLISECONDS / 1000
    waiting = sum(CALL_LATENCY_MS[call] * times for call, times in work.calls.items()) / 1000

    def process(*_: object) -> None:
        time.wait_until(core.occupy(work.cpu_ms / 1000 if with_cpu else 0) + waiting)

    def go_on() -> bool:
        if time.now < seconds:
            return True
        time.leave()
        return False

    table: Any = EndlessShard(core)
    processes = {keys.CONVERSATION: process}
    sweeper = Sweeper(DueRepository(table), processes, AlertRepository(table), ProvisioningRetries(), lambda: NOON)
    processed = sweeper.sweep(shards=keys.DUE_SHARDS[:1], threads=threads, go_on=go_on)
    return processed * len(keys.DUE_SHARDS) / SCHEDULE_SECONDS


def main() -> None:
    print("due conversations per second")
    for name, work in KINDS.items():
        print(f"{name:26}{rate(work):>8,.0f}   without processor time{rate(work, with_cpu=False):>8,.0f}")


if __name__ == "__main__":
    main()
