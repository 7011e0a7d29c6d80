"""The design that Convoke is compared with: a call a member, and a Standard workflow that maps over them.

It writes the items that Convoke has made, each by itself: so there is no transaction and half of the units, but none
takes back what was written when one fails. It keeps no ledger and no outbox, and the bus calls the webhook's function.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import boto3

from tests.benchmarks.aws_calls import Cost, ask_for_capacity
from tests.support.aws import REGION
from tests.support.tables import TABLE_NAME
from tests.support.template import STACK_NAME

TRANSITIONS_BESIDE_MEMBERS = 3
"""Start, the map itself, and what finishes. Each member is one more."""

EVENT = {"Source": "straightforward", "DetailType": "event", "Detail": "{}", "EventBusName": STACK_NAME}

StoredItem = dict[str, Any]
"""With the types of its attributes."""


@dataclass
class Straightforward:
    """In the AWS account of MiniStack where Convoke has last made a conversation of chat members."""

    costs: defaultdict[str, Cost] = field(default_factory=lambda: defaultdict(Cost))

    def count(self) -> dict[str, Cost]:
        items = items_of_last_conversation()
        (conversation,) = items["conversation"]
        self._create(conversation)
        for participant, lock in zip(items["participant"], items["identity"], strict=True):
            self._add(conversation, participant, lock)
        self._finalize(conversation)
        self._deliver(conversation)
        return dict(self.costs)

    def _create(self, conversation: StoredItem) -> None:
        table, bus = self._invoked("create")
        table.put_item(TableName=TABLE_NAME, Item=conversation)
        bus.put_events(Entries=[EVENT])
        self.costs["create"].calls["stepfunctions:StartExecution"] += 1

    def _add(self, conversation: StoredItem, participant: StoredItem, lock: StoredItem) -> None:
        table, bus = self._invoked("add")
        table.get_item(TableName=TABLE_NAME, Key=key(conversation), ConsistentRead=True)
        table.put_item(TableName=TABLE_NAME, Item=lock)
        table.put_item(TableName=TABLE_NAME, Item=participant)
        bus.put_events(Entries=[EVENT])

    def _finalize(self, conversation: StoredItem) -> None:
        table, bus = self._invoked("finalize")
        active = {"date_settled": {"Value": {"S": "2026-01-01T00:00:00.000Z"}}}
        table.update_item(TableName=TABLE_NAME, Key=key(conversation), AttributeUpdates=active)
        bus.put_events(Entries=[EVENT])

    def _deliver(self, conversation: StoredItem) -> None:
        """Reads which webhooks there are: any item of less than 4 KB does."""
        table, _ = self._invoked("deliver")
        table.get_item(TableName=TABLE_NAME, Key=key(conversation), ConsistentRead=True)

    def _invoked(self, step: str) -> tuple[Any, Any]:
        """A table and a bus whose calls are counted."""
        cost = self.costs[step]
        cost.invocations += 1
        session = boto3.Session(region_name=REGION)
        session.events.register("before-parameter-build.dynamodb", ask_for_capacity)
        session.events.register("before-parameter-build.dynamodb", cost.ask)
        session.events.register("after-call", cost.count)
        return session.client("dynamodb"), session.client("events")


def items_of_last_conversation() -> dict[str, list[StoredItem]]:
    """By the first word of their sort keys, as if they were of another account, where none of them is yet."""
    stored = boto3.Session(region_name=REGION).client("dynamodb").scan(TableName=TABLE_NAME)["Items"]
    last = max(item["pk"]["S"] for item in stored if item["sk"]["S"] == "conversation")
    items: defaultdict[str, list[StoredItem]] = defaultdict(list)
    for item in stored:
        if item["pk"]["S"] == last:
            items[item["sk"]["S"].partition("#")[0]].append({**item, "pk": {"S": f"other#{last}"}})
    return items


def key(item: StoredItem) -> StoredItem:
    return {name: item[name] for name in ("pk", "sk")}
