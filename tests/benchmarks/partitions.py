"""Compute the rate at which the busiest partition key reaches its limit: `python -m tests.benchmarks.partitions`.

The rate is the number of new conversations per second. `--json PATH` also writes the result to a file.

The program simulates the load on Convoke's partition keys. DynamoDB can split a busy partition. However, DynamoDB never
splits a single partition key whose sort keys increase with time. Therefore one partition key can use at most the units
of one partition.

The simulation shows the worst case. All conversations belong to one account and one service, and one identity is in
every conversation. The figures are the same on every machine.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

from convoke.storage import keys

PLANNED_RATE = 1_000
"""The planned maximum of new conversations per second in a deployment. See docs/operate.md#capacity."""

RATES = (1, 100, PLANNED_RATE, 10_000)

MAX_WRITE_UNITS, MAX_READ_UNITS = 1_000, 3_000
"""The maximum units per second of one partition, and therefore of one partition key."""

MEMBERS = 10

IDENTITIES = 100_000
"""The number of identities from which the program draws random participants.

With fewer identities, each identity would be in more conversations, so its partition key would have more load.
"""

WEBHOOK_EVENTS = 1
"""How many events per conversation Convoke delivers to webhooks.

For each event, Convoke reads the webhook configurations of the account and of the service. They have the same partition
key, so each event costs this key two read units.
"""

CHANGES = 3
"""The number of changes per conversation: created, participants added, state updated."""

CONVERSATION_UNITS = 57
"""The table's write units per conversation with its participants, as aws_calls.py counts them without a webhook.

The conversation's partition key uses most of these units. The simulation counts all of them for that key.
"""

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Load(NamedTuple):
    name: str
    key: str
    units: int


LIMITS = {
    "table: a conversation": MAX_WRITE_UNITS,
    "table: an account, read": MAX_READ_UNITS,
    "due": MAX_WRITE_UNITS,
    "listed: a service's conversations": MAX_WRITE_UNITS,
    "listed: an account's events": MAX_WRITE_UNITS,
    "memberships: one of many": MAX_WRITE_UNITS,
    "memberships: in every conversation": MAX_WRITE_UNITS,
}


def loads(rate: int, random: Random) -> Iterator[Load]:
    """Yield the units that `rate` conversations use of each partition key, from their creation until they are settled.

    All conversations are created in the same second.
    """
    account, service = _sid("AC", random), _sid("IS", random)
    for _ in range(rate):
        sid = _sid("CH", random)
        yield Load("table: a conversation", keys.conversation(account, sid).pk, CONVERSATION_UNITS)
        yield Load("table: an account, read", keys.configuration_webhooks(account).pk, 2 * WEBHOOK_EVENTS)
        yield Load("due", str(keys.due_attributes(sid, NOW)[keys.DUE.partition]), 2)
        yield Load("listed: a service's conversations", _list(account, service, sid), 2)
        for _ in range(CHANGES):
            yield Load("listed: an account's events", _list(account, keys.EVENTS, _sid("EV", random)), 1)
        for _ in range(MEMBERS - 1):
            identity = str(random.randrange(IDENTITIES))
            yield Load("memberships: one of many", _member(account, service, identity), 1)
        yield Load("memberships: in every conversation", _member(account, service, "bot"), 1)


def hottest(rate: int) -> dict[str, int]:
    """Return the units per second of the busiest partition key, for each kind of partition key."""
    busy: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for load in loads(rate, Random(0)):
        busy[load.name][load.key] += load.units
    return {name: max(counter.values()) for name, counter in busy.items()}


def binds_at(found: Mapping[int, Mapping[str, int]]) -> dict[str, float | None]:
    """Return the rate at which the busiest partition key reaches its limit, for each kind of partition key.

    The rate is in conversations per second. The rate is None if the load of the busiest key does not grow with the
    rate. `found` maps each rate to the result of `hottest`.
    """
    lowest, highest = found[RATES[0]], found[RATES[-1]]
    return {
        name: RATES[-1] * limit / highest[name] if highest[name] > lowest[name] else None
        for name, limit in LIMITS.items()
    }


def _sid(prefix: str, random: Random) -> str:
    return f"{prefix}{random.getrandbits(128):032x}"


def _list(account: str, name: str, sid: str) -> str:
    return str(keys.list_attributes(account, name, sid, NOW)[keys.LISTED.partition])


def _member(account: str, service: str, identity: str) -> str:
    return keys.membership_partition(account, service, "identity", identity)


def print_table(found: Mapping[int, Mapping[str, int]], bounds: Mapping[str, float | None]) -> None:
    print("Units per second of the busiest key, by conversations per second; * is over the limit of a key")
    print(f"{'':36}{'limit':>7}" + "".join(f"{rate:>10,}" for rate in found) + f"{'binds at':>12}")
    for name, limit in LIMITS.items():
        columns = (f"{each[name]:>9,}{'*' if each[name] > limit else ' '}" for each in found.values())
        print(f"{name:36}{limit:>7,}{''.join(columns)}{shown(bounds[name]):>12}")


def shown(bound: float | None) -> str:
    return f"{bound:,.0f}" if bound else "never"


def main() -> None:
    arguments = ArgumentParser()
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file, too")
    path: Path | None = arguments.parse_args().json
    found = {rate: hottest(rate) for rate in RATES}
    bounds = binds_at(found)
    print_table(found, bounds)
    if path:
        path.write_text(json.dumps({"limits": LIMITS, "hottest": found, "binds_at": bounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
