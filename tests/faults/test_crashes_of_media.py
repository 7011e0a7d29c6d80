"""A day after a crash, the media folder has no files except the files of messages.

The process crashes while media are uploaded, sent or removed.

See docs/decisions/0140-record-before-content.md.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.support.crashes import crash_points
from tests.support.instances import EmbeddedInstance, Instance
from tests.support.manual_clock import ManualClock
from tests.support.media import PICTURE, media_path, media_sid

MESSAGES = "/v1/Conversations/visit/Messages"


def create_conversation(instance: Instance) -> None:
    instance.call("POST", "/v1/Conversations", {"UniqueName": "visit"})


def send_media(instance: Instance) -> None:
    """Upload two files, and send only the first file in a message."""
    used, _ = media_sid(instance), media_sid(instance)
    instance.call("POST", MESSAGES, {"MediaSid": used})
    instance.work()


def sids(instance: Instance) -> tuple[set[str], set[str], set[str]]:
    """Return three sets of media SIDs: from the files, from the records, and from the messages."""
    assert isinstance(instance, EmbeddedInstance)
    files = {path.name for path in instance.engine.media_folder.files()}
    records = {item["sid"] for item in instance.items("media")}
    sent = {each["sid"] for item in instance.items("message#") for each in item.get("media", ())}
    return files, records, sent


def test_crash_while_media_are_sent_leaves_only_the_media_of_messages(tmp_path: Path) -> None:
    clock, outcomes = ManualClock(), set()

    def a_day_later(_: Instance) -> None:
        clock.move(timedelta(days=1, minutes=1))

    for restarted in crash_points(tmp_path, send_media, create_conversation, a_day_later, now=clock.now):
        files, records, sent = sids(restarted)
        assert files == records == sent
        for sid in sent:
            fetched = restarted.call("GET", media_path(restarted, sid)).body
            assert (fetched["size"], fetched["message_sid"]) == (len(PICTURE), restarted.items("message#")[0]["sid"])
        outcomes.add(len(sent))
    assert outcomes == {0, 1}


def test_crash_while_unused_media_are_removed_leaves_nothing(tmp_path: Path) -> None:
    clock = ManualClock()

    def remove(instance: Instance) -> None:
        media_sid(instance)
        clock.move(timedelta(days=1, minutes=1))
        for _ in range(2):
            instance.sweep(timedelta(0))

    def a_day_later(_: Instance) -> None:
        clock.move(timedelta(days=1, minutes=1))

    for restarted in crash_points(tmp_path, remove, lambda _: None, a_day_later, now=clock.now):
        assert sids(restarted) == (set(), set(), set())


def test_crash_while_a_message_is_deleted_keeps_its_media_or_removes_them(tmp_path: Path) -> None:
    clock, outcomes = ManualClock(), set()

    def send_and_delete(instance: Instance) -> None:
        sid = media_sid(instance)
        created = instance.call("POST", MESSAGES, {"MediaSid": sid}).body["sid"]
        instance.call("DELETE", f"{MESSAGES}/{created}")
        instance.sweep(timedelta(0))

    def a_day_later(_: Instance) -> None:
        clock.move(timedelta(days=1, minutes=1))

    for restarted in crash_points(tmp_path, send_and_delete, create_conversation, a_day_later, now=clock.now):
        files, records, sent = sids(restarted)
        assert files == records == sent
        outcomes.add(len(sent))
    assert outcomes == {0, 1}


def test_crash_while_a_conversation_is_erased_leaves_no_media(tmp_path: Path) -> None:
    clock = ManualClock()

    def send_and_delete(instance: Instance) -> None:
        for _ in range(2):
            instance.call("POST", MESSAGES, {"MediaSid": media_sid(instance)})
        instance.call("DELETE", "/v1/Conversations/visit")
        for _ in range(2):
            instance.sweep(timedelta(seconds=1))

    def a_day_later(instance: Instance) -> None:
        if instance.call("GET", "/v1/Conversations/visit").status == 200:
            instance.call("DELETE", "/v1/Conversations/visit")
        clock.move(timedelta(days=1, minutes=1))

    for restarted in crash_points(tmp_path, send_and_delete, create_conversation, a_day_later, now=clock.now):
        assert sids(restarted) == (set(), set(), set())
