"""Count the cost of a straightforward design, in which a Standard workflow adds participants one by one.

The benchmark `cost.py` compares Convoke with this design. The design writes the items of a Convoke conversation, with
one call for each item. The design has no transactions. Therefore each write costs half as many units, but a failure
between two writes leaves some items in the table. The design stores no events and has no outbox. The event bus invokes
the function that calls the webhook.
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

FIXED_TRANSITIONS = 3
"""The number of state transitions without participants: start, map and finish.

Each participant adds one transition.
"""

EVENT = {"Source": "straightforward", "DetailType": "event", "Detail": "{}", "EventBusName": STACK_NAME}

StoredItem = dict[str, Any]
"""An item in the format of the DynamoDB API, in which each value has a type."""


@dataclass
class Straightforward:
    """Performs the design's steps in a MiniStack account, and counts the cost.

    The steps write copies of the items of the last conversation that Convoke created in this account. This conversation
    must have only chat members.
    """

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
        """Count the cost of reading the webhook configuration.

        This method reads the conversation instead. The cost is the same, because each of the two items is smaller than
        4 KB.
        """
        table, _ = self._invoked("deliver")
        table.get_item(TableName=TABLE_NAME, Key=key(conversation), ConsistentRead=True)

    def _invoked(self, step: str) -> tuple[Any, Any]:
        """Count an invocation of the step. Return a DynamoDB client and an EventBridge client.

        The calls of these clients are counted for the step.
        """
        cost = self.costs[step]
        cost.invocations += 1
        session = boto3.Session(region_name=REGION)
        session.events.register("before-parameter-build.dynamodb", ask_for_capacity)
        session.events.register("before-parameter-build.dynamodb", cost.ask)
        session.events.register("after-call", cost.count)
        return session.client("dynamodb"), session.client("events")


def items_of_last_conversation() -> dict[str, list[StoredItem]]:
    """Return a mapping from each kind of item to the items of the last conversation.

    The kind is the sort key up to the first `#`. The returned items have new partition keys. Therefore writing these
    items does not replace the original items.
    """
    stored = boto3.Session(region_name=REGION).client("dynamodb").scan(TableName=TABLE_NAME)["Items"]
    last = max(item["pk"]["S"] for item in stored if item["sk"]["S"] == "conversation")
    items: defaultdict[str, list[StoredItem]] = defaultdict(list)
    for item in stored:
        if item["pk"]["S"] == last:
            items[item["sk"]["S"].partition("#")[0]].append({**item, "pk": {"S": f"other#{last}"}})
    return items


def key(item: StoredItem) -> StoredItem:
    return {name: item[name] for name in ("pk", "sk")}
