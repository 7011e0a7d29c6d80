"""How conversations spread over keys, and at which rate a key is too busy: `python -m tests.benchmarks.partitions`.

`--json PATH` writes it down, too. A simulation with the keys that Convoke makes: DynamoDB splits a partition that is
busy, but never one key of which the entries come in the order of time. Everything is one account's and one service's,
and one identity is in every conversation, as that is the worst there is. Figures are the same on every machine.
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
"""Conversations a second in one deployment. Beyond, there are several (docs/operate.md#capacity)."""

RATES = (1, 100, PLANNED_RATE, 10_000)

WRITES, READS = 1_000, 3_000
"""Units that a partition, and so a key, takes in a second."""

MEMBERS = 10

IDENTITIES = 100_000
"""Whom the members of a conversation are taken from; fewer of them are busier."""

EVENTS_TOLD = 1
"""Of a conversation, to webhooks. Splitting each reads the configurations of account and service, under one key."""

CHANGES = 3
"""Of a conversation: its making, the adding of its members, its state."""

CONVERSATION_UNITS = 63
"""Of a conversation with its members in the table itself, most of them under its own key; see aws_calls."""

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Load(NamedTuple):
    name: str
    key: str
    units: int


LIMITS = {
    "table: a conversation": WRITES,
    "table: an account, read": READS,
    "due": WRITES,
    "listed: a service's conversations": WRITES,
    "listed: an account's events": WRITES,
    "memberships: one of many": WRITES,
    "memberships: in every conversation": WRITES,
}


def loads(rate: int, random: Random) -> Iterator[Load]:
    """Of what the conversations of one second bring about until they are settled."""
    account, service = _sid("AC", random), _sid("IS", random)
    for _ in range(rate):
        sid = _sid("CH", random)
        yield Load("table: a conversation", keys.conversation(account, sid).pk, CONVERSATION_UNITS)
        yield Load("table: an account, read", keys.configuration_webhooks(account).pk, 2 * EVENTS_TOLD)
        yield Load("due", str(keys.due_attributes(sid, NOW)[keys.DUE.partition]), 2)
        yield Load("listed: a service's conversations", _list(account, service, sid), 2)
        for _ in range(CHANGES):
            yield Load("listed: an account's events", _list(account, keys.EVENTS, _sid("EV", random)), 1)
        for _ in range(MEMBERS - 1):
            identity = str(random.randrange(IDENTITIES))
            yield Load("memberships: one of many", _member(account, service, identity), 1)
        yield Load("memberships: in every conversation", _member(account, service, "bot"), 1)


def hottest(rate: int) -> dict[str, int]:
    """Units of the busiest key of each kind."""
    busy: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for load in loads(rate, Random(0)):
        busy[load.name][load.key] += load.units
    return {name: max(counter.values()) for name, counter in busy.items()}


def binds_at(found: Mapping[int, Mapping[str, int]]) -> dict[str, float | None]:
    """Conversations a second, where keys are as busy as at the highest rate; None where they get no busier by it."""
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
    print("Units a second of the busiest key, by conversations a second; * is over what a key takes")
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
