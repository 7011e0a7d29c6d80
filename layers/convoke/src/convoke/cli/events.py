"""`convoke events`: list, show and replay the events of an account, and republish events.

An event is republished if it has no delivery attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click
from pydantic import ValidationError

from convoke.cli.credentials import SID_VARIABLE
from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import Installation, open_installation, stack_option
from convoke.cli.output import print_object, print_rows
from convoke.domain.errors import NotFoundError
from convoke.domain.event_replays import NewEventReplay
from convoke.domain.events import Event, EventFilters
from convoke.domain.pages import Page, PageRequest
from convoke.domain.sids import Prefix, is_sid

PAGE_SIZE = 50

OPTIONS: dict[int | str, str] = {"start_date": "--start", "end_date": "--end"}
"""Maps fields of EventFilters to the options of `convoke events republish` that set the fields."""

account_option = click.option(
    "--account-sid",
    "--account",
    "account",
    metavar="SID",
    envvar=SID_VARIABLE,
    show_envvar=True,
    help="Account that the events belong to. The default is the oldest account.",
)


@click.group()
def events() -> None:
    """List, show and replay events.

    Convoke keeps events and their delivery attempts for 30 days.
    """


@events.command("list")
@account_option
@click.option("--conversation", metavar="SID", help="Print only the events of this conversation.")
@click.option("--limit", default=PAGE_SIZE, show_default=True, type=click.IntRange(1), help="Maximum number of events.")
@existing_data_option
@stack_option
def events_list(account: str | None, conversation: str | None, limit: int, data: str, stack: str | None) -> None:
    """Print the newest events without their payloads. The newest event comes first.

    On a terminal, the command prints a table. Otherwise it prints one line of JSON for each event.
    """
    if conversation is not None and not is_sid(conversation, Prefix.CONVERSATION):
        raise click.BadParameter("must be a Conversation SID", param_hint="--conversation")
    with open_installation(data, stack) as installation:
        account_sid, operations = installation.account_sid(account), installation.events
        filters = EventFilters(conversation_sid=conversation)
        # `_all_resources` never calls `position_of` here, because every page except the last page has `behind`.
        newest_first = _all_resources(
            lambda request: operations.list(account_sid, filters, request), lambda _: "", descending=True
        )
        print_rows(event.model_dump(mode="json", exclude={"payload"}) for event in islice(newest_first, limit))


@events.command("show")
@click.argument("event_id")
@account_option
@existing_data_option
@stack_option
def events_show(event_id: str, account: str | None, data: str, stack: str | None) -> None:
    """Print an event with its payload and its delivery attempts."""
    with open_installation(data, stack) as installation:
        operations, event = installation.events, _fetch_event(installation, account, event_id)
        attempts = _all_resources(
            lambda request: operations.list_attempts(event.account_sid, event.id, request), lambda each: each.position
        )
        printed_attempts = [each.model_dump(mode="json", exclude={"event_id"}) for each in attempts]
        print_object({**event.model_dump(mode="json"), "attempts": printed_attempts})


@events.command("replay")
@click.argument("event_id")
@click.option(
    "--target",
    metavar="NAME",
    help="Send the event only to this target. `convoke events show` prints the targets of earlier attempts.",
)
@account_option
@existing_data_option
@stack_option
def events_replay(event_id: str, target: str | None, account: str | None, data: str, stack: str | None) -> None:
    """Send an event to its webhooks again.

    Convoke sends the event to the webhooks that are configured now. These webhooks can differ from the webhooks that
    were configured when the event happened.
    """
    with open_installation(data, stack) as installation:
        event = _fetch_event(installation, account, event_id)
        replay = installation.events.replay(event.account_sid, event.id, NewEventReplay(target=target))
        if target is not None and not replay.targets:
            raise installation.missing(f"webhook {target} that receives the event {event.id}")
        print_object({"sid": replay.sid, "event_id": event.id, "targets": replay.targets})


@events.command("republish")
@click.option(
    "--start", metavar="DATE", help="Publish only events at this time or later, such as 2026-01-02T03:04:05Z."
)
@click.option("--end", metavar="DATE", help="Publish only events at this time or earlier.")
@account_option
@existing_data_option
@stack_option
def events_republish(start: str | None, end: str | None, account: str | None, data: str, stack: str | None) -> None:
    """Publish events that no webhook was sent.

    The command finds the events of a period that have no delivery attempt. Without --start and --end, the period is
    unlimited. Convoke publishes these events on the event bus again, and sends them to the webhooks that are configured
    now. If you have added rules to the event bus, these rules can get an event twice.
    """
    try:
        filters = EventFilters.model_validate({"start_date": start, "end_date": end})
    except ValidationError as error:
        (first, *_) = error.errors()
        raise click.BadParameter(first["ctx"]["error"].message, param_hint=OPTIONS[first["loc"][0]]) from error
    with open_installation(data, stack) as installation:
        account_sid = installation.account_sid(account)
        print_object({"republished": installation.program.republisher.republish_period(account_sid, filters)})


def _fetch_event(installation: Installation, account: str | None, event_id: str) -> Event:
    try:
        return installation.events.fetch(installation.account_sid(account), event_id)
    except NotFoundError as error:
        raise installation.missing(f"event {event_id}") from error


def _all_resources(
    list_page: Callable[[PageRequest], Page[Any]], position_of: Callable[[Any], str], *, descending: bool = False
) -> Iterator[Any]:
    """Yield the resources of all pages. Fetch each page only when the caller needs its resources.

    The next page starts after the position `behind` of a page. If a page has no `behind`, the next page starts after
    the position of the last resource, which `position_of` returns.
    """
    page = list_page(PageRequest(PAGE_SIZE, descending=descending))
    yield from page.resources
    while page.has_next:
        position = page.behind or position_of(page.resources[-1])
        page = list_page(PageRequest(PAGE_SIZE, position, descending=descending))
        yield from page.resources
