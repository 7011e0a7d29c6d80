"""Twilio sends message copies and reports each copy's status. See docs/phones/twilio.md.

A local fake replaces Twilio.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from twilio.request_validator import RequestValidator

from convoke.carriers.twilio import TwilioCarrier
from convoke.domain.carriers import OutboundCopy, SentCopy
from convoke.domain.errors import (
    CarrierFailedError,
    CopyDelayedTooLongError,
    CopyFilteredError,
    LogEntry,
    MediaNotCarriedError,
    PhoneUnreachableError,
)
from convoke.domain.media import Media
from convoke.domain.receipts import ReceiptStatus
from convoke.domain.senders import Provider
from convoke.domain.twilio_statuses import status_in
from convoke.embedded.engine import EmbeddedEdges
from convoke.embedded.gateway import RequestContext
from convoke.storage.media import MediaRepository
from tests.support.carriers import ACCOUNT, TOKEN, Reply, StandIn, twilio_stand_in
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, event_of, held_instance
from tests.support.media import media_sid
from tests.support.phones import BUSINESS, PHONE, conversation_with

PAIR = CHAT_AND_SMS[0]

SENDER = {
    "Address": BUSINESS,
    "Provider": "twilio",
    "Twilio.AccountSid": ACCOUNT,
    "Twilio.AuthToken": TOKEN,
}


@pytest.fixture
def twilio() -> Iterator[StandIn]:
    with twilio_stand_in() as stand_in:
        yield stand_in


class HastyCarrier(TwilioCarrier):
    """A carrier that calls `report` before the message sender stores the copy's outcome."""

    report: Callable[[], object] = staticmethod(lambda: None)

    def send(self, copy: OutboundCopy) -> SentCopy:
        sent = super().send(copy)
        self.report()
        return sent


@contextmanager
def instance_with(
    stand_in: StandIn, public_url: str | None = ORIGIN, carrier: TwilioCarrier | None = None
) -> Iterator[EmbeddedInstance]:
    """Run an instance whose business number uses the fake Twilio."""
    carrier = carrier or TwilioCarrier(ORIGIN, stand_in.url)

    def rewire(edges: EmbeddedEdges) -> EmbeddedEdges:
        carriers = {**edges.carriers, Provider.TWILIO: carrier}
        return replace(edges, carriers=carriers, public_url=public_url)

    with held_instance(rewire=rewire) as instance:
        assert instance.call("POST", "/convoke/v1/Senders", SENDER).status == 201
        yield instance


@pytest.fixture
def connected(twilio: StandIn) -> Iterator[EmbeddedInstance]:
    with instance_with(twilio) as instance:
        yield instance


def report(instance: Instance, url: str, token: str = TOKEN, **parameters: str) -> int:
    """Send a status report with Twilio's signature to the StatusCallback `url`. Return the HTTP status."""
    form = {"MessageSid": "SM" + "0" * 32, "AccountSid": ACCOUNT, **parameters}
    signature = RequestValidator(token).compute_signature(url, form)
    event = event_of("POST", url, data=form, headers={"X-Twilio-Signature": signature})
    return int(instance.api(event, RequestContext())["statusCode"])


def callback(stand_in: StandIn, number: int = -1) -> str:
    """Return the StatusCallback of a copy that the fake Twilio received. By default, this is the latest copy."""
    return str(stand_in.requests[number]["form"]["StatusCallback"][0])


def statuses(instance: Instance) -> Mapping[str, int]:
    return Counter(str(receipt["status"]) for receipt in instance.items("receipt#"))


def alerts(instance: Instance) -> list[str]:
    return [alert["error_code"] for alert in instance.call("GET", "/v1/Alerts").body["alerts"]]


def send(instance: Instance, *participants: str, **message: Any) -> Any:
    """Send a message in a new conversation. Return the SDK's message context."""
    conversation = conversation_with(instance, *(participants or (PAIR,)))
    sid = conversation.messages.create(**{"body": "Hello", **message}).sid
    instance.work()
    return conversation.messages(sid)


def test_copy_is_sent_and_its_reported_status_is_shown(connected: EmbeddedInstance, twilio: StandIn) -> None:
    message = send(connected)
    (request,) = twilio.requests
    assert (request["user"], request["form"]["To"], request["form"]["Body"]) == (ACCOUNT, [PHONE], ["Hello"])
    (receipt,) = message.delivery_receipts.list()
    assert (receipt.status, receipt.error_code) == ("sent", 0)
    (stored,) = connected.items("receipt#")
    assert (stored["provider"], stored["provider_message_id"]) == ("twilio", f"SM{1:032x}")
    for status in ("queued", "sent", "delivered", "sent"):
        assert report(connected, callback(twilio), MessageStatus=status) == 204
    assert message.delivery_receipts(receipt.sid).fetch().status == "delivered"
    assert message.fetch().delivery["delivered"] == "all"
    connected.work()
    events = connected.call("GET", "/convoke/v1/Events?PageSize=100").body["events"]
    updates = [each["payload"]["Status"] for each in events if each["event_type"] == "onDeliveryUpdated"]
    assert updates == ["delivered", "sent"]


