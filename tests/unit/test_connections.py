"""A webhook URL's fragment can override connection settings (domain/connections.py)."""

from __future__ import annotations

import pytest

from convoke.domain.connections import ConnectionSettings, connection_settings

DEFAULTS = ConnectionSettings(3, 5, 5, 5)


@pytest.mark.parametrize(
    ("fragment", "settings"),
    [
        ("", DEFAULTS),
        ("#", DEFAULTS),
        ("#section-2", DEFAULTS),
        ("#rc=0", DEFAULTS._replace(retries=0)),
        ("#rc=5", DEFAULTS._replace(retries=5)),
        ("#rc=6&ct=99&rt=15001&tt=0", DEFAULTS),
        ("#rc=-1&ct=&rt=1.5&tt=fast&rp=5xx&e=dublin&sni=y&&=", DEFAULTS),
        ("#rc=\u0663", DEFAULTS),
        ("#rc=1&rc=2", DEFAULTS._replace(retries=2)),
        ("#ct=1000", ConnectionSettings(3, 1, 5, 5)),
        ("#rt=1000", ConnectionSettings(3, 5, 1, 5)),
        ("#rt=12000", ConnectionSettings(3, 5, 12, 12)),
        ("#ct=5000&rt=15000", ConnectionSettings(3, 5, 15, 15)),
        ("#tt=12000", ConnectionSettings(3, 5, 12, 12)),
        ("#tt=100", ConnectionSettings(3, 0.1, 0.1, 0.1)),
        ("#rc=2&rt=3000&ct=2000&tt=15000", ConnectionSettings(2, 2, 3, 15)),
    ],
)
def test_connection_overrides_in_the_url_fragment_set_retries_and_timeouts(
    fragment: str, settings: ConnectionSettings
) -> None:
    assert connection_settings(f"https://hooks.example.com/?rc=1{fragment}") == settings
