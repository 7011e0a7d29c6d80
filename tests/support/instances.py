"""Instances of Convoke that the tests talk to through the official SDK, without a socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from twilio.base.exceptions import TwilioRestException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from convoke.api.app import Api
from convoke.domain.accounts import Account
from convoke.domain.webhooks import Delivery
from convoke.local.engine import EmbeddedEngine, Rewire
from convoke.local.gateway import RequestContext, gateway_event
from convoke.operations.ports import WebhookUnreachableError
from convoke.webhooks.signature import sign

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


def call(
    api: Api,
    method: str,
    url: str,
    *,
    auth: tuple[str, str] | None = None,
    data: Mapping[str, object] | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request through the gateway's event, as the ASGI server would hand it over."""
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
    body = data if isinstance(data, str) else urlencode(data or {}, doseq=True)
    answered = api.resolve(gateway_event(scope, body.encode()), RequestContext())
    return Answer(answered["statusCode"], answered["headers"], answered["body"])


class InProcessHttpClient(HttpClient):  # type: ignore[misc]
    """The transport of the SDK, short-circuited."""

    def __init__(self, api: Api) -> None:
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
    """Stands for the receivers of webhooks: what was posted, and the statuses they are to answer, one a call."""

    posted: list[Delivery] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    retry_counts: list[int] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str) -> int:
        self.posted.append(delivery)
        self.retry_counts.append(retry_count)
        self.signatures.append(sign(delivery.url, delivery.event.payload, auth_token))
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            raise WebhookUnreachableError("no connection")
        return status


@dataclass(frozen=True)
class Instance:
    """A running Convoke whose asynchronous half is held until `work` is called."""

    engine: EmbeddedEngine
    account: Account
    token: str
    receivers: Receivers

    @property
    def work(self) -> Callable[[], None]:
        return self.engine.work

    def client(self, account_sid: str | None = None, token: str | None = None) -> Client:
        transport = InProcessHttpClient(self.engine.api)
        client = Client(account_sid or self.account.sid, token or self.token, http_client=transport)
        client.conversations.base_url = ORIGIN
        return client

    def call(
        self,
        method: str,
        path: str,
        data: Mapping[str, object] | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        auth = (self.account.sid, self.token)
        return call(self.engine.api, method, ORIGIN + path, auth=auth, data=data, headers=headers)

    def items(self, sort_key_prefix: str) -> list[dict[str, Any]]:
        """Every item of that kind, by its keys."""
        with self.engine.table.transaction() as connection:
            statement = "SELECT body FROM items WHERE substr(sk, 1, ?) = ? ORDER BY pk, sk"
            rows = connection.execute(statement, (len(sort_key_prefix), sort_key_prefix)).fetchall()
        return [json.loads(body) for (body,) in rows]

    def waiting_messages(self, queue: str) -> int:
        with self.engine.table.transaction() as connection:
            row = connection.execute("SELECT count(*) FROM messages WHERE queue = ?", (queue,)).fetchone()
        return int(row[0])

    def forget_pauses(self) -> None:
        """Make visible what was put off."""
        with self.engine.table.transaction() as connection:
            connection.execute("UPDATE messages SET visible_at = 0")


@contextmanager
def held_instance(data: str = ":memory:", rewire: Rewire = lambda edges: edges, **edges: Any) -> Iterator[Instance]:
    """`edges` take the place of those of the same name; receivers of webhooks are always stood in for."""
    receivers = Receivers()
    engine = EmbeddedEngine(data, lambda original: rewire(replace(original, webhook_client=receivers, **edges)))
    known = engine.accounts.accounts.list()
    account = known[0] if known else engine.accounts.create()
    try:
        yield Instance(engine, account, engine.accounts.token(account.sid), receivers)
    finally:
        engine.stop()


def refusal(request: Callable[[], object]) -> TwilioRestException:
    """The exception with which the SDK reports that a request was refused."""
    try:
        request()
    except TwilioRestException as error:
        return error
    raise AssertionError("the request was not refused")
