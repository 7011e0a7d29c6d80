"""Create the keys of all items in the table and its indexes. No other module creates a key.

docs/data-model.md has a table of all keys and a table of all access patterns.

A partition key starts with the SID of the account, so a request cannot read or write items of another account. Only
these six kinds of partition keys do not start with an account SID:

- The directory of accounts. No request reads the directory.
- The shards of the index `due`. Only the sweeper and the movable clock of tests read this index.
- The owner item of an API key. Convoke reads this item to find the account of a request.
- The master secrets of API keys. They belong to no account, and no request names their key.
- The lock on a sender's address. Some carriers deliver a message with only this address.
- The owner item of a sender. Other carriers call a URL that contains only the SID of the sender.

With the last two items, Convoke can find a sender of another account, but no response shows this sender. See
docs/how-it-works.md#promises.

The participants, messages and receipts of a conversation are in the partition of the conversation, so one query can
read all items of one kind, ordered by SID. Message SIDs sort by the index of the message. Participant SIDs and receipt
SIDs sort by creation time: see docs/decisions/0002-sids-sort-by-creation-time.md.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from convoke.domain.instants import to_milliseconds
from convoke.domain.sids import Prefix
from convoke.storage.table import Index, Item, Key

DUE = Index(name="due", partition="due_shard", sort="due_at")
"""The index of the items that the sweeper must process, ordered by due time. The index projects only keys.

The function `kind_of` derives the kind of an item from the item's sort key. See
docs/decisions/0042-restarted-timer-keeps-due-at.md and docs/decisions/0085-kind-of-due-entry.md.
"""

LISTED = Index(
    name="listed",
    partition="list_shard",
    sort="listed_at",
    projected=("state", "conversation_sid", "log_level"),
)
"""The index of the lists that are ordered by date.

Each service has a list of conversations and a list of Users. Each account has a list of changes and a list of alerts.

The index projects the keys and the attributes that filters use: `state`, `conversation_sid` and `log_level`. If an
update changes a projected attribute, DynamoDB also writes the index. This second write costs write units, so no other
attributes are projected. See docs/decisions/0035-list-index-projects-keys-and-state.md.
"""

# The names of the lists that belong to an account. The list of a service's conversations has the service SID as its
# name. `users_list` returns the name of the list of a service's Users.
EVENTS = "events"
ALERTS = "alerts"

MEMBERSHIPS = Index(name="memberships", partition="member", sort="pk")
"""The index of the participants of each service. The index projects only keys.

Each partition contains the participants with the same identity or address, ordered by the SID of their conversation.
Most updates of a participant do not write this index. The attribute `member` changes only if an update gives the
participant an identity, or if the sweeper removes the identity of a deleted User. See
docs/decisions/0091-memberships-in-order-of-conversations.md.
"""

INDEXES = (DUE, LISTED, MEMBERSHIPS)

DUE_SHARDS = tuple(f"due#{number}" for number in range(8))
"""The partitions of the index `due`. The schedule in template.yaml has an event for each partition.

One partition is not enough. A partition of DynamoDB accepts at most 1,000 write units per second. Each conversation
with participants causes at least two writes to this index. See
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html.
"""

LIST_SHARDS = 4
"""How many partitions (shards) each list has in the index `listed`.

Each item is in only one partition. To build a page, all partitions are queried.
"""

CONVERSATION = "conversation"
"""The kind of a conversation's item. See `kind_of`."""

USER = "user"
"""The kind of a User's item."""

PARTICIPANT = "participant"
"""The kind of a participant's item."""

EVENT_ID_DIGITS = 17
"""How many digits an event id has in a key. Because of leading zeros, keys sort by event id.

Here, an event id is a number that orders changes for chat clients (domain/event_ids.py). Until the year 5138, no event
id has more digits. The function `event_attempts` uses something else: the ID of a webhook event.
"""

DELETED_SERVICE = "deleted-service"
"""The kind of a deleted service's tombstone."""

MEDIA = "media"
"""The kind of a media's item."""

LAST = "\U0010ffff"
"""The character that sorts after all other characters. Sort keys are ordered by their UTF-8 bytes.

No SID or date contains this character.
"""


