"""Pack the events of a change, and the participants of a request, into small items. Unpack such items.

A field that has the same value in all events, or in all participants, is stored only once. Some values that follow from
the key or from another field are not stored. DynamoDB charges for each KB of a written item, and twice as much in a
transaction. The events of ten participants have most fields in common. See
docs/decisions/0050-common-fields-stored-once.md and docs/decisions/0121-arm64-and-smaller-items.md.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import chain
from os.path import commonprefix
from typing import Any

from pydantic import Field

from convoke.domain.events import Change, event_id
from convoke.domain.model import Model
from convoke.domain.provisioning import Provisioning, ProvisioningSummary
from convoke.storage import keys
from convoke.storage.table import Item, key_of

Fields = Mapping[str, Any]

ABSENT = object()
"""The default for a missing field. None is not suitable, because None could be a stored value."""


_PAYLOADS: Any = {"events": {"__all__": {"payload"}}}
"""Selects the payloads of a change's events. `pack_change` excludes the payloads from the conversion to JSON values.

The payloads need no conversion, because they contain only strings.
"""


class _PackedEvents(Model):
    common: dict[str, Any]
    common_by_type: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Maps each event type to further fields that are equal in all events of this type. `common` does not contain them.

    This mapping is empty if all events of the change have the same type.

    Older versions of Convoke did not store this mapping.
    """
    events: list[dict[str, Any]]


KEY_FIELDS = ("account_sid", "conversation_sid")
"""The fields of a provisioning that are not stored, because the key contains their values."""


class _PackedParticipants(Model):
    common: dict[str, Any] = Field(default_factory=dict)
    """The fields that have the same value in all participants, except the values that `_implied_fields` returns.

    This mapping is empty if an older version of Convoke, which did not pack participants, stored the item.
    """
    columns: dict[str, list[str]] = Field(default_factory=dict)
    """Maps field names to columns. There is a column for each field that is not in `common` and is always a string.

    A column contains the common prefix of the values, and then the suffix of each value.

    Older versions of Convoke did not store this mapping.
    """
    participants: list[dict[str, Any]] = Field(default_factory=list)
    """The other fields of each participant. Absent if all fields are in `common` and `columns`."""


def pack_change(change: Change) -> Item:
    """Return the attributes of a change's item, without `pk` and `sk`."""
    stored = change.model_dump(mode="json", exclude_none=True, exclude=_PAYLOADS)
    for place, (stored_event, event) in enumerate(zip(stored["events"], change.events, strict=True)):
        stored_event["payload"] = event.payload
        # Do not store an id that `unpack_change` can make from the SID of the change.
        if event.id == event_id(change.sid, place):
            del stored_event["id"]
    common, events = _pack_events(stored["events"])
    packed = {**stored, "common": common, "events": events}
    types = [event.type.value for event in change.events]
    if len(set(types)) < 2:
        return packed
    common_by_type: dict[str, dict[str, Any]] = {}
    for event_type in dict.fromkeys(types):
        positions = [position for position, each in enumerate(types) if each == event_type]
        common_by_type[event_type], of_type = _pack_events([events[position] for position in positions])
        for position, packed_event in zip(positions, of_type, strict=True):
            events[position] = {**packed_event, "type": event_type}
    return {**packed, "common_by_type": common_by_type}


def unpack_change(stored: Item) -> Change:
    """Return the change that `pack_change` packed."""
    parts = _PackedEvents.model_validate(stored)
    events = [
        {"id": event_id(str(stored["sid"]), place), **_unpack_event(packed_event, parts)}
        for place, packed_event in enumerate(parts.events)
    ]
    return Change.model_validate({**stored, "events": events})


