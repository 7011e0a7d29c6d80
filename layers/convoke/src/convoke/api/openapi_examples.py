"""The examples in the OpenAPI document. A running instance has taken and answered each of them.

`make docs-tables` writes them: see tests/support/openapi_examples.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLES_FILE = Path(__file__).with_name("openapi_examples.json")


def load_examples() -> dict[str, Any]:
    """Return an example for each schema of a request or a response. The key is the name of the schema."""
    examples: dict[str, Any] = json.loads(EXAMPLES_FILE.read_text())
    return examples
