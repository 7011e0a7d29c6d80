"""Run a Convoke instance for tests, with a webhook receiver.

The instance runs in the process of the tests, and stores its data in memory. With pytest, use the fixture `convoke`
(pytest_plugin.py). Without pytest, use `running()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from socket import socket
from threading import Event, Thread
from typing import TYPE_CHECKING

from convoke.domain.addresses import channel_of
from convoke.domain.configuration_webhooks import ConfigurationWebhooksChange
from convoke.domain.durations import parse_duration
from convoke.domain.events import POST_EVENTS, EventFilters, EventType
from convoke.domain.inbound_messages import Received
from convoke.domain.pages import PageRequest
from convoke.domain.phones import PhoneMessage
from convoke.domain.simulated_messages import NewSimulatedMessage
from convoke.embedded.clock import AdvanceResult, MovableClock
from convoke.embedded.data_format import MEMORY
from convoke.embedded.engine import EmbeddedEngine
from convoke.embedded.instance import Instance
from convoke.embedded.observation import Observers
from convoke.embedded.server import Server, listening_socket
from convoke.storage.configuration_webhooks import ConfigurationWebhooksRepository
from convoke.testing.phones import Phone
from convoke.testing.receiver import ReceivedWebhook, Receiver, check_event_type

if TYPE_CHECKING:
    from twilio.rest import Client

HOST = "127.0.0.1"

MAX_INBOX_MESSAGES = 1000
"""The maximum number of messages that the inbox of a simulated phone shows."""

MAX_EVENTS = 50
"""How many of the newest events `wait_for_webhook` searches, to explain why a webhook is missing."""

NOT_SENT = "; there is such an event, but its request did not have the header X-Twilio-Webhook-Enabled: true"

TIMEOUT_SECONDS = 10.0
"""How long to wait for a result by default. A result usually takes only a few milliseconds."""


class RunningInstance:
    """A running Convoke instance with one account and a webhook receiver.

    The receiver is the webhook of the account for all post-events. See `received_webhooks`. A test can move the clock
    with `advance`, or over HTTP at `/convoke/v1/Clock`.
    """

    def __init__(self, url: str, receiver: Receiver) -> None:
        self.url = url
        """The base URL of the API. Set this URL in the SDKs."""
        self.receiver = receiver
        """The receiver of the account's webhooks.

        For example, after `receiver.answer(500, times=2)`, the receiver answers the next two webhooks with status 500.
        """
        self._instance = Instance(_new_engine, self._prepare, has_controls=True)
        account = self._engine.accounts.create()
        self.account_sid = account.sid
        self.auth_token = self._engine.accounts.token(account.sid)
        receiver.auth_token = lambda: self.auth_token
        receiver.on_pre_event = self._ask_before
        self._prepare(self._engine)

    def client(self) -> Client:
        """Return a client of the Twilio SDK that uses this instance.

        Raise RuntimeError if the package `twilio` is not installed.
        """
        try:
            from twilio.rest import Client  # noqa: PLC0415 - optional dependency
        except ModuleNotFoundError as error:
            raise RuntimeError(
                "client() requires the Twilio SDK, which is not installed: pip install twilio"
            ) from error
        client = Client(self.account_sid, self.auth_token)
        client.conversations.base_url = client.monitor.base_url = self.url
        return client

    @property
    def received_webhooks(self) -> list[ReceivedWebhook]:
        """The webhooks that the receiver has received since the start or the last reset, in the order of arrival.

        As with Twilio, an API request causes webhooks only if it has the header `X-Twilio-Webhook-Enabled: true`. A
        message from a phone always causes webhooks, and so does a state change that Convoke makes by itself. Examples
        are the end of a timer, and the end of the state `initializing`.
        """
        return self.receiver.received

    def wait_for_webhook(self, event_type: str, timeout: float = TIMEOUT_SECONDS, **parameters: str) -> ReceivedWebhook:
        """Return the first webhook with the event type `event_type` and all given parameters.

        If no webhook of this kind has arrived yet, wait for one. Raise AssertionError if none arrives within `timeout`
        seconds. Raise ValueError immediately if the event type does not exist. Example:
        `wait_for_webhook("onConversationStateUpdated", StateTo="closed")`.
        """
        check_event_type(event_type)
        expected = {"EventType": event_type, **parameters}
        found = self.receiver.wait_for(lambda webhook: expected.items() <= webhook.parameters.items(), timeout)
        if found is None:
            received = [webhook.event_type for webhook in self.received_webhooks]
            hint = NOT_SENT if self._has_unsent(expected) else ""
            raise AssertionError(f"received no webhook with {expected} within {timeout} s, only {received}{hint}")
        return found

    def _has_unsent(self, expected: Mapping[str, str]) -> bool:
        """Return whether one of the newest events has the parameters in `expected`, but is not sent to webhooks."""
        newest = self._engine.program.events.list(
            self.account_sid, EventFilters(), PageRequest(MAX_EVENTS, descending=True)
        )
        return any(not each.notify_webhooks and expected.items() <= each.payload.items() for each in newest.resources)

    def settle(self, timeout: float = TIMEOUT_SECONDS) -> None:
        """Wait until Convoke has no participants to add, and all webhooks and copies are delivered or given up.

        A copy is a message that Convoke sends to a phone. Conversations that `hold` keeps in the state `initializing`
        do not count. Raise TimeoutError if some work is not done after `timeout` seconds.
        """
        if not self._engine.settle(timeout):
            raise TimeoutError(f"the instance has unfinished work after {timeout} s")

    def advance(self, by: str | timedelta) -> AdvanceResult:
        """Move the clock forward by `by`: a timedelta, or an ISO 8601 duration such as `PT30M`.

        The clock stops at each due time on the way, until all timers, retries and webhooks that are due have run. This
        includes the retries of webhooks that fail meanwhile. Raise ValueError if `by` is negative or not a duration.
        Raise OverflowError if the new time is after the year 9999.
        """
        return self._engine.advance(_duration(by) if isinstance(by, str) else by)

    def fail_participant(self, n: int, code: int) -> None:
        """Make the next ConversationWithParticipants fail: reject the participant with index `n`. The first index is 0.

        Convoke accepts the request. Then adding the participant fails with the error code `code`, for example 50407,
        and Convoke closes the conversation. Raise ValueError if `code` is not an error code of the API.
        """
        self._engine.failures.reject_in_next(self.account_sid, n, code)

    def hold(self) -> None:
        """Keep the next ConversationWithParticipants in the state `initializing` until `release` is called.

        `settle` does not wait for this conversation.
        """
        self._engine.failures.hold_next(self.account_sid)

    def release(self) -> None:
        """Release all held conversations, and cancel what `hold` and `fail_participant` have planned."""
        self._engine.cancel_failures(self.account_sid)

    def phone(self, number: str) -> Phone:
        """Return the simulated phone with the number `number`.

        The phone can write to business numbers of the account. Raise ValueError if `number` is not the address of a
        phone.
        """
        if channel_of(number) is None:
            raise ValueError(f"{number!r} is not the address of a phone, such as '+15558675310'")
        return Phone(number, self._fail_next, self._send_as_phone, self._inbox)

    def _fail_next(self, number: str, times: int) -> None:
        self._engine.phone_plans.plan(self.account_sid, number, failures=times, reports_delivery=True)

    def _send_as_phone(self, requested: NewSimulatedMessage) -> Received:
        account = self._engine.accounts.accounts.fetch(self.account_sid)
        assert account is not None
        return self._engine.program.simulator.send(account, requested)

    def _inbox(self, number: str) -> Sequence[PhoneMessage]:
        page = self._engine.program.simulator.list_inbox(self.account_sid, number, PageRequest(MAX_INBOX_MESSAGES))
        return page.resources

    def reset(self) -> None:
        """Delete all data, also in the receiver, and set the clock to real time.

        The URL and the credentials stay the same.
        """
        self._instance.reset()

    @property
    def _engine(self) -> EmbeddedEngine:
        return self._instance.engine

    def _prepare(self, engine: EmbeddedEngine) -> None:
        """Clear the receiver, and configure it as the webhook of the account for all post-events."""
        self.receiver.clear()
        change = ConfigurationWebhooksChange(post_webhook_url=self.receiver.url, filters=POST_EVENTS)
        ConfigurationWebhooksRepository(engine.table).update(self.account_sid, change)

    def _ask_before(self, event_type: str) -> None:
        """Configure the receiver as the account's webhook for pre-events of the type `event_type` too."""
        repository = ConfigurationWebhooksRepository(self._engine.table)
        configured = repository.fetch(self.account_sid).filters or ()
        filters = dict.fromkeys((*configured, EventType(event_type)))
        change = ConfigurationWebhooksChange(pre_webhook_url=self.receiver.url, filters=tuple(filters))
        repository.update(self.account_sid, change)

    @contextmanager
    def serving(self, listener: socket) -> Iterator[None]:
        """Serve the API on `listener` until the end of the `with` block."""
        is_ready = Event()

        def start() -> None:
            self._instance.start(self.account_sid)
            is_ready.set()

        server = Server(self._instance, start, self._instance.stop)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="convoke", daemon=True)
        thread.start()
        if not is_ready.wait(TIMEOUT_SECONDS):
            raise TimeoutError(f"the instance does not serve requests after {TIMEOUT_SECONDS} s")
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def running() -> Iterator[RunningInstance]:
    """Run an instance on a free port of the loopback interface, until the end of the `with` block."""
    with Receiver().listening() as receiver, listening_socket(HOST, 0) as listener:
        instance = RunningInstance(f"http://{HOST}:{listener.getsockname()[1]}", receiver)
        with instance.serving(listener):
            yield instance


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as 'PT30M' or 'P1D'") from error


def _new_engine(*, reset: Callable[[], None] | None, observers: Observers) -> EmbeddedEngine:
    return EmbeddedEngine(MEMORY, movable_clock=MovableClock(), reset=reset, observers=observers)
