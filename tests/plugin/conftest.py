"""Keep pytest from collecting the example project, because test_plugin.py runs the project in a separate process."""

from __future__ import annotations

collect_ignore = ["example"]
