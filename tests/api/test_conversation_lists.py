"""Lists of conversations have pages, filters and an order. See docs/behaviour/conversations.md#list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import State
from convoke.domain.pages import PageRequest
from convoke.storage import keys
from convoke.storage.conversations import ConversationRepository
from convoke.storage.lists import MIN_ENTRIES_WITH_FILTER
from convoke.storage.table import Item, Table
from tests.support.examples import chat
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance

LIST = f"{ORIGIN}/v1/Conversations"

NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC)


class StaleIndex:
    """Simulates a table with an outdated index `listed`, which does not show writes after this object's creation."""

    def __init__(self, table: Table, shards: Sequence[str]) -> None:
        self._known = {shard: table.query(shard, index=keys.LISTED, limit=100) for shard in shards}
        self.get_many = table.get_many

    def query(self, partition: str, **_: Any) -> list[Item]:
        return self._known[partition]


def make(instance: Instance, number: int, **parameters: Any) -> list[str]:
    conversations = instance.client().conversations.v1.conversations
    return [conversations.create(**parameters).sid for _ in range(number)]


def make_daily(instance: Instance, days: Sequence[int]) -> list[str]:
    """Create one conversation for each day in `days` of January 2020. Return the SIDs in the order of the dates."""
    made = {
        day: make(instance, 1, date_created=NEW_YEAR + timedelta(days=day - 1, hours=12), friendly_name=str(day))
        for day in days
    }
    return [sid for day in sorted(days) for sid in made[day]]


def sids(listed: Iterable[Any]) -> list[str]:
    return [each.sid for each in listed]


def page(instance: Instance, url: str) -> Any:
    answered = instance.call("GET", url.removeprefix(ORIGIN))
    assert answered.status == 200
    return answered.body


def pages(instance: Instance, query: str, direction: str = "next_page_url") -> list[list[str]]:
    """Fetch the page at `query`, and follow the links in `direction`. Return the SIDs of each page."""
    found, url = [], f"{LIST}{query}"
    while url:
        body = page(instance, url)
        found.append([each["sid"] for each in body["conversations"]])
        url = body["meta"][direction]
    return found


@pytest.mark.each_engine
def test_conversations_are_listed_oldest_first(instance: Instance) -> None:
    made = make(instance, 7)
    conversations = instance.client().conversations.v1.conversations
    assert sids(conversations.list()) == made
    assert sids(conversations.list(limit=5, page_size=2)) == made[:5]
    assert sids(islice(conversations.stream(page_size=3), 7)) == made


@pytest.mark.each_engine
def test_listed_conversation_equals_fetched_conversation(instance: Instance) -> None:
    (sid,) = make(instance, 1, friendly_name="Visit", unique_name="visit", timers_closed="PT10M")
    assert page(instance, LIST)["conversations"] == [page(instance, f"{LIST}/{sid}")]


@pytest.mark.each_engine
def test_page_urls_lead_forward_and_back(instance: Instance) -> None:
    made = make(instance, 7)
    forth = pages(instance, "?PageSize=3")
    assert forth == [made[:3], made[3:6], made[6:]]
    last = page(
        instance, page(instance, page(instance, f"{LIST}?PageSize=3")["meta"]["next_page_url"])["meta"]["next_page_url"]
    )
    back = last["meta"]["previous_page_url"].removeprefix(LIST)
    assert pages(instance, back, "previous_page_url") == [made[3:6], made[:3]]


def test_empty_list_has_meta_and_no_next_page(instance: Instance) -> None:
    url = f"{LIST}?PageSize=50&Page=0"
    assert page(instance, LIST) == {
        "meta": {
            "page": 0,
            "page_size": 50,
            "first_page_url": url,
            "previous_page_url": None,
            "url": url,
            "next_page_url": None,
            "key": "conversations",
        },
        "conversations": [],
    }


@pytest.mark.each_engine
def test_next_page_continues_after_creations_and_deletions(instance: Instance) -> None:
    made = make(instance, 6)
    first = page(instance, f"{LIST}?PageSize=2")
    conversations = instance.client().conversations.v1.conversations
    conversations(made[1]).delete()
    conversations(made[3]).delete()
    later = make(instance, 1)
    earlier = make(instance, 1, date_created=NEW_YEAR)
    rest = pages(instance, first["meta"]["next_page_url"].removeprefix(LIST))
    assert rest == [[made[2], made[4]], [made[5], *later]]
    assert sids(conversations.list(limit=1)) == earlier


