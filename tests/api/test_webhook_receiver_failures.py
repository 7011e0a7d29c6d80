"""A failing receiver does not delay other receivers.

The tests use threads. All tests except the test with 200 webhooks also use real sockets.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from twilio.request_validator import RequestValidator

from convoke.domain.receivers import ReceiverRules
from convoke.domain.urls import normal_url
from convoke.domain.webhooks import Delivery
from convoke.embedded.deliveries import MAX_CONCURRENT_DELIVERIES_PER_RECEIVER
from convoke.webhooks.answers import WebhookAnswer
from convoke.webhooks.client import WebhookHttpClient
from tests.contract.test_webhook_client import drip, drip_the_body, hang, misbehaving, receiver, reset
from tests.support.instances import EmbeddedInstance, Receivers, held_instance

PATIENCE = 20.0


@pytest.fixture
def running() -> Iterator[EmbeddedInstance]:
    calls = WebhookHttpClient(ReceiverRules())
    with (
        held_instance(rewire=lambda edges: replace(edges, webhook_client=calls)) as instance,
        instance.served_by_thread(),
    ):
        yield instance


def wait_until(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def attempts(instance: EmbeddedInstance) -> dict[str, list[Any]]:
    """Return a mapping from each receiver's URL to the statuses of its completed attempts.

    The status of an unanswered attempt is None.
    """
    found: dict[str, list[Any]] = {}
    for item in instance.items("attempt#"):
        if "milliseconds" in item:
            found.setdefault(item["url"], []).append(item.get("status"))
    return found


def test_hanging_or_misbehaving_receiver_does_not_delay_others(running: EmbeddedInstance) -> None:
    v1 = running.client().conversations.v1
    conversation = v1.conversations(v1.conversations.create().sid)
    with ExitStack() as stack:
        failing = [stack.enter_context(misbehaving(behave)) + "#rc=0&tt=2500" for behave in (hang, reset, drip)]
        huge, _ = stack.enter_context(receiver(200, b"x" * 10_000_000))
        redirecting, redirected = stack.enter_context(receiver(302))
        healthy, taken = stack.enter_context(receiver())
        v1.configuration.webhooks().update(post_webhook_url=healthy, filters=["onMessageAdded"])
        for url in (*failing, huge, redirecting):
            conversation.webhooks.create(
                target="webhook", configuration_url=url, configuration_filters=["onMessageAdded"]
            )
        begun = time.monotonic()
        conversation.messages.create(body="Hello", x_twilio_webhook_enabled="true")
        wait_until(lambda: taken)
        assert time.monotonic() - begun < 1.5
        ended = wait_until(lambda: len(found := attempts(running)) == 6 and found)
        assert time.monotonic() - begun < 5
    assert [ended[normal_url(url)] for url in failing] == [[None]] * len(failing)
    assert [ended[normal_url(url)] for url in (healthy, huge, redirecting)] == [[200], [200], [302]]
    assert len(redirected) == 1
    wait_until(lambda: running.waiting_messages("delivery-dlq") == 4)
    ((_, path, headers, body),) = taken
    parameters = dict(parse_qsl(body, keep_blank_values=True))
    assert RequestValidator(running.token).validate(healthy + path, parameters, headers["X-Twilio-Signature"])


def test_status_500_is_retried_and_slow_body_counts_as_delivered(running: EmbeddedInstance) -> None:
    v1 = running.client().conversations.v1
    conversation = v1.conversations(v1.conversations.create().sid)
    with ExitStack() as stack:
        recovering, taken = stack.enter_context(receiver([500, 200]))
        dripping = stack.enter_context(misbehaving(drip_the_body)) + "#tt=500"
        for url in (recovering, dripping):
            conversation.webhooks.create(
                target="webhook", configuration_url=url, configuration_filters=["onMessageAdded"]
            )
        conversation.messages.create(body="Hello", x_twilio_webhook_enabled="true")
        wait_until(lambda: len(taken) == 2)
        counts = [dict(parse_qsl(body))["RetryCount"] for _, _, _, body in taken]
        assert counts == ["0", "1"]
        wait_until(lambda: attempts(running) == {normal_url(recovering): [500, 200], normal_url(dripping): [200]})
    assert running.waiting_messages("delivery-dlq") == 0


def test_pre_event_uses_timeout_from_url_fragment(running: EmbeddedInstance) -> None:
    v1 = running.client().conversations.v1
    with misbehaving(hang) as url:
        v1.configuration.webhooks().update(pre_webhook_url=f"{url}#tt=300&rc=5", filters=["onConversationAdd"])
        begun = time.monotonic()
        created = v1.conversations.create(friendly_name="mine", x_twilio_webhook_enabled="true")
        assert 0.3 < time.monotonic() - begun < 1.5
    assert created.friendly_name == "mine"


class HangingHost(Receivers):
    """Fake receivers. A call to `hanging.example` waits until the test sets `is_over`, for at most PATIENCE seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = threading.Event()
        self.calls: Counter[str] = Counter()

    def call(self, delivery: Delivery, **options: Any) -> WebhookAnswer:
        host = str(urlsplit(delivery.url).hostname)
        self.calls[host] += 1
        if host == "hanging.example":
            self.is_over.wait(PATIENCE)
        return super().call(delivery, **options)


def test_hanging_host_behind_200_webhooks_of_200_conversations_delays_no_other_host() -> None:
    receivers = HangingHost()
    with held_instance(rewire=lambda edges: replace(edges, webhook_client=receivers)) as instance:
        v1 = instance.client().conversations.v1
        sids = [v1.conversations.create().sid for _ in range(200)]
        v1.configuration.webhooks().update(
            post_webhook_url="https://healthy.example/", filters=["onMessageAdded"], method="POST"
        )
        for number, sid in enumerate(sids):
            v1.conversations(sid).webhooks.create(
                target="webhook",
                configuration_url=f"https://hanging.example/{number}",
                configuration_filters=["onMessageAdded"],
            )
        with instance.served_by_thread():
            try:
                for sid in sids:
                    v1.conversations(sid).messages.create(body="Hello", x_twilio_webhook_enabled="true")
                wait_until(lambda: receivers.calls["healthy.example"] == len(sids))
                assert receivers.calls["hanging.example"] == MAX_CONCURRENT_DELIVERIES_PER_RECEIVER
            finally:
                receivers.is_over.set()
            wait_until(lambda: len(receivers.posted) == 2 * len(sids))
