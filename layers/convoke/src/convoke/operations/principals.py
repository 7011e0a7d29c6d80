"""Fetch principals. A principal is the chat user who makes a request, with the roles of this user."""

from __future__ import annotations

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import InvalidAccessTokenError, NotFoundError
from convoke.domain.participants import Participant
from convoke.domain.principals import Membership, Principal
from convoke.domain.services import Service
from convoke.domain.users import user_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversations import ConversationOperations
from convoke.storage.participants import ParticipantRepository
from convoke.storage.roles import RoleRepository
from convoke.storage.users import UserRepository


@lean_dataclass
class PrincipalOperations:
    """Fetches the principal of a request. Every method raises InvalidAccessTokenError if the User does not exist.

    A method reads all roles with at most one call to the table, and with no call if all roles are default roles.
    """

    users: UserRepository
    conversations: ConversationOperations
    participants: ParticipantRepository
    roles: RoleRepository

    def in_service(self, service: Service, identity: str) -> Principal:
        """Return a chat user with its role in the service, but without a role in a conversation."""
        return self._principal(service, identity, None)

    def in_conversation(self, service: Service, identity: str, conversation_sid: str) -> tuple[Conversation, Principal]:
        """Return a conversation and a chat user, with the user's membership if the user is a participant.

        `conversation_sid` is the SID or the unique name of the conversation. Raises NotFoundError if the conversation
        does not exist, or if its participants are still being added.
        """
        conversation = self.conversations.fetch(service, conversation_sid)
        if conversation.state is State.INITIALIZING:
            raise NotFoundError
        sid = self.participants.sid_of(service.account_sid, conversation.sid, identity)
        participant = self.participants.fetch(service.account_sid, conversation.sid, sid) if sid else None
        return conversation, self._principal(service, identity, participant)

    def _principal(self, service: Service, identity: str, participant: Participant | None) -> Principal:
        """Return a chat user with its roles. A role from the service's configuration replaces a deleted role.

        If `participant` is None, the chat user has only a role in the service.
        """
        user = self.users.fetch(service.account_sid, user_sid(service.sid, identity))
        if user is None:
            raise InvalidAccessTokenError
        sids = {user.role_sid, service.user_role_sid}
        if participant:
            sids |= {participant.role_sid or service.member_role_sid, service.member_role_sid}
        roles = self.roles.fetch_many(service, sids)
        role = roles.get(user.role_sid) or roles[service.user_role_sid]
        if participant is None:
            return Principal(identity, role)
        member_role = roles.get(participant.role_sid or "") or roles[service.member_role_sid]
        return Principal(identity, role, Membership(participant, member_role))