def account_directory() -> str:
    """Return the partition key of the list that contains all accounts of the deployment."""
    return "accounts"


def account_entry(account_sid: str) -> Key:
    """Return the key of an account in the list that contains all accounts (see `account_directory`)."""
    return Key(account_directory(), account_sid)


def account(account_sid: str) -> Key:
    return Key(account_sid, "account")


def auth_token(account_sid: str) -> Key:
    return Key(account_sid, "auth-token")


def api_key(account_sid: str, key_sid: str) -> Key:
    return Key(account_sid, f"api-key#{key_sid}")


def api_keys() -> tuple[str, str]:
    """Return the range of sort keys for an account's API keys."""
    return _prefix_range("api-key#")


def api_key_owner(key_sid: str) -> Key:
    """Return the key of the item that contains the Account SID of an API key.

    The key of the item does not contain the Account SID, because a request names only the SID of the API key.
    """
    return Key(key_sid, "owner")


def console_code(account_sid: str, code_hash: str) -> Key:
    return Key(account_sid, f"console-code#{code_hash}")


def console_codes() -> tuple[str, str]:
    """Return the range of sort keys for the codes in the links to an account's console."""
    return _prefix_range("console-code#")


def api_key_masters() -> Key:
    """Return the key of the master secrets. Convoke derives the secrets of API keys from the master secrets."""
    return Key("api-key-masters", "versions")


def address_configuration(account_sid: str, address_configuration_sid: str) -> Key:
    return Key(account_sid, f"address#{address_configuration_sid}")


def address_configurations() -> tuple[str, str]:
    """Return the range of sort keys for an account's address configurations."""
    return _prefix_range("address#")


def address_lock(account_sid: str, address: str) -> Key:
    """Return the key of the lock on an address that has a configuration.

    The address is hashed, because a client can write an address of any length in the path of a URL. A partition key has
    at most 2048 bytes.
    """
    return Key(f"{account_sid}#address#{hashlib.sha256(address.encode()).hexdigest()}", "lock")


def sender(account_sid: str, sender_sid: str) -> Key:
    return Key(account_sid, f"sender#{sender_sid}")


def senders() -> tuple[str, str]:
    """Return the range of sort keys for an account's senders."""
    return _prefix_range("sender#")


def sender_secret(account_sid: str, sender_sid: str) -> Key:
    return Key(account_sid, f"sender-secret#{sender_sid}")


def sender_owner(sender_sid: str) -> Key:
    """Return the key of the item that contains the Account SID of a sender."""
    return Key(sender_sid, "owner")


def sender_address(address: str) -> Key:
    """Return the key of the lock on the address of a sender. The lock contains the Account SID and the sender's SID."""
    return Key(f"sender-address#{_digest(address)}", "sender")


def sending_second(account_sid: str, sender_sid: str, second: int) -> Key:
    """Return the key of the item that counts the copies of a sender in one second. `second` is a Unix time.

    Each second has its own partition, because one partition of DynamoDB accepts at most 1,000 writes per second.
    """
    return Key(f"{account_sid}#sending#{sender_sid}#{second}", "second")


def sending_turns(account_sid: str, sender_sid: str) -> Key:
    """Return the key of the item that contains the next free turn of a sender.

    A turn is the time at which Convoke tries again to send one delayed copy. See storage/sending_limits.py.
    """
    return Key(f"{account_sid}#sending#{sender_sid}", "turns")


def credential(account_sid: str, credential_sid: str) -> Key:
    return Key(account_sid, f"credential#{credential_sid}")


def credentials() -> tuple[str, str]:
    """Return the range of sort keys for an account's credentials."""
    return _prefix_range("credential#")


def phone(account_sid: str, number: str) -> str:
    """Return the partition key of the messages that a simulated phone has received and sent."""
    return f"{account_sid}#phone#{_digest(number)}"


def phone_message(account_sid: str, number: str, receipt_sid: str) -> Key:
    return Key(phone(account_sid, number), f"phone-message#{receipt_sid}")


def phone_messages() -> tuple[str, str]:
    """Return the range of sort keys for the messages that a simulated phone has received."""
    return _prefix_range("phone-message#")


