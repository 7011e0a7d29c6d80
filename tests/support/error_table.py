"""Generate the sections of docs/errors.md that list the codes of the error catalogue.

`make docs-tables` runs this module.
"""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from functools import cache

from convoke.domain import errors
from convoke.domain.errors import CATALOGUE, LOG_ENTRIES, ConversationsError, LogEntry
from tests.support.docs import ERRORS, with_part
from tests.support.template import ROOT

SOURCES = ROOT / "layers/convoke/src/convoke"


@cache
def raised() -> dict[int, type[ConversationsError]]:
    """Return a mapping from each error code of the API to its error class.

    An error belongs to the API if a module outside the catalogue mentions the error's class.
    """
    named = {
        name
        for path in SOURCES.rglob("*.py")
        if path.name != "errors.py" or "api" in path.parts
        for name in _names(path.read_text())
    }
    return {code: error for code, error in sorted(CATALOGUE.items()) if error.__name__ in named}


def _names(source: str) -> Iterator[str]:
    return (node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name))


def sections() -> str:
    return "\n".join([*_answered(), *_logged(), *_reserved()])


def _answered() -> Iterator[str]:
    yield from ("## Every error code", "", "An ellipsis (…) stands for a value that the message fills in.", "")
    for code, error in raised().items():
        yield from (f"### {code}", "", f"HTTP {error.status}, rule `{error.rule}`", "", f"> {_text(error)}", "")


def _logged() -> Iterator[str]:
    yield from ("## Codes of the error log", "", "Only alerts have these codes. No request is answered with them.", "")
    for code, entry in sorted(LOG_ENTRIES.items()):
        yield from (f"### {code}", "", f"> {_text(entry)}", "")


def _reserved() -> Iterator[str]:
    unused = dict(sorted(CATALOGUE.items() - raised().items()))
    if unused:
        yield from (
            "## Reserved codes",
            "",
            "The catalogue has these codes for operations that are not served yet.",
            "",
        )
        yield from ("| code | status | rule | message |", "|---|---|---|---|")
        for code, error in unused.items():
            yield f"| {code} | {error.status} | `{error.rule}` | {_text(error)} |"
        yield ""


def _text(error: type[ConversationsError] | type[LogEntry]) -> str:
    """Return the error's message with an ellipsis in place of each placeholder."""
    fields = {name: "…" for _, name, _, _ in string.Formatter().parse(error.text) if name}
    return error.text.format_map(fields)


def with_table(page: str) -> str:
    return with_part(page, "errors", sections())


if __name__ == "__main__":
    ERRORS.write_text(with_table(ERRORS.read_text()))
    print(f"{len(raised())} of the {len(errors.CATALOGUE)} codes of the catalogue")
