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
    events: list[dict[str, Any]]


class _PackedParticipants(Model):
    common: dict[str, Any] = Field(default_factory=dict)
    """This mapping is empty if an older version of Convoke, which did not pack participants, stored the item."""
    participants: list[dict[str, Any]]


def pack_change(change: Change) -> Item:
    """Return the attributes of a change's item, without `pk` and `sk`."""
    stored = change.model_dump(mode="json", exclude_none=True)
    events: list[dict[str, Any]] = stored.pop("events")
    payloads = [event.pop("payload") for event in events]
    common, common_payload = _common_fields(events), _common_fields(payloads)
    packed_events = [
        {**_without(event, common), "payload": _without(payload, common_payload)}
        for event, payload in zip(events, payloads, strict=True)
    ]
    return {**stored, "common": {**common, "payload": common_payload}, "events": packed_events}


def unpack_change(stored: Item) -> Change:
    """Return the change that `pack_change` packed."""
    parts = _PackedEvents.model_validate(stored)
    common_payload = parts.common.pop("payload")
    events = [
        {**parts.common, **packed_event, "payload": {**common_payload, **packed_event["payload"]}}
        for packed_event in parts.events
    ]
    return Change.model_validate({**stored, "events": events})


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
