"""Every key of the table and its indexes. Nothing else in Convoke spells one.

Each key starts from the account it belongs to, so no request can reach another account's items (promise 8). Of the
three exceptions, the directory of accounts and the index of what is due are never reached by a request; whose an API
key is, is asked before the account of the request is known.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from datetime import datetime

from convoke.domain.instants import to_milliseconds
from convoke.domain.sids import Prefix
from convoke.storage.table import Index, Item, Key

DUE = Index(name="due", partition="due_shard", sort="due_at")
"""What needs attention, and when: projects keys only. One item a conversation at the most."""

LISTED = Index(
    name="listed",
    partition="list_shard",
    sort="listed_at",
    projected=("state", "conversation_sid", "log_level"),
)
"""The conversations of each service, but deleted ones, the changes and the alerts of each account, by their dates.

Projects keys and what lists are filtered by: `state`, `conversation_sid` and `log_level`.
"""

EVENTS = "events"
ALERTS = "alerts"
"""The names of an account's lists; that of conversations is the SID of their service."""

MEMBERSHIPS = Index(name="memberships", partition="member", sort="sk")
"""The participants of a service's conversations by who they are and the moment of their making: projects keys only.

None of its attributes ever changes but where a participant is given its identity, so nothing else writes to it.
"""

INDEXES = (DUE, LISTED, MEMBERSHIPS)

DUE_SHARDS = 8
"""Partitions of the index `due`. Every conversation writes to it twice, so one partition would bound them all."""

LIST_SHARDS = 4
"""Partitions of the index `listed` for each list. A page asks each of them, an item is written to one."""

LAST = "\U0010ffff"
"""Sorts behind every other character, by UTF-8 bytes."""


def accounts() -> str:
    """The partition that lists every account of the deployment, for its operator."""
    return "accounts"


def account_entry(account_sid: str) -> Key:
    return Key(accounts(), account_sid)


def account(account_sid: str) -> Key:
    return Key(account_sid, "account")


def auth_token(account_sid: str) -> Key:
    return Key(account_sid, "auth-token")


def api_key(account_sid: str, key_sid: str) -> Key:
    return Key(account_sid, f"api-key#{key_sid}")


def api_keys() -> tuple[str, str]:
    """The sort keys of an account's API keys; SIDs sort by the moment of their making."""
    return _prefixed("api-key#")


def api_key_owner(key_sid: str) -> Key:
    """Found by the SID alone, as that is all that a request with an API key names."""
    return Key(key_sid, "owner")


def configuration_webhooks(account_sid: str) -> Key:
    return Key(account_sid, "configuration#webhooks")


def service_configuration_webhooks(account_sid: str, chat_service_sid: str) -> Key:
    return Key(account_sid, f"configuration#webhooks#{chat_service_sid}")


def service(account_sid: str, chat_service_sid: str) -> Key:
    return Key(account_sid, f"service#{chat_service_sid}")


def services() -> tuple[str, str]:
    """The sort keys of an account's services."""
    return _prefixed("service#")


def conversation(account_sid: str, conversation_sid: str) -> Key:
    return Key(f"{account_sid}#{conversation_sid}", "conversation")


def provisioning(account_sid: str, conversation_sid: str) -> Key:
    return Key(f"{account_sid}#{conversation_sid}", "provisioning")


def scoped_webhooks(account_sid: str, conversation_sid: str) -> Key:
    """Those of one conversation, in one item."""
    return Key(f"{account_sid}#{conversation_sid}", "webhooks")


def participant(account_sid: str, conversation_sid: str, participant_sid: str) -> Key:
    return Key(f"{account_sid}#{conversation_sid}", f"participant#{participant_sid}")


def participants() -> tuple[str, str]:
    """The sort keys of a conversation's participants; SIDs sort by the moment of their making."""
    return _prefixed("participant#")


def message(account_sid: str, conversation_sid: str, message_sid: str) -> Key:
    """The SID of a message begins with its index."""
    return Key(f"{account_sid}#{conversation_sid}", f"message#{message_sid}")


def messages() -> tuple[str, str]:
    """The sort keys of a conversation's messages, in the order of their indexes."""
    return _prefixed("message#")


def receipt(account_sid: str, conversation_sid: str, message_sid: str, receipt_sid: str) -> Key:
    return Key(f"{account_sid}#{conversation_sid}", f"receipt#{message_sid}#{receipt_sid}")


def receipts(message_sid: str) -> tuple[str, str]:
    """The sort keys of a message's receipts."""
    return _prefixed(f"receipt#{message_sid}#")


def identity_lock(account_sid: str, conversation_sid: str, identity: str) -> Key:
    """In the conversation's own partition, so that it goes with it. Hashed: the longest would not fit a sort key."""
    return Key(f"{account_sid}#{conversation_sid}", f"identity#{hashlib.sha256(identity.encode()).hexdigest()}")


