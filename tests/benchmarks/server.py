"""Run `convoke up` in a new process, create the requests of its clients, and measure the process."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

from convoke.domain.events import POST_EVENTS
from convoke.storage import keys
from tests.benchmarks.load import Address, Connection, LoadError, once
from tests.support.examples import chat
from tests.support.processes import up

POLL_INTERVAL_SECONDS = 0.005

LAST_CHECKED, OTHERS_CHECKED = 16, 48
"""How many of the last conversations, and how many of the earlier conversations, `work_off` checks.

Checking some conversations is faster than listing all initializing conversations.
"""

FORM = urlencode({"FriendlyName": "Visit", "Participant": chat(10)}, doseq=True).encode()

DATE = "86400 * julianday(json_extract(body, '$.date_{}'))"
"""The SQL expression for a conversation's date in seconds. `created` or `updated` must replace the placeholder."""

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def address_of(url: str) -> Address:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def get(path: str, user: str, password: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\n{_fields(user, password)}\r\n".encode()


def post(path: str, user: str, password: str, form: bytes, **headers: str) -> bytes:
    """Return the bytes of a POST request. Each `_` in the name of a header becomes `-`."""
    others = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\n{_fields(user, password)}{others}"
    return (
        f"{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n".encode() + form
    )


def _fields(user: str, password: str) -> str:
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"Host: 127.0.0.1\r\nAuthorization: Basic {credentials}\r\n"


@dataclass(frozen=True)
class Process:
    """A server process and its child processes."""

    pid: int

    def memory(self) -> float:
        """Return the resident memory of all processes in megabytes.

        Memory that several processes share is counted for each process.
        """
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._all()) * PAGE / 1e6

    def cpu(self) -> float:
        """Return the processor time of all processes since their start, in seconds."""
        stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._all())
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICKS

    def kill(self) -> None:
        """Kill the server process and its child processes with SIGKILL, as in a crash."""
        for pid in self._all():
            os.kill(pid, signal.SIGKILL)

    def _all(self) -> list[int]:
        found = [self.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        return found


class Server:
    """A measured server. `ready` contains the `url` and the `pid` of the server."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        self.address = address_of(ready["url"])
        self.process = Process(ready["pid"])

    def work_off(self) -> float:
        """Wait until the server has finished the work that was left after the last response.

        Return the waiting time in seconds. A server that finishes all work before its response returns 0.
        """
        return 0.0

    def oldest_step(self) -> float:
        """Return the longest time from a request until the end of its asynchronous work, in seconds.

        Call `work_off` first. A server that finishes all work before its response returns 0.
        """
        return 0.0


class Convoke(Server):
    """A measured instance of Convoke."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        super().__init__(ready)
        self.account_sid: str = ready["account_sid"]
        self._credentials = (self.account_sid, ready["auth_token"])
        self._post = self.post("/v1/ConversationWithParticipants", FORM)
        self._data: str = ready["data"]
        self._notifies = False
        self._created: list[str] = []
        self._finished: list[str] = []

    def get(self, path: str) -> bytes:
        return get(path, *self._credentials)

    def post(self, path: str, form: bytes, **headers: str) -> bytes:
        return post(path, *self._credentials, form, **headers)

    async def create(self, connection: Connection) -> str:
        """Perform one round: create a conversation of 10 participants. Return the conversation's path."""
        answer = await connection.ask(self._post)
        path = f"/v1/Conversations/{answer.json()['sid']}"
        self._created.append(path)
        return path

    async def create_until_active(self, connection: Connection) -> str:
        """Perform one round: create a conversation, and fetch it repeatedly until it is active.

        Return the conversation's path.
        """
        path = await self.create(connection)
        await self.wait_until_active(connection, path)
        return path

    async def wait_until_active(self, connection: Connection, path: str) -> None:
        """Fetch a conversation repeatedly. Raises LoadError if the conversation gets another state than active."""
        request = self.get(path)
        while (state := (await connection.ask(request)).json()["state"]) == "initializing":
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
        if state != "active":
            raise LoadError(f"{path} is {state}")

    async def list_page(self, connection: Connection) -> None:
        """Perform one round: list the first page of conversations."""
        await connection.ask(self.get("/v1/Conversations"))

    async def call_webhook(self, url: str, connection: Connection) -> None:
        """Configure a webhook for all post-events. A later conversation of 10 participants causes 12 webhook calls."""
        form = urlencode({"PostWebhookUrl": url, "Filters": POST_EVENTS}, doseq=True).encode()
        await connection.ask(self.post("/v1/Configuration/Webhooks", form))
        self._post = self.post("/v1/ConversationWithParticipants", FORM, X_Twilio_Webhook_Enabled="true")
        self._notifies = True

    def work_off(self) -> float:
        """Wait until the conversations that were created since the last call of this method are active.

        This method checks the last conversations and a random sample of the earlier conversations. If Convoke calls a
        webhook, also wait until all webhook calls are made. Return the waiting time in seconds.
        """
        last, others = self._created[-LAST_CHECKED:], self._created[:-LAST_CHECKED]
        self._finished, self._created = self._created, []
        begun = time.perf_counter()
        once(
            self.address, partial(self._wait_for, [*last, *Random(0).sample(others, min(OTHERS_CHECKED, len(others)))])
        )
        with self._reading() as connection:
            while self._notifies and connection.execute("SELECT EXISTS (SELECT 1 FROM messages)").fetchone()[0]:
                time.sleep(POLL_INTERVAL_SECONDS)
        return time.perf_counter() - begun

    def oldest_step(self) -> float:
        """Return the longest time between the creation and the activation of a conversation, in seconds.

        The result covers the conversations that were created between the last two calls of `work_off`. The dates come
        from the data file, because the API shows only whole seconds.
        """
        statement = f"SELECT {DATE.format('updated')} - {DATE.format('created')} FROM items WHERE pk = ? AND sk = ?"
        sids = [path.rpartition("/")[2] for path in self._finished]
        with self._reading() as data:
            found = [data.execute(statement, keys.conversation(self.account_sid, sid)).fetchone() for sid in sids]
        return max(float(seconds) for (seconds,) in found)

    def _reading(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(f"file:{self._data}?mode=ro", uri=True))

    async def _wait_for(self, paths: Sequence[str], connection: Connection) -> None:
        for path in paths:
            await self.wait_until_active(connection, path)


@contextmanager
def convoke(data: Path) -> Iterator[Convoke]:
    """Run `convoke up` on this data file with the default options."""
    with up("--data", str(data)) as running:
        yield Convoke(running.ready)
