"""A change of a message, or a page of a list, needs as many reads with many stored items as with few stored items.

The tests count reads, or steps of SQLite, instead of measuring time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any

import pytest

from convoke.api.routes import ROUTES, Route
from convoke.domain.users import user_sid
from convoke.embedded import rows, sqlite
from convoke.embedded.engine import EmbeddedEdges
from convoke.storage.table import Item, Key, Table, Update, Write
from tests.support.bindings import store_binding
from tests.support.examples import chat, sms
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.members import add_members

# Messages


@dataclass
class CountingTable:
    """Wraps a table, and records each call with the number of items that were returned or written."""

    table: Table
    calls: list[tuple[str, int]] = field(default_factory=list)

    def get(self, key: Key) -> Item | None:
        found = self.table.get(key)
        self.calls.append(("get", int(found is not None)))
        return found

    def get_many(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[Key, Item]:
        found = self.table.get_many(keys, consistent=consistent)
        self.calls.append(("get_many", len(found)))
        return found

    def query(self, partition: str, **options: Any) -> list[Item]:
        found = self.table.query(partition, **options)
        self.calls.append(("query", len(found)))
        return found

    def update(self, update: Update) -> Item:
        self.calls.append(("update", 1))
        return self.table.update(update)

    def transact(self, writes: Sequence[Write]) -> None:
        self.calls.append(("transact", len(writes)))
        self.table.transact(writes)


def test_message_costs_as_many_reads_with_1000_members_as_with_10() -> None:
    """The test counts reads of the table. `tests/api/test_aws_calls.py` counts calls to AWS."""
    counted: list[list[tuple[str, int]]] = []
    tables: list[CountingTable] = []

    def counting(edges: EmbeddedEdges) -> EmbeddedEdges:
        tables.append(CountingTable(edges.table))
        return replace(edges, table=tables[0])

    with held_instance(rewire=counting) as instance:
        (table,) = tables
        for members in (10, 1000):
            conversation = instance.call("POST", "/v1/ConversationWithParticipants", {"Participant": chat(10)}).body
            instance.work()
            add_members(instance.table, conversation, members)
            path = f"/v1/Conversations/{conversation['sid']}/Messages"
            table.calls.clear()
            message = instance.call("POST", path, {"Body": "Hello", "Author": "member 3"}).body
            assert message["participant_sid"]
            # `get_many` reads the conversation and its provisioning record. `get` reads the author's identity lock.
            assert table.calls == [("get_many", 2), ("get", 1), ("transact", 3)]
            instance.call("POST", path, {"Body": "Hello", "Author": "stranger"})
            instance.call("POST", f"{path}/{message['sid']}", {"Body": "Goodbye", "Author": "member 4"})
            instance.call("DELETE", f"{path}/{message['sid']}")
            counted.append([*table.calls])
    assert counted[0] == counted[1]


# Lists

PAGE_SIZE = 50

ITEMS = 52
"""The minimum number of resources that FilledInstance creates in each list that is not in MAX_RESOURCES.

This number is greater than PAGE_SIZE, so that each of these lists has a second page.
"""

MAX_RESOURCES = {"Receipts": 50, "ScopedWebhooks": 5}
"""Maps each list that cannot contain `ITEMS` resources to its maximum number of resources."""

ITEMS_OF_RESOURCE = {"ParticipantConversations": 2, "UserConversations": 2}
"""Maps a list to the number of items that make up each resource in the list: a conversation and a participant.

