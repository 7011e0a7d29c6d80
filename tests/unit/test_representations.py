"""Dates and empty responses have a fixed format in the API (api/representations.py)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from convoke.api.representations import Representation, RestDate, StreamDate, no_content


class Dates(Representation):
    rest: RestDate
    stream: StreamDate


def test_rest_dates_have_seconds_and_stream_dates_milliseconds() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC)
    assert json.loads(Dates(rest=moment, stream=moment).model_dump_json()) == {
        "rest": "2026-01-02T03:04:05Z",
        "stream": "2026-01-02T03:04:05.678Z",
    }


def test_response_without_content_has_status_204_and_an_empty_body() -> None:
    assert (no_content().status_code, no_content().body) == (204, "")
