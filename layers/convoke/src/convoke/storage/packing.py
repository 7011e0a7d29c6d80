"""Pack the events of a change, and the participants of a request, into small items.

A field that has the same value in all events, or in all participants, is stored only once. DynamoDB charges for each KB
of a written item, and twice as much in a transaction. The events of ten participants differ only in SIDs and
identities. See docs/decisions/0050-common-fields-stored-once.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from convoke.domain.events import Change
from convoke.domain.model import Model
from convoke.domain.provisioning import Provisioning
from convoke.storage.table import Item

Fields = Mapping[str, Any]

ABSENT = object()
"""The default for a missing field. None is not suitable, because None could be a stored value."""


class _PackedEvents(Model):
    common: dict[str, Any]
    common_by_type: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """The fields that all events of one type have in common. Empty if all events of the change have the same type.

    Older versions of Convoke did not store this mapping.
    """
    events: list[dict[str, Any]]


class _PackedParticipants(Model):
    common: dict[str, Any] = Field(default_factory=dict)
    """This mapping is empty if an older version of Convoke, which did not pack participants, stored the item."""
    participants: list[dict[str, Any]]


def pack_change(change: Change) -> Item:
    """Return the attributes of a change's item, without `pk` and `sk`."""
    stored = change.model_dump(mode="json", exclude_none=True)
    common, events = _pack_events(stored["events"])
    packed = {**stored, "common": common, "events": events}
    types = [event.type.value for event in change.events]
    if len(set(types)) < 2:
        return packed
    common_by_type: dict[str, dict[str, Any]] = {}
    for event_type in dict.fromkeys(types):
        positions = [position for position, each in enumerate(types) if each == event_type]
        common_by_type[event_type], of_type = _pack_events([events[position] for position in positions])
        for position, event in zip(positions, of_type, strict=True):
            events[position] = {**event, "type": event_type}
    return {**packed, "common_by_type": common_by_type}


def unpack_change(stored: Item) -> Change:
    """Return the change that `pack_change` packed."""
    parts = _PackedEvents.model_validate(stored)
    events = [_unpack_event(packed_event, parts) for packed_event in parts.events]
    return Change.model_validate({**stored, "events": events})


def _pack_events(events: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the common fields of the events, and the events without these fields."""
    payloads = [event.pop("payload") for event in events]
    common, common_payload = _common_fields(events), _common_fields(payloads)
    packed = [
        {**_without(event, common), "payload": _without(payload, common_payload)}
        for event, payload in zip(events, payloads, strict=True)
    ]
    return {**common, "payload": common_payload}, packed


def _unpack_event(packed: dict[str, Any], parts: _PackedEvents) -> dict[str, Any]:
    of_type = parts.common_by_type.get(str(packed.get("type")), {"payload": {}})
    payload = {**parts.common["payload"], **of_type["payload"], **packed["payload"]}
    return {**parts.common, **of_type, **packed, "payload": payload}


def pack_provisioning(provisioning: Provisioning) -> Item:
    """Return the attributes of a provisioning's item, without `pk` and `sk`."""
    stored = provisioning.model_dump(mode="json", exclude_none=True)
    participants: list[dict[str, Any]] = stored["participants"]
    common = _common_fields(participants)
    packed_participants = [_without(participant, common) for participant in participants]
    return {**stored, "common": common, "participants": packed_participants}


def unpack_provisioning(stored: Item) -> Provisioning:
    """Return the provisioning that `pack_provisioning` packed."""
    parts = _PackedParticipants.model_validate(stored)
    participants = [{**parts.common, **packed_participant} for packed_participant in parts.participants]
    return Provisioning.model_validate({**stored, "participants": participants})


def _common_fields(mappings: Sequence[Fields]) -> dict[str, Any]:
    """Return the fields that have the same value in all mappings."""
    first, *others = mappings or ({},)
    return {name: value for name, value in first.items() if all(each.get(name, ABSENT) == value for each in others)}


def _without(fields: Fields, common: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in common}