@pytest.mark.each_engine
def test_deleted_conversation_is_not_listed(instance: Instance) -> None:
    made = make(instance, 3)
    conversations = instance.client().conversations.v1.conversations
    conversations(made[1]).delete()
    assert sids(conversations.list()) == [made[0], made[2]]
    assert len(instance.items("conversation")) == 3
    instance.sweep(timedelta(minutes=1))
    assert sids(conversations.list()) == [made[0], made[2]]


@pytest.mark.each_engine
def test_stale_index_entries_are_not_listed(instance: Instance) -> None:
    made = make(instance, 4)
    account_sid, service_sid = instance.account.sid, instance.account.default_chat_service_sid
    stale: Any = StaleIndex(instance.table, keys.list_shards(account_sid, service_sid))
    conversations = instance.client().conversations.v1.conversations
    conversations(made[0]).delete()
    instance.sweep(timedelta(minutes=1))
    conversations(made[1]).delete()
    conversations(made[2]).update(state="inactive", friendly_name="Other")

    def shown(**filters: Any) -> list[tuple[str, str | None]]:
        page = ConversationRepository(stale).list(
            account_sid, service_sid, ConversationFilters(**filters), PageRequest(50)
        )
        return [(each.sid, each.friendly_name) for each in page.resources]

    assert shown() == [(made[2], "Other"), (made[3], None)]
    assert shown(state=State.ACTIVE) == [(made[3], None)]


@pytest.mark.each_engine
def test_back_dated_conversation_is_listed_at_its_date(instance: Instance) -> None:
    made = make_daily(instance, [3, 1, 2])
    now = make(instance, 1)
    conversations = instance.client().conversations.v1.conversations
    assert sids(conversations.list(page_size=1)) == [*made, *now]
    assert sids(conversations.list(start_date="2020-01-01", page_size=1)) == [*now, *made[::-1]]
    conversations(made[0]).update(date_created=NEW_YEAR + timedelta(days=9))
    assert sids(conversations.list()) == [made[1], made[2], made[0], *now]


@pytest.mark.each_engine
@pytest.mark.parametrize(
    ("filters", "days"),
    [
        ({"start_date": "2020-01-03"}, [4, 3]),
        ({"end_date": "2020-01-02"}, [2, 1]),
        ({"start_date": "2020-01-02", "end_date": "2020-01-02"}, [2]),
        ({"start_date": "2020-01-02T00:00:00Z", "end_date": "2020-01-03T23:59:59Z"}, [3, 2]),
        ({"start_date": "2020-01-02T12:00:00Z", "end_date": "2020-01-03T12:00:00Z"}, [3, 2]),
        ({"start_date": "2020-01-02T12:00:01Z", "end_date": "2020-01-03T11:59:59Z"}, []),
        ({"start_date": "2020-01-02T14:00:00+02:00", "end_date": "2020-01-02T14:00:00+02:00"}, [2]),
        ({"start_date": "2020-02-01"}, []),
    ],
)
def test_date_filters_include_both_ends_and_list_newest_first(
    instance: Instance, filters: dict[str, str], days: list[int]
) -> None:
    make_daily(instance, [1, 2, 3, 4])
    listed = instance.client().conversations.v1.conversations.list(page_size=1, **filters)
    assert [each.friendly_name for each in listed] == [str(day) for day in days]


@pytest.mark.each_engine
def test_end_date_includes_the_whole_second(instance: Instance) -> None:
    sid = instance.call("POST", "/v1/Conversations", {"DateCreated": "2020-01-02T23:59:59.999Z"}).body["sid"]
    conversations = instance.client().conversations.v1.conversations
    for end in ("2020-01-02", "2020-01-02T23:59:59Z", "2020-01-02T23:59:59.999Z"):
        assert sids(conversations.list(end_date=end)) == [sid]
    assert conversations.list(end_date="2020-01-02T23:59:59.998Z") == []


