"""Requests change a conversation, its unique name and its webhooks at the same time. No accepted change is lost.

No lock remains without its conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException

from convoke.domain.events import Origin, conversation_added
from convoke.storage.conversations import ConversationRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import EmbeddedInstance, Instance, held_instance

TIMES = 50


@contextmanager
def engines_on(data: Path, count: int) -> Iterator[list[EmbeddedInstance]]:
    """Open several engines on one data file, each with its own connection, like separate processes."""
    with ExitStack() as stack:
        yield [stack.enter_context(held_instance(str(data / "convoke.db"))) for _ in range(count)]


def run_concurrently(*works: Callable[[], Any]) -> list[Any]:
    """Run all functions at the same time. Return the result or the error code of each function."""
    together = Barrier(len(works))

    def start(work: Callable[[], Any]) -> Any:
        together.wait()
        try:
            return work()
        except TwilioRestException as error:
            return error.code

    with ThreadPoolExecutor(len(works)) as pool:
        return [each.result() for each in [pool.submit(start, work) for work in works]]


def conversation(instance: Instance, sid: str) -> Any:
    return instance.client().conversations.v1.conversations(sid)


FIELDS: dict[str, tuple[str, str, Callable[[Any], tuple[str, str]]]] = {
    "of one resource": (
        "friendly_name",
        "attributes",
        lambda shown: (shown.friendly_name, shown.attributes),
    ),
    "of one attribute": (
        "bindings_email_address",
        "bindings_email_name",
        lambda shown: (shown.bindings["email"]["projected_address"], shown.bindings["email"]["name"]),
    ),
}
"""Maps each case to two parameters of an update, and to a function that returns the two values from a resource."""


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("fields", FIELDS)
def test_concurrent_updates_of_different_fields_are_both_kept(tmp_path: Path, processes: int, fields: str) -> None:
    *names, shown = FIELDS[fields]
    with engines_on(tmp_path, processes) as instances:
        create = instances[0].client().conversations.v1.conversations.create
        sid = create(bindings_email_address="0", bindings_email_name="0").sid

        def count(position: int) -> None:
            mine, name = conversation(instances[position % processes], sid), names[position]
            for number in map(str, range(TIMES)):
                assert shown(mine.update(**{name: number}))[position] == number
                assert shown(mine.fetch())[position] == number

        assert run_concurrently(partial(count, 0), partial(count, 1)) == [None, None]
        assert shown(conversation(instances[0], sid).fetch()) == (str(TIMES - 1), str(TIMES - 1))
        (stored,) = instances[0].items("conversation")
        assert stored["revision"] == 2 * TIMES
        assert len(instances[0].changes()) == 1 + 2 * TIMES


def test_concurrent_updates_to_the_same_unique_name_both_succeed(tmp_path: Path) -> None:
    """The second update finds a lock on the name. The update succeeds, because its own conversation holds the lock."""
    with engines_on(tmp_path, 2) as instances:
        sid = instances[0].client().conversations.v1.conversations.create().sid
        for name in map(str, range(TIMES)):
            answers = run_concurrently(
                *(partial(conversation(each, sid).update, unique_name=name) for each in instances)
            )
            assert [answer.unique_name for answer in answers] == [name, name]
        assert len(instances[0].items("lock")) == 1


@pytest.mark.each_engine
def test_stale_update_to_own_unique_name_raises_changed_meanwhile(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create().sid
    found = ProvisioningRepository(instance.table).fetch(instance.account.sid, sid)
    assert found is not None
    before, _ = found
    v1.conversations(sid).update(unique_name="visit")
    stored = instance.items("")
    after = before.model_copy(update={"unique_name": "visit"})
    change = conversation_added("EV" + "0" * 32, after, at=before.date_created, origin=Origin(notify_webhooks=False))
    with pytest.raises(ChangedMeanwhileError):
        ConversationRepository(instance.table).update(before, after, change)
    assert instance.items("") == stored


def test_concurrent_updates_to_one_unique_name_succeed_for_one_conversation(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as instances:
        create = instances[0].client().conversations.v1.conversations.create
        for name in map(str, range(20)):
            mine = [conversation(instance, create().sid) for instance in instances]
            answers = run_concurrently(*(partial(each.update, unique_name=name) for each in mine))
            (winner,) = (answer for answer in answers if answer != 50353)
            assert conversation(instances[0], name).fetch().sid == winner.sid
        assert len(instances[0].items("lock")) == 20


def test_unique_name_is_never_lost_by_concurrent_renames(tmp_path: Path) -> None:
    """Two conversations repeatedly take and release the same name.

    A lock that remained at the end would block the name forever.
    """

    def take_and_release(mine: Any) -> int:
        taken = 0
        for _ in range(TIMES):
            if code_of(lambda: mine.update(unique_name="visit")) is None:
                mine.update(unique_name="")
                taken += 1
        return taken

    with engines_on(tmp_path, 2) as instances:
        create = instances[0].client().conversations.v1.conversations.create
        works = [partial(take_and_release, conversation(instance, create().sid)) for instance in instances]
        assert sum(run_concurrently(*works)) > 0
        assert instances[0].items("lock") == []


def code_of(request: Callable[[], object]) -> int | None:
    """Send a request. Return the error code of a refused request, or None after a success."""
    try:
        request()
    except TwilioRestException as error:
        code: int = error.code
        return code
    return None


def test_concurrent_close_and_rename_end_in_one_order(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as (one, other):
        for _ in range(20):
            v1 = one.client().conversations.v1
            sid = v1.conversation_with_participants.create(unique_name="visit", participant=CHAT_AND_SMS).sid
            one.work()
            closed, renamed = run_concurrently(
                partial(conversation(one, sid).update, state="closed"),
                partial(conversation(other, sid).update, unique_name="other"),
            )
            assert closed.state == "closed"
            names = [lock["pk"].rpartition("#")[2] for lock in one.items("lock")]
            assert names == ["visit" if renamed == 50377 else renamed.unique_name]
            assert one.items("+1501") == []
            v1.conversations(sid).delete()
            assert one.items("lock") == []


def test_concurrent_delete_and_update_leave_nothing(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as (one, other):
        for _ in range(20):
            sid = one.client().conversations.v1.conversations.create(unique_name="visit").sid
            deleted, updated = run_concurrently(
                conversation(one, sid).delete, partial(conversation(other, sid).update, unique_name="other")
            )
            assert deleted is True
            assert updated == 50334 or updated.unique_name == "other"
            assert one.items("lock") == []
        assert one.sweep(timedelta(seconds=1)) == 20
        assert one.items("conversation") == []


def test_delete_during_provisioning_leaves_nothing(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as (one, other):
        for _ in range(20):
            create = one.client().conversations.v1.conversation_with_participants.create
            sid = create(unique_name="visit", participant=chat(10)).sid
            assert run_concurrently(one.work, conversation(other, sid).delete) == [None, True]
            one.work()
            one.sweep(timedelta(seconds=1))
            kinds = {item["sk"] for item in one.items("") if sid in str(item)}
            # If the conversation was active before the deletion, the table has a record `left#...` for each User.
            assert kinds - {f"left#{sid}"} == {"change"}
        assert one.items("lock") == []


def test_concurrent_deletes_succeed_once(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as instances:
        for _ in range(20):
            sid = instances[0].client().conversations.v1.conversations.create(unique_name="visit").sid
            answers = run_concurrently(*(conversation(instance, sid).delete for instance in instances))
            assert sorted(answers) == [True, 20404]
        removed = [event for change in instances[0].changes() for event in change["events"]]
        assert [event["type"] for event in removed].count("onConversationRemoved") == 20


# Webhooks of a conversation


def webhook(conversation: Any, **parameters: Any) -> Any:
    given = {"configuration_url": "https://hooks.example.com/", "configuration_filters": ["onMessageAdded"]}
    return conversation.webhooks.create(target="webhook", **{**given, **parameters})


def test_concurrent_webhook_creates_stop_at_five(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as instances:
        create = instances[0].client().conversations.v1.conversations.create
        for _ in range(5):
            sid = create().sid
            answers = run_concurrently(*(partial(webhook, conversation(instances[n % 2], sid)) for n in range(8)))
            made = [answer.sid for answer in answers if answer != 50361]
            assert answers.count(50361) == 3
            assert sorted(made) == [each.sid for each in conversation(instances[0], sid).webhooks.list()]


def test_concurrent_webhook_updates_are_all_kept(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as instances:
        sid = instances[0].client().conversations.v1.conversations.create().sid
        one, other = (webhook(conversation(instances[0], sid)).sid for _ in range(2))

        def count(position: int, webhook_sid: str, name: str) -> None:
            mine = conversation(instances[position], sid).webhooks(webhook_sid)
            for number in range(20):
                url = f"https://hooks.example.com/{number}"
                mine.update(**({"configuration_url": url} if name == "url" else {"configuration_method": "get"}))

        works = [partial(count, 0, one, "url"), partial(count, 1, one, "method"), partial(count, 1, other, "url")]
        assert run_concurrently(*works) == [None, None, None]
        shown = [each.configuration for each in conversation(instances[0], sid).webhooks.list()]
        assert [each["url"] for each in shown] == ["https://hooks.example.com/19"] * 2
        assert [each["method"] for each in shown] == ["get", "POST"]


def test_webhook_create_during_deletion_leaves_nothing(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as (one, other):
        for _ in range(20):
            sid = one.client().conversations.v1.conversations.create(unique_name="visit").sid
            deleted, made = run_concurrently(conversation(one, sid).delete, partial(webhook, conversation(other, sid)))
            assert deleted is True
            assert made in (50334, 20404) or made.conversation_sid == sid
        one.sweep(timedelta(seconds=1))
        assert one.items("conversation") == []
        assert all("expires_at" in webhooks for webhooks in one.items("webhooks"))


def test_webhook_create_during_provisioning_is_kept(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as (one, other):
        for _ in range(20):
            create = one.client().conversations.v1.conversation_with_participants.create
            sid = create(participant=chat(10)).sid
            _, made = run_concurrently(one.work, partial(webhook, conversation(other, sid)))
            one.work()
            shown = conversation(one, sid)
            assert (shown.fetch().state, len(shown.participants.list())) == ("active", 10)
            assert [each.sid for each in shown.webhooks.list()] == [made.sid]
            assert one.waiting_messages("delivery") == 0
