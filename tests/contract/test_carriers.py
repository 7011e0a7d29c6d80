"""The adapters of Twilio and AWS send message copies to their carriers, and translate the carriers' errors.

Local fakes replace the carriers. tests/api/test_message_sender.py tests the simulated carrier.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from convoke.aws.edges import AwsEdges
from convoke.aws.sms_carrier import MAX_BYTES, SERVICE, SmsCarrier
from convoke.carriers.twilio import TwilioCarrier
from convoke.cli.ministack import free_port
from convoke.domain.carriers import (
    CarrierOutcomeUnknownError,
    CarrierRefusedError,
    CarrierThrottledError,
    CarrierUnavailableError,
    CopyMedia,
    OutboundCopy,
    SentCopy,
)
from convoke.domain.errors import (
    CarrierFailedError,
    CopyBlockedError,
    LandlineError,
    LogEntry,
    MediaNotCarriedError,
    OptedOutError,
    PhoneUnknownError,
    SenderMissingError,
)
from convoke.domain.media import PHONE_TYPES, Category, Content, Media
from convoke.domain.receipts import Receipt, ReceiptStatus
from convoke.domain.senders import Provider, Sender, TwilioCredentials
from convoke.operations.ports import Carrier
from tests.support.aws import CREDENTIALS
from tests.support.carriers import ACCOUNT, TOKEN, Reply, StandIn, aws_stand_in, twilio_stand_in
from tests.support.processes import full_listener

PHONE, BUSINESS = "+15558675310", "+15017122661"
ARN = "arn:aws:sms-voice:us-east-1:123456789012:phone-number/phone-0123"
NOW = datetime.now(UTC)
SENDER = Sender(
    account_sid="AC" + "0" * 32,
    sid="XE" + "0" * 32,
    address=BUSINESS,
    provider=Provider.TWILIO,
    origination_identity=ARN,
    date_created=NOW,
    date_updated=NOW,
)
RECEIPT = Receipt(
    account_sid="AC" + "0" * 32,
    conversation_sid="CH" + "0" * 32,
    sid="DY" + "0" * 32,
    message_sid="IM" + "0" * 32,
    channel_message_sid="SM" + "0" * 32,
    participant_sid="MB" + "0" * 32,
    status=ReceiptStatus.SENDING,
    date_created=NOW,
)
COPY = OutboundCopy(RECEIPT, SENDER, PHONE, "Grüße & +1 €", TwilioCredentials(account_sid=ACCOUNT, auth_token=TOKEN))


def picture(url: str = "https://m/1", content_type: str = "image/png", size: int = 2 * 1024 * 1024) -> CopyMedia:
    media = Media(
        account_sid=RECEIPT.account_sid,
        chat_service_sid="IS" + "0" * 32,
        sid="ME" + "0" * 32,
        category=Category.MEDIA,
        content=Content(content_type=content_type, size=size),
        date_created=NOW,
        date_updated=NOW,
    )
    return CopyMedia(media, url)


@pytest.fixture
def twilio() -> Iterator[StandIn]:
    with twilio_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with aws_stand_in() as stand_in:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.url)
        yield stand_in


def sms_carrier() -> Carrier:
    return AwsEdges({"AWS_REGION": "us-east-1", "CONVOKE_MEDIA_BUCKET": "media"}).carriers[Provider.AWS]


@contextmanager
def refused(entry: type[LogEntry]) -> Iterator[None]:
    with pytest.raises(CarrierRefusedError) as caught:
        yield
    assert caught.value.entry is entry


# Twilio


def test_twilio_gets_the_copy_and_the_url_for_its_statuses(twilio: StandIn) -> None:
    carrier = TwilioCarrier("https://chat.example.com", twilio.url)
    sent = carrier.send(COPY._replace(media=[picture("https://m/1"), picture("/relative"), picture("https://m/2")]))
    assert sent == ("SM" + f"{1:032x}", ReceiptStatus.SENT)
    (request,) = twilio.requests
    sids = {"ConversationSid": RECEIPT.conversation_sid, "MessageSid": RECEIPT.message_sid, "ReceiptSid": RECEIPT.sid}
    query = "&".join(f"{name}={sid}" for name, sid in sids.items())
    assert request["form"] == {
        "From": [BUSINESS],
        "To": [PHONE],
        "Body": [COPY.text],
        "MediaUrl": ["https://m/1", "https://m/2"],
        "StatusCallback": [f"https://chat.example.com/convoke/v1/Statuses/Twilio/{SENDER.sid}?{query}"],
    }
    assert not carrier.sends_group_mms


def test_twilio_reports_no_statuses_without_a_public_url(twilio: StandIn) -> None:
    TwilioCarrier(None, twilio.url).send(COPY)
    assert "StatusCallback" not in twilio.requests[0]["form"]


@pytest.mark.parametrize(
    ("code", "entry"),
    [
        (21610, OptedOutError),
        (21211, PhoneUnknownError),
        (21614, LandlineError),
        (21606, SenderMissingError),
        (21617, CarrierFailedError),
    ],
)
def test_error_code_of_twilio_becomes_the_matching_log_entry(twilio: StandIn, code: int, entry: type[LogEntry]) -> None:
    twilio.replies.append(Reply(400, {"code": code, "message": "No", "status": 400}))
    with refused(entry):
        TwilioCarrier(None, twilio.url).send(COPY)


@pytest.mark.parametrize("reply", [Reply(429, {"code": 20429}), Reply(400, {"code": 21611})])
def test_throttling_by_twilio_is_recognized(twilio: StandIn, reply: Reply) -> None:
    twilio.replies.append(reply)
    with pytest.raises(CarrierThrottledError):
        TwilioCarrier(None, twilio.url).send(COPY)


@pytest.mark.parametrize(("account_sid", "auth_token"), [(ACCOUNT, "old"), ("AC" + "8" * 32, TOKEN)])
def test_wrong_twilio_credentials_make_the_carrier_unavailable(
    twilio: StandIn, account_sid: str, auth_token: str
) -> None:
    wrong = COPY._replace(secret=TwilioCredentials(account_sid=account_sid, auth_token=auth_token))
    with pytest.raises(CarrierUnavailableError, match="401 and the code 20003"):
        TwilioCarrier(None, twilio.url).send(wrong)


def test_overloaded_twilio_makes_the_carrier_unavailable(twilio: StandIn) -> None:
    twilio.replies.append(Reply(503, {"code": 20503}))
    with pytest.raises(CarrierUnavailableError, match="503"):
        TwilioCarrier(None, twilio.url).send(COPY)


def test_copy_of_a_sender_without_credentials_is_refused(twilio: StandIn) -> None:
    with refused(SenderMissingError):
        TwilioCarrier(None, twilio.url).send(COPY._replace(secret=None))
    assert twilio.requests == []


@pytest.mark.parametrize(
    "reply", [Reply(is_lost=True), Reply(500, {"code": 20500}), Reply(201, "<html>"), Reply(201, "[]"), Reply(201, {})]
)
def test_lost_response_of_twilio_leaves_the_outcome_unknown(twilio: StandIn, reply: Reply) -> None:
    twilio.replies.append(reply)
    with pytest.raises(CarrierOutcomeUnknownError):
        TwilioCarrier(None, twilio.url).send(COPY)


def test_twilio_certainly_has_no_copy_if_it_cannot_be_reached() -> None:
    with pytest.raises(CarrierUnavailableError):
        TwilioCarrier(None, f"http://127.0.0.1:{free_port()}").send(COPY)


def is_cut(url: str) -> Future[SentCopy]:
    """Send a copy to the server at `url`. Abort the call while it waits for the server, and return the ended call."""
    with ThreadPoolExecutor(1) as pool:
        carrier = TwilioCarrier(None, url)
        call = pool.submit(carrier.send, COPY)
        time.sleep(0.3)
        assert call.running()
        carrier.cut()
        wait([call], 1)
        assert call.done()
    return call


def test_nobody_knows_whether_twilio_has_the_copy_of_a_call_that_was_cut() -> None:
    # The operating system accepts the connection, but no server reads the request.
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(CarrierOutcomeUnknownError):
        is_cut(f"http://127.0.0.1:{listener.getsockname()[1]}").result()


def test_twilio_certainly_has_no_copy_of_a_call_that_was_cut_without_a_connection() -> None:
    with full_listener() as (host, port), pytest.raises(CarrierUnavailableError):
        is_cut(f"http://{host}:{port}").result()


# AWS


def test_aws_gets_the_copy_and_the_context_for_its_events(aws: StandIn) -> None:
    carrier = sms_carrier()
    copy = COPY._replace(sender=SENDER.model_copy(update={"configuration_set": "events"}))
    assert carrier.send(copy) == ("message-1", ReceiptStatus.SENT)
    assert aws.requests == [
        {
            "DestinationPhoneNumber": PHONE,
            "OriginationIdentity": ARN,
            "MessageBody": COPY.text,
            "MessageType": "TRANSACTIONAL",
            "ConfigurationSetName": "events",
            "Context": {
                "account": RECEIPT.account_sid,
                "conversation": RECEIPT.conversation_sid,
                "message": RECEIPT.message_sid,
                "receipt": RECEIPT.sid,
            },
        }
    ]
    assert not carrier.sends_group_mms


@pytest.mark.parametrize("text", ["Look", "", " "])
def test_aws_reads_the_media_of_a_copy_from_the_bucket(aws: StandIn, text: str) -> None:
    sender = SENDER.model_copy(update={"configuration_set": "events"})
    sent = sms_carrier().send(COPY._replace(sender=sender, text=text, media=[picture()]))
    assert sent == ("message-1", ReceiptStatus.SENT)
    (request,) = aws.requests
    assert request.pop("Context")["receipt"] == RECEIPT.sid
    assert request == {
        "DestinationPhoneNumber": PHONE,
        "OriginationIdentity": ARN,
        "ConfigurationSetName": "events",
        "MediaUrls": [f"s3://media/{RECEIPT.account_sid}/ME{'0' * 32}"],
        **({"MessageBody": "Look"} if text.strip() else {}),
    }


@pytest.mark.parametrize(
    "media",
    [
        [picture(), picture()],
        [picture(size=2 * 1024 * 1024 + 1)],
        [picture(content_type="video/mp4", size=600 * 1024 + 1)],
        [picture(content_type="image/webp", size=1)],
    ],
)
def test_media_that_aws_does_not_send_are_refused_without_a_call(aws: StandIn, media: list[CopyMedia]) -> None:
    with refused(MediaNotCarriedError):
        sms_carrier().send(COPY._replace(media=media))
    assert aws.requests == []


def test_phones_can_get_each_type_of_media_that_aws_sends() -> None:
    assert set(MAX_BYTES) <= PHONE_TYPES


def test_aws_refuses_a_copy_without_content(aws: StandIn) -> None:
    with refused(CarrierFailedError):
        sms_carrier().send(COPY._replace(text=" "))
    assert aws.requests == []


@pytest.mark.parametrize(
    ("code", "reason", "entry"),
    [
        ("ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", OptedOutError),
        ("ConflictException", "NO_ORIGINATION_IDENTITIES_FOUND", SenderMissingError),
        ("ValidationException", "DESTINATION_COUNTRY_BLOCKED", CopyBlockedError),
        ("ValidationException", "MEDIA_TYPE_NOT_SUPPORTED", MediaNotCarriedError),
        ("ValidationException", "OTHER", CarrierFailedError),
        ("ResourceNotFoundException", "", SenderMissingError),
    ],
)
def test_error_code_of_aws_becomes_the_matching_log_entry(
    aws: StandIn, code: str, reason: str, entry: type[LogEntry]
) -> None:
    aws.replies.append(Reply(400, {"__type": code, "Message": "No", "Reason": reason}))
    with refused(entry):
        sms_carrier().send(COPY)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ThrottlingException", CarrierThrottledError),
        ("AccessDeniedException", CarrierUnavailableError),
        ("ServiceQuotaExceededException", CarrierUnavailableError),
    ],
)
def test_temporary_error_of_aws_is_recognized(aws: StandIn, code: str, error: type[Exception]) -> None:
    aws.replies.append(Reply(400, {"__type": code, "Message": "No"}))
    with pytest.raises(error):
        sms_carrier().send(COPY)
    assert len(aws.requests) == 1


@pytest.mark.parametrize("reply", [Reply(is_lost=True), Reply(500, {"__type": "InternalServerException"})])
def test_call_to_aws_that_may_have_sent_a_copy_is_not_repeated_by_botocore(aws: StandIn, reply: Reply) -> None:
    aws.replies.append(reply)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any error but the three below
        sms_carrier().send(COPY)
    assert not isinstance(caught.value, CarrierRefusedError | CarrierThrottledError | CarrierUnavailableError)
    assert len(aws.requests) == 1


def test_aws_certainly_has_no_copy_if_it_cannot_be_reached(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(CarrierUnavailableError):
        sms_carrier().send(COPY)
    assert aws.requests == []


def test_client_of_aws_is_made_with_the_first_copy() -> None:
    made: list[str] = []

    class Client:
        def send_text_message(self, **_: Any) -> dict[str, str]:
            return {"MessageId": "1"}

    def client() -> Client:
        made.append(SERVICE)
        return Client()

    carrier = SmsCarrier(client, lambda media: media.sid)
    assert made == []
    carrier.send(COPY)
    assert made == [SERVICE]
