"""Load the examples for the OpenAPI document.

Each example is a request to a running instance, or the response to such a request. `make docs-tables` records the
examples. See tests/support/openapi_examples.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLES_FILE = Path(__file__).with_name("openapi_examples.json")


def load_examples() -> dict[str, Any]:
    """Return the examples. The keys are the names of the request schemas and the response schemas."""
    examples: dict[str, Any] = json.loads(EXAMPLES_FILE.read_text())
    return examples
