"""A Convoke instance for tests, with a webhook receiver.

The instance runs in the process of the tests and stores its data in memory.

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
"""The default maximum time to wait for a result. A result usually takes only a few milliseconds."""


class SwitchingApp:
    """An ASGI application that passes each request to the gateway of the current engine.

    `RunningInstance.reset` starts a new engine, and the server continues with the gateway of the new engine.
    """

    def __init__(self) -> None:
        self.gateway: Gateway | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        assert self.gateway is not None
        await self.gateway(scope, receive, send)

    def begin_stop(self) -> None:
        if self.gateway:
            self.gateway.begin_stop()

    def close(self) -> None:
        if self.gateway:
            self.gateway.close()


class FailingParticipants:
    """An `Admit` that rejects the participants that a test has chosen.

    For all other participants, the `Admit` in the argument `otherwise` decides.
    """

    def __init__(self, otherwise: Admit, new_sid: NewSid) -> None:
        self._otherwise = otherwise
        self._new_sid = new_sid
        self._lock = Lock()
        self._errors_for_next: dict[int, ConversationsError] = {}
        """The errors for the next conversation. The key is the index of the participant, starting at 0."""
        self._sid_when_chosen = ""
        """A SID that was created when `fail_in_next` was first called for the next conversation.

        SIDs are sorted by the time of their creation. The SID of the next conversation is therefore greater than this
        SID.
        """
        self._errors_by_conversation: dict[str, dict[int, ConversationsError]] = {}
        """The errors for conversations that already exist. The keys are the conversation SID and participant index."""

    def fail_in_next(self, index: int, error: ConversationsError) -> None:
        """In the next conversation that a client creates, reject the participant with the index `index`."""
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
        """Return the errors for a conversation, by participant index. All provisioning attempts get the same errors."""
        with self._lock:
            # Participants of an older conversation may still be in the participant queue. These participants must not
            # get the errors, so compare the SIDs.
            if self._errors_for_next and conversation_sid > self._sid_when_chosen:
                self._errors_by_conversation[conversation_sid] = self._errors_for_next
                self._errors_for_next = {}
            return self._errors_by_conversation.get(conversation_sid, {})


class RunningInstance:
    """A running Convoke instance with one account.

    The instance sends all post-events of the account to a webhook receiver, which is part of the instance. See
    `received_webhooks`. A test can move the clock of the instance with `advance`, or over HTTP at `/convoke/v1/Clock`.
    """

    def __init__(self, url: str, receiver: Receiver, app: SwitchingApp, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        """The base URL of the API. Configure this URL in the SDKs."""
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
        """All webhooks that have arrived at the receiver until now, in the order of their arrival.

        As at Twilio, a request causes webhooks only if the request has the header `X-Twilio-Webhook-Enabled: true`.
        State changes without a request, for example at the end of a timer, always cause webhooks.
        """
        return self._receiver.received

    def wait_for_webhook(self, event_type: str, timeout: float = TIMEOUT_SECONDS, **parameters: str) -> ReceivedWebhook:
        """Return the first webhook that has the event type and all given parameters.

        If there is no such webhook yet, wait up to `timeout` seconds. If no such webhook arrives in this time, raise
        AssertionError. Example: `wait_for_webhook("onConversationStateUpdated", StateTo="closed")`.
        """
        expected = {"EventType": event_type, **parameters}
        found = self._receiver.wait_for(lambda webhook: expected.items() <= webhook.parameters.items(), timeout)
        if found is None:
            received = [webhook.event_type for webhook in self.received_webhooks]
            raise AssertionError(f"received no webhook with {expected} within {timeout} s, only {received}")
        return found

    def settle(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Wait until all participants are added and all webhooks are delivered.

        Raises TimeoutError if some work is not done after `timeout` seconds.
        """
        if not self._engine.settle(timeout):
            raise TimeoutError(f"the instance has unfinished work after {timeout} s")

    def advance(self, by: str | timedelta) -> AdvanceResult:
        """Move the clock forward. The clock stops at each due time, so that every timer and retry runs at its due time.

        `by` is an ISO 8601 duration, such as `PT30M`, or a timedelta. After the move, this method calls `settle`.
        """
        result = self._engine.advance(parse_duration(by) if isinstance(by, str) else by)
        self.settle()
        return result

    def fail_participant(self, n: int, code: int) -> None:
        """Reject the participant with the index `n` in the next ConversationWithParticipants.

        The first participant has the index 0. Convoke accepts the request to create the conversation. After that, each
        provisioning attempt fails for this participant with the error code `code`, and the conversation is closed.
        Raises ValueError if `code` is not an error code of the API. An example of an error code is 50407.
        """
        if code not in CATALOGUE:
            raise ValueError(f"there is no error with the code {code}")
        self._failing.fail_in_next(n, _error(CATALOGUE[code]))

    def reset(self) -> None:
        """Delete all data and set the clock to real time. The URL and the credentials do not change."""
        self.close()
        self._start_engine()

    def close(self) -> None:
        """Wait for the webhook calls under way, and stop the engine."""
        self._loop.call_soon_threadsafe(self._app.begin_stop)
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
    """Run an instance on a free port of the loopback interface. The instance stops at the end of the `with` block."""
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
    """Do nothing when the server stops, because the instance has already stopped its engine."""


def _error(kind: type[ConversationsError]) -> ConversationsError:
    """Create an error of the class `kind`. In the error text, `...` replaces each placeholder."""
    return kind(**{name: "..." for _, name, _, _ in Formatter().parse(kind.text) if name})
