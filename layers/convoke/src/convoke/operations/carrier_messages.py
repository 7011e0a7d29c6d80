"""Receive the messages that phones send and that carriers deliver to Convoke.

See docs/behaviour/inbound-messages.md#carriers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from pydantic import ValidationError

from convoke.domain.errors import ConversationsError, UnavailableError
from convoke.domain.inbound_messages import InboundMessage
from convoke.domain.media import CarrierCredentials
from convoke.domain.senders import Sender
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.inbound_messages import InboundMessageOperations
from convoke.storage.accounts import CachedAccounts

logger = logging.getLogger(__name__)

ReadMessage = Callable[[Mapping[str, str]], InboundMessage]
"""A function that converts a carrier's payload to a message. Raises ValidationError if the payload is invalid."""

FindSender = Callable[[str], Sender | None]
"""A function that takes a business address, and returns the Sender resource with this address, or None."""


@lean_dataclass
class CarrierMessageOperations:
    accounts: CachedAccounts
    inbound_messages: InboundMessageOperations

    def receive(
        self,
        payload: Mapping[str, str],
        read: ReadMessage,
        find_sender: FindSender,
        credentials: CarrierCredentials | None = None,
    ) -> None:
        """Store the message that a carrier's payload contains.

        `find_sender` finds the Sender resource of the business address at which the message arrived. The account of
        this resource gets the message. With `credentials`, Convoke can fetch the media of the message.

        If Convoke can never store the message, for example because of an invalid address or a missing Sender resource,
        the method only logs a warning. A further delivery would not help. Raises UnavailableError if the carrier must
        deliver the message again.
        """
        try:
            inbound = read(payload)
        except ValidationError as error:
            # The error contains the names of the invalid fields, but not the values.
            logger.warning("an inbound message is not valid", extra={"problem": str(error)})
            return
        context = {"provider": inbound.provider, "provider_message_id": inbound.provider_message_id}
        sender = find_sender(inbound.business_address)
        account = self.accounts.fetch(sender.account_sid) if sender and sender.provider is inbound.provider else None
        if account is None:
            logger.warning("no sender has the address of an inbound message", extra=context)
            return
        try:
            self.inbound_messages.receive(account, inbound, credentials)
        except UnavailableError:
            raise
        except ConversationsError as error:
            logger.warning("an inbound message was refused", extra={**context, "code": error.code})