def sent_phone_message(account_sid: str, number: str, receipt_sid: str) -> Key:
    return Key(phone(account_sid, number), f"phone-sent#{receipt_sid}")


def sent_phone_messages() -> tuple[str, str]:
    """Return the range of sort keys for the messages that a simulated phone has sent."""
    return _prefix_range("phone-sent#")


def simulated_phone(account_sid: str, address: str) -> Key:
    return Key(account_sid, f"phone#{address}")


def simulated_phones() -> tuple[str, str]:
    """Return the range of sort keys for the simulated phones of an account."""
    return _prefix_range("phone#")


def opt_out(account_sid: str, business_address: str, address: str) -> Key:
    """Return the key of the item which shows that a phone has opted out of messages from a business number."""
    return Key(f"{account_sid}#opt-out#{_digest(business_address)}", f"opt-out#{_digest(address)}")


def keyword_record(account_sid: str, provider_message_id: str) -> Key:
    """Return the key of the record which shows that a STOP or START message was applied to an opt-out list."""
    return Key(f"{account_sid}#keyword#{_digest(provider_message_id)}", "keyword")


def configuration_webhooks(account_sid: str) -> Key:
    return Key(account_sid, "configuration#webhooks")


def service_configuration_webhooks(account_sid: str, chat_service_sid: str) -> Key:
    return Key(account_sid, f"configuration#webhooks#{chat_service_sid}")


def service_configuration_notifications(account_sid: str, chat_service_sid: str) -> Key:
    return Key(account_sid, f"configuration#notifications#{chat_service_sid}")


def service(account_sid: str, chat_service_sid: str) -> Key:
    return Key(account_sid, f"service#{chat_service_sid}")


def deleted_service(account_sid: str, chat_service_sid: str) -> Key:
    """Return the key of a service's tombstone. The same partition contains the service's roles and bindings."""
    return Key(f"{account_sid}#{chat_service_sid}", DELETED_SERVICE)


def sids_of_deleted_service(key: Key) -> tuple[str, str]:
    """Return the account SID and the service SID in the key of a deleted service's tombstone."""
    account_sid, _, chat_service_sid = key.pk.partition("#")
    return account_sid, chat_service_sid


def services() -> tuple[str, str]:
    """Return the range of sort keys for an account's services."""
    return _prefix_range("service#")


def binding_partition(account_sid: str, chat_service_sid: str) -> str:
    """Return the partition that contains the bindings of a service."""
    return f"{account_sid}#{chat_service_sid}"


def binding(account_sid: str, chat_service_sid: str, binding_sid: str) -> Key:
    return Key(binding_partition(account_sid, chat_service_sid), f"binding#{binding_sid}")


def bindings() -> tuple[str, str]:
    """Return the range of sort keys for a service's bindings."""
    return _prefix_range("binding#")


def role(account_sid: str, chat_service_sid: str, role_sid: str) -> Key:
    return Key(f"{account_sid}#{chat_service_sid}", f"role#{role_sid}")


def roles() -> tuple[str, str]:
    """Return the range of sort keys for a service's roles, without the default roles."""
    return _prefix_range("role#")


def user(account_sid: str, user_sid: str) -> Key:
    return Key(f"{account_sid}#{user_sid}", USER)


def sids_of_user(key: Key) -> tuple[str, str]:
    """Return the account SID and the User SID in the key of a User."""
    account_sid, _, user_sid = key.pk.partition("#")
    return account_sid, user_sid


def users_list(chat_service_sid: str) -> str:
    """Return the name of the list of a service's Users."""
    return f"users#{chat_service_sid}"


def conversation(account_sid: str, conversation_sid: str) -> Key:
    return Key(f"{account_sid}#{conversation_sid}", CONVERSATION)


def provisioning(account_sid: str, conversation_sid: str) -> Key:
    return Key(f"{account_sid}#{conversation_sid}", "provisioning")


def scoped_webhooks(account_sid: str, conversation_sid: str) -> Key:
    """Return the key of the item that holds all webhooks of a conversation."""
    return Key(f"{account_sid}#{conversation_sid}", "webhooks")


def participant(account_sid: str, conversation_sid: str, participant_sid: str) -> Key:
    return Key(f"{account_sid}#{conversation_sid}", f"participant#{participant_sid}")


