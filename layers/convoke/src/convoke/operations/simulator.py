"""The simulated carrier: it delivers the messages of simulated phones, as a carrier delivers those of real phones.

Only the embedded engine has simulated phones. See docs/behaviour/inbound-messages.md#simulated-phones.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.accounts import Account
from convoke.domain.inbound_messages import InboundMessage, Received
from convoke.domain.sids import NewSid, Prefix
from convoke.domain.simulated_messages import NewSimulatedMessage
from convoke.operations.inbound_messages import InboundMessageOperations

PROVIDER = "simulated"


@dataclass(frozen=True, slots=True)
class SimulatorOperations:
    inbound_messages: InboundMessageOperations
    new_sid: NewSid

    def send(self, account: Account, requested: NewSimulatedMessage) -> Received:
        """Deliver a message of a simulated phone. Raises the errors of `InboundMessageOperations.receive`."""
        business, *others = requested.to
        inbound = InboundMessage(
            sender=requested.from_,
            business_address=business,
            other_receivers=tuple(others),
            body=requested.body,
            provider=PROVIDER,
            provider_message_id=requested.message_sid or self.new_sid(Prefix.SMS),
        )
        return self.inbound_messages.receive(account, inbound)
