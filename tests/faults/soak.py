"""Kill `convoke up` repeatedly while clients create conversations. Then check that nothing was lost or duplicated.

`make soak` and `python -m tests.faults.soak [--kills N] [--seed N]` run this test. Each process gets SIGKILL at a
random time, and the next process continues with the same data file. Some processes get SIGKILL during their start. At
the end, the program checks these facts:

- Every conversation with a 202 response exists exactly once and has the requested state. Every requested participant
  exists exactly once.
- A request without a response has stored either a complete conversation or nothing. If the request has an
  `Idempotency-Key`, the client repeats the request after the restart, except after the last kill. The repetition
  creates no second conversation.
- Every expected webhook call arrived at least once.

The seed determines the requests and the times of the kills. A kill can interrupt different work in each run. The exit
code is 1 if anything was lost or duplicated.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode

import uvloop

from tests.benchmarks.load import Connection, ConnectionLostError, connected
from tests.benchmarks.receiver import receiving
from tests.benchmarks.server import Convoke
from tests.support.processes import UP

CLIENTS = 16

MAX_LOAD_SECONDS = 1.5
"""The maximum time between the first request to a process and the kill of the process."""

SHARE_OF_KILLS_DURING_START, MAX_START_SECONDS = 0.2, 0.6

STALL_SECONDS = 60.0
"""If no webhook call arrives for this time, the soak test stops waiting."""

POLL_SECONDS = 0.2

STATES = ("active", "inactive")
"""The requested states of new conversations."""

PAGE_SIZE = 100

Call = tuple[str, str]
"""A webhook call: the type of the event, and the participant's identity, the new state or an empty text."""


class Wanted(NamedTuple):
    """A request that creates a conversation. Each request has its own name."""

    name: str
    state: str
    identities: tuple[str, ...]
    has_key: bool
    """Whether the request has an `Idempotency-Key`, so that the client repeats the request if no response arrives."""
    notifies: bool
    """Whether webhooks receive all events. Otherwise they receive only the event about the new state."""

    @property
    def calls(self) -> set[Call]:
        end = {("onConversationStateUpdated", self.state)}
        if not self.notifies:
            return end
        return {*end, ("onConversationAdded", ""), *(("onParticipantAdded", each) for each in self.identities)}

    def request(self, server: Server) -> bytes:
        members = [json.dumps({"identity": each}) for each in self.identities]
        form = urlencode({"FriendlyName": self.name, "State": self.state, "Participant": members}, doseq=True)
        headers = {"Idempotency_Key": self.name} if self.has_key else {}
        if self.notifies:
            headers["X_Twilio_Webhook_Enabled"] = "true"
        return server.post("/v1/ConversationWithParticipants", form.encode(), **headers)


class Stored(NamedTuple):
    """A conversation that exists at the end of the soak test."""

    sid: str
    name: str
    state: str
    identities: Sequence[str]


@dataclass
class Soak:
    """The requests of the clients, their responses, and the received webhook calls."""

    random: Random
    wanted: dict[str, Wanted] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    """Maps the name of each accepted request to the conversation SID in the response."""
    calls: defaultdict[str, Counter[Call]] = field(default_factory=lambda: defaultdict(Counter))
    """Maps each conversation SID to the received webhook calls."""

    def next_request(self) -> Wanted:
        name, chosen = f"soak {len(self.wanted)}", self.random
        members = tuple(f"member {number}" for number in range(chosen.randint(1, 10)))
        wanted = Wanted(name, chosen.choice(STATES), members, chosen.random() < 0.5, chosen.random() < 0.1)
        self.wanted[name] = wanted
        return wanted

    def receive(self, body: bytes) -> None:
        called = {name: value for name, (value, *_) in parse_qs(body.decode()).items()}
        about = called.get("StateTo") or called.get("Identity", "")
        self.calls[called["ConversationSid"]][called["EventType"], about] += 1

    @property
    def calls_in_all(self) -> int:
        return sum(counted.total() for counted in self.calls.values())

    def missing_calls(self, stored: Iterable[Stored]) -> Iterable[str]:
        for each in stored:
            for event, about in sorted(self.wanted[each.name].calls - self.calls[each.sid].keys()):
                yield f"{each.sid}: no webhook call for {event} {about}"

    def violations(self, stored: Sequence[Stored]) -> Iterable[str]:
        """Yield a message for each violation of the facts in the module docstring.

        Also yield a message for each conversation that nobody requested, and for each SID in a webhook call if no
        conversation has this SID.
        """
        found = {each.sid: each for each in stored}
        for name, times in Counter(each.name for each in stored).items():
            if times > 1:
                yield f"{name}: {times} conversations"
            if name not in self.wanted:
                yield f"{name}: nobody requested this conversation"
        for name, sid in self.accepted.items():
            if sid not in found:
                yield f"{sid}: answered with 202, but does not exist"
            elif found[sid].name != name:
                yield f"{sid}: the response was for {name}, but the conversation is {found[sid].name}"
        known = [each for each in stored if each.name in self.wanted]
        for each in known:
            wanted = self.wanted[each.name]
            if each.state != wanted.state:
                yield f"{each.sid}: the state is {each.state}, not {wanted.state}"
            if sorted(each.identities) != sorted(wanted.identities):
                yield f"{each.sid}: the participants are {sorted(each.identities)}, not {sorted(wanted.identities)}"
        yield from self.missing_calls(known)
        yield from (f"{sid}: a webhook call, but no such conversation" for sid in self.calls if sid not in found)


