"""The README's table of errors, made of the catalogue: `python -m tests.support.error_table` writes it anew."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator

from convoke.domain import errors
from convoke.domain.errors import CATALOGUE, ConversationsError
from tests.support.readme import README, with_part
from tests.support.template import ROOT

SOURCES = ROOT / "layers/convoke/src/convoke"


def raised() -> dict[int, type[ConversationsError]]:
    """The errors that some module besides the catalogue names, by code: what a request can be answered with."""
    named = {
        name
        for path in SOURCES.rglob("*.py")
        if path.name != "errors.py" or "api" in path.parts
        for name in _names(path.read_text())
    }
    return {code: error for code, error in sorted(CATALOGUE.items()) if error.__name__ in named}


def _names(source: str) -> Iterator[str]:
    return (node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))


def table() -> str:
    rows = [f"| {code} | {error.status} | `{error.rule}` | {_text(error)} |" for code, error in raised().items()]
    return "\n".join(["| code | status | rule | message |", "|---|---|---|---|", *rows, ""])


def _text(error: type[ConversationsError]) -> str:
    """With what is filled in as `…`."""
    fields = {name: "…" for _, name, _, _ in string.Formatter().parse(error.text) if name}
    return error.text.format_map(fields)


def with_table(readme: str) -> str:
    return with_part(readme, "errors", table())


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
    print(f"{len(raised())} of the {len(errors.CATALOGUE)} codes of the catalogue")
