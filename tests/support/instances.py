"""Run instances of Convoke in this process. Tests call them without sockets, mostly through the official SDK."""

from __future__ import annotations

import asyncio
import base64
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from queue import Queue
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from twilio.base.exceptions import TwilioRestException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from convoke.api.requests import InvocationContext
from convoke.domain.webhooks import Delivery
from convoke.embedded.clock import MovableClock
from convoke.embedded.engine import EmbeddedEngine, Rewire
from convoke.embedded.gateway import Gateway, RequestContext, gateway_event
from convoke.embedded.queue import NO_RECEIVER, DurableQueue, ReceivedMessage
from convoke.embedded.sqlite import LOCK_TIMEOUT_SECONDS
from convoke.operations.accounts import AccountOperations
from convoke.storage.events import change_of
from convoke.storage.packing import unpack_provisioning
from convoke.storage.table import Table
from convoke.webhooks.answers import WebhookAnswer, WebhookUnreachableError
from convoke.webhooks.signature import sign
from tests.support.openapi_checks import check_against_openapi
from tests.support.waiting import TIMEOUT_SECONDS

Resolve = Callable[[dict[str, Any], InvocationContext], dict[str, Any]]
"""The API as a function from a gateway event to a gateway response."""

HOST = "convoke.test:8000"
ORIGIN = f"http://{HOST}"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