@dataclass
class Client:
    """Sends one request after another. If a request with a key gets no response, the client repeats the request."""

    soak: Soak
    unanswered: Wanted | None = None

    async def create(self, server: Server) -> None:
        """Create conversations until the server process is killed."""
        try:
            connection = await connected(server.address)
            while True:
                wanted = self.unanswered or self.soak.next_request()
                self.unanswered = wanted if wanted.has_key else None
                answer = await connection.ask(wanted.request(server))
                self.unanswered = None
                self.soak.accepted[wanted.name] = answer.json()["sid"]
        except (ConnectionLostError, OSError):
            return


class Server(Convoke):
    """A running process of Convoke, with methods that list conversations through the API."""

    async def initializing(self, connection: Connection) -> list[Any]:
        """Return all conversations that are still `initializing`."""
        path = f"/v1/Conversations?State=initializing&PageSize={PAGE_SIZE}"
        return await self._all(connection, "conversations", path)

    async def stored(self) -> list[Stored]:
        """Return all conversations, with the identities of their participants."""
        connections = [await connected(self.address) for _ in range(CLIENTS)]
        listed = await self._all(connections[0], "conversations", f"/v1/Conversations?PageSize={PAGE_SIZE}")
        parts = [listed[number::CLIENTS] for number in range(CLIENTS)]
        found = await asyncio.gather(*map(self._with_participants, connections, parts))
        for connection in connections:
            connection.close()
        return [each for part in found for each in part]

    async def _with_participants(self, connection: Connection, listed: Sequence[Any]) -> list[Stored]:
        found = []
        for each in listed:
            path = f"/v1/Conversations/{each['sid']}/Participants?PageSize={PAGE_SIZE}"
            members = await self._all(connection, "participants", path)
            identities = [member["identity"] for member in members]
            found.append(Stored(each["sid"], each["friendly_name"], each["state"], identities))
        return found

    async def _all(self, connection: Connection, key: str, path: str) -> list[Any]:
        found: list[Any] = []
        next_path: str | None = path
        while next_path:
            page = (await connection.ask(self.get(next_path))).json()
            found += page[key]
            url: str | None = page["meta"]["next_page_url"]
            next_path = url and "/v1/" + url.partition("/v1/")[2]
        return found


@asynccontextmanager
async def process(data: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start `convoke up`. Kill the process with SIGKILL at the end of the block."""
    command = [*UP, "--data", str(data)]
    started = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield started
    finally:
        started.kill()
        await started.wait()


async def ready(started: asyncio.subprocess.Process) -> Server:
    assert started.stdout is not None
    line = await started.stdout.readline()
    if not line:
        raise RuntimeError("convoke up did not start")
    return Server(json.loads(line))


async def kill(data: Path, random: Random, clients: Sequence[Client]) -> str:
    """Start a process and kill it at a random time. Return a text that describes this time."""
    if random.random() < SHARE_OF_KILLS_DURING_START:
        moment = random.uniform(0, MAX_START_SECONDS)
        async with process(data):
            await asyncio.sleep(moment)
        return f"{moment:.2f} s after the start of the process"
    moment = random.uniform(0, MAX_LOAD_SECONDS)
    async with process(data) as started:
        server = await ready(started)
        under_load = [asyncio.create_task(client.create(server)) for client in clients]
        await asyncio.sleep(moment)
    await asyncio.gather(*under_load)
    return f"{moment:.2f} s after the first request"


async def finished(server: Server, soak: Soak) -> list[Stored]:
    """Wait until all work is done, or until no webhook call arrives for STALL_SECONDS. Return all conversations."""
    connection = await connected(server.address)
    progress, until = 0, time.monotonic() + STALL_SECONDS
    stored: list[Stored] = []
    while time.monotonic() < until:
        if not stored and not await server.initializing(connection):
            stored = await server.stored()
        if stored and not any(soak.missing_calls(each for each in stored if each.name in soak.wanted)):
            break
        if soak.calls_in_all > progress:
            progress, until = soak.calls_in_all, time.monotonic() + STALL_SECONDS
        await asyncio.sleep(POLL_SECONDS)
    connection.close()
    return stored or await server.stored()


async def run(data: Path, kills: int, seed: int) -> bool:
    """Run the soak test and print its results. Return whether `Soak.violations` found no violation."""
    # The times of the kills have their own random generator, because the number of requests before a kill differs from
    # run to run.
    soak, moments = Soak(Random(seed)), Random(seed)
    clients = [Client(soak) for _ in range(CLIENTS)]
    async with receiving(soak.receive) as url:
        async with process(data) as started:
            server = await ready(started)
            connection = await connected(server.address)
            await server.call_webhook(url, connection)
            connection.close()
        for number in range(1, kills + 1):
            moment = await kill(data, moments, clients)
            print(f"kill {number}/{kills} {moment}: {len(soak.accepted)} of {len(soak.wanted)} requests answered,"
                  f" {soak.calls_in_all} webhook calls", flush=True)  # fmt: skip
        async with process(data) as started:
            begun = time.monotonic()
            stored = await finished(await ready(started), soak)
            seconds = time.monotonic() - begun
    violations = [*soak.violations(stored)]
    for violation in violations:
        print(violation)
    distinct = sum(map(len, soak.calls.values()))
    print(
        f"{kills} kills, seed {seed}: {len(soak.accepted)} requests answered with 202, {len(stored)} conversations"
        f" stored, {distinct} webhook calls and {soak.calls_in_all - distinct} repetitions; the last process finished"
        f" the work in {seconds:.1f} s; {len(violations)} violations"
    )
    return not violations


def main() -> None:
    arguments = ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=50, help="how many processes are killed")
    arguments.add_argument("--seed", type=int, default=1, help="the seed of the random requests and moments")
    given = arguments.parse_args()
    with TemporaryDirectory() as folder:
        run_all = partial(run, Path(folder) / "convoke.db", given.kills, given.seed)
        sys.exit(0 if uvloop.run(run_all()) else 1)


if __name__ == "__main__":
    main()
