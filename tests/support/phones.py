"""Simulate phones, and configure the business numbers to which they send messages."""

from __future__ import annotations

from typing import Any

from tests.support.instances import Answer, Instance

PHONE = "+15558675310"
OTHER_PHONE = "+15558675311"
BUSINESS = "+15017122661"

URL = "https://hooks.example.com/own"


def text(
    instance: Instance, body: str | None = "Hello", *receivers: str, sender: str = PHONE, **more: object
) -> Answer:
    """Send a message from a simulated phone. Without `receivers`, the message goes to BUSINESS."""
    form = {"From": sender, "To": ",".join(receivers) or BUSINESS, **({} if body is None else {"Body": body}), **more}
    return instance.call("POST", "/convoke/v1/Simulate/InboundMessages", form)


def configure(instance: Instance, address: str = BUSINESS, **settings: Any) -> Any:
    """Configure an address so that a message to this address can create a conversation."""
    addresses = instance.client().conversations.v1.address_configurations
    return addresses.create(type="sms", address=address, auto_creation_enabled=True, **settings)


def conversation_with(instance: Instance, *participants: str) -> Any:
    """Create a conversation with participants. Return the SDK's context for the conversation."""
    created = instance.client().conversations.v1.conversation_with_participants.create(participant=[*participants])
    instance.work()
    return instance.client().conversations.v1.conversations(created.sid)