def participants() -> tuple[str, str]:
    """Return the range of sort keys for a conversation's participants."""
    return _prefix_range("participant#")


def message(account_sid: str, conversation_sid: str, message_sid: str) -> Key:
    # A message SID begins with the index of the message, so messages sort by index.
    return Key(f"{account_sid}#{conversation_sid}", f"message#{message_sid}")


def messages() -> tuple[str, str]:
    """Return the range of sort keys for a conversation's messages."""
    return _prefix_range("message#")


def receipt(account_sid: str, conversation_sid: str, message_sid: str, receipt_sid: str) -> Key:
    return Key(f"{account_sid}#{conversation_sid}", f"receipt#{message_sid}#{receipt_sid}")


def receipts(message_sid: str) -> tuple[str, str]:
    """Return the range of sort keys for a message's receipts."""
    return _prefix_range(f"receipt#{message_sid}#")


def sync_touch(account_sid: str, conversation_sid: str, kind: str, touch_position: str) -> Key:
    """Return the key of a `RecordedTouch`, the record of an edited or removed item in a conversation's Sync object.

    A Sync object is a list or map that chat clients read, for example the messages of a conversation. `kind` is the
    kind of the Sync object. `touch_position` is a result of the function `touch_position`.
    """
    return Key(f"{account_sid}#{conversation_sid}", f"sync#{kind}#{touch_position}")


def sync_touches(kind: str, touch_position: str) -> tuple[str, str]:
    """Return the range of sort keys for the records of a Sync object (see `sync_touch`), from `touch_position` on."""
    prefix = f"sync#{kind}#"
    return prefix + touch_position, prefix + LAST


def touch_position(event_id: int) -> str:
    """Return an event id in the form that the sort keys of `sync_touch` contain.

    The event id has leading zeros, so that the sort keys are ordered by event id.
    """
    return f"{max(event_id, 0):0{EVENT_ID_DIGITS}}"


def departure(account_sid: str, user_sid: str, conversation_sid: str) -> Key:
    """Return the key of a departure.

    A departure shows that a User left a conversation, or that a conversation of the User was deleted.
    """
    return Key(f"{account_sid}#{user_sid}", f"left#{conversation_sid}")


def departures() -> tuple[str, str]:
    """Return the range of sort keys for a User's departures from conversations."""
    return _prefix_range("left#")


def sid_of_departure(key: Key) -> str:
    """Return the conversation SID in the key of a departure."""
    return key.sk.rpartition("#")[2]


def media(account_sid: str, media_sid: str) -> Key:
    return Key(f"{account_sid}#{media_sid}", MEDIA)


def sids_of_media(key: Key) -> tuple[str, str]:
    """Return the account SID and the media SID in the key of a media."""
    account_sid, _, media_sid = key.pk.partition("#")
    return account_sid, media_sid


def identity_lock(account_sid: str, conversation_sid: str, identity: str) -> Key:
    """Return the key of the lock on an identity in a conversation.

    The lock is in the partition of the conversation, so that erasing the conversation also removes the lock. In
    DynamoDB, a sort key has at most 1024 bytes. The longest identity with its prefix has more bytes, so the identity is
    hashed. See https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html.
    """
    return Key(f"{account_sid}#{conversation_sid}", f"identity#{_digest(identity)}")


def unique_name_lock(account_sid: str, chat_service_sid: str, unique_name: str) -> Key:
    return Key(f"{account_sid}#{chat_service_sid}#unique-name#{unique_name}", "lock")


def pair_lock(account_sid: str, address: str, proxy_address: str) -> Key:
    """Return the key of the lock on an address and its proxy address.

    The pair of addresses must be unique in the whole account, not only in the service.
    """
    return Key(f"{account_sid}#pair#{address}", proxy_address)


def number_group_lock(account_sid: str, numbers: Iterable[str]) -> Key:
    """Return the key of the lock on a set of numbers.

    The order of the numbers and repeated numbers do not change the key. The numbers are hashed, because the addresses
    of ten participants can exceed the maximum length of a key.
    """
    digest = _digest("\n".join(sorted(set(numbers))))
    return Key(f"{account_sid}#number-group#{digest}", "lock")