def event_of(
    method: str,
    url: str,
    *,
    auth: tuple[str, str] | None = None,
    data: Mapping[str, object] | str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Convert an HTTP request to a gateway event, as the embedded engine does."""
    parts = urlsplit(url)
    sent = {"host": parts.netloc, **{name.lower(): value for name, value in (headers or {}).items()}}
    if auth:
        sent["authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
    if data is not None:
        sent.setdefault("content-type", "application/x-www-form-urlencoded")
    scope = {
        "method": method,
        "path": unquote(parts.path),
        "query_string": parts.query.encode(),
        "http_version": "1.1",
        "scheme": parts.scheme,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
    }
    body = data if isinstance(data, str | bytes) else urlencode(data or {}, doseq=True)
    return gateway_event(scope, body.encode() if isinstance(body, str) else body)


def call(api: Resolve, method: str, url: str, **given: Any) -> Answer:
    """Send an HTTP request to the API as a gateway event. Check the response against `/openapi.json`."""
    event = event_of(method, url, **given)
    answered = api(event, RequestContext())
    check_against_openapi(method, event["rawPath"], answered["statusCode"], answered["body"])
    return Answer(answered["statusCode"], answered["headers"], answered["body"])


class InProcessHttpClient(HttpClient):  # type: ignore[misc]
    """Lets the SDK call the API in this process instead of over HTTP."""

    def __init__(self, api: Resolve) -> None:
        self._api = api

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        query = urlencode(params, doseq=True) if params else ""
        full = f"{url}{'&' if '?' in url else '?'}{query}" if query else url
        answered = call(self._api, method, full, auth=auth, data=data, headers=headers)
        return Response(answered.status, answered.text)


@dataclass
class Receivers:
    """A fake webhook client that records deliveries and simulates webhook receivers.

    Each call uses up one element of `statuses`. A number is the status of the response. With None or an error, the
    connection fails. Without further elements, the status is 200.
    """

    posted: list[Delivery] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    retry_counts: list[int] = field(default_factory=list)
    statuses: list[int | WebhookUnreachableError | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    body: bytes = b""
    """The body of each response after `bodies` is used up."""
    on_call: Callable[[], None] = lambda: None

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, max_answer_bytes: int) -> WebhookAnswer:
        self.on_call()
        self.posted.append(delivery)
        self.retry_counts.append(retry_count)
        self.signatures.append(sign(delivery.url, delivery.parameters, auth_token))
        status = self.statuses.pop(0) if self.statuses else 200
        match status:
            case None:
                raise WebhookUnreachableError("no connection")
            case WebhookUnreachableError():
                raise status
        return WebhookAnswer(status, (self.bodies.pop(0) if self.bodies else self.body)[:max_answer_bytes])


class Instance(ABC):
    """A running instance of Convoke on either engine.

    Asynchronous work waits until a test calls `work`, unless `EmbeddedInstance.served` runs the engine.
    """

    is_deployed = False
    """Whether the instance runs on AWS. On AWS, Convoke refuses to call private addresses."""

    def __init__(self, api: Resolve, accounts: AccountOperations, table: Table, receivers: Receivers) -> None:
        self.api = api
        self.table = table
        self.accounts = accounts
        self.receivers = receivers
        self.account = next(iter(accounts.accounts.list()), None) or accounts.create()
        self.token = accounts.token(self.account.sid)

    def client(
        self, account_sid: str | None = None, token: str | None = None, *, key: tuple[str, str] | None = None
    ) -> Client:
        """Return a client of the official SDK.

        `key` is the SID and the secret of an API key. Without `key`, the client uses the Auth Token `token`. Without
        both, the client uses the Auth Token of `self.account`.
        """
        sid = account_sid or self.account.sid
        user, password = key or (sid, token or self.token)
        client = Client(user, password, sid, http_client=InProcessHttpClient(self.api))
        client.conversations.base_url = ORIGIN
        return client

    def call(
        self,
        method: str,
        path: str,
        data: Mapping[str, object] | str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request with the account's Auth Token, without the SDK."""
        auth = (self.account.sid, self.token)
        return call(self.api, method, ORIGIN + path, auth=auth, data=data, headers=headers)

    @abstractmethod
    def work(self) -> None:
        """Do all waiting work. Failed and postponed queue messages stay in their queues."""

    @abstractmethod
    def sweep(self, later: timedelta) -> int:
        """Run the sweeper for everything that is due within the time `later` from now.

        Return how many resources the sweeper processed.
        """

    @abstractmethod
    def items(self, sort_key_prefix: str) -> list[dict[str, Any]]:
        """Return the items whose sort key starts with the prefix. The items are sorted by key."""

    def changes(self) -> list[dict[str, Any]]:
        """Return all stored changes as JSON objects."""
        return [change_of(item).model_dump(mode="json") for item in self.items("change")]

    @abstractmethod
    def waiting_messages(self, queue: str) -> int:
        """Return the number of messages in a queue.

        On both engines, `queue` can be `delivery`, `delivery-dlq` or `change-dlq`. AwsInstance knows more queues.
        """

    @abstractmethod
    def repeat(self, record: dict[str, Any]) -> None:
        """Send the queue message of a stored provisioning record to the participant queue a second time."""

    @abstractmethod
    def clear_caches(self) -> None:
        """Empty the caches of accounts, services, owners of API keys and Users. Other caches may keep their entries."""

    @abstractmethod
    def lose_messages(self) -> None:
        """Delete all messages from the participant queue."""

    @abstractmethod
    def forget_pauses(self) -> None:
        """Make all postponed queue messages visible now."""


class EmbeddedInstance(Instance):
    def __init__(self, engine: EmbeddedEngine, receivers: Receivers) -> None:
        self.engine = engine
        self.gateway: Gateway | None = None
        super().__init__(engine.api.resolve, engine.accounts, engine.table, receivers)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Run the engine on the current event loop until the block ends. Then close the data file."""
        self.engine.start()
        self.gateway = self.engine.gateway()
        try:
            yield
        finally:
            self.gateway.close()
            await self.engine.stop()

    @contextmanager
    def served_by_thread(self) -> Iterator[asyncio.AbstractEventLoop]:
        """Run the engine on another thread's event loop until the block ends. Then close the data file."""
        loops, stopped = Queue[asyncio.AbstractEventLoop](), asyncio.Event()

        async def serve() -> None:
            async with self.served():
                loops.put(asyncio.get_running_loop())
                await stopped.wait()

        with ThreadPoolExecutor(1) as pool:
            serving = pool.submit(asyncio.run, serve())
            loop = loops.get(timeout=TIMEOUT_SECONDS)
            try:
                yield loop
            finally:
                loop.call_soon_threadsafe(stopped.set)
                serving.result()

    @asynccontextmanager
    async def without_sweeps(self) -> AsyncIterator[None]:
        """Prevent sweeps until the block ends. The engine must be running (see `served`)."""
        # Wait in another thread, because a running sweep can finish only if this event loop is not blocked.
        await asyncio.to_thread(self.engine._sweeping.acquire)
        try:
            yield
        finally:
            self.engine._sweeping.release()

    async def asked(
        self, method: str, path: str, data: Mapping[str, object] | str | None = None, **headers: str
    ) -> Answer:
        """Send one request through the gateway and return its response. The engine must be running (see `served`).

        While the request waits, other requests can run.
        """
        assert self.gateway is not None
        auth = (self.account.sid, self.token)
        event = event_of(method, ORIGIN + path, auth=auth, data=data, headers=headers)
        response = await self.gateway.answer(event)
        check_against_openapi(method, event["rawPath"], response.status_code, response.body or "")
        answered = {name: str(value) for name, value in response.headers.items()}
        return Answer(response.status_code, answered, response.body or "")

    def run_steps(self) -> None:
        """Run all waiting steps in one unit of work. The changes in the stream are not published."""
        steps = self.engine.steps
        with self.engine.table.unit():
            steps.stream.may_have_records = False
            steps.run(until=float("inf"))

    def work(self) -> None:
        self.engine.work()

    def sweep(self, later: timedelta) -> int:
        return self.engine.sweeper.sweep(self.engine.edges.now() + later)

    def items(self, sort_key_prefix: str) -> list[dict[str, Any]]:
        statement = "SELECT body FROM items WHERE substr(sk, 1, ?) = ? ORDER BY pk, sk"
        rows = self.engine.table.rows(statement, (len(sort_key_prefix), sort_key_prefix))
        return [json.loads(body) for (body,) in rows]

    def waiting_messages(self, queue: str) -> int:
        return int(self.engine.table.rows("SELECT count(*) FROM messages WHERE queue = ?", (queue,))[0][0])

    def repeat(self, record: dict[str, Any]) -> None:
        self.engine.edges.participant_queue.send(unpack_provisioning(record))

    def clear_caches(self) -> None:
        self.engine.program.clear_caches()

    def lose_messages(self) -> None:
        self.engine.steps.participants.entries.clear()

    def forget_pauses(self) -> None:
        self.engine.table.write("UPDATE messages SET visible_at = 0", ())


@contextmanager
def held_instance(
    data: str = ":memory:",
    rewire: Rewire = lambda edges: edges,
    movable_clock: MovableClock | None = None,
    lock_timeout: float = LOCK_TIMEOUT_SECONDS,
    **edges: Any,
) -> Iterator[EmbeddedInstance]:
    """Run an embedded instance with fake webhook receivers until the block ends.

    - `rewire` receives the edges and returns the edges that the engine uses.
    - `movable_clock` becomes the clock of the engine, as with `convoke up --test-clock`.
    - `lock_timeout` is the maximum wait for the data file's write lock, in seconds.
    - Each further keyword argument replaces the field of `EmbeddedEdges` with that name, for example `now`, before
      `rewire` is called.
    """
    receivers = Receivers()
    engine = EmbeddedEngine(
        data,
        lambda original: rewire(replace(original, webhook_client=receivers, **edges)),
        movable_clock,
        lock_timeout=lock_timeout,
    )
    try:
        yield EmbeddedInstance(engine, receivers)
    finally:
        engine.close()


def receive_any(queue: DurableQueue) -> ReceivedMessage | None:
    """Receive one message of the queue, whether or not the message has a webhook receiver.

    Return None if no message is visible.
    """
    for receiver in (NO_RECEIVER, *queue.receivers()):
        if message := queue.receive(receiver):
            return message
    return None


def refusal(request: Callable[[], object]) -> TwilioRestException:
    """Send a request that Convoke must refuse. Return the exception of the SDK."""
    try:
        request()
    except TwilioRestException as error:
        return error
    raise AssertionError("the request was not refused")
