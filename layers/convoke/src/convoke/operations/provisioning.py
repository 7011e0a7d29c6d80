"""Fetch the provisioning of a conversation.

The provisioning shows whether Convoke has added the participants of the request that created the conversation.
"""

from __future__ import annotations

from convoke.domain.conversations import Conversation
from convoke.domain.errors import NotFoundError
from convoke.domain.provisioning import Provisioning
from convoke.domain.services import Service
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversations import ConversationOperations


@lean_dataclass
class ProvisioningOperations:
    conversations: ConversationOperations

    def fetch(self, service: Service, conversation_sid: str) -> tuple[Conversation, Provisioning]:
        """Return a conversation and its provisioning.

        Raises NotFoundError if the conversation does not exist, or was not created by a request with participants.
        """
        conversation, provisioning = self.conversations.fetch_with_provisioning(service, conversation_sid)
        if conversation.date_removed or provisioning is None:
            raise NotFoundError
        return conversation, provisioning
