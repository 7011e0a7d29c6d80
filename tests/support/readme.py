"""Parts of the README that are made of the code: each stands between two comments with its name."""

from __future__ import annotations

from tests.support.template import ROOT

README = ROOT / "README.md"


def with_part(readme: str, name: str, part: str) -> str:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, _, rest = readme.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{part}{end}{after}"
