"""What the events of one change, and the members of one request, have in common is stored once.

An item is paid for by the KB.
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
"""Equals no value."""


class _Packed(Model):
    common: dict[str, Any]
    events: list[dict[str, Any]]


class _PackedMembers(Model):
    common: dict[str, Any] = Field(default_factory=dict)
    """Nothing in what an earlier version has stored."""
    participants: list[dict[str, Any]]


def packed(change: Change) -> Item:
    """The attributes of a change."""
    stored = change.model_dump(mode="json", exclude_none=True)
    events: list[dict[str, Any]] = stored.pop("events")
    payloads = [event.pop("payload") for event in events]
    common, payload = _common(events), _common(payloads)
    own = [
        {**_without(event, common), "payload": _without(said, payload)}
        for event, said in zip(events, payloads, strict=True)
    ]
    return {**stored, "common": {**common, "payload": payload}, "events": own}


def unpacked(stored: Item) -> Change:
    """The change of which `packed` made an item."""
    parts = _Packed.model_validate(stored)
    payload = parts.common.pop("payload")
    events = [{**parts.common, **own, "payload": {**payload, **own["payload"]}} for own in parts.events]
    return Change.model_validate({**stored, "events": events})


def packed_members(provisioning: Provisioning) -> Item:
    """The attributes of a provisioning."""
    stored = provisioning.model_dump(mode="json", exclude_none=True)
    members: list[dict[str, Any]] = stored["participants"]
    common = _common(members)
    return {**stored, "common": common, "participants": [_without(member, common) for member in members]}


def unpacked_members(stored: Item) -> Provisioning:
    """The provisioning of which `packed_members` made an item."""
    parts = _PackedMembers.model_validate(stored)
    members = [{**parts.common, **own} for own in parts.participants]
    return Provisioning.model_validate({**stored, "participants": members})


def _common(several: Sequence[Fields]) -> dict[str, Any]:
    first, *others = several or ({},)
    return {name: value for name, value in first.items() if all(each.get(name, ABSENT) == value for each in others)}


def _without(fields: Fields, common: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in common}
