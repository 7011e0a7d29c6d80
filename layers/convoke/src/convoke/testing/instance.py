"""An instance for other people's tests, in memory and in their process. pytest_plugin.py has a fixture of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from string import Formatter
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from convoke.domain.configuration_webhooks import ConfigurationWebhooksChange
from convoke.domain.durations import parse_duration
from convoke.domain.errors import CATALOGUE, ConversationsError
from convoke.domain.events import EventType
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.domain.sids import NewSid, Prefix, SidFactory
from convoke.embedded.clock import Advanced, MovableClock
from convoke.embedded.engine import EmbeddedEdges, EmbeddedEngine
from convoke.embedded.gateway import Gateway
from convoke.embedded.server import Server, listening_socket
from convoke.embedded.sqlite import MEMORY
from convoke.operations.accounts import new_token
from convoke.operations.participant_adder import Admit, ServiceAdmits
from convoke.storage.configuration_webhooks import ConfigurationWebhooksRepository
from convoke.storage.services import ServiceRepository
from convoke.testing.receiver import ReceivedWebhook, Receiver

if TYPE_CHECKING:
    from twilio.rest import Client

HOST = "127.0.0.1"

TIMEOUT_SECONDS = 10.0
"""Seconds to wait for what should take some milliseconds."""

POST_EVENTS = tuple(event for event in EventType if event.endswith("ed"))
"""What is told of after it has happened."""


class SwitchingGateway(Gateway):
    """A gateway that goes on with another engine."""

    def switch_to(self, engine: EmbeddedEngine) -> None:
        self._api, self._turns = engine.api, engine.turns


class FailingParticipants:
    """An Admit: refuses whom it was told to, for good, and leaves the others to the engine's own."""

    def __init__(self, otherwise: Admit, new_sid: NewSid) -> None:
        self._otherwise = otherwise
        self._new_sid = new_sid
        self._lock = Lock()
        self._to_fail: dict[int, ConversationsError] = {}
        self._told_before = ""
        """SIDs sort by the moment of their making: that of the next conversation is greater."""
        self._failing: dict[str, dict[int, ConversationsError]] = {}

    def fail_in_next(self, position: int, error: ConversationsError) -> None:
        with self._lock:
            self._told_before = self._told_before if self._to_fail else self._new_sid(Prefix.CONVERSATION)
            self._to_fail[position] = error

    def __call__(self, provisioning: Provisioning, participant: Participant) -> None:
        position = [each.sid for each in provisioning.participants].index(participant.sid)
        if error := self._failing_in(provisioning.conversation_sid).get(position):
            raise error
        self._otherwise(provisioning, participant)

    def _failing_in(self, conversation_sid: str) -> dict[int, ConversationsError]:
        """The same at every attempt."""
        with self._lock:
            if self._to_fail and conversation_sid > self._told_before:
                self._failing[conversation_sid], self._to_fail = self._to_fail, {}
            return self._failing.get(conversation_sid, {})


class RunningInstance:
    """One account, whose events all come to `received_webhooks`. Its clock can be moved, at `/convoke/v1/Clock` too."""

    def __init__(self, url: str, receiver: Receiver) -> None:
        self.url = url
        self.account_sid = SidFactory()(Prefix.ACCOUNT)
        self.auth_token = new_token()
        self._receiver = receiver
        self._begin()
        self.gateway = SwitchingGateway(self._engine.api, self._engine.turns)

    def client(self) -> Client:
        """The official SDK, pointed at this instance."""
        try:
            from twilio.rest import Client
        except ModuleNotFoundError as error:
            raise RuntimeError("client() is the official SDK, which is not installed: pip install twilio") from error
        client = Client(self.account_sid, self.auth_token)
        client.conversations.base_url = self.url
        return client

    @property
    def received_webhooks(self) -> list[ReceivedWebhook]:
        """The webhooks received so far, in the order of their arrival.

        As at Twilio, a request causes webhooks only if it has the header `X-Twilio-Webhook-Enabled: true`.
        """
        return self._receiver.received

    def wait_for_webhook(self, event_type: str, timeout: float = TIMEOUT_SECONDS, **parameters: str) -> ReceivedWebhook:
        """The first of this type that has these parameters, whether it is there already or still to come.

        Raises AssertionError where none comes in time.
        """
        wanted = {"EventType": event_type, **parameters}
        found = self._receiver.wait_for(lambda webhook: wanted.items() <= webhook.parameters.items(), timeout)
        if found is None:
            came = [webhook.event_type for webhook in self.received_webhooks]
            raise AssertionError(f"no webhook with {wanted} came within {timeout} s; there came {came}")
        return found

    def settle(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Wait until nothing is left to do: members are in, webhooks delivered. Raises TimeoutError."""
        if not self._engine.settle(timeout):
            raise TimeoutError(f"there is still something to do after {timeout} s")

    def advance(self, by: str | timedelta) -> Advanced:
        """Let time pass: what comes due in it, such as a timer, is done at its own moment, and webhooks are delivered.

        `by` is an ISO 8601 duration or a timedelta.
        """
        advanced = self._engine.advance(parse_duration(by) if isinstance(by, str) else by)
        self.settle()
        return advanced

    def fail_participant(self, n: int, code: int) -> None:
        """Participant `n` of the next ConversationWithParticipants, counted from 0, is accepted, and fails for good.

        `code` is one that requests can be refused with, such as 50407; any other raises ValueError.
        """
        if code not in CATALOGUE:
            raise ValueError(f"there is no error with the code {code}")
        self._failing.fail_in_next(n, _error(CATALOGUE[code]))

    def reset(self) -> None:
        """Back to empty and to the present time. URL and credentials stay."""
        self.gateway.stop_waiting()
        self.close()
        self._begin()
        self.gateway.switch_to(self._engine)

    def close(self) -> None:
        """Webhooks under way come to their end first."""
        self._engine.stop()

    def _begin(self) -> None:
        self._receiver.forget()
        self._engine = EmbeddedEngine(MEMORY, self._rewired, MovableClock())
        self._engine.accounts.create(self.account_sid, self.auth_token)
        told = ConfigurationWebhooksChange(post_webhook_url=self._receiver.url, filters=POST_EVENTS)
        ConfigurationWebhooksRepository(self._engine.table).update(self.account_sid, told)
        self._engine.start()

    def _rewired(self, edges: EmbeddedEdges) -> EmbeddedEdges:
        self._failing = FailingParticipants(ServiceAdmits(ServiceRepository(edges.table).fetch), edges.new_sid)
        return replace(edges, admit=self._failing)


@contextmanager
def running() -> Iterator[RunningInstance]:
    """An instance that listens, until the end of the block."""
    with Receiver().listening() as receiver, listening_socket(HOST, 0) as listener:
        instance, listens = RunningInstance(f"http://{HOST}:{listener.getsockname()[1]}", receiver), Event()
        server = Server(instance.gateway, listens.set)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="convoke", daemon=True)
        thread.start()
        try:
            listens.wait(TIMEOUT_SECONDS)
            yield instance
        finally:
            server.should_exit = True
            thread.join()
            instance.close()


def _error(kind: type[ConversationsError]) -> ConversationsError:
    """With something in the place of the details that its text has room for."""
    return kind(**{name: "..." for _, name, _, _ in Formatter().parse(kind.text) if name})
