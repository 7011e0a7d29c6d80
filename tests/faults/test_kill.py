"""If a signal kills or stops a real process, no work is lost. See docs/how-it-works.md#promises."""

from __future__ import annotations

import signal
import socket
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import uvloop
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest.conversations.v1.conversation import ConversationContext

from convoke.embedded import engine
from convoke.embedded.deliveries import MAX_CONCURRENT_DELIVERIES_PER_RECEIVER
from convoke.embedded.engine import SHUTDOWN_GRACE_SECONDS
from convoke.testing.instance import running
from tests.faults import soak
from tests.support.carriers import ACCOUNT, TOKEN
from tests.support.examples import chat
from tests.support.instances import held_instance, receive_any
from tests.support.phones import BUSINESS, PHONE
from tests.support.processes import TIMEOUT_SECONDS, Up, full_listener, hanging_receiver, receiver, up
from tests.support.up_that_dies import KILLED

RESUME_TIMEOUT_SECONDS = 8.0
"""The maximum time until a restarted process resumes the work.

The time is shorter than ten seconds. Otherwise the test would not notice if only the sweeper's regular retry, which
comes after ten seconds, resumed the work.
"""

WITHOUT_PARTICIPANT_QUEUE = (sys.executable, "-m", "tests.support.up_without_participant_queue")


def test_process_killed_between_202_and_active_resumes_after_restart(tmp_path: Path) -> None:
    data = str(tmp_path / "convoke.db")
    with receiver() as (url, received):
        with up(data, command=WITHOUT_PARTICIPANT_QUEUE) as crashing:
            v1 = crashing.client.conversations.v1
            v1.configuration.webhooks().update(post_webhook_url=url, filters=["onConversationStateUpdated"])
            sid = v1.conversation_with_participants.create(participant=chat(10)).sid
            assert v1.conversations(sid).fetch().state == "initializing"
            assert crashing.stop(signal.SIGKILL) == -signal.SIGKILL

        with up("--data", data) as again:
            parameters, signature = received.get(timeout=RESUME_TIMEOUT_SECONDS)
            assert (parameters["ConversationSid"], parameters["StateTo"]) == (sid, "active")
            assert RequestValidator(again.ready["auth_token"]).validate(url, parameters, signature)
            conversation = again.client.conversations.v1.conversations(sid)
            assert conversation.fetch().state == "active"
            assert len(conversation.participants.list()) == 10


