"""A chat user's roles determine which actions the user can perform (domain/permissions.py)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from convoke.domain.permissions import RULES, Action, Decision, decide
from convoke.domain.roles import PERMISSIONS, Permission, Role, RoleType, default_roles
from convoke.domain.services import Service

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

SERVICE = Service(
    account_sid="AC" + "0" * 32,
    sid="IS" + "0" * 32,
    friendly_name="Support",
    date_created=MOMENT,
    date_updated=MOMENT,
    service_admin_role_sid="RL" + "0" * 32,
    service_user_role_sid="RL" + "1" * 32,
    conversation_admin_role_sid="RL" + "2" * 32,
    conversation_user_role_sid="RL" + "3" * 32,
)
SERVICE_ADMIN, SERVICE_USER, CHANNEL_ADMIN, CHANNEL_USER = default_roles(SERVICE)

YES, NO, OUTSIDE = Decision.PERMITTED, Decision.NOT_PERMITTED, Decision.NOT_A_PARTICIPANT


def role(role_type: RoleType, *permissions: Permission) -> Role:
    return CHANNEL_USER.model_copy(update={"type": role_type, "permissions": permissions})


NOBODY = role(RoleType.SERVICE)


def test_default_roles_have_only_permissions_of_their_type() -> None:
    assert [each.friendly_name for each in default_roles(SERVICE)] == [
        "service admin",
        "service user",
        "channel admin",
        "channel user",
    ]
    for each in default_roles(SERVICE):
        assert PERMISSIONS[each.type].issuperset(each.permissions), each.friendly_name
        assert len(set(each.permissions)) == len(each.permissions)


def test_every_permission_permits_an_action() -> None:
    sufficient = {permission for rule in RULES.values() for permission in (rule.permission, rule.own) if permission}
    assert sufficient == set(Permission)
    assert set(RULES) == set(Action)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("own", [True, False])
def test_exactly_the_permissions_of_the_rule_permit_an_action(action: Action, own: bool) -> None:
    rule = RULES[action]
    for permission in Permission:
        expected = YES if permission == rule.permission or (own and permission == rule.own) else NO
        assert decide(action, NOBODY, role(RoleType.CONVERSATION, permission), own=own) is expected
        in_service = YES if expected is YES else (OUTSIDE if rule.in_conversation else NO)
        assert decide(action, role(RoleType.SERVICE, permission), None, own=own) is in_service


@pytest.mark.parametrize(
    ("action", "own", "expected"),
    [
        (Action.SEND_MESSAGE, False, (YES, YES, OUTSIDE, OUTSIDE)),
        (Action.EDIT_MESSAGE, True, (YES, YES, YES, OUTSIDE)),
        (Action.EDIT_MESSAGE, False, (YES, NO, YES, OUTSIDE)),
        (Action.DELETE_MESSAGE, False, (YES, NO, YES, OUTSIDE)),
        (Action.REMOVE_PARTICIPANT, True, (YES, YES, YES, OUTSIDE)),
        (Action.REMOVE_PARTICIPANT, False, (YES, NO, YES, OUTSIDE)),
        (Action.ADD_NON_CHAT_PARTICIPANT, False, (YES, NO, OUTSIDE, OUTSIDE)),
        (Action.CREATE_CONVERSATION, False, (YES, YES, YES, YES)),
        (Action.EDIT_USER, True, (YES, YES, YES, YES)),
        (Action.EDIT_USER, False, (NO, NO, YES, NO)),
    ],
)
def test_default_roles_permit_what_their_names_promise(
    action: Action, own: bool, expected: tuple[Decision, ...]
) -> None:
    """The expected decisions are for a channel admin, a channel user, a service admin and a service user.

    The service admin and the service user are not participants of the conversation.
    """
    actors = ((SERVICE_USER, CHANNEL_ADMIN), (SERVICE_USER, CHANNEL_USER), (SERVICE_ADMIN, None), (SERVICE_USER, None))
    assert tuple(decide(action, *actor, own=own) for actor in actors) == expected
