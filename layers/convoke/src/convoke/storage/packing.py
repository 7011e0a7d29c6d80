"""Events of one change have most of what they say in common: it is stored once. An item is paid for by the KB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convoke.domain.events import Change
from convoke.domain.model import Model
from convoke.storage.table import Item

Fields = Mapping[str, Any]

ABSENT = object()
"""Equals no value."""


class _Packed(Model):
    common: dict[str, Any]
    events: list[dict[str, Any]]


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


def _common(several: Sequence[Fields]) -> dict[str, Any]:
    first, *others = several or ({},)
    return {name: value for name, value in first.items() if all(each.get(name, ABSENT) == value for each in others)}


def _without(fields: Fields, common: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in common}
