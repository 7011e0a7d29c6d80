"""Generate the examples of `/openapi.json` from real requests and responses.

`make docs-tables` runs this module. The clock, the SIDs and the secrets of the instance are fixed, so that the examples
change only with the code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

from convoke.api.openapi_examples import EXAMPLES_FILE
from convoke.domain.api_keys import Masters
from convoke.domain.sids import Prefix
from tests.api.test_openapi import FITTING, JSON_BODIES, OWN_EXAMPLES, Examples, PopulatedInstance
from tests.support.instances import ORIGIN, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.openapi_checks import Operation, Schema, operations
from tests.support.sids import Sids

PUBLIC_URL = "https://conversations.example.com"

BEGIN = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


class FixedAuthTokens:
    """Implements the AuthTokens port with one fixed token for every account."""

    def fetch(self, account_sid: str) -> str | None:
        return "0" * 32

    def put(self, account_sid: str, token: str) -> None: ...


class FixedMasters:
    """Implements the ApiKeyMasters port with one fixed master secret."""

    def fetch(self) -> Masters | None:
        return Masters(current="1", secrets={"1": "0" * 64})

    def put(self, before: Masters | None, after: Masters) -> bool:
        raise NotImplementedError


class FixedSids(Sids):
    """Creates SIDs in the format of `SidFactory`, with a fixed time and no random digits."""

    def __init__(self) -> None:
        self._ordered = count((int(BEGIN.timestamp() * 1_000) << 16) + 1)

    def __call__(self, prefix: Prefix) -> str:
        ordered = next(self._ordered)
        return f"{prefix}{ordered:016x}{hashlib.sha256(str(ordered).encode()).hexdigest()[:16]}"


def examples() -> dict[str, Any]:
    """Return a mapping from the name of each request or response schema to the example with the most values."""
    found: dict[str, Any] = {}
    for operation in operations().values():
        for name, example in _examples_of(operation):
            if name not in found or _richness(example) > _richness(found[name]):
                found[name] = example
    return dict(sorted(json.loads(json.dumps(found).replace(ORIGIN, PUBLIC_URL)).items()))


def _examples_of(operation: Operation) -> Iterator[tuple[str, Any]]:
    """Send a request for the operation, with as many parameters as can be combined.

    Yield the request and parts of the response as examples. Each example comes with the name of its schema.
    """
    clock = ManualClock()
    clock.present = BEGIN
    fixed: dict[str, Any] = {
        "auth_tokens": FixedAuthTokens(),
        "api_key_masters": FixedMasters(),
        "new_sid": FixedSids(),
    }
    with held_instance(now=clock.now, sleep=clock.sleep, **fixed) as instance:
        populated = PopulatedInstance(instance)
        values = Examples(populated.examples | OWN_EXAMPLES.get(operation.id, {}))
        form = {name: values[name] for name in FITTING.get(operation.id.replace("Service", ""), operation.form)}
        answered = populated.ask(operation, form)
        assert answered.status < 400, answered.text
        if form:
            yield _name(operation.description["requestBody"]["content"]["multipart/form-data"]["schema"]), form
        if body := JSON_BODIES.get(operation.id):
            yield _name(operation.description["requestBody"]["content"]["application/json"]["schema"]), body
        if answered.text:
            described = operation.description["responses"][str(answered.status)]
            yield from _parts(described["content"]["application/json"]["schema"], answered.body)


def _parts(schema: Schema, body: Any) -> Iterator[tuple[str, Any]]:
    """Yield each part of a response body whose schema has a name, together with the name.

    Search only the first element of each list. Omit the API description itself.
    """
    if "$ref" in schema and _name(schema) != "Description":
        yield _name(schema), body
    for name, part in schema.get("properties", {}).items():
        yield from _parts(part, body[name])
    if "items" in schema and body:
        yield from _parts(schema["items"], body[0])


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _richness(example: Any) -> int:
    """Return how many values of an example are neither null nor empty."""
    if isinstance(example, dict):
        return sum(map(_richness, example.values()))
    if isinstance(example, list):
        return sum(map(_richness, example))
    return example not in (None, "")


if __name__ == "__main__":
    written = examples()
    EXAMPLES_FILE.write_text(f"{json.dumps(written, indent=1)}\n")
    print(f"{len(written)} examples of the schemas of /openapi.json")
