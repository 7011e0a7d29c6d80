"""Clients upload and download media and send media in messages, and Convoke removes unused media.

See docs/behaviour/media.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from convoke.api.responses import FileResponse
from convoke.aws.edges import MAX_UPLOAD_BYTES
from convoke.domain.errors import (
    InvalidParameterError,
    MediaAlreadyUsedError,
    MediaNotFoundError,
    MediaTooLargeError,
)
from convoke.domain.events import Origin
from convoke.domain.media import MAX_MEDIA, MAX_MEDIA_IN_SET, MAX_MMS_BYTES, MAX_WHATSAPP_BYTES
from convoke.domain.messages import NewMediaMessage
from convoke.embedded.gateway import RequestContext
from convoke.operations.request_webhooks import LaterWebhooks
from convoke.storage.media import MediaRepository
from tests.support.aws import moto_instance
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import ORIGIN, Answer, Instance, call, event_of, held_instance, refusal
from tests.support.manual_clock import ManualClock
from tests.support.media import PICTURE, media_path, media_sid, upload

WHATSAPP = json.dumps(
    {"messaging_binding": {"address": "whatsapp:+15558675310", "proxy_address": "whatsapp:+15017122661"}}
)


CHAT = chat(2)


def conversation_of(instance: Instance, participants: Sequence[str] = CHAT) -> Any:
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=participants).sid
    instance.work()
    return v1.conversations(sid)


def download(instance: Any, url: str, **given: Any) -> tuple[int, dict[str, str], bytes]:
    """Download `url` from the embedded engine. Return the status, the headers and the content."""
    response = instance.engine.api.respond(event_of("GET", url, **given), RequestContext())
    if not isinstance(response, FileResponse):
        return response.status_code, response.headers, response.body.encode()
    with response.open() as file:
        return response.status_code, response.headers, file.read()


@pytest.mark.each_engine
def test_upload_returns_every_field(instance: Instance) -> None:
    created = upload(instance, Filename="car.png", Category="media")
    url = f"{ORIGIN}{media_path(instance, created['sid'])}"
    links = created.pop("links")
    assert created == {
        "sid": created["sid"],
        "service_sid": instance.account.default_chat_service_sid,
        "channel_sid": None,
        "message_sid": None,
        "date_created": created["date_created"],
        "date_updated": created["date_created"],
        "date_upload_updated": created["date_created"],
        "size": len(PICTURE),
        "content_type": "image/png",
        "filename": "car.png",
        "author": None,
        "category": "media",
        "url": url,
    }
    assert links["content"] == f"{url}/Content"
    fetched = instance.call("GET", urlsplit(url).path).body
    assert {**fetched, "links": None} == {**created, "links": None}


@pytest.mark.parametrize("length", ["{}", "-1", "9" * 5000])
def test_upload_with_a_malformed_content_length_is_refused(instance: Instance, length: str) -> None:
    headers = {"Content-Type": "image/png", "Content-Length": length}
    answered = instance.call("POST", media_path(instance), PICTURE, headers)
    assert (answered.status, answered.body["code"]) == (400, 20001)


@pytest.mark.each_engine
def test_message_shows_the_details_of_its_media(instance: Instance) -> None:
    conversation, sid = conversation_of(instance), media_sid(instance, Filename="car.png")
    message = conversation.messages.create(media_sid=f"ME{sid[2:].upper()}")
    details = {"size": len(PICTURE), "content_type": "image/png", "filename": "car.png", "category": "media"}
    assert message.media == [{"sid": sid, **details}]
    assert conversation.messages(message.sid).fetch().media == message.media
    sent = instance.call("GET", media_path(instance, sid)).body
    assert (sent["message_sid"], sent["channel_sid"]) == (message.sid, message.conversation_sid)


@pytest.mark.each_engine
def test_media_can_be_in_one_message_only(instance: Instance) -> None:
    conversation, sid = conversation_of(instance), media_sid(instance)
    conversation.messages.create(media_sid=sid)
    error = refusal(lambda: conversation.messages.create(media_sid=sid))
    assert (error.status, error.code) == (400, 50508)


# Races. Convoke checks the media of a message before the pre-event, and stores the message after the pre-event. In the
# tests below, another request uses or removes the media while Convoke waits for the receiver of the pre-event.


def asking(instance: Instance, meanwhile: Callable[[], object]) -> dict[str, str]:
    """Configure a pre-event whose receiver calls `meanwhile` once, before its first answer.

    Return the header with which a request causes pre-events.
    """
    configured = {"PreWebhookUrl": "https://hooks.example.com/", "Filters": "onMessageAdd"}
    assert instance.call("POST", "/v1/Configuration/Webhooks", configured).status == 200

    def once() -> None:
        instance.receivers.on_call = lambda: None
        meanwhile()

    instance.receivers.on_call = once
    return {"X-Twilio-Webhook-Enabled": "true"}


@pytest.mark.each_engine
def test_two_messages_that_race_for_a_media_do_not_share_it(instance: Instance) -> None:
    first, second, sid = conversation_of(instance), conversation_of(instance), media_sid(instance)
    headers = asking(instance, lambda: second.messages.create(media_sid=sid))
    path = f"/v1/Conversations/{first.fetch().sid}/Messages"
    refused = instance.call("POST", path, {"MediaSid": sid}, headers)
    assert (refused.status, refused.body["code"]) == (400, 50508)
    assert (len(first.messages.list()), len(second.messages.list())) == (0, 1)


def test_message_that_races_with_the_removal_of_its_media_is_refused() -> None:
    clock = ManualClock()
    with held_instance(now=clock.now) as instance:
        path = f"/v1/Conversations/{conversation_of(instance).fetch().sid}/Messages"
        sid = media_sid(instance)
        clock.move(timedelta(days=1))
        headers = asking(instance, lambda: instance.sweep(timedelta(0)))
        refused = instance.call("POST", path, {"MediaSid": sid}, headers)
        assert (refused.status, refused.body["code"]) == (400, 50507)


def test_removal_that_races_with_a_message_leaves_its_media(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    with held_instance(now=clock.now) as instance:
        conversation, sid = conversation_of(instance), media_sid(instance)
        clock.move(timedelta(days=1))
        fetch = MediaRepository.fetch_with_tombstone

        def fetch_and_send(media: MediaRepository, *key: str) -> Any:
            found = fetch(media, *key)
            conversation.messages.create(media_sid=sid)
            return found

        monkeypatch.setattr(MediaRepository, "fetch_with_tombstone", fetch_and_send)
        instance.sweep(timedelta(0))
        monkeypatch.undo()
        assert [item["sid"] for item in expired(instance)] == [sid]
        assert instance.call("GET", media_path(instance, sid)).status == 200


@pytest.mark.each_engine
def test_unknown_media_is_refused(instance: Instance) -> None:
    conversation = conversation_of(instance)
    error = refusal(lambda: conversation.messages.create(media_sid="ME" + "0" * 32))
    assert (error.status, error.code) == (400, 50507)
    assert conversation.messages.list() == []


def test_media_of_another_service_or_account_is_unknown(instance: Instance) -> None:
    sid = media_sid(instance)
    other_service = instance.client().conversations.v1.services.create(friendly_name="Other").sid
    assert instance.call("GET", f"/v1/Services/{other_service}/Media/{sid}").status == 404
    assert instance.call("GET", f"/v1/Services/{other_service}/Media/{sid}/Content").status == 404
    conversations = instance.client().conversations.v1.services(other_service).conversations
    elsewhere = conversations(conversations.create().sid)
    assert refusal(lambda: elsewhere.messages.create(media_sid=sid)).code == 50507

    other = instance.accounts.create()
    auth = (other.sid, instance.accounts.token(other.sid))
    for service in (instance.account.default_chat_service_sid, other.default_chat_service_sid):
        for path in ("", "/Content"):
            url = f"{ORIGIN}/v1/Services/{service}/Media/{sid}{path}"
            assert call(instance.api, "GET", url, auth=auth).status == 404


@pytest.mark.parametrize("sid", ["..", "ME0", "%2e%2e%2f%2e%2e%2fconvoke.db", "ME" + "0" * 32])
def test_other_names_are_not_media(instance: Instance, sid: str) -> None:
    for path in ("", "/Content"):
        assert instance.call("GET", media_path(instance, sid) + path).status == 404


def test_download_has_headers_that_keep_a_browser_from_running_it(instance: Instance) -> None:
    created = upload(instance, Filename='../../a"b\r\nc/ü.png')
    auth = (instance.account.sid, instance.token)
    status, headers, content = download(instance, created["links"]["content"], auth=auth)
    assert (status, content) == (200, PICTURE)
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''..%2F..%2Fa%22b%0D%0Ac%2F%C3%BC.png"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert created["filename"] == '../../a"b\r\nc/ü.png'


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/javascript"])
def test_type_that_a_browser_could_run_is_downloaded_as_bytes(instance: Instance, content_type: str) -> None:
    created = upload(instance, content_type=content_type)
    assert created["content_type"] == content_type
    _, headers, _ = download(instance, created["links"]["content_direct_temporary"])
    assert (headers["Content-Type"], headers["Content-Disposition"]) == ("application/octet-stream", "attachment")


def test_temporary_link_needs_no_credentials_and_expires() -> None:
    clock = ManualClock()
    with held_instance(now=clock.now) as instance:
        link = upload(instance)["links"]["content_direct_temporary"]
        assert download(instance, link)[::2] == (200, PICTURE)
        clock.move(timedelta(minutes=5))
        assert download(instance, link)[0] == 200
        clock.move(timedelta(seconds=1))
        assert download(instance, link)[0] == 403


def test_token_of_a_link_is_valid_for_its_media_only(instance: Instance) -> None:
    link, other = (upload(instance)["links"]["content_direct_temporary"] for _ in range(2))
    url, token = link.split("?token=")
    account_sid, expires, signature = token.split(".")
    other_url, other_token = other.split("?token=")
    later = f"{account_sid}.{int(expires) + 1}.{signature}"
    for changed in (
        other_token,
        later,
        f"{account_sid}.{expires}.",
        f"AC{'0' * 32}.{expires}.{signature}",
        "x",
        "..",
        "",
    ):
        assert call(instance.api, "GET", f"{url}?token={changed}").status in (401, 403)
    assert call(instance.api, "GET", f"{other_url}?token={token}").status == 403
    # The token authorizes only the download of the content, not other requests.
    assert call(instance.api, "GET", f"{url.removesuffix('/Content')}?token={token}").status == 401


def test_new_auth_token_makes_links_invalid(instance: Instance) -> None:
    link = upload(instance)["links"]["content_direct_temporary"]
    instance.accounts.rotate_token(instance.account.sid)
    assert call(instance.api, "GET", link).status == 403


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ({"Category": "picture"}, {}, 20001),
        ({"Filename": "x" * 257}, {}, 20001),
        ({}, {"Content-Type": "picture"}, 50511),
        ({}, {"Content-Type": "image/png\x01"}, 50511),
        ({}, {"Content-Type": "multipart/form-data"}, 20001),
        ({}, {"Content-Type": "multipart/form-data; boundary=x"}, 20001),
        ({}, {"Content-Length": str(151 * 1024 * 1024)}, 50512),
    ],
)
def test_invalid_upload_is_refused(
    instance: Instance, query: dict[str, str], headers: dict[str, str], code: int
) -> None:
    path = media_path(instance) + "".join(f"?{name}={value}" for name, value in query.items())
    refused = instance.call("POST", path, b"x", headers)
    assert (refused.status, refused.body["code"]) == (400, code)


def test_content_that_is_too_long_is_refused_and_removed(instance: Any) -> None:
    with held_instance(max_upload_bytes=10) as small:
        assert upload(small, b"x" * 10)["size"] == 10
        refused = small.call("POST", media_path(small), b"x" * 11, {"Content-Type": "image/png"})
        assert (refused.status, refused.body["code"]) == (400, 50512)
        assert len([*small.engine.media_folder.files()]) == 1


def form(*parts: tuple[str, bytes]) -> bytes:
    return b"".join(b"--X\r\n%s\r\n\r\n%s\r\n" % (head.encode(), content) for head, content in parts) + b"--X--\r\n"


def test_multipart_form_is_uploaded(instance: Instance) -> None:
    head = 'Content-Disposition: form-data; name="file"; filename="a.gif"\r\nContent-Type: image/gif'
    body = form(('Content-Disposition: form-data; name="note"', b"x"), (head, PICTURE))
    created = upload(instance, body, "multipart/form-data; boundary=X")
    assert (created["size"], created["content_type"], created["filename"]) == (len(PICTURE), "image/gif", "a.gif")
    _, _, content = download(instance, created["links"]["content_direct_temporary"])
    assert content == PICTURE


@pytest.mark.parametrize("end", [b"", b"--X", b"--X\r\n"])
def test_incomplete_form_is_refused(instance: Instance, end: bytes) -> None:
    head = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    refused = instance.call(
        "POST", media_path(instance), head + end, {"Content-Type": "multipart/form-data; boundary=X"}
    )
    assert (refused.status, refused.body["code"]) == (400, 20001)


@pytest.mark.each_engine
def test_media_set_returns_several_media_at_once(instance: Instance) -> None:
    first, second, unknown = media_sid(instance), media_sid(instance), "ME" + "0" * 32
    asked = {"command": "get", "list": [{"media_sid": sid} for sid in (second, unknown, "x", first)]}
    answered = media_set(instance, asked)
    assert [each["code"] for each in answered.body] == [200, 404, 404, 200]
    assert [each["media_sid"] for each in answered.body] == [second, unknown, "x", first]
    assert answered.body[0]["media_record"]["sid"] == second
    assert answered.body[1]["media_record"] is None
    assert media_set(instance, {"command": "get", "list": []}).body == []


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"command": "delete", "list": []},
        {"command": "get", "list": [{}]},
        {"command": "get", "list": [{"media_sid": "x"}] * (MAX_MEDIA_IN_SET + 1)},
        [],
        "x",
    ],
)
def test_malformed_media_set_is_refused(instance: Instance, asked: Any) -> None:
    refused = media_set(instance, asked)
    assert (refused.status, refused.body["code"]) == (400, 20001)


def media_set(instance: Instance, asked: Any) -> Answer:
    path = media_path(instance).replace("/Media", "/MediaSet")
    return instance.call("POST", path, json.dumps(asked), {"Content-Type": "application/json"})


# Channels


@pytest.mark.parametrize(
    ("participants", "size", "code"),
    [
        (CHAT_AND_SMS, MAX_MMS_BYTES, None),
        (CHAT_AND_SMS, MAX_MMS_BYTES + 1, 50512),
        ([WHATSAPP], MAX_WHATSAPP_BYTES, None),
        ([WHATSAPP], MAX_WHATSAPP_BYTES + 1, 50512),
        (chat(2), MAX_WHATSAPP_BYTES + 1, None),
    ],
)
def test_phones_get_media_up_to_the_limit_of_their_channel(
    instance: Instance, participants: Any, size: int, code: int | None
) -> None:
    conversation, sid = conversation_of(instance, participants), media_sid(instance, content=bytes(size))
    if code:
        assert refusal(lambda: conversation.messages.create(media_sid=sid)).code == code
    else:
        assert conversation.messages.create(media_sid=sid).media[0]["size"] == size


def test_phones_get_no_media_of_other_types(instance: Instance) -> None:
    sid = media_sid(instance, content_type="application/zip")
    assert refusal(lambda: conversation_of(instance, CHAT_AND_SMS).messages.create(media_sid=sid)).code == 50511
    assert conversation_of(instance).messages.create(media_sid=sid).media[0]["content_type"] == "application/zip"


# Chat users


def test_chat_user_gets_its_own_media_and_the_media_of_its_conversations(instance: Any) -> None:
    media, services = instance.engine.program.media, instance.engine.program.known_services
    service = services.fetch(instance.account.sid, instance.account.default_chat_service_sid)
    begun = media.begin(service, "media", "member 0")
    begun.write(PICTURE)
    sid = begun.complete("image/png", None).sid

    def readers() -> list[str]:
        found = {}
        for reader in ("member 0", "member 1", "stranger"):
            found[reader] = media.fetch_set(service, [sid], reader) != [None]
        return [reader for reader, is_found in found.items() if is_found]

    assert readers() == ["member 0"]
    conversation = conversation_of(instance)
    conversation.messages.create(media_sid=sid)
    assert readers() == ["member 0", "member 1"]
    conversation.participants("member 0").delete()
    assert readers() == ["member 1"]


# Lifetime


def expired(instance: Instance) -> list[dict[str, Any]]:
    """Run the sweeper twice. Return the remaining media records.

    The first sweep marks unused media as deleted. The second sweep removes the media.
    """
    for _ in range(2):
        instance.sweep(timedelta(0))
    return [item for item in instance.items("media") if item["sk"] == "media"]


def test_unused_media_is_removed_after_a_day() -> None:
    clock = ManualClock()
    with held_instance(now=clock.now) as instance:
        conversation, used, unused = conversation_of(instance), media_sid(instance), media_sid(instance)
        conversation.messages.create(media_sid=used)
        clock.move(timedelta(hours=24) - timedelta(seconds=1))
        assert len(expired(instance)) == 2
        clock.move(timedelta(seconds=1))
        instance.sweep(timedelta(0))
        # The first sweep hides the media. The second sweep removes the content.
        assert instance.call("GET", media_path(instance, unused)).status == 404
        assert refusal(lambda: conversation.messages.create(media_sid=unused)).code == 50507
        assert [item["sid"] for item in expired(instance)] == [used]
        assert [path.name for path in instance.engine.media_folder.files()] == [used]
        assert download(instance, upload(instance)["links"]["content_direct_temporary"])[0] == 200


@pytest.mark.each_engine
def test_deleted_message_takes_its_media_with_it(instance: Instance) -> None:
    conversation, sid, kept = conversation_of(instance), media_sid(instance), media_sid(instance)
    conversation.messages.create(media_sid=kept)
    conversation.messages(conversation.messages.create(media_sid=sid).sid).delete()
    assert instance.call("GET", media_path(instance, sid)).status == 404
    assert [item["sid"] for item in expired(instance)] == [kept]


@pytest.mark.each_engine
@pytest.mark.parametrize("deleted", ["conversation", "service"])
def test_deleted_conversation_takes_its_media_with_it(instance: Instance, deleted: str) -> None:
    services = instance.client().conversations.v1.services
    service = services(services.create(friendly_name="Spare").sid)
    conversation = service.conversations(service.conversations.create().sid)
    path = f"/v1/Services/{conversation._solution['chat_service_sid']}/Media"
    for _ in range(30):
        sid = instance.call("POST", path, PICTURE, {"Content-Type": "image/png"}).body["sid"]
        conversation.messages.create(media_sid=sid)
    (conversation if deleted == "conversation" else service).delete()
    for _ in range(5):
        instance.sweep(timedelta(hours=1))
    assert expired(instance) == []
    assert instance.items("message#") == []


def test_old_message_with_a_media_sid_can_be_deleted(instance: Any) -> None:
    conversation = conversation_of(instance)
    sid = conversation.messages.create(body="x").sid
    statement = "UPDATE items SET body = json_set(body, '$.media_sid', ?) WHERE sk = ?"
    instance.engine.table.write(statement, ("ME" + "1" * 32, f"message#{sid}"))
    nothing = dict.fromkeys(("size", "content_type", "filename", "category"))
    assert conversation.messages(sid).fetch().media == [{"sid": "ME" + "1" * 32, **nothing}]
    conversation.messages(sid).delete()
    assert conversation.messages.list() == []


# Messages with several media. The REST API cannot create such messages.


def send(instance: Any, conversation: Any, sids: Sequence[str], identity: str | None = None) -> Any:
    """Send a message with several media, as chat users and phones do."""
    operations = instance.engine.api._dispatcher._operations
    service = operations.services.fetch(instance.account.sid, instance.account.default_chat_service_sid)
    webhooks = LaterWebhooks(enabled=False)
    webhooks.origin = Origin(notify_webhooks=False, client_identity=identity)
    requested = NewMediaMessage(media_sids=tuple(sids))
    return operations.messages.create(service, conversation.fetch().sid, requested, request_webhooks=webhooks)


def test_message_has_up_to_ten_media_in_their_order(instance: Any) -> None:
    conversation, sids = conversation_of(instance), [media_sid(instance) for _ in range(MAX_MEDIA)]
    sent = send(instance, conversation, sids[::-1])
    assert [each.sid for each in sent.media] == sids[::-1]
    (added,) = (event for change in instance.changes() for event in change["events"] if "Media" in event["payload"])
    assert [each["Sid"] for each in json.loads(added["payload"]["Media"])] == sids[::-1]
    conversation.messages(sent.sid).delete()
    assert expired(instance) == []


def test_media_of_a_message_are_limited(instance: Any) -> None:
    conversation, sid = conversation_of(instance), media_sid(instance)
    with pytest.raises(InvalidParameterError):
        send(instance, conversation, ["ME" + f"{number:032x}" for number in range(MAX_MEDIA + 1)])
    with pytest.raises(MediaAlreadyUsedError):
        send(instance, conversation, [sid, sid])
    assert conversation.messages.list() == []


def test_all_media_of_a_message_together_must_fit_an_mms(instance: Any) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    half, rest = MAX_MMS_BYTES // 2, MAX_MMS_BYTES - MAX_MMS_BYTES // 2
    send(instance, conversation, [media_sid(instance, content=bytes(size)) for size in (half, rest)])
    with pytest.raises(MediaTooLargeError):
        send(instance, conversation, [media_sid(instance, content=bytes(size)) for size in (half, rest + 1)])


def test_chat_user_can_only_send_its_own_media(instance: Any) -> None:
    conversation, sid = conversation_of(instance), media_sid(instance)
    with pytest.raises(MediaNotFoundError):
        send(instance, conversation, [sid], "member 0")
    assert [each.sid for each in send(instance, conversation, [sid]).media] == [sid]


# AWS


def test_content_on_aws_is_in_the_bucket_until_the_media_is_deleted() -> None:
    with moto_instance() as instance:
        conversation, created = conversation_of(instance), upload(instance, Filename="car.png")
        s3, bucket = instance.deployment.client("s3"), instance.deployment.values["MediaBucket"]
        (stored,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
        assert stored["Key"] == f"{instance.account.sid}/{created['sid']}"
        assert s3.get_object(Bucket=bucket, Key=stored["Key"])["Body"].read() == PICTURE

        redirect = instance.call("GET", f"{media_path(instance, created['sid'])}/Content")
        assert (redirect.status, redirect.text) == (302, "")
        for link in (redirect.headers["Location"], created["links"]["content_direct_temporary"]):
            assert stored["Key"] in link
            assert "X-Amz-Expires=300" in link

        message = conversation.messages.create(media_sid=created["sid"])
        conversation.messages(message.sid).delete()
        instance.sweep(timedelta(0))
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_upload_on_aws_has_at_most_4_mb() -> None:
    with moto_instance() as instance:
        assert upload(instance, bytes(MAX_UPLOAD_BYTES))["size"] == 4 * 1024 * 1024
        refused = instance.call(
            "POST", media_path(instance), bytes(MAX_UPLOAD_BYTES + 1), {"Content-Type": "image/png"}
        )
        assert (refused.status, refused.body["code"]) == (400, 50512)