def unique_name_lock(account_sid: str, chat_service_sid: str, unique_name: str) -> Key:
    return Key(f"{account_sid}#{chat_service_sid}#unique-name#{unique_name}", "lock")


def pair_lock(account_sid: str, address: str, proxy_address: str) -> Key:
    return Key(f"{account_sid}#pair#{address}", proxy_address)


def number_group_lock(account_sid: str, numbers: Iterable[str]) -> Key:
    """The lock of a set of numbers, whatever their order. Hashed: ten addresses would not fit in readable form."""
    digest = hashlib.sha256("\n".join(sorted(set(numbers))).encode()).hexdigest()
    return Key(f"{account_sid}#number-group#{digest}", "lock")


def idempotency_record(account_sid: str, idempotency_key: str) -> Key:
    return Key(f"{account_sid}#idempotency-key#{idempotency_key}", "idempotency-record")


def change(account_sid: str, change_sid: str) -> Key:
    """The events of one change, as one item."""
    return Key(f"{account_sid}#{change_sid}", "change")


def attempt(account_sid: str, event_id: str, position: str) -> Key:
    """One attempt to deliver an event."""
    partition, (first, _) = attempts(account_sid, event_id)
    return Key(partition, first + position)


def attempts(account_sid: str, event_id: str) -> tuple[str, tuple[str, str]]:
    """The partition and the sort keys of the attempts to deliver an event."""
    change_sid, _, place = event_id.partition("-")
    return f"{account_sid}#{change_sid}", _prefixed(f"attempt#{place}#")


def alert(account_sid: str, alert_sid: str) -> Key:
    return Key(f"{account_sid}#{alert_sid}", "alert")


def due(conversation_sid: str, at: datetime) -> Item:
    """The attributes that put a conversation into the index `due`."""
    shard = zlib.crc32(conversation_sid.encode()) % DUE_SHARDS
    return {DUE.partition: f"due#{shard}", DUE.sort: to_milliseconds(at)}


def due_shards() -> list[str]:
    return [f"due#{shard}" for shard in range(DUE_SHARDS)]


def listed(account_sid: str, name: str, sid: str, at: datetime) -> Item:
    """The attributes that put an item into a list of the index `listed`."""
    shard = zlib.crc32(sid.encode()) % LIST_SHARDS
    return {LISTED.partition: list_shards(account_sid, name)[shard], LISTED.sort: list_position(at, sid)}


def list_shards(account_sid: str, name: str) -> list[str]:
    return [f"{account_sid}#{name}#{shard}" for shard in range(LIST_SHARDS)]


def list_position(at: datetime, sid: str) -> str:
    """Sorts by date; of one date, by the moment of making. No two items have the same."""
    return f"{to_milliseconds(at)}#{sid}"


def list_range(earliest: datetime | None, latest: datetime | None) -> tuple[str, str]:
    """The positions of what was created in a time, both ends included."""
    return to_milliseconds(earliest) if earliest else "0", to_milliseconds(latest) + LAST if latest else LAST


def list_neighbour(account_sid: str, shard: str, position: str) -> Item:
    """The attributes, as far as a query looks at them, of what is at `position`, if it were in `shard`."""
    sid = position.rpartition("#")[2]
    key = alert(account_sid, sid) if sid.startswith(Prefix.ALERT) else conversation(account_sid, sid)
    return {"pk": key.pk, "sk": key.sk, LISTED.partition: shard, LISTED.sort: position}


def memberships_of(account_sid: str, chat_service_sid: str, kind: str, value: str) -> str:
    """The partition of `memberships` that holds all that somebody is a member of. Hashed as identity locks are."""
    return f"{account_sid}#{chat_service_sid}#{kind}#{hashlib.sha256(value.encode()).hexdigest()}"


def membership_position(member: Key) -> str:
    """From which the key of the participant follows. No two participants have the same."""
    return f"{sids_of_conversation(member)[1]}#{member.sk.rpartition('#')[2]}"


def sids_of_membership(position: str) -> tuple[str, str]:
    """The conversation and participant SIDs of a position."""
    conversation_sid, _, participant_sid = position.partition("#")
    return conversation_sid, participant_sid


def sids_of_conversation(key: Key) -> tuple[str, str]:
    """The account and conversation SIDs of the key of a conversation, or of what belongs to it."""
    account_sid, _, conversation_sid = key.pk.partition("#")
    return account_sid, conversation_sid


def is_streamed(item: Item) -> bool:
    """Whether the stream carries a new item to the event publisher: changes that are not published by their maker."""
    return item["sk"] == "change" and not item.get("published_by_maker", False)


def is_streamed_to_webhooks(item: Item) -> bool:
    """The same where the bus has webhooks behind it and nobody else: what they are not told of needs no publishing."""
    return is_streamed(item) and bool(item["webhooks"])


def _prefixed(prefix: str) -> tuple[str, str]:
    return prefix, prefix + LAST
