"""The password in a webhook's URL is visible only to the receiver and in the resource that configures the URL.

The tests search for the password in all other texts: responses, log lines, events on the bus, and output of commands.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convoke.cli.main import main
from convoke.domain.events import PRE_EVENTS, EventType
from convoke.embedded.engine import EmbeddedEdges
from convoke.webhooks.answers import WebhookUnreachableError
from tests.support.instances import EmbeddedInstance, held_instance

PASSWORD = "s3cr3t"

HEADER = {"X-Twilio-Webhook-Enabled": "true"}


def url(host: str) -> str:
    return f"https://me:{PASSWORD}@{host}.example.com/hook"


class RecordedBus:
    """An event bus that records the JSON of every event before it passes the event to the real bus."""

    def __init__(self, edges: EmbeddedEdges) -> None:
        self._bus = edges.event_bus
        self.published: list[str] = []

    def publish(self, events: Any) -> None:
        self.published += [event.model_dump_json() for event in events]
        self._bus.publish(events)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "convoke.db")


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    yield caplog
    for record in caplog.records:
        assert PASSWORD not in json.dumps(vars(record), default=str)
    assert PASSWORD not in caplog.text


def fail() -> None:
    raise ZeroDivisionError


def answers(instance: EmbeddedInstance) -> list[str]:
    """Return the API responses that contain data about webhook calls."""
    found = [instance.call("GET", path).text for path in ("/v1/Alerts", "/convoke/v1/Events", "/v1/Conversations")]
    alerts = instance.call("GET", "/v1/Alerts").body["alerts"]
    events = [f"/convoke/v1/Events/{each['id']}" for each in instance.call("GET", "/convoke/v1/Events").body["events"]]
    paths = [*(f"/v1/Alerts/{each['sid']}" for each in alerts), *events, *(f"{path}/Attempts" for path in events)]
    return found + [instance.call("GET", path).text for path in paths]


def printed(path: str, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--data", path])
    assert result.exit_code == 0, result.output
    return result.output


def test_password_of_every_level_is_hidden_everywhere(path: str, logs: pytest.LogCaptureFixture) -> None:
    buses: list[RecordedBus] = []

    def record(edges: EmbeddedEdges) -> EmbeddedEdges:
        buses.append(RecordedBus(edges))
        return replace(edges, event_bus=buses[-1])

    seen: list[str] = []
    with held_instance(path, record) as instance:
        levels = configured(instance)
        # The receiver does not answer the pre-event.
        instance.receivers.statuses = [None]
        conversation = ask(instance, "/v1/Conversations")["sid"]
        scoped = f"/v1/Conversations/{conversation}/Webhooks"
        form = {"Target": "webhook", "Configuration.Url": url("scoped"), "Configuration.Filters": "onMessageAdded"}
        levels.append(f"{scoped}/{ask(instance, scoped, form)['sid']}")
        # The receiver accepts each pre-event (200). The first webhook call succeeds, the second call is refused (410),
        # and the third call does not reach the receiver.
        messages = f"/v1/Conversations/{conversation}/Messages"
        statuses: list[Any] = [200, 410, WebhookUnreachableError("no connection")]
        for status in statuses:
            instance.work()
            instance.receivers.statuses = [200, status]
            ask(instance, messages, {"Body": "hi"})
            settle(instance)
        # Convoke gives up a delivery because of its own errors.
        instance.receivers.on_call = fail
        ask(instance, messages, {"Body": "hi"})
        settle(instance)
        instance.receivers.on_call = lambda: None
        # The webhook of a second service receives the event of a new conversation.
        service = ask(instance, "/v1/Services", {"FriendlyName": "s"})["sid"]
        form = {"PostWebhookUrl": url("service"), "Filters": "onConversationAdded"}
        levels.append(f"/v1/Services/{service}/Configuration/Webhooks")
        ask(instance, levels[-1], form)
        instance.receivers.statuses = [403]
        ask(instance, f"/v1/Services/{service}/Conversations")
        settle(instance)
        seen += answers(instance)
        event = next(each for each in instance.receivers.posted if each.event.type is EventType.MESSAGE_ADDED).event.id
        # A client replays an event.
        seen.append(json.dumps(ask(instance, f"/convoke/v1/Events/{event}/Replay")))
        settle(instance)
        seen += answers(instance)
        for level in levels:
            assert PASSWORD in instance.call("GET", level).text, "the webhook shows its owner the URL as set"
        targets = {delivery.target[:2] for delivery in instance.receivers.posted}
        assert targets == {"ac", "se", "WH", "er"}
        assert all(f"me:{PASSWORD}@" in delivery.url for delivery in instance.receivers.posted)
        assert instance.waiting_messages("delivery-dlq") > 0
        alerts = instance.call("GET", "/v1/Alerts").body["alerts"]
        assert {alert["request_url"] for alert in alerts} >= {
            f"https://me:***@{host}.example.com/hook" for host in ("pre", "post", "service")
        }
        seen += buses[0].published
    for arguments in (["events", "list"], ["events", "show", event], ["dlq", "list"], ["account", "list"]):
        seen.append(printed(path, *arguments))
    seen += [printed(path, "events", "replay", event), printed(path, "dlq", "redrive")]
    assert "me:***@" in "".join(seen)
    for text in seen:
        assert PASSWORD not in text


def configured(instance: EmbeddedInstance) -> list[str]:
    """Configure webhook URLs with passwords for the account. Return the path of each resource that shows a URL."""
    ask(instance, "/convoke/v1/Configuration", {"ErrorLogUrl": url("log")})
    filters = [*PRE_EVENTS, EventType.CONVERSATION_ADDED, EventType.MESSAGE_ADDED]
    form = {"PreWebhookUrl": url("pre"), "PostWebhookUrl": url("post"), "Filters": filters}
    ask(instance, "/v1/Configuration/Webhooks", form)
    return ["/convoke/v1/Configuration", "/v1/Configuration/Webhooks"]


def ask(instance: EmbeddedInstance, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
    answered = instance.call("POST", path, form, HEADER)
    assert answered.status in (200, 201, 202), answered.text
    return dict(answered.body)


def settle(instance: EmbeddedInstance) -> None:
    """Run every step and every delivery, including postponed deliveries."""
    instance.work()
    while not instance.engine.queue.is_empty() or instance.engine.steps.are_waiting:
        instance.forget_pauses()
        instance.work()


def test_password_that_an_earlier_version_stored_is_hidden_when_it_is_read() -> None:
    with held_instance() as instance:
        ask(instance, "/v1/Configuration/Webhooks", {"PostWebhookUrl": url("post"), "Filters": "onConversationAdded"})
        instance.receivers.statuses = [410]
        ask(instance, "/v1/Conversations")
        settle(instance)
        instance.engine.table.write("UPDATE items SET body = replace(body, 'me:***@', 'me:s3cr3t@')", ())
        event = instance.receivers.posted[0].event.id
        (attempt,) = instance.call("GET", f"/convoke/v1/Events/{event}/Attempts").body["attempts"]
        assert attempt["url"] == "https://me:***@post.example.com/hook"
        (alert,) = instance.call("GET", "/v1/Alerts").body["alerts"]
        assert alert["request_url"] == "https://me:***@post.example.com/hook"
