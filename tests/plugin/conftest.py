"""Leaves the example project to test_plugin.py, which runs it in a pytest process of its own."""

from __future__ import annotations

collect_ignore = ["example"]
