"""Count the AWS calls, capacity units and events of one conversation, and of one message.

The count ends when the conversation is settled: no work is left.

Run `uv run python -m tests.benchmarks.aws_calls [--json PATH]`. The counts are the same on every machine.

The handlers run in this process and call MiniStack instead of AWS. The program counts the invocations of the handlers,
and the AWS calls of the handlers and of the state machine.

On AWS, some work needs no call from Convoke. The program does not count this work:

- reading the queues and the stream
- sending an event from the bus to a queue
- state transitions

Each counted invocation works only for the measured conversation, because no other conversation has work left. The step
`publish` gets two of the conversation's three changes from the stream, in one batch. AWS may deliver them in two
batches. The step `finalize` itself publishes the third change. A request before the measurement fills the caches of
credentials and configuration. The webhook receiver answers 200.
"""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.session import Session

from convoke.aws.edges import AwsEdges
from convoke.aws.handlers.invocations import Handler
from convoke.cli.ministack import ministack
from convoke.storage.cached import CACHE_LIFETIME_SECONDS
from tests.support.aws import CREDENTIALS, AwsInstance, Deployment, new_session
from tests.support.examples import chat, group_mms, sms
from tests.support.instances import Receivers
from tests.support.members import add_members
from tests.support.tables import TABLE_NAME

STEPS = {
    "api": "create",
    "participant_adder": "add",
    "conversation_finalizer": "finalize",
    "event_publisher": "publish",
    "webhook_delivery": "deliver",
}
"""Maps each counted function to its step.

The step `finalize` also includes the calls of the state machine.
"""

REQUESTS = {
    "1 chat member": chat(1),
    "10 chat members": chat(10),
    "10 SMS members": sms(10),
    "group MMS of 10": group_mms(10),
}

NEW_IDENTITIES = "10 new chat members, no webhook"
"""The measurement in which no participant has a User before the conversation is created.

In the other measurements of a new conversation, each identity has a User.
"""

EXISTING = (10, 100)
"""The numbers of existing conversations in two of the measurements.

These two measurements show whether the counts grow with the number of existing conversations.
"""

MEMBERS_OF_MESSAGE = (10, 1000)
"""The numbers of members in the two measurements that create a message.

These two measurements show whether the cost of a message grows with the number of members.
"""

READ_UNIT = 4096
"""The maximum number of bytes for one read unit in a consistent read.

Reading a missing item also costs one unit. An eventually consistent read costs half as much.
"""


