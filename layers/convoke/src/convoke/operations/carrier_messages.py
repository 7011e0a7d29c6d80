"""Receive the messages of phones that carriers deliver.

See docs/behaviour/inbound-messages.md#carriers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from convoke.domain.errors import ConversationsError, UnavailableError
from convoke.domain.inbound_messages import InboundMessage
from convoke.domain.media import CarrierCredentials
from convoke.domain.senders import Sender
from convoke.operations.inbound_messages import InboundMessageOperations
from convoke.storage.accounts import CachedAccounts

logger = logging.getLogger(__name__)

ReadMessage = Callable[[Mapping[str, str]], InboundMessage]
"""A function that converts a carrier's payload. Raises ValidationError if the payload is not valid."""

FindSender = Callable[[str], Sender | None]
"""A function that returns the sender of a business address."""


@dataclass(frozen=True, slots=True)
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
        """Store the message in a carrier's payload in the account to which its business address belongs.

        A message that cannot be stored is logged, and the carrier need not deliver it again: an address is not valid,
        no sender has the business address, or the message breaks a rule. Raises UnavailableError if the carrier must
        deliver the message again.
        """
        try:
            inbound = read(payload)
        except ValidationError as error:
            # The error names the invalid fields, without their values.
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
