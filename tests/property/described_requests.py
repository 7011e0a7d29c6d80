"""Send valid and invalid requests that `/openapi.json` describes, and check every response against the document.

Run the program with `make schemathesis`, or with
`python -m tests.property.described_requests [--examples N] [--seed N] [--only TEXT]`.

Schemathesis generates the requests. The seed determines the requests, except the SIDs of existing resources. For each
operation, the program starts a new instance in this process.
"""

from __future__ import annotations

import logging
import re
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Self

import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from requests.auth import _basic_auth_str
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core import NotSet
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from convoke.embedded.gateway import RequestContext, gateway_event
from tests.api.test_openapi import PopulatedInstance
from tests.support.instances import Resolve, held_instance

UNDECIDABLE: list[CheckFunction] = [positive_data_acceptance]
"""The Schemathesis checks that are always skipped.

The API can refuse a request that matches the description. For example, some parameters exclude each other, and some
values must be names of existing resources.
"""

UNDECIDABLE_IF_CONVERTED: list[CheckFunction] = [*UNDECIDABLE, negative_data_rejection]
"""The Schemathesis checks that are skipped if a form contains values that are not strings.

Schemathesis converts or drops such values. Therefore the sent request can be valid, although the generated request is
invalid.
"""


@dataclass
class Application:
    """Lets Schemathesis call the API without sockets, as a WSGI application."""

    api: Resolve

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = {name[5:].replace("_", "-"): text for name, text in environ.items() if name.startswith("HTTP_")}
        if "CONTENT_TYPE" in environ:
            headers["content-type"] = environ["CONTENT_TYPE"]
        scope = {
            "method": environ["REQUEST_METHOD"],
            # Replace invalid UTF-8 in the path, as uvicorn does.
            "path": environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            "query_string": environ["QUERY_STRING"].encode("latin-1"),
            "http_version": "1.1",
            "scheme": "http",
            "headers": [(name.encode(), text.encode("latin-1")) for name, text in headers.items()],
        }
        body: BytesIO = environ["wsgi.input"]
        answered = self.api(gateway_event(scope, body.read()), RequestContext())
        start_response(f"{answered['statusCode']} -", [(name, str(text)) for name, text in answered["headers"].items()])
        return [answered["body"].encode()]


@dataclass(frozen=True)
class Run:
    """Sends valid and invalid requests of each operation.

    If an operation has path parameters, the requests are sent with the path values of existing resources, and further
    requests are sent with random path values. `examples` is the maximum number of valid requests, and also of invalid
    requests, for each of these two sets of path values.
    """

    examples: int
    seed: int
    with_credentials: bool = True
    statuses: Counter[int] = field(default_factory=Counter)
    """The number of responses for each HTTP status."""
    problems: list[str] = field(default_factory=list)

    def send(self, only: str = "") -> Self:
        """Send the requests of each operation whose path contains `only`."""
        with held_instance() as instance:
            application = Application(instance.api)
            described = schemathesis.openapi.from_wsgi("/openapi.json", application)
        # Do not generate credentials. Otherwise wrong credentials would be the only mistake in most invalid requests.
        described.config.generation.update(with_security_parameters=False)
        for found in described.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            if only in operation.path:
                with held_instance() as instance:
                    application.api = instance.api
                    self._check_operation(operation, PopulatedInstance(instance))
        return self

    def _check_operation(self, operation: APIOperation[Any, Any, Any, Any], populated: PopulatedInstance) -> None:
        existing = {name: populated.values[segment] for segment, name in re.findall(r"(\w+)/{(\w+)}", operation.path)}
        account = (populated.instance.account.sid, populated.instance.token)
        headers = {"Authorization": _basic_auth_str(*account)} if self.with_credentials else {}
        for path_parameters in (existing, {}) if existing else ({},):
            for mode in GenerationMode:
                cases = operation.as_strategy(mode, path_parameters=path_parameters)
                self._for_each(cases, lambda case: self._check(case, headers))

    def _check(self, case: Case[Any], headers: dict[str, str]) -> None:
        response = case.call(headers=headers)
        self.statuses[response.status_code] += 1
        try:
            excluded = UNDECIDABLE if _is_sent_as_it_is(case.body) else UNDECIDABLE_IF_CONVERTED
            case.validate_response(response, headers=headers, excluded_checks=excluded)
        except BaseExceptionGroup as failed:
            self.problems.extend(f"{case.as_curl_command()}\n{problem}" for problem in failed.exceptions)

    def _for_each(self, cases: SearchStrategy[Case[Any]], check: Callable[[Case[Any]], None]) -> None:
        test = settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )(seed(self.seed)(given(cases)(check)))
        # Schemathesis cannot generate invalid requests if none of the operation's parameters can be invalid.
        with suppress(Unsatisfiable):
            test()


def _is_sent_as_it_is(form: object) -> bool:
    """Return whether Schemathesis sends the form unchanged.

    Return True if there is no form, or if all values of the form are strings or lists of strings.
    """
    if isinstance(form, NotSet):
        return True
    values = form.values() if isinstance(form, dict) else [None]
    return all(isinstance(text, str) for value in values for text in (value if isinstance(value, list) else [value]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args(arguments)
    logging.disable()
    run = Run(chosen.examples, chosen.seed).send(chosen.only)
    print("\n\n".join(run.problems))
    print(f"{run.statuses.total()} requests, {dict(sorted(run.statuses.items()))}")
    print(f"{len(run.problems)} problems")
    return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
