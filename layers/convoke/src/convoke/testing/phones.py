"""Let tests use simulated phones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from convoke.api.errors import problems_of
from convoke.domain.inbound_messages import Received
from convoke.domain.phones import PhoneMessage
from convoke.domain.simulated_messages import NewSimulatedMessage


@dataclass(frozen=True, slots=True)
class Phone:
    """A simulated phone that sends and receives messages. Use `RunningInstance.phone` to get a phone."""

    number: str
    _plan: Callable[[str, int], None]
    _send: Callable[[NewSimulatedMessage], Received]
    _list: Callable[[str], Sequence[PhoneMessage]]

    def send(self, body: str, *receivers: str) -> Received:
        """Send a message to a business number. With several numbers in `receivers`, the message is a group MMS.

        The result has the attributes `outcome`, `conversation_sid` and `message_sid`. Raise ValueError if a number or
        the message is not valid. See docs/behaviour/inbound-messages.md#simulated-phones.
        """
        try:
            message = NewSimulatedMessage(from_=self.number, to=[*receivers], body=body)
        except ValidationError as error:
            raise ValueError("; ".join(problem.message for problem in problems_of(error))) from None
        return self._send(message)

    def fail_next(self, times: int) -> None:
        """Let the next `times` attempts to send a message of a conversation to this phone fail.

        Convoke retries a failed attempt, unless the maximum number of attempts is reached.
        """
        self._plan(self.number, times)

    @property
    def inbox(self) -> Sequence[PhoneMessage]:
        """The first MAX_INBOX_MESSAGES (instance.py) messages that the phone has received, oldest first.

        Each message has the attributes `from_`, `body`, `conversation_sid` and `message_sid`. A message arrives shortly
        after the request that creates the message. Use `RunningInstance.settle` to wait for the message.
        """
        return self._list(self.number)
