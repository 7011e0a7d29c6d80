"""Read the pages of the documentation, and update the generated parts of the pages.

Each generated part stands between the comments `<!-- NAME: begin -->` and `<!-- NAME: end -->`. `make docs-tables`
updates all generated parts.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from markdown import Markdown

from tests.support.template import ROOT

DOCS = ROOT / "docs"
README = ROOT / "README.md"
API_COVERAGE = DOCS / "api-coverage.md"
BENCHMARKS = DOCS / "benchmarks.md"
DATA_MODEL = DOCS / "data-model.md"
ERRORS = DOCS / "errors.md"
TESTING = DOCS / "testing.md"


def with_part(page: str, name: str, part: str) -> str:
    """Replace the generated part `name` of the page. Return the new page.

    Raises ValueError if the page has no such part.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = page.partition(begin)
    if not found or end not in rest:
        raise ValueError(f"the page has no generated part {name}")
    _, _, after = rest.partition(end)
    return f"{before}{begin}{part}{end}{after}"


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page on the built site: one for each heading and for each explicit `id`."""
    html = Markdown(extensions=["attr_list", "fenced_code", "tables", "toc"]).convert(page.read_text())
    return frozenset(re.findall(r'\sid="([^"]+)"', html))
