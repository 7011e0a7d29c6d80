"""The parameters of an event replay. In an event replay, Convoke delivers a stored event to webhooks again."""

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
    """The parameters of a request that starts an event replay.

    If `target` is None, Convoke sends the event to all configured targets that receive this event.
    """

    target: ReplayTarget | None = None