def _pack_events(events: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the common fields of the events, and the events without these fields."""
    payloads = [event.pop("payload") for event in events]
    (common, packed), (common_payload, packed_payloads) = _packed(events), _packed(payloads)
    for event, payload in zip(packed, packed_payloads, strict=True):
        event["payload"] = payload
    return {**common, "payload": common_payload}, packed


def _unpack_event(packed: dict[str, Any], parts: _PackedEvents) -> dict[str, Any]:
    of_type = parts.common_by_type.get(str(packed.get("type")), {"payload": {}})
    payload = {**parts.common["payload"], **of_type["payload"], **packed["payload"]}
    return {**parts.common, **of_type, **packed, "payload": payload}


def pack_provisioning(provisioning: Provisioning) -> Item:
    """Return the attributes of a provisioning's item, without `pk` and `sk`."""
    stored = provisioning.model_dump(mode="json", exclude_defaults=True)
    common, packed_participants = _packed(stored.pop("participants"))
    columns, rows = _split_columns(packed_participants)
    implied = _implied_fields(stored)
    return {
        **_without(stored, KEY_FIELDS),
        # Conditions of later transactions check the status. Therefore store the status even if it has the default
        # value, which `exclude_defaults` leaves out.
        "status": provisioning.status.value,
        "common": {name: value for name, value in common.items() if implied.get(name, ABSENT) != value},
        "columns": columns,
        **({"participants": rows} if rows else {}),
    }


def unpack_provisioning(stored: Item) -> Provisioning:
    """Return the provisioning in an item. An older version of Convoke may have created the item."""
    parts, fields = _PackedParticipants.model_validate(stored), _fields_of(stored)
    common = {**_implied_fields(fields), **parts.common}
    participants = [{**common, **participant} for participant in _join_columns(parts.columns, parts.participants)]
    return Provisioning.model_validate({**fields, "participants": participants})


def unpack_summary(stored: Item) -> ProvisioningSummary:
    """Return the provisioning in an item, without its participants."""
    return ProvisioningSummary.model_validate(_fields_of(stored))


def _fields_of(stored: Item) -> dict[str, Any]:
    account_sid, conversation_sid = keys.sids_of_conversation(key_of(stored))
    return {**stored, "account_sid": account_sid, "conversation_sid": conversation_sid}


def _implied_fields(provisioning: Fields) -> Fields:
    """Return the usual values of some fields of a participant.

    The values follow from the fields of the provisioning.
    """
    created = provisioning["date_created"]
    return {**{name: provisioning[name] for name in KEY_FIELDS}, "date_created": created, "date_updated": created}


def _split_columns(rows: list[dict[str, Any]]) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Return a column for each field whose value is a string in all rows, and the rows without these fields.

    If the columns contain all fields, the list of rows is empty.
    """
    columns = {}
    for name in rows[0] if rows else ():
        values = [row.get(name) for row in rows]
        if {*map(type, values)} == {str}:
            columns[name] = _pack_column(values)
    if columns and not any(row.keys() - columns for row in rows):
        return columns, []
    return columns, [_without(row, columns) for row in rows]


def _pack_column(values: list[Any]) -> list[str]:
    """Return a list that contains the common prefix of the strings, and then the suffix of each string."""
    prefix = commonprefix(values)  # noqa: RUF071 - the values are not paths
    return [prefix, *(value[len(prefix) :] for value in values)]


def _join_columns(columns: Mapping[str, Sequence[str]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the fields of the columns to the rows, and return the rows.

    If `rows` is empty, the columns contain all fields.
    """
    for name, (prefix, *rests) in columns.items():
        rows = rows or [{} for _ in rests]
        for row, rest in zip(rows, rests, strict=True):
            row[name] = prefix + rest
    return rows


def _packed(mappings: Sequence[Fields]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the fields that have the same value in all mappings, and a list with the other fields of each mapping."""
    common = {**mappings[0]} if mappings else {}
    for each in mappings[1:]:
        # Make a new dict only if a field of `common` differs. From the third mapping on, usually none differs, and the
        # comparison of views is fast.
        if not common.items() <= each.items():
            common = {name: value for name, value in common.items() if each.get(name, ABSENT) == value}
    others = [name for name in dict.fromkeys(chain.from_iterable(mappings)) if name not in common]
    return common, [{name: each[name] for name in others if name in each} for each in mappings]


def _without(fields: Fields, names: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
