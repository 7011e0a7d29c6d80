"""`convoke dlq`: list and redrive the messages in dead-letter queues."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click
from pydantic import Field, TypeAdapter, ValidationError

from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import Installation, open_installation, stack_option
from convoke.cli.output import print_rows
from convoke.domain.copies import Copy
from convoke.domain.events import EventFilters, UnpublishedChange
from convoke.domain.model import Model
from convoke.domain.sids import Prefix
from convoke.domain.webhooks import Delivery
from convoke.program import Edges
from convoke.storage.events import UnreadableChangeError

FIRST_RECORD, LAST_RECORD = "approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord"

MAX_ARRIVAL_DELAY = timedelta(minutes=1)
"""The maximum delay between an event and the arrival of its record in the table's stream.

This value is an assumption.
"""


class StreamBatch(Model):
    """A period in which stream records arrived. Lambda could not process these records.

    Lambda sends this period to the dead-letter queue, but not the records. See
    https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html.
    """

    first: datetime = Field(alias=FIRST_RECORD)
    last: datetime = Field(alias=LAST_RECORD)


class StreamBatchLetter(Model):
    batch: StreamBatch = Field(alias="DDBStreamBatchInfo")

    @property
    def period(self) -> EventFilters:
        return EventFilters.model_construct(
            start_date=self.batch.first - MAX_ARRIVAL_DELAY, end_date=self.batch.last + MAX_ARRIVAL_DELAY
        )


_MESSAGE: TypeAdapter[Delivery | Copy] = TypeAdapter(Delivery | Copy)

_CHANGE_LETTER: TypeAdapter[UnpublishedChange | StreamBatchLetter] = TypeAdapter(UnpublishedChange | StreamBatchLetter)


@click.group()
def dlq() -> None:
    """List and redrive the messages in dead-letter queues.

    A message moves to a dead-letter queue if Convoke cannot process the message, or if the last attempt to deliver the
    message failed.
    """


@dlq.command("list")
@existing_data_option
@stack_option
def dlq_list(data: str, stack: str | None) -> None:
    """Print a summary of every message.

    A summary has the SIDs, the event type and the target. On a terminal, the command prints a table. Otherwise it
    prints one line of JSON for each message. The messages stay in the dead-letter queues.
    """
    with open_installation(data, stack) as installation:
        queues = (*installation.dead_letters(), installation.change_dead_letters())
        print_rows({"queue": letters.name, **_summary(body)} for letters in queues for body in letters.bodies())


@dlq.command("redrive")
@existing_data_option
@stack_option
def dlq_redrive(data: str, stack: str | None) -> None:
    """Move every message back to its queue.

    Convoke then processes each message from the start. A webhook delivery gets its full number of attempts again.
    Convoke keeps the records of earlier attempts.

    A message in the queue `change` identifies changes whose events were not published on the event bus. For such a
    message, Convoke reads the changes again and publishes their events. If a change still cannot be read, the message
    stays in the queue.
    """
    with open_installation(data, stack) as installation:
        rewrite = partial(_renewed, installation.program.edges)
        redriven = [(letters.name, letters.redrive(rewrite)) for letters in installation.dead_letters()]
        changes = installation.change_dead_letters()
        redriven.append((changes.name, changes.consume(partial(_republish, installation))))
        print_rows({"queue": name, "redriven": number} for name, number in redriven)


def _renewed(edges: Edges, body: str) -> str:
    """Return the body with which a dead letter moves back to its queue. Only deliveries and copies change.

    A delivery gets a new replay SID, so that its attempts are numbered from 1 again.

    A copy gets a new date. A copy fails if it is still delayed when MAX_DELAY (domain/carriers.py) has passed since its
    date.
    """
    try:
        message = _MESSAGE.validate_json(body)
    except ValidationError:
        return body
    is_copy = isinstance(message, Copy)
    update = {"queued_at": edges.now()} if is_copy else {"replay_sid": edges.new_sid(Prefix.REPLAY)}
    return message.model_copy(update=update).model_dump_json()


def _republish(installation: Installation, body: str) -> bool:
    """Publish the events of the changes that a dead letter identifies.

    A StreamBatchLetter identifies a period. In this case, skip the events that have a delivery attempt. Return False if
    the dead letter or its change is unreadable.
    """
    try:
        letter = _CHANGE_LETTER.validate_json(body)
        if isinstance(letter, UnpublishedChange):
            installation.program.republisher.republish_change(letter)
        else:
            for account in installation.accounts.accounts.list():
                installation.program.republisher.republish_period(account.sid, letter.period)
    except (ValidationError, UnreadableChangeError):
        return False
    return True


def _summary(body: str) -> dict[str, Any]:
    """Return the fields to show for a dead letter. No field contains text that people wrote.

    The fields are the SIDs, the event id, the event type and the target, or the period of a StreamBatch. For a body
    that cannot be parsed, the only field is `unreadable`.
    """
    try:
        message = json.loads(body)
        # A delivery contains the event under `event`. EventBridge's envelope contains the event under `detail`. Events,
        # provisionings, copies and changes contain the SIDs at the top level.
        subject = message.get("event") or message.get("detail") or message
        event = {"event_id": subject.get("id"), "event_type": subject.get("type"), "target": message.get("target")}
        names = ("account_sid", "conversation_sid", "change_sid", "message_sid", "receipt_sid")
        sids = {name: subject.get(name) for name in names}
        batch = message.get("DDBStreamBatchInfo") or {}
        event |= {"first": batch.get(FIRST_RECORD), "last": batch.get(LAST_RECORD)}
    except (ValueError, AttributeError):
        return {"unreadable": True}
    return {name: value for name, value in {**sids, **event}.items() if value is not None}