In all other lists, each resource is one item.
"""


class FilledInstance:
    """An instance whose lists have more resources than fit on one page, except the lists in MAX_RESOURCES."""

    def __init__(self, instance: EmbeddedInstance) -> None:
        self.instance = instance
        hooks = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationStateUpdated"}
        self.post("/v1/Configuration/Webhooks", hooks)
        # Each conversation causes a webhook call. The 404 of the receiver causes an alert.
        instance.receivers.statuses = [404] * ITEMS
        made = [self.post("/v1/ConversationWithParticipants", {"Participant": chat(1)}) for _ in range(ITEMS)]
        instance.work()
        for number in range(ITEMS):
            self.post("/v1/Services", {"FriendlyName": str(number)})
            self.post("/v1/Roles", {"FriendlyName": str(number), "Type": "service", "Permission": "joinConversation"})
            self.post(f"/2010-04-01/Accounts/{instance.account.sid}/Keys.json", {})
            self.post("/v1/Credentials", {"Type": "gcm", "ApiKey": str(number)})
            self.post("/v1/Configuration/Addresses", {"Type": "chat", "Address": str(number)})
            sender = {"Provider": "simulated", "Address": f"+1501712{number:04}"}
            self.post("/convoke/v1/Senders", sender)
            store_binding(instance, made[0]["chat_service_sid"])
        self.service, self.conversation = made[0]["chat_service_sid"], made[0]["sid"]
        events = instance.call("GET", f"/convoke/v1/Events?ConversationSid={self.conversation}").body["events"]
        (self.event,) = (each["id"] for each in events if each["event_type"] == "onConversationStateUpdated")
        path = f"/v1/Conversations/{self.conversation}"
        group = {"Participant": sms(10), "MessagingServiceSid": "MG" + "0" * 32}
        crowd = self.post("/v1/ConversationWithParticipants", group)["sid"]
        instance.work()
        for number in range(40):
            binding = {"Address": f"+1555968{number:04}", "ProxyAddress": "+15017122661"}
            form = {f"MessagingBinding.{name}": value for name, value in binding.items()}
            self.post(f"/v1/Conversations/{crowd}/Participants", form)
        for number in range(ITEMS):
            self.post(f"{path}/Participants", {"Identity": f"other {number}"})
            message = self.post(f"{path}/Messages", {"Body": "Hello"})["sid"]
        message = self.post(f"/v1/Conversations/{crowd}/Messages", {"Body": "Hello"})["sid"]
        self.receipts = f"Conversations/{crowd}/Messages/{message}/Receipts"
        for number in range(MAX_RESOURCES["ScopedWebhooks"]):
            self.post(f"{path}/Webhooks", {"Target": "studio", "Configuration.FlowSid": f"FW{number:032}"})
        for _ in range(ITEMS):
            self.post(f"/convoke/v1/Events/{self.event}/Replay", {})
        instance.work()

    def post(self, path: str, form: Mapping[str, object]) -> Any:
        answer = self.instance.call("POST", path, form)
        assert answer.status < 300, answer.text
        return answer.body

    def path(self, rule: str) -> str:
        """Return the path of a list, and the start of the query.

        `rule` is the rule of the list's route. The path contains the SIDs of resources that `__init__` created.
        """
        if rule.endswith("/Receipts"):
            rule = rule.partition("Conversations/")[0] + self.receipts
        values = {
            "account_sid": self.instance.account.sid,
            "chat_service_sid": self.service,
            "conversation_sid": self.conversation,
            "event_id": self.event,
            "user_sid": user_sid(self.service, "member 0"),
        }
        path = re.sub(r"<(\w+)>", lambda found: values[found[1]], rule)
        return path + ("?Identity=member+0" if path.endswith("/ParticipantConversations") else "?")


@pytest.fixture(scope="module")
def filled() -> Iterator[FilledInstance]:
    with held_instance() as instance:
        yield FilledInstance(instance)


LISTS = [(rule, route) for route in ROUTES if route.contract.page for rule in route.rules]


@pytest.mark.parametrize(("rule", "route"), LISTS, ids=[rule for rule, _ in LISTS])
def test_page_of_50_reads_at_most_51_items(
    filled: FilledInstance, monkeypatch: pytest.MonkeyPatch, rule: str, route: Route
) -> None:
    """If this test fails for a new list, `FilledInstance` may not create enough resources."""
    resource, page = route.contract.resource, route.contract.page
    assert page
    path = f"{filled.path(rule)}&PageSize={PAGE_SIZE}"
    # The first request fills the caches with the account and the service.
    filled.instance.call("GET", path)
    decoded: list[Item] = []
    original = rows.decode

    def decode(body: str) -> Item:
        decoded.append(original(body))
        return decoded[-1]

    monkeypatch.setattr(sqlite, "decode", decode)
    statements: list[str] = []
    connection = filled.instance.engine.table._connection
    connection.set_trace_callback(statements.append)
    listed = filled.instance.call("GET", path).body[page]
    connection.set_trace_callback(None)
    assert len(listed) == min(PAGE_SIZE, MAX_RESOURCES.get(resource, PAGE_SIZE)), "fill this list in FilledInstance"
    parents = rule.count("<")
    assert len(decoded) <= (PAGE_SIZE + 1) * ITEMS_OF_RESOURCE.get(resource, 1) + parents
    assert not [each for each in statements if "json_extract" in each], "the entries of an index are keys only"


def _count_step(steps: Iterator[int]) -> None:
    next(steps)


def test_first_page_costs_as_many_steps_of_sqlite_with_320_conversations_as_with_80(embedded: EmbeddedInstance) -> None:
    """A step is an operation of SQLite's virtual machine. Unlike a duration, the number of steps does not vary."""
    connection, counted = embedded.engine.table._connection, list[int]()
    for conversations in (80, 240):
        for _ in range(conversations):
            embedded.call("POST", "/v1/Conversations")
        steps = count()
        connection.set_progress_handler(partial(_count_step, steps), 1)
        assert len(embedded.call("GET", "/v1/Conversations?PageSize=3").body["conversations"]) == 3
        connection.set_progress_handler(None, 1)
        counted.append(next(steps))
    assert counted[0] == counted[1]
