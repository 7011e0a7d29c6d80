"""Print the lines of `convoke up` about requests, deliveries and calls of chat clients.

A line never contains a name, an address, an identity or a query. A line about a request contains the rule of the route,
such as `/v1/Conversations/{sid}`, instead of the path. A line about a delivery shows the receiver's URL without its
user information, query and fragment.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import datetime
from queue import Full, Queue
from typing import TextIO

import click

from convoke.domain.instants import now
from convoke.domain.webhooks import receiver_of
from convoke.embedded.observation import CONNECT, FinishedChatCall, FinishedDelivery, FinishedRequest

MAX_WAITING_LINES = 10_000
"""The maximum number of lines that wait while the terminal is slow. Further lines are dropped and counted."""

FLUSH_SECONDS = 1.0
"""The maximum time that the ending program waits for the terminal."""

HEALTH_PATH = "/healthz"

SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")

RuleOf = Callable[[str], str | None]
"""Returns the rule of the route that matches a path. Returns None if no route matches."""

Line = dict[str, object]


class Traffic:
    """Implements `Observer`. Prints a line for each request, each delivery attempt and some calls of chat clients.

    Calls of chat clients that only read get no line, unless they fail. See `Observer.chat_call_finished` for the exact
    rule. Requests for HEALTH_PATH get no line. A separate thread formats and writes the lines, so that a blocked
    terminal does not block the API.
    """

    def __init__(self, rule_of: RuleOf, *, as_json: bool, stream: TextIO | None = None) -> None:
        self._rule_of = rule_of
        self._as_json = as_json
        self._stream = stream
        self._waiting: Queue[Callable[[], Line] | None] = Queue(MAX_WAITING_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_lines, name="traffic", daemon=True)
        self._thread.start()

    def request_finished(self, request: FinishedRequest) -> None:
        if request.path == HEALTH_PATH:
            return  # Container engines request this path every few seconds.
        moment = now()
        self._add(lambda: request_line(request, moment, self._rule_of))

    def delivery_finished(self, delivery: FinishedDelivery) -> None:
        moment = now()
        self._add(lambda: delivery_line(delivery, moment))

    def chat_call_finished(self, call: FinishedChatCall) -> None:
        moment = now()
        self._add(lambda: chat_line(call, moment))

    def close(self) -> None:
        """Write the waiting lines, but wait for the terminal at most `FLUSH_SECONDS`."""
        self._add(None)
        self._thread.join(FLUSH_SECONDS)

    def _add(self, make_line: Callable[[], Line] | None) -> None:
        try:
            self._waiting.put_nowait(make_line)
        except Full:
            self._dropped += 1

    def _write_lines(self) -> None:
        text = line_as_json if self._as_json else line_as_text
        while (make_line := self._waiting.get()) is not None:
            try:
                self._print(text(make_line()))
                if self._dropped and self._waiting.empty():
                    dropped, self._dropped = self._dropped, 0
                    self._print(text({"time": now(), "dropped": dropped}))
            except OSError:
                return self._discard_lines()
        return None

    def _print(self, line: str) -> None:
        # click removes the colours if the stream is not a terminal. Without a stream, click writes to stdout.
        click.echo(line, file=self._stream)

    def _discard_lines(self) -> None:
        """Discard all further lines. The stream is not writable, for example because the terminal was closed."""
        while self._waiting.get() is not None:
            pass


def request_line(request: FinishedRequest, moment: datetime, rule_of: RuleOf) -> Line:
    """Return the fields of the line about a request."""
    response = request.response
    body = _json_object(response.body)
    sids = SID.findall(request.path)
    line: Line = {
        "time": moment,
        "method": request.method,
        "route": shown_rule(rule_of(request.path)),
        "status": response.status_code,
        "code": body.get("code") if response.status_code >= 400 else None,
        "sid": body.get("sid") if response.status_code < 400 and "sid" in body else (sids[-1] if sids else None),
        "milliseconds": round(1000 * request.seconds, 1),
    }
    return {name: value for name, value in line.items() if value is not None}


def shown_rule(rule: str | None) -> str:
    return (rule or "(no route)").translate({ord("<"): "{", ord(">"): "}"})


def chat_line(call: FinishedChatCall, moment: datetime) -> Line:
    """Return the fields of the line about a call of a chat client, or about an attempt to connect."""
    line: Line = {
        "time": moment,
        "chat": call.action,
        "route": None if call.action == CONNECT else shown_rule(call.find_rule()),
        "status": call.status,
        "code": call.code,
        "sid": call.sid,
        "milliseconds": round(1000 * call.seconds, 1),
    }
    return {name: value for name, value in line.items() if value is not None}


def delivery_line(finished: FinishedDelivery, moment: datetime) -> Line:
    """Return the fields of the line about a delivery attempt."""
    delivery, outcome = finished.begun.delivery, finished.outcome
    line: Line = {
        "time": moment,
        "event": delivery.event.type,
        "conversation": delivery.event.conversation_sid,
        "receiver": receiver_of(delivery.url),
        "status": outcome.status,
        "error": outcome.error,
        "attempt": finished.begun.attempt.number,
    }
    return {name: value for name, value in line.items() if value is not None}


def line_as_json(line: Line) -> str:
    moment = line["time"]
    assert isinstance(moment, datetime)
    return json.dumps({**line, "time": moment.isoformat(timespec="milliseconds")})


def line_as_text(line: Line) -> str:
    """Return a line as text for people, with colours."""
    moment = line["time"]
    assert isinstance(moment, datetime)
    time = click.style(moment.astimezone().strftime("%H:%M:%S.%f")[:-3], dim=True)
    if "dropped" in line:
        return f"{time}  {line['dropped']} lines were dropped, because the terminal was too slow"
    status = line.get("status")
    shown = click.style(f"{status or '---'}", fg=_colour(status))
    if "event" in line:
        answer = f"  {line['error']}" if "error" in line else ""
        return (
            f"{time}  {click.style('event ', fg='cyan')}  {shown}          {line['event']}  {line['conversation']}"
            f"  -> {line['receiver']}  attempt {line['attempt']}{answer}"
        )
    code = f"  error {line['code']}" if "code" in line else ""
    sid = f"  {line['sid']}" if "sid" in line else ""
    if "chat" in line:
        kind, route = (
            click.style("chat  ", fg="cyan"),
            " ".join(str(line[name]) for name in ("chat", "route") if name in line),
        )
    else:
        kind, route = f"{line['method']:<6}", str(line["route"])
    return f"{time}  {kind}  {shown}  {line['milliseconds']:>6} ms  {route}{code}{sid}"


def _colour(status: object) -> str:
    if not isinstance(status, int) or status >= 500:
        return "red"
    return "yellow" if status >= 400 else "green"


def _json_object(body: str) -> dict[str, object]:
    try:
        parsed = json.loads(body or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
