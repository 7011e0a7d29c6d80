"""`/healthz` answers without credentials on every engine (api/resources/health.py)."""

from __future__ import annotations

import pytest

from tests.support.instances import ORIGIN, Instance, call


@pytest.mark.each_engine
def test_health_needs_no_credentials_and_returns_only_ok(instance: Instance) -> None:
    answered = call(instance.api, "GET", f"{ORIGIN}/healthz")
    assert (answered.status, answered.body) == (200, {"status": "ok"})
    assert call(instance.api, "POST", f"{ORIGIN}/healthz").status == 405