def test_nothing_accepted_before_a_kill_under_load_is_lost_or_doubled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run the soak test with only a few kills. `make soak` runs the soak test with 50 kills."""
    assert uvloop.run(soak.run(tmp_path / "convoke.db", kills=2, seed=10)), capsys.readouterr().out
    assert capsys.readouterr().out.count("s after the first request") == 2


def test_webhook_call_interrupted_by_a_kill_is_retried_immediately(tmp_path: Path) -> None:
    """The restarted process must not wait for the visibility timeout of 30 seconds."""
    data = str(tmp_path / "convoke.db")
    with held_instance(data) as prepared:
        webhooks = prepared.client().conversations.v1.configuration.webhooks()
        webhooks.update(post_webhook_url="https://hooks.example.com/", filters=["onConversationStateUpdated"])
        prepared.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
        prepared.engine.steps.run_all()
        assert receive_any(prepared.engine.queue) is not None
    with held_instance(data) as restarted:
        restarted.work()
        assert restarted.receivers.posted == []
        with restarted.served_by_thread():
            until = time.monotonic() + TIMEOUT_SECONDS
            while not restarted.receivers.posted:
                assert time.monotonic() < until
                time.sleep(0.01)
    assert restarted.receivers.retry_counts == [1]


def test_shutdown_answers_waiting_create_requests_immediately(tmp_path: Path) -> None:
    with up(str(tmp_path / "convoke.db"), command=WITHOUT_PARTICIPANT_QUEUE) as stopped, ThreadPoolExecutor(1) as pool:
        client = stopped.client
        client.http_client.session.headers["Prefer"] = "wait=20"
        v1 = client.conversations.v1
        waiting = pool.submit(v1.conversation_with_participants.create, unique_name="visit", participant=chat(1))
        until = time.monotonic() + TIMEOUT_SECONDS
        while not exists(v1.conversations("visit")):
            assert time.monotonic() < until
        begun = time.monotonic()
        assert stopped.stop() == 0
        assert waiting.result().state == "initializing"
        assert time.monotonic() - begun < SHUTDOWN_GRACE_SECONDS


def exists(conversation: ConversationContext) -> bool:
    try:
        conversation.fetch()
    except TwilioRestException:
        return False
    return True


def test_queued_work_starts_immediately_and_not_at_the_next_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    for interval in ("SWEEP_INTERVAL_SECONDS", "DELIVERY_POLL_SECONDS"):
        monkeypatch.setattr(engine, interval, 3600)
    with held_instance() as instance:
        v1 = instance.client().conversations.v1
        v1.configuration.webhooks().update(
            post_webhook_url="https://hooks.example.com/", filters=["onConversationStateUpdated"]
        )
        with instance.served_by_thread():
            for expected in (1, 2, 3):
                v1.conversation_with_participants.create(participant=chat(2))
                until = time.monotonic() + TIMEOUT_SECONDS
                while len(instance.receivers.posted) < expected:
                    assert time.monotonic() < until
                    time.sleep(0.01)


def test_shutdown_with_hanging_receivers_ends_in_time_and_uses_up_no_attempt(tmp_path: Path) -> None:
    """One request waits for a receiver. More deliveries are waiting than the receiver may get at the same time."""
    data = str(tmp_path / "convoke.db")
    with hanging_receiver() as (url, called), up("--data", data) as stopped, ThreadPoolExecutor(1) as pool:
        v1 = stopped.client.conversations.v1
        # `tt=15000` sets the timeout of a call to 15 seconds. The shutdown must not take so long.
        v1.configuration.webhooks().update(
            pre_webhook_url=f"{url}#tt=15000",
            post_webhook_url=f"{url}#tt=15000",
            filters=["onConversationAdded", "onConversationUpdate"],
        )
        sids = [v1.conversations.create(x_twilio_webhook_enabled="true").sid for _ in range(6)]
        under_way = [called.get(timeout=TIMEOUT_SECONDS) for _ in range(MAX_CONCURRENT_DELIVERIES_PER_RECEIVER)]
        update = v1.conversations(sids[0]).update
        pool.submit(update, friendly_name="Visit", x_twilio_webhook_enabled="true")
        under_way.append(called.get(timeout=TIMEOUT_SECONDS))
        begun = time.monotonic()
        assert stopped.stop() == 0
        took = time.monotonic() - begun
        assert SHUTDOWN_GRACE_SECONDS <= took < SHUTDOWN_GRACE_SECONDS + 1.5
        assert sorted(under_way) == ["onConversationAdded"] * 4 + ["onConversationUpdate"]
        assert called.empty(), "a new call started"
        with closing(sqlite3.connect(data)) as connection:
            messages = connection.execute("SELECT queue, receive_count, visible_at < unixepoch() + 1 FROM messages")
            assert messages.fetchall() == [("delivery", 0, 1)] * 6


def test_shutdown_ends_a_call_to_a_carrier_in_time() -> None:
    sender = {"Provider": "twilio", "Address": BUSINESS, "Twilio.AccountSid": ACCOUNT, "Twilio.AuthToken": TOKEN}
    # The operating system accepts the connection, and nobody answers.
    with socket.create_server(("127.0.0.1", 0)) as listener, running() as instance:
        instance._engine._twilio.get()._api_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = instance.client()
        client.request("POST", f"{instance.url}/convoke/v1/Senders", data=sender)
        conversations = client.conversations.v1.conversations
        sid = conversations.create().sid
        conversations(sid).participants.create(
            messaging_binding_address=PHONE, messaging_binding_proxy_address=BUSINESS
        )
        conversations(sid).messages.create(author="alice", body="Hello")
        listener.settimeout(TIMEOUT_SECONDS)
        connection, _ = listener.accept()
        begun = time.monotonic()
    assert time.monotonic() - begun < SHUTDOWN_GRACE_SECONDS + 1.5
    calls = [thread for thread in threading.enumerate() if thread.name.startswith("delivery")]
    with connection:
        for call in calls:
            call.join(1)
            assert not call.is_alive()


def test_shutdown_ends_attempts_to_connect_in_time(tmp_path: Path) -> None:
    """A pre-event and a delivery hang while they connect. The connect timeout is longer than the grace period."""
    with full_listener() as (host, port), up("--data", str(tmp_path / "convoke.db")) as stopped:
        url = f"http://{host}:{port}/#ct=10000&tt=15000"
        v1 = stopped.client.conversations.v1
        v1.configuration.webhooks().update(
            pre_webhook_url=url, post_webhook_url=url, filters=["onConversationAdded", "onConversationUpdate"]
        )
        sid = v1.conversations.create(x_twilio_webhook_enabled="true").sid
        with ThreadPoolExecutor(1) as pool:
            pool.submit(v1.conversations(sid).update, friendly_name="Visit", x_twilio_webhook_enabled="true")
            time.sleep(0.5)  # The test cannot observe when the attempts to connect start.
            begun = time.monotonic()
            assert stopped.stop() == 0
            assert SHUTDOWN_GRACE_SECONDS <= time.monotonic() - begun < SHUTDOWN_GRACE_SECONDS + 1.5


@pytest.mark.parametrize(
    ("method", "when", "is_stored"),
    [
        ("_store", "before", False),
        ("_write_pending", "after", False),  # The items are written, but not committed.
        ("_store", "after", True),  # The process dies after the commit, but before the response.
        ("_announce", "after", True),
    ],
)
def test_request_whose_process_dies_during_the_commit_is_stored_completely_or_not_at_all(
    tmp_path: Path, method: str, when: str, is_stored: bool
) -> None:
    data = str(tmp_path / "convoke.db")
    command = (sys.executable, "-m", "tests.support.up_that_dies", method, when)

    def create(instance: Up) -> str | None:
        """Send the request. Return the response header `Idempotent-Replayed`."""
        client = instance.client
        client.http_client.session.headers["Idempotency-Key"] = "1"
        answered: list[Any] = []
        client.http_client.session.hooks["response"].append(lambda response, **_: answered.append(response))
        client.conversations.v1.conversation_with_participants.create(unique_name="visit", participant=chat(10))
        replayed: str | None = answered[0].headers.get("Idempotent-Replayed")
        return replayed

    with up(data, command=command) as dying:
        with pytest.raises(OSError, match="Connection aborted"):
            create(dying)
        assert dying.process.wait(TIMEOUT_SECONDS) == KILLED
    with up("--data", data) as again:
        conversations = again.client.conversations.v1.conversations
        assert [each.unique_name for each in conversations.list()] == ["visit"] * is_stored
        assert create(again) == ("true" if is_stored else None)
        until = time.monotonic() + TIMEOUT_SECONDS
        while conversations("visit").fetch().state != "active":
            assert time.monotonic() < until
        assert len(conversations("visit").participants.list()) == 10
        assert len(conversations.list()) == 1
