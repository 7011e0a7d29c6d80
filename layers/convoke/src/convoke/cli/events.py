"""`convoke events` and `convoke dlq`: what happened, and what nobody took."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import Place, open_installation, stack_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convoke.domain.events import Event
    from convoke.domain.pages import Page, PageRequest

PAGE_SIZE = 50

account_option = click.option("--account", metavar="SID", help="Whose; without it, the oldest account's.")


@click.group()
def events() -> None:
    """The ledger: the events of the last 30 days, and the attempts to tell webhooks of them."""


@events.command("list")
@account_option
@click.option("--conversation", metavar="SID", help="Only those of one conversation.")
@click.option("--limit", default=PAGE_SIZE, show_default=True, type=click.IntRange(1), help="How many at the most.")
@existing_data_option
@stack_option
def events_list(account: str | None, conversation: str | None, limit: int, data: str, stack: str | None) -> None:
    """Print the newest events, the newest first, one line of JSON each, without their payloads."""
    from convoke.domain.events import EventFilters
    from convoke.domain.sids import Prefix, is_sid

    if conversation is not None and not is_sid(conversation, Prefix.CONVERSATION):
        raise click.BadParameter("a conversation is named by its SID", param_hint="--conversation")
    with open_installation(data, stack) as place:
        account_sid, ledger = place.account_sid(account), place.events
        filters = EventFilters(conversation_sid=conversation)
        every = _every(lambda request: ledger.list(account_sid, filters, request), lambda _: "", newest_first=True)
        for event in islice(every, limit):
            click.echo(event.model_dump_json(exclude={"payload"}))


@events.command("show")
@click.argument("event_id")
@account_option
@existing_data_option
@stack_option
def events_show(event_id: str, account: str | None, data: str, stack: str | None) -> None:
    """Print an event with its payload and every attempt to tell webhooks of it, as one line of JSON."""
    with open_installation(data, stack) as place:
        ledger, event = place.events, _event(place, account, event_id)
        attempts = _every(
            lambda request: ledger.list_attempts(event.account_sid, event.id, request), lambda each: each.position
        )
        listed = [each.model_dump(mode="json", exclude={"event_id"}) for each in attempts]
        click.echo(json.dumps({**event.model_dump(mode="json"), "attempts": listed}))


@events.command("replay")
@click.argument("event_id")
@click.option("--target", help="Only to this one of those that attempts name.")
@account_option
@existing_data_option
@stack_option
def events_replay(event_id: str, target: str | None, account: str | None, data: str, stack: str | None) -> None:
    """Tell webhooks of an event once more: those that are configured to be told by now."""
    from convoke.domain.event_replays import NewEventReplay

    with open_installation(data, stack) as place:
        event = _event(place, account, event_id)
        replay = place.events.replay(event.account_sid, event.id, NewEventReplay(target=target))
        click.echo(json.dumps({"sid": replay.sid, "event_id": event.id, "targets": replay.targets}))


@click.group()
def dlq() -> None:
    """Dead letters: the messages that nobody could handle."""


@dlq.command("list")
@existing_data_option
@stack_option
def dlq_list(data: str, stack: str | None) -> None:
    """Print what each is about, one line of JSON each."""
    with open_installation(data, stack) as place:
        for letters in place.dead_letters():
            for body in letters.bodies():
                click.echo(json.dumps({"queue": letters.name, **_about(body)}))


@dlq.command("redrive")
@existing_data_option
@stack_option
def dlq_redrive(data: str, stack: str | None) -> None:
    """Send all of them back to their queues, to be handled from the start.

    The attempts at a delivery count anew, beside those that stand on the ledger.
    """
    with open_installation(data, stack) as place:
        for letters in place.dead_letters():
            click.echo(json.dumps({"queue": letters.name, "redriven": letters.redrive(_again(place))}))


def _event(place: Place, account: str | None, event_id: str) -> Event:
    from convoke.domain.errors import NotFoundError

    try:
        return place.events.fetch(place.account_sid(account), event_id)
    except NotFoundError as error:
        raise place.missing(f"event {event_id}") from error


def _every(
    list_: Callable[[PageRequest], Page[Any]], position: Callable[[Any], str], *, newest_first: bool = False
) -> Iterator[Any]:
    """Page by page, as the iteration goes on."""
    from convoke.domain.pages import PageRequest

    page = list_(PageRequest(PAGE_SIZE, descending=newest_first))
    yield from page.resources
    while page.has_next:
        behind = page.behind or position(page.resources[-1])
        page = list_(PageRequest(PAGE_SIZE, behind, descending=newest_first))
        yield from page.resources


def _again(place: Place) -> Callable[[str], str]:
    from pydantic import ValidationError

    from convoke.domain.sids import Prefix
    from convoke.domain.webhooks import Delivery

    def again(body: str) -> str:
        """A delivery as one of a replay of its own. Whatever else it is, as it is."""
        try:
            delivery = Delivery.model_validate_json(body)
        except ValidationError:
            return body
        return delivery.model_copy(update={"replay_sid": place.program.edges.new_sid(Prefix.REPLAY)}).model_dump_json()

    return again


def _about(body: str) -> dict[str, Any]:
    """Nothing that people wrote. A message is a delivery, an event, or members to add."""
    try:
        message = json.loads(body)
        subject = message.get("event") or message.get("detail") or message
        named = {"event_id": subject.get("id"), "event_type": subject.get("type"), "target": message.get("target")}
        sids = {name: subject.get(name) for name in ("account_sid", "conversation_sid")}
    except (ValueError, AttributeError):
        return {"unreadable": True}
    return {name: value for name, value in {**sids, **named}.items() if value is not None}