@dataclass
class Cost:
    """The cost of one step."""

    invocations: int = 0
    read_units: float = 0
    write_units: float = 0
    """The write units of the table, without the indexes."""
    index_write_units: float = 0
    bus_events: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Cost) -> Cost:
        return Cost(**{name: value + vars(other)[name] for name, value in vars(self).items()})

    def ask(self, *, model: Any, params: Any, **_: Any) -> None:
        """Count one read unit for each requested key, or half a unit if the read is eventually consistent.

        botocore calls this method before each request to DynamoDB. MiniStack does not return the consumed capacity of a
        batch. Therefore this method computes the read units.
        """
        match model.name:
            case "GetItem":
                self.read_units += 1
            case "BatchGetItem":
                asked = params["RequestItems"][TABLE_NAME]
                self.read_units += len(asked["Keys"]) * (1 if asked["ConsistentRead"] else 0.5)

    def count(self, *, model: Any, parsed: Any, **_: Any) -> None:
        """Count one call, and its write units, bus events and additional read units (see `_count_reads`).

        botocore calls this method after the response, and does not report its own retries.
        """
        self.calls[f"{model.service_model.service_name}:{model.name}"] += 1
        match model.name:
            case "GetItem":
                self._count_reads([parsed["Item"]] if "Item" in parsed else [])
            case "BatchGetItem":
                self._count_reads(parsed["Responses"][TABLE_NAME])
            case "TransactWriteItems":
                self._count_writes(*parsed["ConsumedCapacity"])
            case "UpdateItem" | "PutItem":
                self._count_writes(parsed["ConsumedCapacity"])
            case "PutEvents":
                self.bus_events += len(parsed["Entries"])

    def _count_reads(self, items: list[Any]) -> None:
        """Count the additional read units of items that are larger than 4 KB.

        `ask` counts the read unit for the first 4 KB of each item.
        """
        self.read_units += sum((size({"M": item}) - 1) // READ_UNIT for item in items)

    def _count_writes(self, consumed: Any) -> None:
        indexes = sum(index["CapacityUnits"] for index in consumed.get("GlobalSecondaryIndexes", {}).values())
        self.index_write_units += indexes
        self.write_units += consumed["CapacityUnits"] - indexes


def size(attribute: dict[str, Any]) -> int:
    """Return the size of an attribute's value in bytes, by the rules in DynamoDB's developer guide.

    For the size of a whole item, pass the item as a map. The result is then a few bytes too large, because a map has an
    overhead that an item does not have.
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return len(value) // 2 + 2
        case "SS":
            return sum(len(part.encode()) for part in value)
        case "L":
            return 3 + sum(1 + size(part) for part in value)
        case "M":
            return 3 + sum(1 + len(name.encode()) + size(part) for name, part in value.items())
        case _:
            return 1


class CountedInstance(AwsInstance):
    """An instance on MiniStack that counts its AWS calls.

    This class calls the handlers and interprets the state machine, because no function is deployed.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.costs: defaultdict[str, Cost] = defaultdict(Cost)
        super().__init__(deployment, Receivers())

    def session(self) -> Session:
        """Return a new session for each function, because calls are counted per session."""
        return new_session()

    def edges(self, function: str) -> AwsEdges:
        edges = super().edges(function)
        events = edges._session.get_component("event_emitter")
        # The last argument is an id. botocore keeps only one hook per id, so that no call is counted twice.
        events.register("before-parameter-build.dynamodb", ask_for_capacity, "ask-for-capacity")
        events.register(
            "before-parameter-build.dynamodb", lambda **call: self.costs[STEPS[function]].ask(**call), "ask"
        )
        events.register("after-call", lambda **call: self.costs[STEPS[function]].count(**call), "count")
        return edges

    def handler(self, function: str) -> Handler:
        handle = super().handler(function)

        def counted(*invocation: Any) -> Any:
            self.costs[STEPS[function]].invocations += 1
            return handle(*invocation)

        return counted

    @cached_property
    def _streams(self) -> Any:
        return self.deployment.client("dynamodbstreams")

    @cached_property
    def _position(self) -> str:
        (stream,) = self._streams.list_streams(TableName=TABLE_NAME)["Streams"]
        described = self._streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]
        (shard,) = described["Shards"]
        iterator: str = self._streams.get_shard_iterator(
            StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        return iterator

    def new_records(self) -> list[dict[str, Any]]:
        answer = self._streams.get_records(ShardIterator=self._position)
        self._position = answer["NextShardIterator"]
        records: list[dict[str, Any]] = answer["Records"]
        return records

    def forget_pauses(self) -> None:
        """Do nothing, because every receiver answers 200 and no delivery is postponed."""


def ask_for_capacity(params: dict[str, Any], model: Any, **_: Any) -> None:
    if "ReturnConsumedCapacity" in model.input_shape.members:
        params["ReturnConsumedCapacity"] = "INDEXES"


def new_instance(account: int) -> CountedInstance:
    os.environ["AWS_ACCESS_KEY_ID"] = f"{account:012}"
    deployment = Deployment(session=new_session())
    deployment.deploy()
    return CountedInstance(deployment)


def measure(
    participants: list[str], *, webhook: bool, account: int, existing: int = 0, known: bool = True
) -> dict[str, Cost]:
    """Create a conversation with these participants. Return a mapping from each step's name to its cost.

    The result also has the name `all`, with the sum of all costs.

    - `existing` is the number of other conversations that are created before the measurement.
    - If `known` is true, the Users of the participants exist, but the participant adder has not cached these Users. The
      other conversations create the Users. If `existing` is 0, this function creates the Users.
    - `account` must be a different number in each measurement. MiniStack uses this number as the account ID, so each
      measurement starts without data.
    """
    instance = new_instance(account)
    v1 = instance.client().conversations.v1
    for _ in range(existing):
        v1.conversation_with_participants.create(participant=participants)
    instance.work()
    # Creating many conversations takes so long that cached Users can expire. Empty the caches, so that they are in the
    # same state in every measurement.
    instance.clear_caches()
    begun = time.monotonic()
    if webhook:
        filters = ["onConversationStateUpdated"]
        v1.configuration.webhooks().update(post_webhook_url="https://receiver.example/", filters=filters)
    v1.conversation_with_participants.create(participant=['{"identity": "the first"}'])
    instance.work()
    for identity in (json.loads(each).get("identity") for each in participants if known and not existing):
        if identity:
            v1.users.create(identity=identity)
    instance.work()
    instance.costs.clear()
    sid = v1.conversation_with_participants.create(participant=participants).sid
    instance.work()
    assert time.monotonic() - begun < CACHE_LIFETIME_SECONDS, (
        "this machine is too slow: cache entries expired during the measurement"
    )
    costs, instance.costs = instance.costs, defaultdict(Cost)
    assert v1.conversations(sid).fetch().state == "active"
    assert len(instance.receivers.posted) == (2 if webhook else 0)
    return {**{step: costs[step] for step in STEPS.values()}, "all": sum(costs.values(), Cost())}


def measure_message(members: int, *, account: int) -> dict[str, Cost]:
    """Create a message in a conversation with `members` chat members. Return a mapping from each step to its cost.

    The steps are `create` and `publish`. The result also has `all`, the sum of all costs. The author of the message is
    a member. See `measure` for `account`.
    """
    instance = new_instance(account)
    conversation = instance.call("POST", "/v1/ConversationWithParticipants", {"Participant": chat(10)}).body
    instance.work()
    add_members(instance.table, conversation, members)
    path = f"/v1/Conversations/{conversation['sid']}/Messages"
    for _ in range(2):  # The first message only fills the caches. The result is the cost of the second message.
        instance.work()
        instance.costs.clear()
        message = instance.call("POST", path, {"Body": "Hello", "Author": "member 3"}).body
    instance.work()
    assert message["participant_sid"]
    costs = instance.costs
    return {"create": costs["create"], "publish": costs["publish"], "all": sum(costs.values(), Cost())}


def measure_all() -> dict[str, dict[str, Cost]]:
    """Run all measurements. Return a mapping from each measurement's name to the costs of its steps."""
    asked = [(name, participants, webhook) for name, participants in REQUESTS.items() for webhook in (False, True)]
    measured = {
        f"{name}, {'one webhook' if webhook else 'no webhook'}": measure(participants, webhook=webhook, account=account)
        for account, (name, participants, webhook) in enumerate(asked, 1)
    }
    measured[NEW_IDENTITIES] = measure(chat(10), webhook=False, account=len(asked) + len(EXISTING) + 1, known=False)
    for account, existing in enumerate(EXISTING, len(asked) + 1):
        counted = measure(chat(10), webhook=False, account=account, existing=existing)
        measured[f"10 chat members, {existing:,} existing"] = counted
    for account, members in enumerate(MEMBERS_OF_MESSAGE, len(asked) + len(EXISTING) + 2):
        measured[f"message, {members:,} members"] = measure_message(members, account=account)
    return measured


@contextmanager
def on_ministack() -> Iterator[None]:
    """Run MiniStack until the block ends. Discard standard output, because the functions write their logs there."""
    with TemporaryDirectory() as folder, ministack(Path(folder)) as url, redirect_stdout(StringIO()):
        os.environ.update({**CREDENTIALS, "AWS_ENDPOINT_URL": url})
        yield


def main() -> None:
    arguments = ArgumentParser()
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write the counts to this file, too")
    path: Path | None = arguments.parse_args().json
    with on_ministack():
        measured = measure_all()
    print("reads, writes and index (writes to indexes) are DynamoDB request units; events are entries on the bus.")
    for name, costs in measured.items():
        print_table(name, costs)
    if path:
        content = {name: {step: vars(cost) for step, cost in costs.items()} for name, costs in measured.items()}
        path.write_text(json.dumps(content, indent=2) + "\n")


def print_table(title: str, costs: dict[str, Cost]) -> None:
    print(f"\n{title}\n  step      invoked  reads  writes  index  events  calls")
    for step, cost in costs.items():
        calls = ", ".join(f"{times} {call}" for call, times in sorted(cost.calls.items()))
        units = f"{cost.read_units:5.0f}  {cost.write_units:6.0f}  {cost.index_write_units:5.0f}"
        print(f"  {step:8}  {cost.invocations:7}  {units}  {cost.bus_events:6}  {calls}")


if __name__ == "__main__":
    main()
