"""After any sequence of SDK operations, the resources and lists are the same as in a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from twilio.base.exceptions import TwilioRestException

from tests.support.instances import EmbeddedInstance, held_instance

NAMES = st.sampled_from(["first", "second", "ünïque name"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
IDENTITIES = st.sampled_from(["alice", "Alice", "bob | sales", "carol@example.com"])
PAIRS = st.tuples(st.sampled_from(["+15558675310", "+15558675311"]), st.just("+15017122661"))
ATTRIBUTES = st.builds(json.dumps, st.dictionaries(TEXTS, st.integers(), max_size=2))
STATES = st.sampled_from(["active", "inactive", "closed"])
SIZES = st.integers(min_value=1, max_value=4)

OPEN = frozenset({"active", "inactive"})


@dataclass
class Message:
    index: int
    body: str
    author: str
    attributes: str


@dataclass
class Member:
    identity: str | None
    pair: tuple[str, str] | None
    attributes: str
    role_sid: str
    read: int | None = None
    """The index of the last message that the member has read. None means that the member has read no message."""


@dataclass
class Expected:
    """A conversation in the model. The keys of each dict are SIDs, in the order of creation."""

    name: str | None
    friendly_name: str | None
    attributes: str
    state: str
    members: dict[str, Member] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    webhooks: dict[str, str] = field(default_factory=dict)
    """Maps each webhook SID to the keyword that triggers the webhook."""
    next_index: int = 0


@dataclass
class Outcome:
    """The outcome of an operation. `code` is the error code, or None after a success."""

    code: int | None = None


@contextmanager
def outcome() -> Iterator[Outcome]:
    result = Outcome()
    try:
        yield result
    except TwilioRestException as refused:
        result.code = refused.code


class Resources(RuleBasedStateMachine):
    conversations = Bundle("conversations")
    roles = Bundle("roles")

    def __init__(self) -> None:
        super().__init__()
        self._held = held_instance()
        self.instance: EmbeddedInstance = self._held.__enter__()
        self.v1: Any = self.instance.client().conversations.v1
        self.model: dict[str, Expected] = {}
        self.identities: set[str] = set()
        """The identities for which a User exists."""
        *_, self.default_role_sid = (role.sid for role in self.v1.roles.list())
        self.role_sids: set[str] = set()

    def teardown(self) -> None:
        self._held.__exit__(None, None, None)

    def taken(self, sid: str | None, name: str | None) -> bool:
        return name is not None and any(held.name == name for other, held in self.model.items() if other != sid)

    def refused_in(self, sid: str) -> int | None:
        return 50377 if self.model[sid].state == "closed" else None

    @rule(target=conversations, name=st.none() | NAMES, friendly_name=st.none() | TEXTS, attributes=ATTRIBUTES)
    def create(self, name: str | None, friendly_name: str | None, attributes: str) -> object:
        given = {"unique_name": name, "friendly_name": friendly_name, "attributes": attributes}
        with outcome() as result:
            created = self.v1.conversations.create(**{key: value for key, value in given.items() if value is not None})
        if self.taken(None, name):
            assert result.code == 50353
            return multiple()
        assert result.code is None
        self.model[created.sid] = Expected(name, friendly_name, attributes, "active")
        return created.sid

    @rule(sid=conversations, friendly_name=TEXTS, attributes=ATTRIBUTES, name=NAMES)
    def update(self, sid: str, friendly_name: str, attributes: str, name: str) -> None:
        held = self.model[sid]
        with outcome() as result:
            self.v1.conversations(sid).update(friendly_name=friendly_name, attributes=attributes, unique_name=name)
        expected = self.refused_in(sid) or (50353 if self.taken(sid, name) else None)
        assert result.code == expected
        if expected is None:
            held.friendly_name, held.attributes, held.name = friendly_name, attributes, name

    @rule(sid=conversations, state=STATES)
    def change_state(self, sid: str, state: str) -> None:
        with outcome() as result:
            self.v1.conversations(sid).update(state=state)
        assert result.code == self.refused_in(sid)
        if result.code is None:
            self.model[sid].state = state

    @rule(sid=consumes(conversations))
    def delete(self, sid: str) -> None:
        assert self.v1.conversations(sid).delete()
        del self.model[sid]
        with outcome() as result:
            self.v1.conversations(sid).fetch()
        assert result.code == 20404

    @rule(sid=conversations, identity=IDENTITIES, attributes=ATTRIBUTES)
    def add_chat_member(self, sid: str, identity: str, attributes: str) -> None:
        present = any(member.identity == identity for member in self.model[sid].members.values())
        self.add(
            sid,
            Member(identity, None, attributes, self.default_role_sid),
            50433 if present else None,
            identity=identity,
            attributes=attributes,
        )

    @rule(sid=conversations, pair=PAIRS)
    def add_phone(self, sid: str, pair: tuple[str, str]) -> None:
        holders = (held for held in self.model.values() if held.state in OPEN)
        busy = any(member.pair == pair for held in holders for member in held.members.values())
        address, proxy = pair
        self.add(
            sid,
            Member(None, pair, "{}", self.default_role_sid),
            50416 if busy else None,
            messaging_binding_address=address,
            messaging_binding_proxy_address=proxy,
        )

    def add(self, sid: str, member: Member, collision: int | None, **given: str) -> None:
        with outcome() as result:
            created = self.v1.conversations(sid).participants.create(**given)
        assert result.code == (self.refused_in(sid) or collision)
        if result.code is None:
            self.model[sid].members[created.sid] = member
            self.identities |= {member.identity} if member.identity else set()

    def member_sid(self, sid: str, identity: str) -> str | None:
        members = self.model[sid].members.items()
        return next((member_sid for member_sid, member in members if member.identity == identity), None)

    @rule(sid=conversations, identity=IDENTITIES, index=st.integers(min_value=0, max_value=4))
    def read_until(self, sid: str, identity: str, index: int) -> None:
        held, member_sid = self.model[sid], self.member_sid(sid, identity)
        with outcome() as result:
            shown = self.v1.users(identity).user_conversations(sid).update(last_read_message_index=index)
        has_user = identity in self.identities and member_sid is not None
        assert result.code == (self.refused_in(sid) if has_user else 20404)
        if result.code is None and member_sid:
            position = min(index, held.next_index - 1) if held.next_index else None
            held.members[member_sid].read = position
            unread = None if position is None else held.next_index - 1 - position
            assert (shown.last_read_message_index, shown.unread_messages_count) == (position, unread)

    @rule(identity=IDENTITIES)
    def delete_user(self, identity: str) -> None:
        """Delete a User. Convoke then deletes the User's participants from all conversations that are not closed."""
        with outcome() as result:
            self.v1.users(identity).delete()
        assert result.code == (None if identity in self.identities else 20404)
        if result.code is None:
            self.identities.discard(identity)
            self.instance.sweep(timedelta(seconds=1))
            for sid, held in self.model.items():
                if held.state in OPEN and (member_sid := self.member_sid(sid, identity)):
                    del held.members[member_sid]

    @rule(size=SIZES)
    def list_users(self, size: int) -> None:
        listed = [user.identity for user in self.v1.users.list(page_size=size)]
        assert sorted(listed) == sorted(self.identities)

    @rule(target=roles, permission=st.sampled_from(["sendMessage", "leaveConversation"]))
    def create_role(self, permission: str) -> str:
        sid: str = self.v1.roles.create(friendly_name="r", type="conversation", permission=[permission]).sid
        self.role_sids.add(sid)
        return sid

    @rule(sid=roles)
    def delete_role(self, sid: str) -> None:
        with outcome() as result:
            self.v1.roles(sid).delete()
        assert result.code == (None if sid in self.role_sids else 20404)
        self.role_sids.discard(sid)

    @rule(sid=conversations, role_sid=roles, data=st.data())
    def change_role(self, sid: str, role_sid: str, data: st.DataObject) -> None:
        if members := self.model[sid].members:
            member_sid = data.draw(st.sampled_from(sorted(members)))
            with outcome() as result:
                self.v1.conversations(sid).participants(member_sid).update(role_sid=role_sid)
            assert result.code == (self.refused_in(sid) or (None if role_sid in self.role_sids else 50109))
            if result.code is None:
                members[member_sid].role_sid = role_sid

    @rule(sid=conversations, data=st.data(), attributes=ATTRIBUTES)
    def change_member(self, sid: str, data: st.DataObject, attributes: str) -> None:
        if members := self.model[sid].members:
            member_sid = data.draw(st.sampled_from(sorted(members)))
            named = data.draw(st.sampled_from([member_sid, members[member_sid].identity or member_sid]))
            with outcome() as result:
                self.v1.conversations(sid).participants(named).update(attributes=attributes)
            assert result.code == self.refused_in(sid)
            if result.code is None:
                members[member_sid].attributes = attributes

    @rule(sid=conversations, data=st.data())
    def remove_member(self, sid: str, data: st.DataObject) -> None:
        if members := self.model[sid].members:
            member_sid = data.draw(st.sampled_from(sorted(members)))
            with outcome() as result:
                self.v1.conversations(sid).participants(member_sid).delete()
            assert result.code == self.refused_in(sid)
            if result.code is None:
                del members[member_sid]

    @rule(sid=conversations, body=TEXTS.filter(bool), author=st.none() | IDENTITIES, attributes=ATTRIBUTES)
    def create_message(self, sid: str, body: str, author: str | None, attributes: str) -> None:
        held = self.model[sid]
        given = {"author": author} if author else {}
        with outcome() as result:
            created = self.v1.conversations(sid).messages.create(body=body, attributes=attributes, **given)
        assert result.code == self.refused_in(sid)
        if result.code is None:
            held.messages[created.sid] = Message(held.next_index, body, author or "system", attributes)
            held.next_index, held.state = held.next_index + 1, "active"

    @rule(sid=conversations, data=st.data(), body=TEXTS.filter(bool))
    def update_message(self, sid: str, data: st.DataObject, body: str) -> None:
        if messages := self.model[sid].messages:
            message_sid = data.draw(st.sampled_from(sorted(messages)))
            with outcome() as result:
                self.v1.conversations(sid).messages(message_sid).update(body=body)
            assert result.code == self.refused_in(sid)
            if result.code is None:
                messages[message_sid].body = body

    @rule(sid=conversations, data=st.data())
    def delete_message(self, sid: str, data: st.DataObject) -> None:
        if messages := self.model[sid].messages:
            message_sid = data.draw(st.sampled_from(sorted(messages)))
            with outcome() as result:
                self.v1.conversations(sid).messages(message_sid).delete()
            assert result.code == self.refused_in(sid)
            if result.code is None:
                del messages[message_sid]

    @rule(size=SIZES, state=st.none() | STATES)
    def list_conversations(self, size: int, state: str | None) -> None:
        listed = self.v1.conversations.list(page_size=size, **({"state": state} if state else {}))
        expected = [(sid, held) for sid, held in self.model.items() if state in (None, held.state)]
        assert [
            (each.sid, Expected(each.unique_name, each.friendly_name, each.attributes, each.state)) for each in listed
        ] == [(sid, Expected(held.name, held.friendly_name, held.attributes, held.state)) for sid, held in expected]

    @rule(sid=conversations, size=SIZES)
    def list_members(self, sid: str, size: int) -> None:
        listed = self.v1.conversations(sid).participants.list(page_size=size)
        assert {each.sid: self.shown(each) for each in listed} == self.model[sid].members
        assert [each.sid for each in listed] == [*self.model[sid].members]

    @rule(sid=conversations, size=SIZES, descending=st.booleans(), limit=st.none() | SIZES)
    def list_messages(self, sid: str, size: int, descending: bool, limit: int | None) -> None:
        order = "desc" if descending else "asc"
        listed = self.v1.conversations(sid).messages.list(order=order, page_size=size, limit=limit)
        expected = [*self.model[sid].messages.items()]
        assert [
            (each.sid, Message(each.index, each.body, each.author, each.attributes)) for each in listed
        ] == expected[:: -1 if descending else 1][:limit]

    @rule(identity=IDENTITIES, size=SIZES)
    def list_conversations_of(self, identity: str, size: int) -> None:
        """Compare the list of an identity's conversations with the model.

        The list must be sorted by conversation SID.
        """
        listed = self.v1.participant_conversations.list(identity=identity, page_size=size)
        expected = [
            (member_sid, sid, held.state)
            for sid, held in sorted(self.model.items())
            for member_sid, member in held.members.items()
            if member.identity == identity
        ]
        assert [(each.participant_sid, each.conversation_sid, each.conversation_state) for each in listed] == expected

    @rule(sid=conversations, keyword=TEXTS.filter(bool))
    def add_webhook(self, sid: str, keyword: str) -> None:
        with outcome() as result:
            created = self.v1.conversations(sid).webhooks.create(
                target="trigger", configuration_url="https://hooks.example.com/", configuration_triggers=[keyword]
            )
        webhooks = self.model[sid].webhooks
        assert result.code == (self.refused_in(sid) or (50361 if len(webhooks) == 5 else None))
        if result.code is None:
            webhooks[created.sid] = keyword

    @rule(sid=conversations, data=st.data())
    def remove_webhook(self, sid: str, data: st.DataObject) -> None:
        """Delete a webhook. This is also possible in a closed conversation."""
        if webhooks := self.model[sid].webhooks:
            webhook_sid = data.draw(st.sampled_from(sorted(webhooks)))
            assert self.v1.conversations(sid).webhooks(webhook_sid).delete()
            del webhooks[webhook_sid]

    @rule(sid=conversations, size=SIZES)
    def list_webhooks(self, sid: str, size: int) -> None:
        listed = self.v1.conversations(sid).webhooks.list(page_size=size)
        shown = [(each.sid, *each.configuration["triggers"]) for each in listed]
        assert shown == [*self.model[sid].webhooks.items()]

    @invariant()
    def unique_names_lead_to_their_conversations(self) -> None:
        for sid, held in self.model.items():
            if held.name:
                fetched = self.v1.conversations(held.name).fetch()
                assert (fetched.sid, fetched.state) == (sid, held.state)

    @staticmethod
    def shown(participant: Any) -> Member:
        binding = participant.messaging_binding
        pair = (binding["address"], binding["proxy_address"]) if binding else None
        read = participant.last_read_message_index
        return Member(participant.identity, pair, participant.attributes, participant.role_sid, read)


TestResources = Resources.TestCase
TestResources.settings = settings(
    deadline=None, max_examples=40, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
