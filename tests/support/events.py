"""Create events and deliveries with arbitrary content."""

from __future__ import annotations

from convoke.domain.events import Event, EventType
from convoke.domain.instants import now
from convoke.domain.webhooks import Delivery, Method

CHAT_SERVICE_SID = "IS" + "0" * 32


def an_event(account_sid: str = "AC1", number: int = 0) -> Event:
    return Event(
        id=f"IM1-{number}",
        type=EventType.CONVERSATION_ADDED,
        account_sid=account_sid,
        conversation_sid="CH1",
        occurred_at=now(),
        payload={"ChatServiceSid": CHAT_SERVICE_SID},
        notify_webhooks=True,
    )


def a_delivery(account_sid: str, url: str, number: int = 0) -> Delivery:
    return Delivery(event=an_event(account_sid, number), target="account", url=url, method=Method.POST)
