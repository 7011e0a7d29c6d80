"""`convoke listen`: print each new event in the ledger.

The ledger contains the events that Convoke has stored. With `--forward-to`, the command also sends the events for
webhooks to a URL. The command only reads the ledger, and changes no configuration. An instance may run on the data file
at the same time. With `--stack`, the command reads an AWS deployment.
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
"""The pause between two reads of the ledger: the first value for a data file, the second value for a deployment.

AWS charges for each query of the DynamoDB table, so the pause is longer for a deployment.
"""

OVERLAP = timedelta(seconds=30)
"""Each read of the ledger starts this long before the newest event of the previous read. See `_recent_events`.

The overlap is necessary because events do not always appear in the ledger in the order in which they happened: the
commit of an event can be slow.
"""

PAGE_SIZE = 50

MAX_ANSWER_BYTES = 4096

TARGET = "listen"
"""The target name of forwarded deliveries. It is not a SID, so the requests have no parameter `WebhookSid`."""


@click.command()
@click.option(
    "--forward-to",
    metavar="URL",
    help="Send each event to this URL too, such as http://localhost:3000/webhooks. The signature of the request is made"
    " for this URL.",
)
@account_sid_option
@existing_data_option
@stack_option
def listen(forward_to: str | None, account_sid: str | None, data: str, stack: str | None) -> None:
    """Print each new event of an account until you press Ctrl-C.

    The command changes no configuration. It neither prints nor forwards pre-events.

    With --forward-to, the command forwards the events that Convoke sends to webhooks. These are the events that happen
    without a request, and the events of requests with the header `X-Twilio-Webhook-Enabled: true`. Each event is
    forwarded once, even if the URL does not accept the event.
    """
    if forward_to is not None:
        try:
            check_url(forward_to)
        except InvalidWebhookSettingsError as error:
            raise click.BadParameter(f"must be {error.details['wanted']}", param_hint="--forward-to") from error
    with open_installation(data, stack) as installation, suppress(KeyboardInterrupt):
        sid = installation.account_sid(account_sid)
        forward = None if forward_to is None else Forwarder(forward_to, installation, sid)
        click.echo(f"Listening to the events of {sid} in {installation.description}. Press Ctrl-C to stop.", err=True)
        for event in new_events(installation.events, sid, POLL_STACK_SECONDS if stack else POLL_SECONDS):
            print_event(event, forward(event) if forward else None)


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Sends events to a URL, with the POST requests that the account's webhook would get."""

    url: str
    installation: Installation
    account_sid: str
    client: WebhookHttpClient = field(default_factory=lambda: WebhookHttpClient(ReceiverRules()))

    def __call__(self, event: Event) -> str:
        """Send an event once. Return the status of the answer, or the reason why no answer arrived.

        If Convoke does not send the event to webhooks, send nothing and return `not sent to webhooks`.
        """
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
    """Yield each event that happens from now on. The iterator never ends.

    Each read of the ledger yields its new events oldest first. `pause` is the time between two reads, in seconds.
    """
    newest = now()
    seen = {event.id for event in _recent_events(operations, account_sid, newest)}
    while True:
        recent = _recent_events(operations, account_sid, newest)
        for event in reversed(recent):
            if event.id not in seen:
                yield event
        # Replace `newest` even by an earlier time. New events can be older than all previous events, for example after
        # a reset, or after somebody has set the clock back.
        newest = recent[0].occurred_at if recent else newest
        seen = {event.id for event in recent}
        sleep(pause)


def _recent_events(operations: EventOperations, account_sid: str, newest: datetime) -> list[Event]:
    """Return the events of the recent period, newest first.

    `newest` is the time of the newest event in the previous result, or the time at which the command started. The
    period starts `OVERLAP` before `newest`. If all events in the ledger are older than `newest`, the period starts
    `OVERLAP` before the newest event in the ledger.
    """
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
    """Print the time, the type, the conversation and the id of an event.

    Also print `forwarded`, the result of `Forwarder`, unless `forwarded` is None.
    """
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
