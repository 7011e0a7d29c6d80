"""Observers receive each finished request and each finished attempt of a delivery (embedded/observation.py)."""

from __future__ import annotations

import http.client
import logging
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from convoke.embedded.observation import FinishedChatCall, FinishedDelivery, FinishedRequest
from convoke.testing.instance import RunningInstance, running


class RecordingObserver:
    def __init__(self) -> None:
        self.requests: list[FinishedRequest] = []
        self.deliveries: list[FinishedDelivery] = []

    def request_finished(self, request: FinishedRequest) -> None:
        self.requests.append(request)

    def delivery_finished(self, delivery: FinishedDelivery) -> None:
        self.deliveries.append(delivery)

    def chat_call_finished(self, call: FinishedChatCall) -> None:
        """Do nothing. tests/api/test_chat.py tests the calls of chat clients."""


class FailingObserver:
    def request_finished(self, request: FinishedRequest) -> None:
        raise OSError("no space left")

    def delivery_finished(self, delivery: FinishedDelivery) -> None:
        raise OSError("no space left")

    def chat_call_finished(self, call: FinishedChatCall) -> None:
        raise OSError("no space left")


@pytest.fixture
def instance() -> Iterator[RunningInstance]:
    with running() as instance:
        yield instance


@pytest.fixture
def observer(instance: RunningInstance) -> RecordingObserver:
    observer = RecordingObserver()
    instance._engine.observers.add(observer)
    return observer


def test_observer_sees_requests_with_their_responses(instance: RunningInstance, observer: RecordingObserver) -> None:
    instance.client().conversations.v1.conversations.create(friendly_name="visit")
    connection = http.client.HTTPConnection(urlsplit(instance.url).netloc)
    connection.request("GET", "/v1/Conversations")
    assert connection.getresponse().status == 401
    connection.close()
    seen = [(each.method, each.path, each.response.status_code) for each in observer.requests]
    assert seen == [("POST", "/v1/Conversations", 201), ("GET", "/v1/Conversations", 401)]
    assert all(0 < each.seconds < 10 for each in observer.requests)


def test_observer_sees_each_attempt_and_whether_it_was_the_last(
    instance: RunningInstance, observer: RecordingObserver
) -> None:
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url="http://127.0.0.1:9/#rc=1", filters=["onConversationAdded"])
    sid = v1.conversations.create(x_twilio_webhook_enabled="true").sid
    instance.advance("PT10S")
    instance.settle()
    seen = [(each.begun.attempt.number, each.outcome.status, each.is_given_up) for each in observer.deliveries]
    assert seen == [(1, None, False), (2, None, True)]
    assert {each.begun.delivery.event.conversation_sid for each in observer.deliveries} == {sid}


def test_accepted_delivery_is_not_given_up(instance: RunningInstance, observer: RecordingObserver) -> None:
    instance.client().conversations.v1.conversations.create(x_twilio_webhook_enabled="true")
    instance.settle()
    assert [(each.outcome.status, each.is_given_up) for each in observer.deliveries] == [(204, False)]


def test_failing_observer_disturbs_neither_requests_nor_other_observers(
    instance: RunningInstance, caplog: pytest.LogCaptureFixture
) -> None:
    observer = RecordingObserver()
    instance._engine.observers.add(FailingObserver())
    instance._engine.observers.add(observer)
    with caplog.at_level(logging.ERROR):
        assert instance.client().conversations.v1.conversations.list() == []
    assert len(observer.requests) == 1
    assert "an observer failed" in caplog.text
