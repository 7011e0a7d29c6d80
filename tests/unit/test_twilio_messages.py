"""Convoke parses inbound messages of Twilio Programmable Messaging."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from convoke.domain.twilio_messages import inbound_message
from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE

SMS = {
    "ToCountry": "US",
    "ToState": "CA",
    "SmsMessageSid": "SM" + "0" * 32,
    "NumMedia": "0",
    "FromZip": "94105",
    "SmsSid": "SM" + "0" * 32,
    "FromState": "CA",
    "SmsStatus": "received",
    "FromCity": "SAN FRANCISCO",
    "Body": "Hello & goodbye",
    "FromCountry": "US",
    "To": BUSINESS,
    "NumSegments": "1",
    "MessageSid": "SM" + "0" * 32,
    "AccountSid": "AC" + "0" * 32,
    "From": PHONE,
    "ApiVersion": "2010-04-01",
}
"""The example parameters of an incoming SMS in Twilio's documentation."""


def test_sms_is_a_message_to_one_receiver() -> None:
    message = inbound_message(SMS)
    assert (message.sender, message.receivers, message.body) == (PHONE, (BUSINESS,), "Hello & goodbye")
    assert (message.provider, message.provider_message_id) == ("twilio", SMS["MessageSid"])


def test_group_mms_names_its_other_recipients() -> None:
    message = inbound_message({**SMS, "OtherRecipients0": OTHER_PHONE, "OtherRecipients1": "+15558675312"})
    assert message.receivers == (BUSINESS, OTHER_PHONE, "+15558675312")
    with_both_sides = {**SMS, "OtherRecipients0": BUSINESS, "OtherRecipients1": PHONE, "OtherRecipients2": OTHER_PHONE}
    assert inbound_message({**with_both_sides, "OtherRecipients3": OTHER_PHONE}).receivers == (BUSINESS, OTHER_PHONE)


def test_mms_has_the_urls_of_its_media() -> None:
    urls = [f"https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME{number}" for number in range(2)]
    media = {"NumMedia": "2", "MediaContentType0": "image/jpeg", "MediaUrl0": urls[0], "MediaUrl1": urls[1]}
    assert inbound_message({**SMS, **media}).media_urls == (*urls,)


def test_message_without_text_has_no_body() -> None:
    assert inbound_message({**SMS, "Body": ""}).body is None


@pytest.mark.parametrize("name", ["From", "To"])
@pytest.mark.parametrize("address", ["", "72345", "Convoke"])
def test_message_with_an_invalid_address_is_refused(name: str, address: str) -> None:
    with pytest.raises(ValidationError) as raised:
        inbound_message({**SMS, name: address})
    assert "Hello" not in str(raised.value)


def test_message_without_a_sid_is_refused() -> None:
    with pytest.raises(ValidationError):
        inbound_message({name: value for name, value in SMS.items() if name != "MessageSid"})
