"""A Convoke instance for tests, with a webhook receiver. The instance runs in memory, in the process of the tests.

With pytest, use the fixture `convoke` (pytest_plugin.py). Without pytest, use `running()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from queue import Queue
from string import Formatter
from threading import Lock, Thread
from typing import TYPE_CHECKING

from convoke.domain.configuration_webhooks import ConfigurationWebhooksChange
from convoke.domain.durations import parse_duration
from convoke.domain.errors import CATALOGUE, ConversationsError
from convoke.domain.events import POST_EVENTS
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.domain.sids import NewSid, Prefix, SidFactory
from convoke.embedded.clock import AdvanceResult, MovableClock
from convoke.embedded.data_format import MEMORY
from convoke.embedded.engine import EmbeddedEdges, EmbeddedEngine
from convoke.embedded.gateway import Gateway, Message, Receive, Send
from convoke.embedded.server import Server, listening_socket
from convoke.operations.accounts import new_token
from convoke.operations.participant_adder import Admit, AdmitByService
from convoke.storage.configuration_webhooks import ConfigurationWebhooksRepository
from convoke.storage.services import ServiceRepository
from convoke.testing.receiver import ReceivedWebhook, Receiver

if TYPE_CHECKING:
    from twilio.rest import Client

HOST = "127.0.0.1"

TIMEOUT_SECONDS = 10.0
"""The default time to wait for a result that usually takes a few milliseconds."""


class SwitchingApp:
    """An ASGI application that passes each request to the gateway of the current engine."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        assert self.gateway is not None
        await self.gateway(scope, receive, send)

    def stop_waiting(self) -> None:
        if self.gateway:
            self.gateway.stop_waiting()

    def close(self) -> None:
        if self.gateway:
            self.gateway.close()


class FailingParticipants:
    """An `Admit` that rejects the participants that a test chose.

    All other participants are passed to the engine's own `Admit`.
    """

    def __init__(self, otherwise: Admit, new_sid: NewSid) -> None:
        self._otherwise = otherwise
        self._new_sid = new_sid
        self._lock = Lock()
        self._errors_for_next: dict[int, ConversationsError] = {}
        """The errors for participants of the next conversation, by participant index."""
        self._sid_when_chosen = ""
        """A SID that was made at the first `fail_in_next`.

        SIDs sort by creation time, so the SID of the next conversation is greater than this SID.
        """
        self._errors_by_conversation: dict[str, dict[int, ConversationsError]] = {}

    def fail_in_next(self, index: int, error: ConversationsError) -> None:
        """Reject the participant with this index in the next conversation that is created."""
        with self._lock:
            if not self._errors_for_next:
                self._sid_when_chosen = self._new_sid(Prefix.CONVERSATION)
            self._errors_for_next[index] = error

    def __call__(self, provisioning: Provisioning, participant: Participant) -> None:
        index = [each.sid for each in provisioning.participants].index(participant.sid)
        if error := self._errors_of(provisioning.conversation_sid).get(index):
            raise error
        self._otherwise(provisioning, participant)

    def _errors_of(self, conversation_sid: str) -> dict[int, ConversationsError]:
        """Return the errors of a conversation by participant index. Every provisioning attempt gets the same errors."""
        with self._lock:
            # The participants of an older conversation may still be in the queue. An older conversation must not get
            # the errors.
            if self._errors_for_next and conversation_sid > self._sid_when_chosen:
                self._errors_by_conversation[conversation_sid] = self._errors_for_next
                self._errors_for_next = {}
            return self._errors_by_conversation.get(conversation_sid, {})


