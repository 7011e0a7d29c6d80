"""`convoke listen`: follow the ledger. Print each new event, and forward it to a URL if the user wants.

The command changes no configuration. It reads the ledger, so it works beside a running instance and on a deployment.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import click

from convoke.cli.credentials import account_sid_option
from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import Installation, open_installation, stack_option
from convoke.cli.traffic import line_as_json
from convoke.domain import instants
from convoke.domain.errors import InvalidWebhookSettingsError
from convoke.domain.events import Event, EventFilters, EventType
from convoke.domain.pages import PageRequest
from convoke.domain.receivers import ReceiverRules
from convoke.domain.webhooks import Delivery, Method, check_url
from convoke.operations.events import EventOperations
from convoke.webhooks.answers import WebhookUnreachableError
from convoke.webhooks.client import WebhookHttpClient

POLL_SECONDS, POLL_STACK_SECONDS = 0.5, 2.0
"""The pause between two reads of the ledger. Each read of a deployment costs a query of its table."""

OVERLAP = timedelta(seconds=30)
"""How far back each read looks. An event of a slow commit can appear later than younger events."""

PAGE_SIZE = 50

MAX_ANSWER_BYTES = 4096

TARGET = "listen"
"""The target of the deliveries. Requests to the URL have no parameter `WebhookSid`."""


@click.command()
@click.option(
    "--forward-to",
    metavar="URL",
    help="Send each event to this URL too, such as http://localhost:3000/webhooks. The request is signed for this URL.",
)
@account_sid_option
@existing_data_option
@stack_option
def listen(forward_to: str | None, account_sid: str | None, data: str, stack: str | None) -> None:
    """Print each event of an account when it happens, until Ctrl-C.

    Changes no configuration. The events of pre-event webhooks are neither printed nor forwarded. An event is forwarded
    once, whatever the URL answers, if Convoke sends the event to webhooks: the request that causes the event has
    `X-Twilio-Webhook-Enabled: true`, or the event happens without a request.
    """
    if forward_to is not None:
        try:
            check_url(forward_to)
        except InvalidWebhookSettingsError as error:
            raise click.BadParameter(f"must be {error.details['wanted']}", param_hint="--forward-to") from error
    with open_installation(data, stack) as installation, suppress(KeyboardInterrupt):
        sid = installation.account_sid(account_sid)
        forward = None if forward_to is None else Forwarder(forward_to, installation, sid)
        click.echo(f"Listening to the events of {sid} in {installation.description}. Ctrl-C stops.", err=True)
        for event in new_events(installation.events, sid, POLL_STACK_SECONDS if stack else POLL_SECONDS):
            print_event(event, forward(event) if forward else None)


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Sends events to a URL, in the form in which Convoke sends them to a webhook with this URL."""

    url: str
    installation: Installation
    account_sid: str
    client: WebhookHttpClient = field(default_factory=lambda: WebhookHttpClient(ReceiverRules()))

    def __call__(self, event: Event) -> str:
        """Send the event once. Return the status of the answer, or the reason why there is none."""
        if not event.notify_webhooks or event.type not in set(EventType):
            return "not sent to webhooks"
        delivery = Delivery(event=event, target=TARGET, url=self.url, method=Method.POST)
        token = self.installation.accounts.token(self.account_sid)
        try:
            answer = self.client.call(delivery, retry_count=0, auth_token=token, max_answer_bytes=MAX_ANSWER_BYTES)
        except WebhookUnreachableError as error:
            return str(error)
        return str(answer.status)


def new_events(
    operations: EventOperations,
    account_sid: str,
    pause: float,
    now: Callable[[], datetime] = instants.now,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """Yield each event that happens from now on, oldest first. The iterator never ends."""
    newest = now()
    seen = {event.id for event in _recent_events(operations, account_sid, newest)}
    while True:
        recent = _recent_events(operations, account_sid, newest)
        for event in reversed(recent):
            if event.id not in seen:
                yield event
        # After a reset, or if somebody sets the clock back, the newest event is older than before.
        newest = recent[0].occurred_at if recent else newest
        seen = {event.id for event in recent}
        sleep(pause)


def _recent_events(operations: EventOperations, account_sid: str, newest: datetime) -> list[Event]:
    """Return the events since the time `OVERLAP` before `newest`, or before the newest event. The newest is first."""
    position: str | None = None
    recent = list[Event]()
    while True:
        page = operations.list(account_sid, EventFilters(), PageRequest(PAGE_SIZE, position, descending=True))
        for event in page.resources:
            if recent and event.occurred_at < min(newest, recent[0].occurred_at) - OVERLAP:
                return recent
            recent.append(event)
        if not page.has_next:
            return recent
        position = page.behind


def print_event(event: Event, forwarded: str | None) -> None:
    """Print the time, the type, the conversation and the id of an event, and what became of its forwarding."""
    line: dict[str, object] = {
        "time": event.occurred_at,
        "event": event.type,
        "conversation": event.conversation_sid,
        "id": event.id,
        "forwarded": forwarded,
    }
    line = {name: value for name, value in line.items() if value is not None}
    if not sys.stdout.isatty():
        click.echo(line_as_json(line))
        return
    moment = event.occurred_at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    answer = f"  -> {forwarded}" if forwarded else ""
    click.echo(
        f"{click.style(moment, dim=True)}  {click.style(event.type, fg='cyan')}  {event.conversation_sid or '-'}"
        f"  {event.id}{answer}"
    )
