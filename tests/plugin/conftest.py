"""pytest must not collect the example project here. test_plugin.py runs the project in a separate pytest process."""

from __future__ import annotations

collect_ignore = ["example"]