class RunningInstance:
    """A running Convoke instance with one account.

    The instance sends all post-events of the account to its own webhook receiver: see `received_webhooks`. A test can
    move the clock of the instance with `advance`, or over HTTP at `/convoke/v1/Clock`.
    """

    def __init__(self, url: str, receiver: Receiver, app: SwitchingApp, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        """The base URL for the SDKs."""
        self._app = app
        self._loop = loop
        self.account_sid = SidFactory()(Prefix.ACCOUNT)
        self.auth_token = new_token()
        self._receiver = receiver
        self._start_engine()

    def client(self) -> Client:
        """Return a Twilio SDK client that is configured for this instance.

        Raises RuntimeError if the package `twilio` is not installed.
        """
        try:
            from twilio.rest import Client  # noqa: PLC0415 - optional dependency
        except ModuleNotFoundError as error:
            raise RuntimeError(
                "client() requires the Twilio SDK, which is not installed: pip install twilio"
            ) from error
        client = Client(self.account_sid, self.auth_token)
        client.conversations.base_url = self.url
        return client

    @property
    def received_webhooks(self) -> list[ReceivedWebhook]:
        """The webhooks received so far, in the order of their arrival.

        A request causes webhooks only if the request has the header `X-Twilio-Webhook-Enabled: true`, as at Twilio.
        State changes that Convoke makes itself, such as the end of a timer, always cause webhooks.
        """
        return self._receiver.received

    def wait_for_webhook(self, event_type: str, timeout: float = TIMEOUT_SECONDS, **parameters: str) -> ReceivedWebhook:
        """Return the first webhook of this event type with these parameters, and wait for it if necessary.

        `timeout` is in seconds. Raises AssertionError if no such webhook is received in time. Example:
        `wait_for_webhook("onConversationStateUpdated", StateTo="closed")`.
        """
        expected = {"EventType": event_type, **parameters}
        found = self._receiver.wait_for(lambda webhook: expected.items() <= webhook.parameters.items(), timeout)
        if found is None:
            received = [webhook.event_type for webhook in self.received_webhooks]
            raise AssertionError(f"received no webhook with {expected} within {timeout} s, only {received}")
        return found

    def settle(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Wait until all participants are added and all webhooks are delivered.

        `timeout` is in seconds. Raises TimeoutError if work remains after `timeout`.
        """
        if not self._engine.settle(timeout):
            raise TimeoutError(f"the instance has unfinished work after {timeout} s")

    def advance(self, by: str | timedelta) -> AdvanceResult:
        """Move the clock forward, and run every timer and retry that becomes due, each at its own time.

        `by` is an ISO 8601 duration, such as `PT30M`, or a timedelta. Afterwards, the method waits as `settle` does.
        """
        result = self._engine.advance(parse_duration(by) if isinstance(by, str) else by)
        self.settle()
        return result

    def fail_participant(self, n: int, code: int) -> None:
        """Make participant `n` of the next ConversationWithParticipants fail, so that the conversation closes.

        `n` counts from 0. Convoke accepts the request, and the participant fails afterwards with the error `code`, at
        every provisioning attempt. Raises ValueError if `code` is not an error code of the API, such as 50407.
        """
        if code not in CATALOGUE:
            raise ValueError(f"there is no error with the code {code}")
        self._failing.fail_in_next(n, _error(CATALOGUE[code]))

    def reset(self) -> None:
        """Delete all data and set the clock to the present time. The URL and the credentials stay the same."""
        self.close()
        self._start_engine()

    def close(self) -> None:
        """Finish the webhook calls in progress and stop the engine."""
        self._app.stop_waiting()
        self._app.close()
        asyncio.run_coroutine_threadsafe(self._engine.stop(), self._loop).result()

    def _start_engine(self) -> None:
        self._receiver.clear()
        self._engine = EmbeddedEngine(MEMORY, self._with_failing_participants, MovableClock())
        self._engine.accounts.create(self.account_sid, self.auth_token)
        change = ConfigurationWebhooksChange(post_webhook_url=self._receiver.url, filters=POST_EVENTS)
        ConfigurationWebhooksRepository(self._engine.table).update(self.account_sid, change)
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()

    async def _serve(self) -> None:
        self._engine.start()
        self._app.gateway = self._engine.gateway()

    def _with_failing_participants(self, edges: EmbeddedEdges) -> EmbeddedEdges:
        self._failing = FailingParticipants(AdmitByService(ServiceRepository(edges.table).fetch), edges.new_sid)
        return replace(edges, admit=self._failing)


@contextmanager
def running() -> Iterator[RunningInstance]:
    """Run an instance on a free port of the loopback interface until the end of the block."""
    with Receiver().listening() as receiver, listening_socket(HOST, 0) as listener:
        app, loops = SwitchingApp(), Queue[asyncio.AbstractEventLoop]()
        server = Server(app, lambda: loops.put(asyncio.get_running_loop()), _nothing)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="convoke", daemon=True)
        thread.start()
        loop = loops.get(timeout=TIMEOUT_SECONDS)
        instance = RunningInstance(f"http://{HOST}:{listener.getsockname()[1]}", receiver, app, loop)
        try:
            yield instance
        finally:
            instance.close()
            server.should_exit = True
            thread.join()


async def _nothing() -> None:
    """The instance has stopped its engine when the server stops."""


def _error(kind: type[ConversationsError]) -> ConversationsError:
    """Create an error of a class. Each placeholder in the error text is replaced by `...`."""
    return kind(**{name: "..." for _, name, _, _ in Formatter().parse(kind.text) if name})
