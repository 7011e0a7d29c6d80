"""Send random requests to the API and random bytes to its server, and find wrong answers.

No answer may be a 5xx, and no request may hang.

`make soak`, or `python -m tests.faults.fuzz [--requests N] [--seed N]`. The seed determines the random choices, but not
the SIDs of stored resources. There are two kinds of requests:

- Requests to the API in this process, with random methods, paths, headers and forms. They use the paths and parameters
  of `/openapi.json`, the SIDs of stored resources, and invalid values.
- Connections to a server on a socket. The HTTP requests contain random mistakes, and are cut or joined at random
  places. The server must answer or close every connection. At the end, it must answer a correct request.
"""

from __future__ import annotations

import asyncio
import re
import sys
from argparse import ArgumentParser
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from convoke.api.app import Api
from convoke.api.openapi import document
from convoke.embedded.engine import EmbeddedEngine
from convoke.embedded.gateway import RequestContext, gateway_event
from convoke.embedded.server import Server, listening_socket
from tests.support.openapi_checks import resolved

TIMEOUT_SECONDS = 10.0

REQUESTS_PER_CONNECTION = 100
"""The number of requests to the API for each connection to the server.

There are fewer connections than requests, because a connection takes longer than a request.
"""

MAX_RESOURCES = 300
"""After this number of created resources, the fuzzer starts a new engine, so that memory does not grow."""

TEXTS = ("", " ", "a", "ü", "\U0001f600", "\x00", "\ud800", "\ufdd0", "null", "true", "-1", "0", "9" * 30, "1e999")
STRUCTURES = ("{}", "[]", "{", '{"a":' * 2_000, "[" * 5_000, '"', '{"identity": 7}', "[null]", "Infinity")
DATES = ("2026-01-02", "2026-13-45", "0000-00-00", "2026-01-02T03:04:05Z", "9999-12-31T23:59:59.999Z", "PT1M", "P-1D")
URLS = (
    "https://me:пароль@h/",
    "http://a..b/",
    "http://[::1/",
    "http://h:0/",
    "https://faß.de/",
    "//h",
    "http://h/\ud800",
)
PREFIXES = {"Conversations": "CH", "Participants": "MB", "Messages": "IM", "Services": "IS", "Webhooks": "WH"}
"""Maps a path segment to the prefix of the SIDs that follow the segment."""

NAMES = ("Content-Type", "Authorization", "X-Twilio-Webhook-Enabled", "Idempotency-Key", "Prefer", "Host", "Origin",
         "Sec-Fetch-Site", "Content-Length", "X-Forwarded-Host", "If-Match", "Accept", "\x7f")  # fmt: skip
