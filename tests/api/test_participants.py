"""Clients list and fetch participants. See docs/behaviour/participants.md and docs/behaviour/pagination.md."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.examples import chat
from tests.support.instances import ORIGIN, Instance, refusal


@pytest.mark.each_engine
def test_participant_list_pages_lead_forward_and_back(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    created = v1.conversation_with_participants.create(unique_name="team", participant=chat(5))
    instance.work()
    for name in (created.sid, "team"):
        listed = v1.conversations(name).participants.list(page_size=2)
        assert [member.identity for member in listed] == [f"member {number}" for number in range(5)]

    first = v1.conversations(created.sid).participants.page(page_size=2)
    second = first.next_page()
    assert [member.identity for member in second] == ["member 2", "member 3"]
    back = second.previous_page()
    assert [member.identity for member in back] == ["member 0", "member 1"]
    third = second.next_page()
    assert [member.identity for member in third] == ["member 4"]
    assert third.next_page() is None
    assert back.previous_page() is None


def test_page_meta_uses_origin_of_the_request(instance: Instance) -> None:
    sid = instance.client().conversations.v1.conversation_with_participants.create(participant=chat(3)).sid
    instance.work()
    path = f"/v1/Conversations/{sid}/Participants"
    meta = instance.call("GET", f"{path}?PageSize=2").body["meta"]
    next_page_url = meta.pop("next_page_url")
    assert meta == {
        "page": 0,
        "page_size": 2,
        "first_page_url": f"{ORIGIN}{path}?PageSize=2&Page=0",
        "previous_page_url": None,
        "url": f"{ORIGIN}{path}?PageSize=2&Page=0",
        "key": "participants",
    }
    assert next_page_url.startswith(f"{ORIGIN}{path}?PageSize=2&Page=1&PageToken=")
    following = instance.call("GET", next_page_url.removeprefix(ORIGIN)).body["meta"]
    assert (following["page"], following["url"], following["next_page_url"]) == (1, next_page_url, None)


def test_page_size_is_limited_to_1_and_100(instance: Instance) -> None:
    sid = instance.client().conversations.v1.conversation_with_participants.create(participant=chat(1)).sid
    for asked, given in (("500", 100), ("0", 1), ("-3", 1)):
        answered = instance.call("GET", f"/v1/Conversations/{sid}/Participants?PageSize={asked}")
        assert (answered.status, answered.body["meta"]["page_size"]) == (200, given)
    refused = instance.call("GET", f"/v1/Conversations/{sid}/Participants?PageSize=many")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, "PageSize")


def test_page_token_is_valid_for_its_own_list_only(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    one, other = (v1.conversation_with_participants.create(participant=chat(3)).sid for _ in range(2))
    instance.work()
    path = f"/v1/Conversations/{one}/Participants"
    next_page_url = instance.call("GET", f"{path}?PageSize=1").body["meta"]["next_page_url"]
    token = parse_qs(urlsplit(next_page_url).query)["PageToken"][0]
    assert instance.call("GET", f"{path}?PageToken={token}").status == 200
    for wrong in (f"{path}?PageToken={token[:-4]}AAAA", f"{path}?PageToken=%21", f"{path}?PageToken="):
        assert instance.call("GET", wrong).body["code"] == 20001
    assert instance.call("GET", f"/v1/Conversations/{other}/Participants?PageToken={token}").body["code"] == 20001


@pytest.mark.each_engine
def test_next_page_continues_while_participants_are_added(instance: Instance) -> None:
    """A page token names a participant instead of an offset. Therefore new participants do not shift the next page."""
    v1 = instance.client().conversations.v1
    created = v1.conversation_with_participants.create(participant=chat(4))
    first = v1.conversations(created.sid).participants.page(page_size=2)
    assert list(first) == []
    instance.work()
    first = v1.conversations(created.sid).participants.page(page_size=2)
    assert [member.identity for member in first.next_page()] == ["member 2", "member 3"]


def test_unknown_participant_conversation_or_service_is_not_found(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=chat(1)).sid
    instance.work()
    missing = [
        v1.conversations(sid).participants("MB" + "0" * 32).fetch,
        v1.conversations("CH" + "0" * 32).participants("MB" + "0" * 32).fetch,
        v1.conversations("CH" + "0" * 32).fetch,
        v1.conversations("unknown").fetch,
        v1.services("IS" + "0" * 32).conversations(sid).fetch,
        v1.services("IS" + "0" * 32).fetch,
    ]
    for fetch in missing:
        error = refusal(fetch)
        assert (error.status, error.code) == (404, 20404)
        assert error.msg.endswith(" was not found")
    assert instance.call("GET", f"/v1/Conversations/{'CH' + '0' * 32}/Participants").status == 404
