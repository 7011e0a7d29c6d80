"""The tests detect a forgotten step of the recipe "Add a resource" in CONTRIBUTING.md.

The failure message names the step and the file to edit.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from convoke.api.contracts import Contract
from convoke.api.openapi import path_value
from convoke.api.operations import Operations
from convoke.api.routes import ROUTES, Route
from convoke.embedded.engine import EmbeddedEngine
from convoke.program import Program
from convoke.storage import keys
from tests.support.template import ROOT

PACKAGE = ROOT / "layers/convoke/src/convoke"
RESOURCES = PACKAGE / "api/resources"
MODULES = sorted(path.stem for path in RESOURCES.glob("*.py") if path.stem != "__init__")

LAST_STEP = "docs/behaviour"
"""The last entry in the recipe's list of files."""


def contracts(module: str) -> dict[str, Contract]:
    """Return the contracts of a resource module, as a mapping from name to contract."""
    members = vars(importlib.import_module(f"convoke.api.resources.{module}"))
    return {name: member for name, member in members.items() if isinstance(member, Contract)}


def unrouted(module: str, contracts: Mapping[str, Contract], routed: Iterable[Contract]) -> Iterator[str]:
    """Yield a message for each contract without a route. `contracts` are the contracts of the resource module `module`.

    If the module has no contract, yield a message too.
    """
    ids = {id(contract) for contract in routed}
    if not contracts:
        yield f"api/resources/{module}.py has no Contract: add one for each of its handlers"
    for name, contract in contracts.items():
        if id(contract) not in ids:
            yield f"api/routes.py has no route with the contract {module}.{name}: add one"


def attributes_of(variable: str, source: str) -> set[str]:
    """Return the attributes of `variable` that the source reads."""
    attributes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == variable}


def keyless(module: str, source: str) -> Iterator[str]:
    """Yield a message for each name that a repository reads from storage/keys.py, but that this file lacks."""
    for name in sorted(attributes_of("keys", source) - set(vars(keys))):
        yield f"storage/keys.py does not define `{name}`, which storage/{module}.py reads: add it"


def undeclared(module: str, source: str, declared: Iterable[str]) -> Iterator[str]:
    """Yield a message for each operation that a resource module uses, but that Operations does not declare."""
    for name in sorted(attributes_of("operations", source) - set(declared)):
        yield f"Operations in api/operations.py has no `{name}`, which api/resources/{module}.py reads: add it"


def unbuilt(members: Container[str], declared: Iterable[str]) -> Iterator[str]:
    """Yield a message for each operation in `declared` that is missing from `members`, the members of `Program`."""
    yield from (f"Program in program.py does not build `{name}`: add it" for name in declared if name not in members)


def undocumented(module: str, docstring: str, root: Path) -> Iterator[str]:
    """Yield a message for each cited page that does not exist. If the module cites no page, yield a message too."""
    cited = re.findall(r"docs/behaviour/[\w-]+\.md", docstring)
    if not cited:
        yield f"The docstring of api/resources/{module}.py cites no page of docs/behaviour: write one and cite it"
    for page in cited:
        if not (root / page).exists():
            yield f"{page} does not exist, and api/resources/{module}.py cites it"


def members() -> set[str]:
    """Return the names of the public members of Operations."""
    return {name for name in vars(Operations) if not name.startswith("_")}


@pytest.mark.parametrize("module", MODULES)
def test_every_contract_has_a_route(module: str) -> None:
    assert [*unrouted(module, contracts(module), [route.contract for route in ROUTES])] == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "storage").glob("*.py")), ids=lambda path: path.stem)
def test_every_key_that_repositories_use_is_defined(path: Path) -> None:
    assert [*keyless(path.stem, path.read_text())] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_operation_that_handlers_call_is_declared(module: str) -> None:
    assert [*undeclared(module, (RESOURCES / f"{module}.py").read_text(), members())] == []


