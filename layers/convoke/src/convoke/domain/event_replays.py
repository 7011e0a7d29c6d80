"""The event replay: a request to deliver an event to webhooks again."""

from __future__ import annotations

from typing import Annotated

from pydantic import WithJsonSchema

from convoke.domain.model import Model

ReplayTarget = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "description": "A target, as event attempts show it. Without it, all webhooks get the event.",
        }
    ),
]


class NewEventReplay(Model):
    """The parameters of an event replay: deliver to one target, or to all webhooks if `target` is None."""

    target: ReplayTarget | None = None