def inbound_record(account_sid: str, provider: str, provider_message_id: str) -> Key:
    """Return the key of the record which shows that an inbound message is stored.

    The provider's id of the message is hashed, because the id can have any length.
    """
    return Key(f"{account_sid}#inbound#{provider}#{_digest(provider_message_id)}", "inbound-message")


def group_copy(account_sid: str, address: str, projected_address: str, conversation_sid: str) -> Key:
    """Return the key of the item that contains the date on which a phone last got a copy from a group."""
    return Key(group_copies(account_sid, address, projected_address), conversation_sid)


def group_copies(account_sid: str, address: str, projected_address: str) -> str:
    """Return the partition key of the items about the last copies from a business number to a phone.

    The partition contains one item for each group in which the phone has got a copy from this number.
    """
    return f"{account_sid}#group-copy#{address}#{projected_address}"


def idempotency_record(account_sid: str, idempotency_key: str) -> Key:
    return Key(f"{account_sid}#idempotency-key#{idempotency_key}", "idempotency-record")


def change(account_sid: str, change_sid: str) -> Key:
    """Return the key of the item that holds a change and its events."""
    return Key(f"{account_sid}#{change_sid}", "change")


def sids_of_change(key: Key) -> tuple[str, str]:
    """Return the account SID and the change SID in the key of a change."""
    account_sid, _, change_sid = key.pk.partition("#")
    return account_sid, change_sid


def event_attempt(account_sid: str, event_id: str, position: str) -> Key:
    """Return the key of one attempt to deliver an event."""
    partition, (prefix, _) = event_attempts(account_sid, event_id)
    return Key(partition, prefix + position)


def event_attempts(account_sid: str, event_id: str) -> tuple[str, tuple[str, str]]:
    """Return the partition of the attempts to deliver an event, and the range of their sort keys."""
    # An event ID consists of the change SID, "-", and the place of the event in the change.
    change_sid, _, place = event_id.partition("-")
    return f"{account_sid}#{change_sid}", _prefix_range(f"attempt#{place}#")


def event_attempts_of_target(
    account_sid: str, event_id: str, replay_sid: str, target: str
) -> tuple[str, tuple[str, str]]:
    """Return the partition of the attempts to deliver an event to one target, and the range of their sort keys.

    `replay_sid` is the SID of the replay to which the attempts belong. It is empty for the first delivery.
    """
    partition, (prefix, _) = event_attempts(account_sid, event_id)
    return partition, _prefix_range(f"{prefix}{replay_sid}#{target}#")


def circuit_breaker(account_sid: str, receiver: str) -> Key:
    """Return the key of the circuit breaker of a receiver.

    The receiver is hashed, because a host name can make a key too long.
    """
    return Key(f"{account_sid}#receiver#{hashlib.sha256(receiver.encode()).hexdigest()}", "circuit-breaker")


def alert(account_sid: str, alert_sid: str) -> Key:
    return Key(f"{account_sid}#{alert_sid}", "alert")


def due_attributes(sid: str, at: datetime) -> Item:
    """Return the attributes that put the item of the resource `sid` into the index `due`."""
    # Use crc32, because crc32 returns the same number in every process. Python's hash() returns different numbers.
    shard = zlib.crc32(sid.encode()) % len(DUE_SHARDS)
    return {DUE.partition: DUE_SHARDS[shard], DUE.sort: to_milliseconds(at)}


def kind_of(key: Key) -> str:
    """Return the kind of the item with this key, such as `conversation`: the sort key up to the first `#`."""
    return key.sk.partition("#")[0]


def list_attributes(account_sid: str, name: str, sid: str, at: datetime) -> Item:
    """Return the attributes that put an item into the list `name` of an account. The list is in the index `LISTED`."""
    shard = zlib.crc32(sid.encode()) % LIST_SHARDS
    return {LISTED.partition: list_shards(account_sid, name)[shard], LISTED.sort: list_position(at, sid)}


def list_shards(account_sid: str, name: str) -> list[str]:
    return [f"{account_sid}#{name}#{shard}" for shard in range(LIST_SHARDS)]


