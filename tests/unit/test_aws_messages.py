"""Convoke parses inbound messages of AWS End User Messaging SMS."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from convoke.domain.aws_messages import inbound_message

PAYLOAD = {
    "originationNumber": "+14255550182",
    "destinationNumber": "+12125550101",
    "messageKeyword": "JOIN",
    "messageBody": "EXAMPLE",
    "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
    "previousPublishedMessageId": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}
"""The example in https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html."""


def test_payload_is_a_message_to_one_receiver() -> None:
    message = inbound_message(PAYLOAD)
    assert (message.sender, message.receivers, message.body) == ("+14255550182", ("+12125550101",), "EXAMPLE")
    assert (message.provider, message.provider_message_id) == ("aws", PAYLOAD["inboundMessageId"])


@pytest.mark.parametrize("name", ["originationNumber", "destinationNumber", "inboundMessageId"])
def test_payload_without_a_required_value_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        inbound_message({key: value for key, value in PAYLOAD.items() if key != name})