@pytest.mark.each_engine
def test_state_filter_lists_conversations_in_that_state(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    active = make(instance, 3)
    inactive = make(instance, 3, state="inactive")
    v1.conversations(active[1]).update(state="closed")
    initializing = [v1.conversation_with_participants.create(participant=chat(2)).sid]

    def listed(state: str) -> list[str]:
        return sids(v1.conversations.list(state=state, page_size=1))

    assert listed("active") == [active[0], active[2]]
    assert listed("Inactive") == inactive
    assert listed("closed") == [active[1]]
    assert listed("initializing") == initializing
    instance.work()
    assert listed("initializing") == []
    assert listed("active") == [active[0], active[2], *initializing]


def test_page_with_filter_reads_bounded_number_of_entries(embedded: EmbeddedInstance) -> None:
    first = make(embedded, 1, state="inactive")
    make(embedded, MIN_ENTRIES_WITH_FILTER * 6)
    last = make(embedded, 1, state="inactive")
    conversations = embedded.client().conversations.v1.conversations
    found = pages(embedded, "?State=inactive&PageSize=1")
    assert [sid for part in found for sid in part] == [*first, *last]
    assert len(found) < 6
    assert sids(conversations.list(state="inactive")) == [*first, *last]
    url = page(embedded, f"{LIST}?State=inactive&PageSize=2")["meta"]["next_page_url"]
    back = page(embedded, url)["meta"]["previous_page_url"]
    assert first[0] in {sid for part in pages(embedded, back.removeprefix(LIST), "previous_page_url") for sid in part}


def test_next_page_url_keeps_filters(instance: Instance) -> None:
    make_daily(instance, [1, 2, 3])
    meta = page(instance, f"{LIST}?PageSize=1&State=active&StartDate=2020-01-01")["meta"]
    start = f"{LIST}?StartDate=2020-01-01&State=active&PageSize=1"
    assert meta["first_page_url"] == meta["url"] == f"{start}&Page=0"
    assert meta["next_page_url"].startswith(f"{start}&Page=1&PageToken=")
    token = meta["next_page_url"].rpartition("=")[2]
    for other in ("", "&State=active", "&State=active&StartDate=2020-01-02"):
        refused = instance.call("GET", f"/v1/Conversations?PageSize=1{other}&PageToken={token}")
        assert (refused.status, refused.body["code"]) == (400, 20001)


@pytest.mark.parametrize(
    ("query", "code", "parameter"),
    [
        ("StartDate=2020-01-02&EndDate=2020-01-01", 50396, "EndDate"),
        ("StartDate=2020-01-02T00:00:01Z&EndDate=2020-01-02T00:00:00Z", 50396, "EndDate"),
        ("StartDate=yesterday", 20001, "StartDate"),
        ("EndDate=2020-02-30", 20001, "EndDate"),
        ("EndDate=", 20001, "EndDate"),
        ("State=open", 50378, "State"),
        ("State=", 50374, "State"),
        ("PageSize=many", 20001, "PageSize"),
        ("PageToken=x", 20001, "PageToken"),
    ],
)
def test_invalid_list_filter_is_refused(instance: Instance, query: str, code: int, parameter: str) -> None:
    refused = instance.call("GET", f"/v1/Conversations?{query}")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, code, parameter)


@pytest.mark.each_engine
def test_each_service_lists_its_own_conversations(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    theirs = [service.conversations.create().sid for _ in range(3)]
    ours = make(instance, 2)
    assert sids(service.conversations.list(page_size=1)) == theirs
    assert sids(v1.conversations.list()) == ours
    (first, *_) = service.conversations.list(limit=1)
    assert first.url.startswith(f"{ORIGIN}/v1/Services/{first.chat_service_sid}/")
    other = instance.accounts.create()
    assert instance.client(other.sid, instance.accounts.token(other.sid)).conversations.v1.conversations.list() == []


def test_page_size_is_limited_to_100(instance: Instance) -> None:
    make(instance, 3)
    assert page(instance, f"{LIST}?PageSize=500")["meta"]["page_size"] == 100
    assert page(instance, f"{LIST}?PageSize=0")["meta"]["page_size"] == 1
    assert len(instance.client().conversations.v1.conversations.list(limit=500)) == 3
