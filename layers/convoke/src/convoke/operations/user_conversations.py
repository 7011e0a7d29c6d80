"""List, fetch, update and delete User Conversations, which are the conversations in which a User is a participant."""

from __future__ import annotations

from convoke.domain.errors import NotFoundError
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participant_conversations import ParticipantConversation
from convoke.domain.participants import KnownBy
from convoke.domain.services import Service
from convoke.domain.user_conversations import UserConversationChange
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversations import ConversationOperations
from convoke.operations.participants import ParticipantOperations
from convoke.operations.request_webhooks import RequestWebhooks
from convoke.operations.users import UserOperations
from convoke.storage.participant_conversations import ParticipantConversationRepository


@lean_dataclass
class UserConversationOperations:
    """Reads and changes the conversations of a User. Every method raises NotFoundError if the User does not exist.

    A method for one conversation also raises NotFoundError if the User is not a participant of the conversation, or if
    the conversation is in the state `initializing`.
    """

    users: UserOperations
    conversations: ConversationOperations
    participants: ParticipantOperations
    memberships: ParticipantConversationRepository

    def list(self, service: Service, user_sid: str, page: PageRequest) -> Page[ParticipantConversation]:
        known_by = KnownBy("identity", self.users.fetch(service, user_sid).identity)
        return self.memberships.list(service.account_sid, service.sid, known_by, page)

    def fetch(self, service: Service, user_sid: str, conversation_sid: str) -> ParticipantConversation:
        user = self.users.fetch(service, user_sid)
        conversation = self.conversations.fetch(service, conversation_sid)
        found = ParticipantConversation(conversation, self.participants.find(conversation, user.identity))
        if not found.is_shown:
            raise NotFoundError
        return found

    def update(
        self,
        service: Service,
        user_sid: str,
        conversation_sid: str,
        requested: UserConversationChange,
        *,
        request_webhooks: RequestWebhooks,
    ) -> ParticipantConversation:
        """Store the given fields. If no fields are given, nothing changes.

        Raises an error if the state of the conversation permits no changes, or if the read position is invalid.
        """
        found = self.fetch(service, user_sid, conversation_sid)
        if not requested.model_fields_set:
            return found
        sid = found.conversation.sid
        participant = self.participants.update_read_state(
            service, sid, found.participant.sid, requested, request_webhooks=request_webhooks
        )
        return ParticipantConversation(found.conversation, participant)

    def delete(
        self, service: Service, user_sid: str, conversation_sid: str, *, request_webhooks: RequestWebhooks
    ) -> None:
        """Delete the participant of the User. Raises the errors of `ParticipantOperations.delete`."""
        found = self.fetch(service, user_sid, conversation_sid)
        sid = found.participant.sid
        self.participants.delete(service, found.conversation.sid, sid, request_webhooks=request_webhooks)
