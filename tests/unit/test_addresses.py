"""Each channel has its own format of addresses. See docs/behaviour/addresses.md."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convoke.domain.addresses import MAX_ADDRESS_CHARACTERS, Channel, channel_of, is_phone_number


@pytest.mark.parametrize(
    ("address", "channel"),
    [
        ("+15558675310", Channel.SMS),
        ("+15017122661", Channel.SMS),
        ("+15558675311", Channel.SMS),
        ("+12025552661", Channel.SMS),
        ("+15551112222", Channel.SMS),
        ("+18005551234", Channel.SMS),
        ("+375255555555", Channel.SMS),
        ("+447911123456", Channel.SMS),
        ("+4915123456789", Channel.SMS),
        ("+390612345678", Channel.SMS),
        ("+6834000", Channel.SMS),
        ("whatsapp:+15558675310", Channel.WHATSAPP),
        ("whatsapp:+15017122661", Channel.WHATSAPP),
        ("rcs:+15558675310", Channel.RCS),
        ("rcs:brand_agent", Channel.RCS),
        ("messenger:1234567890", Channel.MESSENGER),
        ("messenger:user name", Channel.MESSENGER),
        ("messenger:a@example.com", Channel.MESSENGER),
        ("a@example.com", Channel.EMAIL),
        ("example+123@example.com", Channel.EMAIL),
        ("+15558675310@example.com", Channel.EMAIL),
        ('"a@b"@example.com', Channel.EMAIL),
    ],
)
def test_address_format_determines_the_channel(address: str, channel: Channel) -> None:
    assert channel_of(address) is channel


def test_mexican_whatsapp_number_with_the_legacy_1_is_not_a_phone_number() -> None:
    """WhatsApp writes a `1` after Mexico's country code. Phone numbers of Mexico do not contain this `1` any more."""
    assert channel_of("whatsapp:+5215512345678") is Channel.WHATSAPP
    assert channel_of("+5215512345678") is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "+",
        "15558675310",
        "0015558675310",
        "++15558675310",
        "+1 555 867 5310",
        "+1(555)867-5310",
        "+1-555-867-5310",
        " +15558675310",
        "+15558675310 ",
        "+15558675310\n",
        "+15558675310;ext=5",
        "+1555867531O",
        "+1555TWILIO0",
        "+123456",
        "+1234567890123456",
        "+" + "1" * 255,
        "+0123456789",
        "+\u0661\u0665\u0665\u0665\u0668\u0666\u0667\u0665\u0663\u0661\u0660",
        "+\uff11\uff15\uff15\uff15\uff18\uff16\uff17\uff15\uff13\uff11\uff10",
        "+1555867531\u00b2",
        "\uff0b15558675310",
        "12345",
        "alice",
        "whatsapp:",
        "whatsapp:15558675310",
        "whatsapp:alice",
        "whatsapp:a@example.com",
        "whatsapp:whatsapp:+15558675310",
        "whatsapp: +15558675310",
        "rcs:",
        "messenger:",
        "sms:+15558675310",
        "fax:+15558675310",
        "@",
        "a@",
        "@example.com",
    ],
)
def test_malformed_address_has_no_channel(address: str) -> None:
    assert channel_of(address) is None


@pytest.mark.parametrize("number", ["+4922", "+82222", "+492222", "+49111111111111111", "+8122222222222222222"])
def test_number_with_fewer_than_7_or_more_than_15_digits_has_no_channel(number: str) -> None:
    assert channel_of(number) is None
    assert channel_of("whatsapp:" + number) is None


@pytest.mark.parametrize(
    ("start", "fill", "end", "channel"),
    [
        ("messenger:", "x", "", Channel.MESSENGER),
        ("messenger:", "\U0001f600", "", Channel.MESSENGER),
        ("rcs:", "x", "", Channel.RCS),
        ("", "x", "@example.com", Channel.EMAIL),
    ],
)
def test_address_longer_than_256_characters_has_no_channel(start: str, fill: str, end: str, channel: Channel) -> None:
    longest = start + fill * (256 - len(start) - len(end)) + end
    assert len(longest) == MAX_ADDRESS_CHARACTERS
    assert channel_of(longest) is channel
    assert channel_of(start + fill + longest.removeprefix(start)) is None


def test_channel_values_are_the_binding_types_of_the_api() -> None:
    assert [str(channel) for channel in Channel] == ["sms", "whatsapp", "rcs", "messenger", "email"]


@settings(deadline=None)
@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: "+" + text),
        st.text("0123456789").map(lambda digits: "+" + digits),
        st.text().map(lambda text: "whatsapp:" + text),
        st.tuples(st.text(), st.text()).map("@".join),
    )
)
@example("\ud800")
@example("+" + "9" * 10_000)
@example("+\x00")
@example("whatsapp:+\u0967")
def test_channel_of_any_text_never_raises(text: str) -> None:
    channel = channel_of(text)
    assert channel is None or len(text) <= MAX_ADDRESS_CHARACTERS
    assert is_phone_number(text) is (channel is Channel.SMS)


@settings(deadline=None)
@given(st.text("0123456789", max_size=20))
@example("4922")
@example("6200000000000000")
def test_phone_number_has_7_to_15_digits(digits: str) -> None:
    if is_phone_number("+" + digits):
        assert 7 <= len(digits) <= 15
