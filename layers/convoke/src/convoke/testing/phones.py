"""Simulated phones for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convoke.domain.inbound_messages import Received
from convoke.domain.simulated_messages import NewSimulatedMessage


@dataclass(frozen=True, slots=True)
class Phone:
    """A simulated phone. `RunningInstance.phone` returns the phone with a number."""

    number: str
    _send: Callable[[NewSimulatedMessage], Received]

    def send(self, body: str, *receivers: str) -> Received:
        """Send a message to a business number. A message to several receivers is a group MMS.

        The result has the attributes `outcome`, `conversation_sid` and `message_sid`. See
        docs/behaviour/inbound-messages.md#simulated-phones. Raises ValueError if a number or the message is not valid.
        """
        return self._send(NewSimulatedMessage(from_=self.number, to=[*receivers], body=body))
