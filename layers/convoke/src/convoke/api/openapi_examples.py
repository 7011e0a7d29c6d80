"""Load the examples in the OpenAPI document.

Each example is a request to a running instance, or a response of this instance. `make docs-tables` records the
examples. See tests/support/openapi_examples.py.
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