def test_failed_delivery_has_the_code_of_twilio(connected: EmbeddedInstance, twilio: StandIn) -> None:
    message = send(connected)
    assert report(connected, callback(twilio), MessageStatus="undelivered", ErrorCode="30007") == 204
    (receipt,) = message.delivery_receipts.list()
    assert (receipt.status, receipt.error_code) == ("undelivered", 30007)
    assert alerts(connected) == ["30007"]


def test_report_with_a_wrong_signature_changes_nothing(connected: EmbeddedInstance, twilio: StandIn) -> None:
    send(connected)
    assert report(connected, callback(twilio), token="0" * 32, MessageStatus="read") == 403
    other = callback(twilio).replace("XE", "XE0")[: len(callback(twilio))]
    assert report(connected, other, MessageStatus="read") == 403
    assert statuses(connected) == {"sent": 1}


def test_signed_query_cannot_name_a_copy_of_another_account(connected: EmbeddedInstance, twilio: StandIn) -> None:
    send(connected)
    other = connected.accounts.create()
    form = SENDER | {"Address": "+15017122662"}
    auth = (other.sid, connected.accounts.token(other.sid))
    event = event_of("POST", f"{ORIGIN}/convoke/v1/Senders", auth=auth, data=form)
    assert connected.api(event, RequestContext())["statusCode"] == 201
    (mine, theirs) = sorted(connected.items("sender#"), key=lambda item: bool(item["account_sid"] == other.sid))
    url = f"{callback(twilio)}&AccountSid={connected.account.sid}".replace(mine["sid"], theirs["sid"])
    assert report(connected, url, MessageStatus="read") == 204
    assert statuses(connected) == {"sent": 1}


@pytest.mark.parametrize("query", ["", "ConversationSid=CH1", "ConversationSid=x&MessageSid=y&ReceiptSid=z"])
def test_report_without_a_copy_changes_nothing(connected: EmbeddedInstance, twilio: StandIn, query: str) -> None:
    send(connected)
    url = urlsplit(callback(twilio))._replace(query=query).geturl()
    assert report(connected, url, MessageStatus="read") == 204
    assert statuses(connected) == {"sent": 1}


def test_lost_answer_is_settled_by_the_report_and_the_copy_is_not_repeated(
    connected: EmbeddedInstance, twilio: StandIn
) -> None:
    twilio.replies.append(Reply(is_lost=True))
    message = send(connected)
    assert statuses(connected) == {"sending": 1}
    assert report(connected, callback(twilio), MessageStatus="delivered") == 204
    connected.forget_pauses()
    connected.work()
    (receipt,) = message.delivery_receipts.list()
    assert (receipt.status, len(twilio.requests)) == ("delivered", 1)


def test_opted_out_phone_is_final(connected: EmbeddedInstance, twilio: StandIn) -> None:
    twilio.replies.append(Reply(400, {"code": 21610, "message": "Attempt to send to unsubscribed recipient"}))
    (receipt,) = send(connected).delivery_receipts.list()
    connected.forget_pauses()
    connected.work()
    assert (receipt.status, receipt.error_code, len(twilio.requests)) == ("failed", 21610, 1)
    assert alerts(connected) == ["21610"]


def test_carrier_that_fails_twice_gets_the_copy_three_times(connected: EmbeddedInstance, twilio: StandIn) -> None:
    twilio.replies += [Reply(500, {"code": 20500}), Reply(401, {"code": 20003})]
    message = send(connected)
    for _ in range(2):
        connected.forget_pauses()
        connected.work()
    (receipt,) = message.delivery_receipts.list()
    assert (receipt.status, len(twilio.requests)) == ("sent", 3)
    # Twilio may have accepted the copy to which it responded with 500. Then the phone gets the copy twice.
    assert connected.items("receipt#")[0]["may_be_repeated"] is True


def test_copy_whose_answer_is_lost_twice_is_not_sent_a_third_time(connected: EmbeddedInstance, twilio: StandIn) -> None:
    twilio.replies += [Reply(is_lost=True)] * 3
    message = send(connected)
    for _ in range(3):
        connected.forget_pauses()
        connected.work()
    (receipt,) = message.delivery_receipts.list()
    assert (receipt.status, receipt.error_code, len(twilio.requests)) == ("failed", 30008, 2)


