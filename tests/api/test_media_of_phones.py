"""Convoke fetches the media of a phone's message, and adds the media to the message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from convoke.domain.media import CarrierCredentials
from convoke.webhooks.answers import FetchedMedia, MediaRefusedError
from tests.api.conftest import EMBEDDED
from tests.api.test_inbound_messages import ask_before_conversations, pair
from tests.api.test_media import download
from tests.api.test_simulator import inbox
from tests.api.test_twilio_webhooks import TOKEN, TWILIO_ACCOUNT, create_sender, deliver
from tests.support.aws import moto_instance
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, held_instance
from tests.support.media import PICTURE, media_sid
from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE, configure, conversation_with, text

URL = "https://media.example.com/picture"
GONE = "https://media.example.com/gone"


class MediaServer:
    """A fake media client that returns a picture for every URL in `pictures` and refuses other URLs."""

    def __init__(self) -> None:
        self.fetched: list[tuple[str, CarrierCredentials | None]] = []
        self.pictures = {URL, f"{URL}2"}
        self.content_type = "image/png"

    @contextmanager
    def fetch(self, url: str, credentials: CarrierCredentials | None, _: float) -> Iterator[FetchedMedia]:
        self.fetched.append((url, credentials))
        if url not in self.pictures:
            raise MediaRefusedError("404")
        yield FetchedMedia(self.content_type, "picture.png", iter([PICTURE]))


@pytest.fixture
def server() -> MediaServer:
    return MediaServer()


@pytest.fixture
def instance(server: MediaServer, tmp_path: Path) -> Iterator[EmbeddedInstance]:
    with held_instance(str(tmp_path / "convoke.db"), media_client=server) as made:
        configure(made)
        yield made


def media_of(instance: EmbeddedInstance, received: dict[str, Any]) -> list[dict[str, Any]]:
    messages = instance.client().conversations.v1.conversations(received["conversation_sid"]).messages
    media: list[dict[str, Any]] = messages(received["message_sid"]).fetch().media or []
    return media


def test_first_message_with_a_picture_and_no_text_creates_a_conversation(
    instance: EmbeddedInstance, server: MediaServer
) -> None:
    ask_before_conversations(instance)
    received = text(instance, None, MediaUrl=URL).body
    (media,) = media_of(instance, received)
    described = {name: media[name] for name in ("content_type", "size", "filename")}
    assert described == {"content_type": "image/png", "size": len(PICTURE), "filename": "picture.png"}
    (posted,) = instance.receivers.posted
    assert [each["Sid"] for each in json.loads(posted.event.payload["Media"])] == [media["sid"]]
    assert "MessageBody" not in posted.event.payload
    assert server.fetched == [(URL, None)]


def test_message_with_text_and_pictures_goes_to_its_conversation(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, pair(), pair(OTHER_PHONE))
    received = text(instance, "Look", MediaUrl=[URL, f"{URL}2"]).body
    assert received["conversation_sid"] == conversation.fetch().sid
    assert len(media_of(instance, received)) == 2


def test_picture_that_cannot_be_fetched_is_left_out(instance: EmbeddedInstance) -> None:
    received = text(instance, "Look", MediaUrl=[GONE, URL]).body
    assert len(media_of(instance, received)) == 1
    (alert,) = alerts_about(instance, received["message_sid"])
    assert alert["error_code"] == "11200"
    assert alert["alert_text"] == "11200: Media of a message from a phone could not be stored: 1 of 2, 404"


def alerts_about(instance: Instance, message_sid: str) -> list[dict[str, Any]]:
    alerts = instance.call("GET", "/v1/Alerts").body["alerts"]
    return [alert for alert in alerts if alert["resource_sid"] == message_sid]


@pytest.mark.parametrize("url", [GONE, "http://169.254.169.254/latest"])
def test_message_without_text_arrives_although_its_picture_cannot_be_fetched(
    instance: EmbeddedInstance, url: str
) -> None:
    first = text(instance, None, MediaUrl=[url, GONE]).body
    again = text(instance, None, MediaUrl=url).body
    assert first["conversation_sid"] == again["conversation_sid"]
    messages = instance.client().conversations.v1.conversations(first["conversation_sid"]).messages
    for received, lost in ((first, "2 of 2"), (again, "1 of 1")):
        message = messages(received["message_sid"]).fetch()
        assert (message.author, message.body, message.media) == (PHONE, None, None)
        (alert,) = alerts_about(instance, received["message_sid"])
        assert (alert["error_code"], lost in alert["alert_text"], url in str(alert)) == ("11200", True, False)


def test_message_that_has_lost_its_picture_can_be_changed(instance: EmbeddedInstance) -> None:
    received = text(instance, None, MediaUrl=GONE).body
    message = (
        instance.client().conversations.v1.conversations(received["conversation_sid"]).messages(received["message_sid"])
    )
    assert message.update(attributes='{"seen": true}').attributes == '{"seen": true}'
    with pytest.raises(TwilioRestException) as refused:
        message.update(body="")
    assert refused.value.code == 50503
    assert message.update(body="a picture of a cat").body == "a picture of a cat"


def test_message_without_text_and_media_is_still_refused(instance: EmbeddedInstance) -> None:
    assert text(instance, "").body["code"] == 50503
    assert instance.items("message#") == []


@contextmanager
def engine_with(server: MediaServer, engine: str) -> Iterator[Instance]:
    if engine == EMBEDDED:
        with held_instance(media_client=server) as embedded:
            yield embedded
        return
    with moto_instance() as moto:
        vars(moto.edges("api"))["media_client"] = server
        yield moto


@pytest.mark.each_engine
def test_message_of_a_carrier_with_a_lost_picture_is_stored_once(engine: str, server: MediaServer) -> None:
    with engine_with(server, engine) as instance:
        configure(instance)
        sid = create_sender(instance)
        for _ in range(2):
            answer = deliver(instance, sid, Body="", NumMedia="1", MediaUrl0=GONE, MessageSid="MM" + "0" * 32)
            assert answer["statusCode"] == 200
        (message,) = instance.items("message#")
        (alert,) = alerts_about(instance, message["sid"])
        assert alert["error_code"] == "11200"


def test_message_comes_again_if_convoke_cannot_store_its_picture(
    instance: EmbeddedInstance, tmp_path: Path, server: MediaServer
) -> None:
    sid = create_sender(instance)
    blocked = tmp_path / "convoke.db.media"
    blocked.write_text("A file in place of the folder.")
    assert deliver(instance, sid, Body="Look", NumMedia="1", MediaUrl0=URL)["statusCode"] == 503
    assert instance.items("message#") == []
    blocked.unlink()
    assert deliver(instance, sid, Body="Look", NumMedia="1", MediaUrl0=URL)["statusCode"] == 200
    (stored,) = instance.items("message#")
    assert len(stored["media"]) == 1
    assert len(server.fetched) == 2


def test_picture_is_fetched_once_although_the_operation_is_repeated(
    instance: EmbeddedInstance, server: MediaServer
) -> None:
    """While a message waits for a pre-event, a second message of the same phone creates the conversation.

    Therefore Convoke must process the waiting message again from the beginning.
    """
    ask_before_conversations(instance)

    def text_again() -> None:
        instance.receivers.on_call = lambda: None
        text(instance, "faster")

    instance.receivers.on_call = text_again
    received = text(instance, "Look", MediaUrl=URL).body
    assert len(media_of(instance, received)) == 1
    assert server.fetched == [(URL, None)]
    assert len(instance.items("conversation")) == 1


def test_group_message_with_a_picture_reaches_the_other_phones(instance: EmbeddedInstance) -> None:
    received = text(instance, "Look", BUSINESS, OTHER_PHONE, MediaUrl=URL).body
    assert len(media_of(instance, received)) == 1
    assert [each["media_urls"] for each in inbox(instance, OTHER_PHONE)] == [[URL]]


def test_inbox_contains_links_that_a_test_can_open(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, pair())
    conversation.messages.create(media_sid=media_sid(instance))
    instance.work()
    (got,) = inbox(instance)
    (link,) = got["media_urls"]
    assert got["body"] == ""
    assert link.startswith(ORIGIN)
    assert download(instance, link)[::2] == (200, PICTURE)


def test_twilio_gets_the_credentials_of_the_sender_for_its_media(
    instance: EmbeddedInstance, server: MediaServer
) -> None:
    url = "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0"
    server.pictures.add(url)
    sid = create_sender(instance)
    assert deliver(instance, sid, Body="", NumMedia="1", MediaUrl0=url)["statusCode"] == 200
    (stored,) = instance.items("message#")
    assert len(stored["media"]) == 1
    credentials = CarrierCredentials("https://api.twilio.com", TWILIO_ACCOUNT, TOKEN)
    assert server.fetched == [(url, credentials)]


@pytest.mark.parametrize("urls", [["ftp://media.example.com/"], ["no URL"], [URL] * 11])
def test_invalid_media_urls_are_refused(instance: EmbeddedInstance, urls: list[str]) -> None:
    refused = text(instance, "Look", MediaUrl=urls)
    assert (refused.status, refused.body["code"]) == (400, 20001)
