"""The example is a project of somebody else's: test_plugin.py runs it as they would."""

from __future__ import annotations

collect_ignore = ["example"]