METHODS = ("GET", "POST", "POST", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD", "get", "", "A" * 40)


@dataclass
class Violation:
    request: str
    problem: str


@dataclass
class Fuzz:
    """Creates random requests."""

    random: Random
    sids: dict[str, list[str]] = field(default_factory=dict)
    """Maps each SID prefix to at most 100 SIDs that occurred in responses."""
    operations: list[tuple[str, str, list[str]]] = field(default_factory=list)
    """The method, the path and the parameter names of every operation in `/openapi.json`."""

    def __post_init__(self) -> None:
        for path, item in document()["paths"].items():
            for method, operation in item.items():
                if method in ("get", "post", "delete"):
                    self.operations.append((method.upper(), path, parameters_of(operation)))

    def value(self) -> str:
        random = self.random
        kind = random.randrange(8)
        if kind == 0:
            return "".join(chr(random.choice((random.randrange(128), random.randrange(0x11000)))) for _ in range(9))
        if kind == 1:
            return random.choice("x{é\U0001f600") * random.choice((1, 255, 256, 257, 1600, 4096, 20_000))
        if kind == 2 and self.sids:
            return self.sid(random.choice([*self.sids]))
        return random.choice(random.choice((TEXTS, STRUCTURES, DATES, URLS, ("onMessageAdded", "webhook", "active"))))

    def sid(self, prefix: str) -> str:
        known = self.sids.get(prefix)
        if known and self.random.random() < 0.9:
            return self.random.choice(known)
        return prefix + "".join(self.random.choices("0123456789abcdefg", k=self.random.choice((0, 31, 32, 32, 33))))

    def path(self, template: str) -> str:
        segments = []
        for segment in template.split("/"):
            if not segment.startswith("{"):
                segments.append(segment)
            elif self.random.random() < 0.95:
                segments.append(self.sid(PREFIXES.get(segments[-1]) or self.random.choice([*self.sids] or ["CH"])))
            else:
                segments.append(self.value())
        if self.random.random() < 0.02:
            segments.insert(self.random.randrange(1, len(segments) + 1), self.value())
        return "/".join(segments)

    def form(self, names: list[str]) -> list[tuple[str, str]]:
        chosen = self.random.sample(names, k=self.random.randint(0, min(4, len(names))))
        if self.random.random() < 0.05:
            chosen += [self.value()[:50]]
        return [(name, self.value()) for name in chosen for _ in range(self.random.choice((1, 1, 1, 2, 12)))]

    def headers(self, authorization: str) -> list[tuple[bytes, bytes]]:
        headers = [(b"host", b"convoke.test"), (b"content-type", b"application/x-www-form-urlencoded")]
        if self.random.random() < 0.97:
            headers.append((b"authorization", authorization.encode()))
        for _ in range(self.random.choice((0, 0, 0, 1, 3))):
            name = self.random.choice(NAMES).lower().encode()
            headers.append((name, self.value()[:300].encode(errors="replace").replace(b"\n", b"")))
        if self.random.random() < 0.3:
            headers.append((b"x-twilio-webhook-enabled", b"true"))
        return headers

    def event(self, authorization: str) -> dict[str, Any]:
        """Return the gateway event of a random request."""
        method, template, names = self.random.choice(self.operations)
        if self.random.random() < 0.05:
            method = self.random.choice(METHODS)
        form = urlencode(self.form(names), errors="replace")
        query, body = (form, "") if method == "GET" else ("", form)
        content = body.encode()
        if self.random.random() < 0.03:
            content = self.random.randbytes(self.random.choice((1, 100, 5_000)))
        scope = {
            "method": method,
            # Replace invalid UTF-8 as uvicorn does.
            "path": self.path(template).encode(errors="replace").decode(),
            "query_string": query.encode(),
            "http_version": "1.1",
            "scheme": "http",
            "headers": self.headers(authorization),
        }
        return gateway_event(scope, content)

    def learn(self, text: str) -> None:
        """Store the SIDs of a response, so that later requests can use them."""
        for part in text.split('"'):
            if len(part) == 34 and part[:2].isupper() and part[2:].isalnum():
                known = self.sids.setdefault(part[:2], [])
                if len(known) < 100:
                    known.append(part)
                else:
                    known[self.random.randrange(100)] = part

    def stream(self, authorization: str) -> bytes:
        """Return the bytes of several HTTP requests with random mistakes."""
        sent = b"".join(self.raw_request(authorization) for _ in range(self.random.randint(1, 3)))
        for _ in range(self.random.choice((0, 1, 1, 2, 8))):
            place = self.random.randrange(len(sent) + 1)
            match self.random.randrange(4):
                case 0:
                    sent = sent[:place] + self.random.randbytes(self.random.choice((1, 4, 60))) + sent[place:]
                case 1:
                    sent = sent[:place] + sent[place + self.random.choice((1, 10, 100)) :]
                case 2:
                    sent = sent[:place]
                case _:
                    part = self.random.choice((b"\r\n", b"\r\n\r\n", b":", b" ", b"a: b\r\n" * 150, b"x" * 20_000))
                    sent = sent[:place] + part + sent[place:]
        return sent

    def raw_request(self, authorization: str) -> bytes:
        method, template, names = self.random.choice(self.operations)
        body = urlencode(self.form(names), errors="replace").encode()
        target = quote(self.path(template).encode(errors="replace")) or "/"
        lines = [f"{method} {target} HTTP/{self.random.choice(('1.1', '1.1', '1.1', '1.0', '0.9', '2.0'))}".encode()]
        lines += [name + b": " + value for name, value in self.headers(authorization)]
        match self.random.randrange(5):
            case 0:
                lines.append(b"Transfer-Encoding: chunked")
                body = b"%x\r\n%s\r\n0\r\nAuthorization: Basic eDp5\r\n\r\n" % (len(body), body)
            case 1:
                lines.append(f"Content-Length: {self.random.choice((-1, 0, 7, 10**12, len(body) + 5))}".encode())
            case _:
                lines.append(f"Content-Length: {len(body)}".encode())
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


def parameters_of(operation: dict[str, Any]) -> list[str]:
    names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        names += resolved(content.get("schema", {})).get("properties", {})
    return names


class Target:
    """An engine with one account. When the engine has many resources, the fuzzer replaces it with a new engine."""

    def __init__(self) -> None:
        self.engine = EmbeddedEngine(":memory:")
        account = self.engine.accounts.create()
        token = self.engine.accounts.token(account.sid)
        self.authorization = f"Basic {b64encode(f'{account.sid}:{token}'.encode()).decode()}"
        self.created = 0

    @property
    def api(self) -> Api:
        return self.engine.api


def fuzz_api(fuzz: Fuzz, requests: int, statuses: Counter[int]) -> list[Violation]:
    """Send random requests to the API in this process. Background steps run, but webhooks are not called."""
    violations, target = [], Target()
    for _ in range(requests):
        if target.created >= MAX_RESOURCES:
            target.engine.close()
            target, fuzz.sids = Target(), {}
        event = fuzz.event(target.authorization)
        try:
            answered = target.api.resolve(event, RequestContext())
        except BaseException as error:
            violations.append(Violation(repr(event), repr(error)))
            raise
        status = answered["statusCode"]
        statuses[status] += 1
        if status >= 500:
            violations.append(Violation(repr(event), answered["body"]))
        if status in (201, 202):
            target.created += 1
            target.engine.steps.run_all()
        if status < 300:
            fuzz.learn(answered["body"])
    target.engine.close()
    return violations


async def fuzz_server(fuzz: Fuzz, connections: int, statuses: Counter[int]) -> list[Violation]:
    """Send random bytes to a server over many connections. At the end, send a correct request, which must succeed."""
    violations, target = [], Target()
    with listening_socket("127.0.0.1", 0) as listener:
        server = Server(target.engine.gateway(), target.engine.start, target.engine.stop)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        address = listener.getsockname()
        for _ in range(connections):
            sent = fuzz.stream(target.authorization)
            try:
                answers = await asyncio.wait_for(exchanged(address, sent), TIMEOUT_SECONDS)
            except TimeoutError:
                violations.append(Violation(repr(sent), f"no end within {TIMEOUT_SECONDS:g} s"))
                continue
            for status in answers:
                statuses[status] += 1
                if status >= 500:
                    violations.append(Violation(repr(sent), f"status {status}"))
        good = f"GET /v1/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {target.authorization}\r\n\r\n"
        if await asyncio.wait_for(exchanged(address, good.encode()), TIMEOUT_SECONDS) != [200]:
            violations.append(Violation(good, "a correct request is not answered with 200"))
        server.should_exit = True
        await serving
    return violations


async def exchanged(address: tuple[str, int], sent: bytes) -> list[int]:
    """Send bytes and close the connection for writing. Return the status of each response."""
    reader, writer = await asyncio.open_connection(*address)
    received = b""
    try:
        writer.write(sent)
        writer.write_eof()
        received = await reader.read()
    except ConnectionError:
        pass  # The server has closed the connection before it read all bytes.
    finally:
        writer.close()
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", received)]


def run(requests: int, connections: int, seed: int) -> tuple[Counter[int], list[Violation]]:
    """Run both fuzzers. Count the responses by status, and return the counts and the violations."""
    statuses: Counter[int] = Counter()
    violations = fuzz_api(Fuzz(Random(seed)), requests, statuses)
    violations += asyncio.run(fuzz_server(Fuzz(Random(seed)), connections, statuses))
    return statuses, violations


def main() -> None:
    arguments = ArgumentParser(description=__doc__)
    arguments.add_argument("--requests", type=int, default=1_000_000, help="how many requests are sent to the API")
    arguments.add_argument("--seed", type=int, default=1, help="the seed of the requests")
    given = arguments.parse_args()
    connections = given.requests // REQUESTS_PER_CONNECTION
    statuses, violations = run(given.requests, connections, given.seed)
    for violation in violations[:20]:
        print(f"{violation.problem[:500]}\n  {violation.request[:2_000]}")
    print(f"{given.requests} requests and {connections} connections, seed {given.seed}: {len(violations)} violations")
    print(", ".join(f"{count} x {status}" for status, count in sorted(statuses.items())))
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