def list_position(at: datetime, sid: str) -> str:
    """Return the position of an item in a list. Positions are unique, and sort by date, then by SID."""
    return f"{to_milliseconds(at)}#{sid}"


def list_range(earliest: datetime | None, latest: datetime | None) -> tuple[str, str]:
    """Return the range of list positions from the date `earliest` to the date `latest`, including these dates."""
    return to_milliseconds(earliest) if earliest else "0", to_milliseconds(latest) + LAST if latest else LAST


def list_start_key(account_sid: str, shard: str, position: str) -> Item:
    """Return the key attributes of an item at `position` in `shard`, for the parameter `after` of a query.

    A page continues at the same position in every shard, but only one shard contains the item at this position. For the
    other shards, the result is the key attributes of an item that does not exist. A query accepts such key attributes.
    """
    sid = position.rpartition("#")[2]
    # `sid` is never the SID of a change, because the list of events does not call this function. The list of events
    # uses the parameter `between` to continue at a position.
    if sid.startswith(Prefix.ALERT):
        key = alert(account_sid, sid)
    elif sid.startswith(Prefix.USER):
        key = user(account_sid, sid)
    else:
        key = conversation(account_sid, sid)
    return {"pk": key.pk, "sk": key.sk, LISTED.partition: shard, LISTED.sort: position}


def membership_partition(account_sid: str, chat_service_sid: str, kind: str, value: str) -> str:
    """Return the partition of the index `memberships` for an identity or an address.

    `kind` says whether `value` is an identity or an address. The value is hashed, because an identity can make a key
    too long. See `identity_lock`.
    """
    return f"{account_sid}#{chat_service_sid}#{kind}#{_digest(value)}"


def membership_range(account_sid: str, start: str | None, *, forward: bool) -> tuple[str, str] | None:
    """Return the range of the index `memberships` that starts at the conversation `start`, in the query's direction.

    Return None, which means the whole partition, if `start` is None.
    """
    if start is None:
        return None
    first, last = _prefix_range(f"{account_sid}#")
    position = f"{account_sid}#{start}"
    return (position, last) if forward else (first, position)


def membership_position(participant_key: Key) -> str:
    """Return the position of a participant in the index `memberships`.

    The position consists of the conversation SID, `#` and the participant SID.
    """
    return f"{sids_of_conversation(participant_key)[1]}#{sid_of_participant(participant_key)}"


def sids_of_membership(position: str) -> tuple[str, str]:
    """Return the conversation SID and the participant SID that a position in the index `memberships` contains."""
    conversation_sid, _, participant_sid = position.partition("#")
    return conversation_sid, participant_sid


def sid_of_participant(key: Key) -> str:
    """Return the participant SID in the key of a participant."""
    return key.sk.rpartition("#")[2]


def sids_of_conversation(key: Key) -> tuple[str, str]:
    """Return the account SID and the conversation SID in the key of an item that belongs to a conversation."""
    account_sid, _, conversation_sid = key.pk.partition("#")
    return account_sid, conversation_sid


def is_streamed(item: Item) -> bool:
    """Return whether the event publisher must receive a new item from the table's stream.

    The event publisher receives only changes, except changes for which `Change.published_by_maker` is True. If an item
    lacks the attribute, the value is False. The filter in template.yaml has the same rule.
    """
    return item["sk"] == "change" and not item.get("published_by_maker", False)


def is_streamed_to_consumers(item: Item) -> bool:
    """Return whether the embedded engine must publish the events of a new item.

    On the embedded engine, only webhooks and the message sender consume published events. The message sender sends
    copies to phones. Therefore a change without events for webhooks and without copies is not published.
    """
    # Most items are not changes. Therefore check the sort key first.
    return item["sk"] == "change" and is_streamed(item) and bool(item["webhooks"] or item.get("has_copies"))


@lru_cache(maxsize=16)
def _digest(text: str) -> str:
    # Two keys contain the digest of an identity: the key of the lock, and a partition key of the index `memberships`.
    # Therefore the results are cached.
    return hashlib.sha256(text.encode()).hexdigest()


def _prefix_range(prefix: str) -> tuple[str, str]:
    """Return the range of sort keys that begin with `prefix`."""
    return prefix, prefix + LAST
