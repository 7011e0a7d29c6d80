"""A chat user's roles determine what the user can do and see (domain/principals.py)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import ConversationsError, NotAParticipantError, NotPermittedError, UnavailableError
from convoke.domain.participants import Participant
from convoke.domain.permissions import Action, Decision, decide
from convoke.domain.principals import Membership, Principal
from convoke.domain.roles import Permission, Role, RoleType

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

CONVERSATION = Conversation(
    account_sid="AC1", chat_service_sid="IS1", sid="CH1", state=State.ACTIVE, date_created=MOMENT, date_updated=MOMENT
)


def role(role_type: RoleType, *permissions: Permission) -> Role:
    return Role(
        account_sid="AC1",
        chat_service_sid="IS1",
        sid="RL1",
        friendly_name="test",
        type=role_type,
        permissions=permissions,
        date_created=MOMENT,
        date_updated=MOMENT,
    )


def participant(identity: str) -> Participant:
    return Participant(
        account_sid="AC1",
        conversation_sid="CH1",
        sid="MB1",
        identity=identity,
        date_created=MOMENT,
        date_updated=MOMENT,
    )


def alice(*permissions: Permission, member_of: Role | None = None) -> Principal:
    membership = Membership(participant("alice"), member_of) if member_of else None
    return Principal("alice", role(RoleType.SERVICE, *permissions), membership)


NOTHING = role(RoleType.CONVERSATION)

ROLES = [None, NOTHING, *(role(RoleType.CONVERSATION, permission) for permission in Permission)]

ERRORS = {Decision.NOT_PERMITTED: NotPermittedError, Decision.NOT_A_PARTICIPANT: NotAParticipantError}


def error_of(principal: Principal, action: Action, *, own: bool) -> type[ConversationsError] | None:
    try:
        principal.check(action, own=own)
    except ConversationsError as error:
        return type(error)
    return None


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("own", [True, False])
def test_check_raises_the_error_of_the_decision(action: Action, own: bool) -> None:
    for permissions in ((), *((permission,) for permission in Permission)):
        for member_of in ROLES:
            principal = alice(*permissions, member_of=member_of)
            decision = decide(action, principal.role, member_of, own=own)
            assert error_of(principal, action, own=own) is ERRORS.get(decision)


@pytest.mark.parametrize(
    "principal",
    [
        alice(member_of=NOTHING),
        alice(Permission.DELETE_CONVERSATION),
        alice(Permission.EDIT_CONVERSATION_NAME),
        alice(Permission.EDIT_CONVERSATION_ATTRIBUTES),
    ],
)
def test_members_and_administrators_see_a_conversation(principal: Principal) -> None:
    principal.check_visible(CONVERSATION)


@pytest.mark.parametrize("permission", [Permission.JOIN_CONVERSATION, Permission.EDIT_ANY_MESSAGE])
def test_others_do_not_see_a_conversation(permission: Permission) -> None:
    with pytest.raises(NotAParticipantError):
        alice(permission).check_visible(CONVERSATION)


def test_creator_sees_the_conversation_until_its_first_join() -> None:
    created = CONVERSATION.model_copy(update={"created_by": "alice"})
    alice().check_visible(created)
    with_bob = created.with_participants(participant("bob"))
    alice().check_visible(with_bob)
    left = with_bob.with_participants(participant("alice")).without_participant(participant("alice"))
    with pytest.raises(NotAParticipantError):
        alice().check_visible(left)
    with pytest.raises(NotAParticipantError):
        alice().check_visible(created.model_copy(update={"created_by": "bob"}))


def test_participant_is_required() -> None:
    assert alice(member_of=NOTHING).check_participates() == participant("alice")
    with pytest.raises(NotAParticipantError):
        alice().check_participates()


def test_other_permissions_are_noticed() -> None:
    before = alice(member_of=NOTHING)
    before.check_same_permissions(alice(member_of=NOTHING))
    alice().check_same_permissions(alice())
    with pytest.raises(NotAParticipantError):
        before.check_same_permissions(alice())
    for later in (
        alice(Permission.JOIN_CONVERSATION, member_of=NOTHING),
        alice(member_of=role(RoleType.CONVERSATION, Permission.SEND_MESSAGE)),
    ):
        with pytest.raises(UnavailableError):
            before.check_same_permissions(later)