def test_composition_root_builds_every_operation() -> None:
    assert [*unbuilt(vars(Program), members())] == []
    with closing(EmbeddedEngine(":memory:")) as engine:
        for name in members():
            assert getattr(engine.program, name) is not None


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.rules[-1]}")
def test_handler_of_every_route_accepts_the_values_of_its_path(route: Route) -> None:
    """Type checkers do not check the calls of handlers, because the table of routes has only the handlers' names."""
    values = dict.fromkeys(re.findall(r"<(\w+)>", route.rule), "")
    # Each handler has two arguments before the values of the path. The kind of the route determines these arguments.
    inspect.signature(route.handler).bind("", "", **values)


@pytest.mark.parametrize("module", MODULES)
def test_every_resource_cites_its_page(module: str) -> None:
    docstring = ast.get_docstring(ast.parse((RESOURCES / f"{module}.py").read_text())) or ""
    assert [*undocumented(module, docstring, ROOT)] == []


def test_every_path_value_is_described() -> None:
    for route in ROUTES:
        for rule in route.rules:
            for segment, _ in re.findall(r"(\w+)/<(\w+)>", rule):
                assert path_value(segment, rule)["type"] == "string"


@dataclass(frozen=True)
class Forgotten:
    """A test case in which one step of the recipe is missing."""

    messages: Iterable[str]
    """The messages of the check that must detect the missing step."""
    named: tuple[str, ...]
    """Texts that the message must contain."""


PARCELS = '''"""`/Parcels`: a resource that does not exist."""

def fetch(operations, request, sid):
    return operations.parcels.fetch(request.service, sid)
'''

NO_PAGE = "/".join(("docs", "behaviour", "no-page.md"))
"""The path of a page that does not exist. test_docs.py would refuse the complete path in a source file."""

FORGOTTEN = {
    "key": Forgotten(keyless("parcels", "keys.parcel(sid)"), ("storage/keys.py", "`parcel`", "storage/parcels.py")),
    "contract": Forgotten(unrouted("parcels", {}, []), ("api/resources/parcels.py", "Contract")),
    "route": Forgotten(
        unrouted("parcels", {"FETCH": Contract("Parcel", None)}, []), ("api/routes.py", "parcels.FETCH")
    ),
    "member of Operations": Forgotten(undeclared("parcels", PARCELS, members()), ("api/operations.py", "`parcels`")),
    "program": Forgotten(unbuilt({"messages"}, ["messages", "parcels"]), ("program.py", "`parcels`")),
    "citation": Forgotten(undocumented("parcels", "Parcels.", ROOT), ("docs/behaviour", "api/resources/parcels.py")),
    "page": Forgotten(undocumented("parcels", NO_PAGE, ROOT), (NO_PAGE,)),
}


@pytest.mark.parametrize("forgotten", FORGOTTEN.values(), ids=FORGOTTEN)
def test_forgotten_step_is_named(forgotten: Forgotten) -> None:
    (message,) = forgotten.messages
    assert all(name in message for name in forgotten.named), message


def test_forgotten_path_value_is_named() -> None:
    with pytest.raises(LookupError, match=r"PATH_VALUES in api/path_values\.py has no entry 'Unknown'.*/Unknown/<sid>"):
        path_value("Unknown", "/v1/Unknown/<sid>")


def test_recipe_names_at_most_ten_files_of_the_product_and_each_exists() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("### Add a resource")[2].partition("\n### ")[0]
    files = re.findall(r"^\d+\. `([\w/.-]+)`", section, re.MULTILINE)
    assert 5 <= len(files) <= 10, files
    assert files[-1].startswith(LAST_STEP)
    for file in files:
        # The recipe's example is the existing resource `receipts`. Therefore every file of the example exists.
        assert (PACKAGE / file).exists() or (ROOT / file).exists(), file


def test_table_of_rules_names_existing_modules() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where a rule stands")[2].partition("\n## ")[0]
    modules = re.findall(r"`([\w/]+\.py)`", section)
    assert len(modules) > 20
    for module in modules:
        assert (PACKAGE / module).exists(), module
