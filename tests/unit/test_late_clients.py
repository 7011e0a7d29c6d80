"""The engine creates its HTTP clients at their first call (embedded/late_clients.py)."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from convoke.domain.receivers import ReceiverRules
from convoke.embedded.late_clients import Late, LateMediaClient, LateWebhookClient
from convoke.webhooks.answers import MediaRefusedError

STARTED = """
import sys
import convoke.cli.up
from convoke.embedded.engine import EmbeddedEngine
engine = EmbeddedEngine(":memory:")
engine.gateway()
print(*sys.modules)
engine.close()
"""

RARE = {
    "convoke.api.chat",
    "convoke.api.openapi",
    "convoke.api.resources",
    "convoke.carriers.twilio",
    "convoke.embedded.chat.server",
    "convoke.embedded.simulate_api",
    "convoke.webhooks.client",
    "phonenumbers",
    "urllib3",
    "websockets",
}
"""Modules that are slow to import. The start of an instance does not need these modules."""


def test_start_imports_no_module_that_only_later_requests_need() -> None:
    loaded = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=True).stdout.split()
    assert "convoke.embedded.gateway" in loaded
    assert RARE & set(loaded) == set()


def test_threads_share_one_client() -> None:
    def create() -> LateMediaClient:
        time.sleep(0.01)
        return LateMediaClient(ReceiverRules())

    late = Late(create)
    with ThreadPoolExecutor(8) as pool:
        created = {id(client) for client in pool.map(lambda _: late.get(), range(8))}
    assert created == {id(late.created)}


def test_cut_before_the_first_call_creates_no_client() -> None:
    webhooks, media = LateWebhookClient(ReceiverRules()), LateMediaClient(ReceiverRules())
    webhooks.cut()
    media.cut()
    assert (webhooks.created, media.created) == (None, None)
    with pytest.raises(MediaRefusedError), media.fetch("ftp://example.com/", None, 1):
        pass
    assert media.created is not None
    media.cut()
