"""The chat user who makes a request: the user's identity, roles and participant.

See docs/behaviour/roles.md#permissions.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.conversations import Conversation
from convoke.domain.errors import NotAParticipantError, NotPermittedError, UnavailableError
from convoke.domain.participants import Participant
from convoke.domain.permissions import Action, Decision, decide
from convoke.domain.roles import Permission, Role

ADMINISTRATION = (Action.RENAME_CONVERSATION, Action.EDIT_CONVERSATION_ATTRIBUTES, Action.DELETE_CONVERSATION)
"""The actions that change or delete a conversation. A user who may do one of them may also see the conversation."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The participant of a chat user in a conversation, and the role of this participant."""

    participant: Participant
    role: Role


@dataclass(frozen=True, slots=True)
class Principal:
    """The chat user who makes a request.

    A request with the credentials of an account has no principal, because such a request needs no permission.
    """

    identity: str
    role: Role
    """The role of the User in the service."""
    membership: Membership | None = None
    """None if the user is not a participant of the conversation, or if the request concerns no conversation."""

    def check(self, action: Action, *, own: bool = False) -> None:
        """Raise NotPermittedError or NotAParticipantError if the user must not do `action`.

        If `own` is True, the action concerns the user's own message, participant or User. `decide` in permissions.py
        has the rules.
        """
        match self._decide(action, own=own):
            case Decision.NOT_PERMITTED:
                raise NotPermittedError
            case Decision.NOT_A_PARTICIPANT:
                raise NotAParticipantError

    def check_visible(self, conversation: Conversation) -> None:
        """Raise NotAParticipantError if the user must not see `conversation`.

        The participants see the conversation. Its creator sees the conversation even before joining. A user whose role
        in the service permits an action of `ADMINISTRATION` sees all conversations.
        """
        if self.membership or conversation.awaits(self.identity):
            return
        if not any(self._decide(action) is Decision.PERMITTED for action in ADMINISTRATION):
            raise NotAParticipantError

    def check_participates(self) -> Participant:
        """Return the participant that belongs to the user.

        Raises NotAParticipantError if the user is not a participant.
        """
        if self.membership is None:
            raise NotAParticipantError
        return self.membership.participant

    def check_same_permissions(self, later: Principal) -> None:
        """Raise an error if `later`, a newer principal of the same user, has different permissions.

        Raises NotAParticipantError if the user is no longer a participant. Raises UnavailableError if the permissions
        are different, so that the client tries again with the new permissions.
        """

        if self.membership and not later.membership:
            raise NotAParticipantError
        if self._permissions != later._permissions:
            raise UnavailableError

    @property
    def _permissions(self) -> tuple[tuple[Permission, ...], tuple[Permission, ...]]:
        return self.role.permissions, self.membership.role.permissions if self.membership else ()

    @property
    def participant(self) -> Participant | None:
        return self.membership.participant if self.membership else None

    def _decide(self, action: Action, *, own: bool = False) -> Decision:
        return decide(action, self.role, self.membership.role if self.membership else None, own=own)
