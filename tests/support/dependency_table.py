"""Generate the table in docs/dependencies.md from the metadata of the installed packages.

`make docs-tables` runs this program.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement

from tests.support.docs import DOCS, with_part

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""Maps PyPI licence classifiers to SPDX identifiers. A key is the last part of a classifier."""

TEXTS = {
    "apache license 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "mit license": "MIT",
}
"""Maps licence names to SPDX identifiers, for packages without a known classifier.

The metadata field `License` of such a package contains the name of the licence.
"""


def licences() -> dict[str, str]:
    """Return a mapping from each dependency of Convoke and of its extras to the SPDX licence of the dependency."""
    found: dict[str, str] = {}
    waiting = ["convoke-conversations[aws,docs,testing]"]
    seen: set[str] = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        key = f"{requirement.name}[{','.join(sorted(requirement.extras))}]"
        if key in seen:
            continue
        seen.add(key)
        installed = distribution(requirement.name)
        found[installed.metadata["Name"]] = _licence(installed)
        for text in installed.requires or []:
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in requirement.extras or {""}]
            if needed.marker is None or any(needed.marker.evaluate(each) for each in environments):
                waiting.append(text)
    del found["convoke-conversations"]
    return dict(sorted(found.items(), key=lambda each: each[0].lower()))


def _licence(installed: Distribution) -> str:
    metadata = installed.metadata
    if expression := metadata["License-Expression"]:
        return str(expression)
    for classifier in metadata.get_all("Classifier") or []:
        if classifier.startswith("License ::") and (name := classifier.rpartition(" :: ")[2]) in CLASSIFIERS:
            return CLASSIFIERS[name]
    text = re.sub(r"\s+", " ", metadata["License"] or "")
    return TEXTS.get(text.lower(), text or "unknown")


def table() -> str:
    rows = [f"| [{name}](https://pypi.org/project/{name}/) | {licence} |" for name, licence in licences().items()]
    return "\n".join(["| Package | Licence |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    page = DOCS / "dependencies.md"
    page.write_text(with_part(page.read_text(), "licences", table()))