def test_answer_of_a_member_finds_the_group_although_the_report_came_before_the_outcome(twilio: StandIn) -> None:
    carrier = HastyCarrier(ORIGIN, twilio.url)
    with instance_with(twilio, carrier=carrier) as instance:
        carrier.report = lambda: report(instance, callback(twilio), MessageStatus="delivered")
        send(instance, *GROUP_MMS, author=BUSINESS)
        assert statuses(instance) == {"delivered": 2}
        assert len(instance.items("CH")) == 2


def test_deleted_sender_fails_the_copy(connected: EmbeddedInstance, twilio: StandIn) -> None:
    (sender,) = connected.call("GET", "/convoke/v1/Senders").body["senders"]
    connected.engine.edges.sender_secrets.delete(connected.account.sid, sender["sid"])
    (receipt,) = send(connected).delivery_receipts.list()
    assert (receipt.status, receipt.error_code, twilio.requests) == ("failed", 21703, [])


def test_member_of_a_group_gets_a_copy_with_the_name_of_the_author(
    connected: EmbeddedInstance, twilio: StandIn
) -> None:
    send(connected, *GROUP_MMS, author=BUSINESS)
    bodies = [request["form"]["Body"] for request in twilio.requests]
    assert bodies == [[f"{BUSINESS}: Hello"]] * 2
    # Convoke stores one record for each phone. The record leads the phone's answer to the group's conversation.
    assert len(connected.items("CH")) == 2


@pytest.mark.parametrize("public_url", [ORIGIN, None])
def test_twilio_gets_links_to_media_if_it_can_reach_them(twilio: StandIn, public_url: str | None) -> None:
    with instance_with(twilio, public_url=public_url) as instance:
        send(instance, media_sid=media_sid(instance))
        form = twilio.requests[0]["form"]
        if public_url is None:
            assert "MediaUrl" not in form
            return
        (link,) = form["MediaUrl"]
        answered = instance.api(event_of("GET", link), RequestContext())
    assert (answered["statusCode"], answered["headers"]["Content-Type"]) == (200, "image/png")


def test_media_of_a_copy_are_read_at_once(embedded: EmbeddedInstance) -> None:
    sids = [media_sid(embedded) for _ in range(3)]
    links_to = embedded.engine.program.message_sender.links_to
    reads: list[int] = []

    class Counting(MediaRepository):
        def fetch_many(self, account_sid: str, media_sids: Sequence[str]) -> dict[str, Media]:
            reads.append(len(media_sids))
            return super().fetch_many(account_sid, media_sids)

        def fetch(self, account_sid: str, media_sid: str) -> Media | None:
            raise NotImplementedError

    found = replace(links_to, media=Counting(embedded.table))(embedded.account.sid, [*sids, "ME" + "0" * 32])
    assert ([each.media.sid for each in found], reads) == (sids, [4])
    assert all(sid in each.url for sid, each in zip(sids, found, strict=True))


def test_simulated_phone_gets_a_link_to_the_media(embedded: EmbeddedInstance) -> None:
    send(embedded, media_sid=media_sid(embedded))
    (item,) = embedded.items("phone-message#")
    (link,) = item["media_urls"]
    answered = embedded.api(event_of("GET", ORIGIN + link), RequestContext())
    assert answered["statusCode"] == 200


@pytest.mark.parametrize(
    ("parameters", "status", "entry"),
    [
        ({"MessageStatus": "Read"}, ReceiptStatus.READ, None),
        ({"MessageStatus": "delivered", "ErrorCode": ""}, ReceiptStatus.DELIVERED, None),
        ({"MessageStatus": "failed", "ErrorCode": "30003"}, ReceiptStatus.FAILED, PhoneUnreachableError),
        ({"MessageStatus": "failed", "ErrorCode": "30001"}, ReceiptStatus.FAILED, CopyDelayedTooLongError),
        ({"MessageStatus": "failed", "ErrorCode": "30019"}, ReceiptStatus.FAILED, MediaNotCarriedError),
        ({"MessageStatus": "undelivered", "ErrorCode": "30034"}, ReceiptStatus.UNDELIVERED, CopyFilteredError),
        ({"MessageStatus": "undelivered", "ErrorCode": "39999"}, ReceiptStatus.UNDELIVERED, CarrierFailedError),
        ({"MessageStatus": "undelivered"}, ReceiptStatus.UNDELIVERED, CarrierFailedError),
        ({"MessageStatus": "undelivered", "ErrorCode": "9" * 5000}, ReceiptStatus.UNDELIVERED, CarrierFailedError),
        ({"MessageStatus": "accepted"}, None, None),
        ({}, None, None),
    ],
)
def test_status_callback_becomes_the_matching_status(
    parameters: dict[str, str], status: ReceiptStatus | None, entry: type[LogEntry] | None
) -> None:
    assert status_in(parameters) == (status, entry)
