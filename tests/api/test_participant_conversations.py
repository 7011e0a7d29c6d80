"""`ParticipantConversations` lists the conversations that contain a given identity or address.

See docs/behaviour/participant-conversations.md.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from convoke.domain.pages import PageRequest
from convoke.domain.participants import KnownBy
from convoke.domain.users import user_sid
from convoke.storage import keys
from convoke.storage.participant_conversations import ParticipantConversationRepository
from convoke.storage.table import Item
from tests.support.aws import moto_instance
from tests.support.examples import GROUP_MMS, chat
from tests.support.instances import ORIGIN, Answer, Instance, call
from tests.support.trees import Tree as BothTrees

LIST = "/v1/ParticipantConversations"

ALICE = '{"identity": "alice"}'
PHONE, PROXY, OTHER_PROXY = "+15558675310", "+15017122661", "+15017122662"


def bound(proxy_address: str = PROXY) -> str:
    return json.dumps({"messaging_binding": {"address": PHONE, "proxy_address": proxy_address}})


@pytest.fixture(params=["the account's tree", "a service's tree"])
def tree(instance: Instance, request: pytest.FixtureRequest) -> Tree:
    return Tree(instance, in_service=request.param == "a service's tree")


class Tree(BothTrees):
    def conversations_of(self, **arguments: Any) -> list[str]:
        return [each.conversation_sid for each in self.client.participant_conversations.list(**arguments)]

    def ask(self, query: str) -> Answer:
        return self.instance.call("GET", f"{self.path}/ParticipantConversations{query}")

    def shown(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(query).body["conversations"]
        return found


def test_chat_participant_has_expected_fields_and_links(tree: Tree) -> None:
    sid = tree.make(ALICE, friendly_name="Visit", unique_name="visit", attributes='{"a": 1}', timers_inactive="P1D")
    path = f"{tree.path}/Conversations/{sid}"
    conversation = tree.instance.call("GET", path).body
    (member,) = tree.instance.call("GET", f"{path}/Participants").body["participants"]
    assert tree.shown("?Identity=alice") == [
        {
            "account_sid": tree.instance.account.sid,
            "chat_service_sid": tree.service_sid,
            "participant_sid": member["sid"],
            "participant_user_sid": user_sid(tree.service_sid, "alice"),
            "participant_identity": "alice",
            "participant_messaging_binding": None,
            "conversation_sid": sid,
            "conversation_unique_name": "visit",
            "conversation_friendly_name": "Visit",
            "conversation_attributes": '{"a": 1}',
            "conversation_date_created": conversation["date_created"],
            "conversation_date_updated": conversation["date_updated"],
            "conversation_created_by": "system",
            "conversation_state": "active",
            "conversation_timers": conversation["timers"],
            "links": {"participant": f"{ORIGIN}{path}/Participants/{member['sid']}", "conversation": ORIGIN + path},
        }
    ]
    assert list(conversation["timers"]) == ["date_inactive"]


def test_sms_participant_has_every_binding_key(tree: Tree) -> None:
    sid = tree.make(bound())
    (shown,) = tree.shown(f"?Address={quote(PHONE)}")
    assert shown["participant_messaging_binding"] == {
        "type": "sms",
        "address": PHONE,
        "proxy_address": PROXY,
        "projected_address": None,
        "name": None,
        "level": None,
    }
    assert (shown["participant_identity"], shown["participant_user_sid"]) == (None, None)
    assert tree.conversations_of(address=PHONE) == [sid]


@pytest.mark.each_engine
def test_participants_are_found_by_identity_or_address_only(tree: Tree) -> None:
    mail = '{"messaging_binding": {"address": "alice@example.com", "type": "email"}}'
    masked = json.dumps({"identity": "bob", "messaging_binding": {"projected_address": OTHER_PROXY}})
    group = tree.make(*GROUP_MMS, masked)
    mailed = tree.make(mail)
    chatting = tree.make('{"identity": "alice@example.com"}')
    assert tree.conversations_of(identity="bob") == tree.conversations_of(address=PHONE) == [group]
    assert tree.conversations_of(address="alice@example.com") == [mailed]
    assert tree.conversations_of(identity="alice@example.com") == [chatting]
    for number in (PROXY, OTHER_PROXY, "bob"):
        assert tree.conversations_of(address=number) == []
    for identity in (PHONE, "Bob", "bob ", "unknown", "b" * 1000):
        assert tree.conversations_of(identity=identity) == []


@pytest.mark.each_engine
def test_address_with_two_bindings_is_listed_twice(tree: Tree) -> None:
    sid = tree.make(bound(), bound(OTHER_PROXY))
    shown = tree.client.participant_conversations.list(address=PHONE, page_size=1)
    assert [each.conversation_sid for each in shown] == [sid, sid]
    assert [each.participant_messaging_binding["proxy_address"] for each in shown] == [PROXY, OTHER_PROXY]


@pytest.mark.each_engine
def test_list_is_in_order_of_conversation_sids_over_pages(tree: Tree) -> None:
    joined_late = tree.client.conversations.create().sid
    made = [joined_late, *(tree.make(ALICE, *chat(1)) for _ in range(5))]
    tree.client.conversations(joined_late).participants.create(identity="alice")
    assert made == sorted(made)
    assert tree.conversations_of(identity="alice") == made
    assert tree.conversations_of(identity="alice", page_size=2) == made
    assert tree.conversations_of(identity="alice", limit=5, page_size=2) == made[:5]
    assert tree.conversations_of(identity="alice", limit=500) == made


def test_page_urls_keep_filter_and_lead_both_ways(tree: Tree) -> None:
    made = [tree.make(ALICE) for _ in range(5)]
    url = f"{ORIGIN}{tree.path}/ParticipantConversations?Identity=alice&PageSize=2"
    first = tree.ask("?PageSize=2&Identity=alice").body
    meta = first["meta"]
    assert meta["first_page_url"] == meta["url"] == f"{url}&Page=0"
    assert meta["next_page_url"].startswith(f"{url}&Page=1&PageToken=")
    assert (meta["previous_page_url"], meta["key"], meta["page_size"]) == (None, "conversations", 2)
    assert tree.ask("?Identity=alice&PageSize=500").body["meta"]["page_size"] == 50
    assert tree.ask("?Identity=alice").body["meta"]["page_size"] == 50

    pages = [first]
    for direction in ("next_page_url", "next_page_url", "previous_page_url", "previous_page_url"):
        pages.append(tree.instance.call("GET", pages[-1]["meta"][direction].removeprefix(ORIGIN)).body)
    found = [[each["conversation_sid"] for each in page["conversations"]] for page in pages]
    assert found == [made[:2], made[2:4], made[4:], made[2:4], made[:2]]
    assert pages[2]["meta"]["next_page_url"] is pages[4]["meta"]["previous_page_url"] is None


def test_page_token_is_valid_for_its_filter_and_service_only(tree: Tree) -> None:
    for _ in range(2):
        tree.make(ALICE, '{"identity": "bob"}')
    next_page_url = tree.ask("?Identity=alice&PageSize=1").body["meta"]["next_page_url"]
    token = parse_qs(urlsplit(next_page_url).query)["PageToken"][0]
    other = f"/v1/Services/{tree.instance.account.default_chat_service_sid}{LIST.removeprefix('/v1')}"
    for wrong in (f"{tree.path}/ParticipantConversations?Identity=bob", f"{other}?Identity=alice"):
        assert tree.instance.call("GET", f"{wrong}&PageToken={token}").body["code"] == 20001


def test_identity_filter_matches_any_characters_literally(tree: Tree) -> None:
    longest = "\U0001f600" * 256
    for identity in ("a b", " ", "a|b", "a&b=c", "a@b", "a:b", "a/b", "a#b?c", "a+b", "%41", "null", "é\n中", longest):
        sid = tree.make(json.dumps({"identity": identity}))
        assert tree.conversations_of(identity=identity, page_size=1) == [sid], identity
        (shown,) = tree.shown(f"?{urlencode({'Identity': identity})}")
        assert shown["participant_identity"] == identity


def test_identity_and_address_exclude_each_other_and_one_is_required(tree: Tree) -> None:
    refused = tree.ask(f"?Identity=alice&Address={quote(PHONE)}")
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 50451, "Address")
    for nothing in ("", "?Identity=", "?Identity=&Address=", "?identity=alice"):
        refused = tree.ask(nothing)
        assert (refused.status, refused.body["code"]) == (400, 20001)
        assert refused.body["details"]["parameter"] == "Identity"
        assert "Identity" in refused.body["message"]
        assert "Address" in refused.body["message"]
    assert tree.ask("?Identity=alice&Address=").body["conversations"] == []


def test_unknown_identity_has_empty_list(tree: Tree) -> None:
    url = f"{ORIGIN}{tree.path}/ParticipantConversations?Identity=unknown&PageSize=50&Page=0"
    assert tree.ask("?Identity=unknown").body == {
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


def test_conversation_is_listed_after_initializing(tree: Tree) -> None:
    sid = tree.client.conversation_with_participants.create(participant=[ALICE]).sid
    assert tree.conversations_of(identity="alice") == []
    tree.instance.work()
    assert tree.conversations_of(identity="alice") == [sid]


def test_participants_added_before_finalization_are_not_listed() -> None:
    with moto_instance() as instance:
        v1 = instance.client().conversations.v1
        sid = v1.conversation_with_participants.create(participant=[ALICE]).sid
        instance._add_participants()
        assert len(v1.conversations(sid).participants.list()) == 1
        assert v1.conversations(sid).fetch().state == "initializing"
        assert v1.participant_conversations.list(identity="alice") == []


@pytest.mark.each_engine
def test_removed_participant_is_not_listed_at_once(tree: Tree) -> None:
    sid, *others = tree.make(ALICE, bound()), tree.make(ALICE), tree.make(ALICE)
    tree.client.conversations(sid).participants("alice").delete()
    assert tree.conversations_of(identity="alice") == others
    assert tree.conversations_of(address=PHONE) == [sid]
    again = tree.client.conversations(sid).participants.create(identity="alice").sid
    first, *_ = tree.client.participant_conversations.list(identity="alice")
    assert (first.conversation_sid, first.participant_sid) == (sid, again)


@pytest.mark.each_engine
def test_deleted_conversation_is_not_listed_and_pages_continue(tree: Tree) -> None:
    made = [tree.make(ALICE) for _ in range(6)]
    for sid in made[:3]:
        tree.client.conversations(sid).delete()
    assert len(tree.instance.items("participant")) == 6
    assert tree.conversations_of(identity="alice") == made[3:]
    assert tree.conversations_of(identity="alice", page_size=1) == made[3:]
    empty = tree.ask("?Identity=alice&PageSize=2").body
    assert empty["conversations"] == []
    following = tree.instance.call("GET", empty["meta"]["next_page_url"].removeprefix(ORIGIN)).body
    assert [each["conversation_sid"] for each in following["conversations"]] == [made[3]]
    back = tree.instance.call("GET", following["meta"]["previous_page_url"].removeprefix(ORIGIN)).body
    assert back["conversations"] == []
    tree.instance.sweep(timedelta(minutes=1))
    assert len(tree.instance.items("participant")) == 3
    assert tree.conversations_of(identity="alice", page_size=1) == made[3:]


@pytest.mark.each_engine
def test_stale_index_entries_are_not_listed(instance: Instance) -> None:
    tree = Tree(instance, in_service=False)
    made = [tree.make(ALICE) for _ in range(4)]
    stale = StaleIndex(instance, keys.membership_partition(instance.account.sid, tree.service_sid, "identity", "alice"))
    tree.client.conversations(made[0]).delete()
    instance.sweep(timedelta(minutes=1))
    tree.client.conversations(made[1]).delete()
    tree.client.conversations(made[2]).participants("alice").delete()
    tree.client.conversations(made[3]).update(friendly_name="Other")
    known: Any = ParticipantConversationRepository(stale)  # type: ignore[arg-type]
    page = known.list(instance.account.sid, tree.service_sid, KnownBy("identity", "alice"), PageRequest(50))
    assert [(each.conversation.sid, each.conversation.friendly_name) for each in page.resources] == [(made[3], "Other")]


class StaleIndex:
    """Simulates a table with an outdated index `memberships`.

    The index does not show writes after this object's creation.
    """

    def __init__(self, instance: Instance, partition: str) -> None:
        self._known = instance.table.query(partition, index=keys.MEMBERSHIPS, limit=100)
        self.get_many = instance.table.get_many

    def query(self, _: str, **__: Any) -> list[Item]:
        return self._known


def test_conversations_in_every_state_are_listed(tree: Tree) -> None:
    made = [tree.make(ALICE, state="inactive"), tree.make(ALICE), tree.make(ALICE, timers_closed="PT10M")]
    for sid in made[1:]:
        tree.client.conversations(sid).update(state="closed")
    listed = tree.client.participant_conversations.list(identity="alice")
    assert [(each.conversation_sid, each.conversation_state) for each in listed] == [
        (made[0], "inactive"),
        (made[1], "closed"),
        (made[2], "closed"),
    ]
    assert listed[2].conversation_timers == {}


@pytest.mark.each_engine
def test_identity_given_to_projected_address_is_found(tree: Tree) -> None:
    sid = tree.make(*GROUP_MMS)
    members = tree.client.conversations(sid).participants
    (number,) = (each for each in members.list() if "projected_address" in each.messaging_binding)
    number.update(identity="alice")
    (shown,) = tree.shown("?Identity=alice")
    assert (shown["participant_sid"], shown["conversation_sid"]) == (number.sid, sid)
    assert shown["participant_messaging_binding"]["projected_address"] == PROXY
    assert shown["participant_user_sid"] == user_sid(tree.service_sid, "alice")


def test_list_shows_current_fields(tree: Tree) -> None:
    sid = tree.make(bound())
    conversation = tree.client.conversations(sid)
    conversation.update(unique_name="visit", attributes='{"b": 2}')
    (shown,) = tree.shown(f"?Address={quote(PHONE)}")
    assert (shown["conversation_unique_name"], shown["conversation_attributes"]) == ("visit", '{"b": 2}')


def test_each_service_and_account_lists_its_own(instance: Instance) -> None:
    ours, theirs = Tree(instance, in_service=False), Tree(instance, in_service=True)
    made = {tree.service_sid: tree.make(ALICE, *phones) for tree, phones in ((ours, [bound()]), (theirs, []))}
    for tree in (ours, theirs):
        assert tree.conversations_of(identity="alice") == [made[tree.service_sid]]
    assert theirs.conversations_of(address=PHONE) == []
    assert (
        len({shown["participant_user_sid"] for tree in (ours, theirs) for shown in tree.shown("?Identity=alice")}) == 2
    )
    in_both = instance.call("GET", f"/v1/Services/{ours.service_sid}/ParticipantConversations?Identity=alice").body
    assert [each["conversation_sid"] for each in in_both["conversations"]] == [made[ours.service_sid]]
    other = instance.accounts.create()
    credentials = (other.sid, instance.accounts.token(other.sid))
    for path, status in ((LIST, 200), (f"{theirs.path}/ParticipantConversations", 404)):
        answered = call(instance.api, "GET", f"{ORIGIN}{path}?Identity=alice", auth=credentials)
        assert (answered.status, answered.body.get("conversations", [])) == (status, [])
