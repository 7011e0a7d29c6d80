"""Exclude the example project from collection, because test_plugin.py runs it in a separate pytest process."""

from __future__ import annotations

collect_ignore = ["example"]
