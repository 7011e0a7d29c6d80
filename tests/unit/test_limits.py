"""Convoke accepts a value of the maximum length or number, and refuses a larger value."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from convoke.domain.account_configuration import check_addresses
from convoke.domain.conversations import check_email_field
from convoke.domain.date_filters import Period
from convoke.domain.errors import ConversationsError
from convoke.domain.participant_requests import ParticipantChange
from convoke.domain.participants import check_name
from convoke.domain.scoped_webhooks import check_scoped_url, check_trigger, check_triggers


def url(length: int) -> str:
    return "https://hooks.example.com/".ljust(length, "x")


def addresses(size: int) -> tuple[str, ...]:
    """Return a thousand addresses. Together, they have `size` bytes."""
    each, rest = divmod(size, 1000)
    return tuple(f"messenger:{number:03}".ljust(each + (number < rest), "x") for number in range(1000))


LIMITS: dict[str, tuple[Callable[[int], object], int, int]] = {
    "projected e-mail address of a conversation": (lambda length: check_email_field("x" * length), 256, 20001),
    "name of a participant": (lambda length: check_name("x" * length), 256, 20001),
    "URL of a scoped webhook": (lambda length: check_scoped_url(url(length)), 512, 50372),
    "trigger": (lambda length: check_trigger("x" * length), 248, 50366),
    "number of triggers": (lambda count: check_triggers(("x",) * count), 5, 50362),
    "bytes of owned addresses": (lambda size: check_addresses(addresses(size)), 256 * 1024, 20001),
}
"""Maps the name of each limit to a check function, the maximum size and the error code.

The function checks a value of a given size.
"""


@pytest.mark.parametrize("limit", LIMITS)
def test_value_at_its_limit_is_accepted_and_one_more_is_refused(limit: str) -> None:
    check, most, code = LIMITS[limit]
    assert check(most)
    with pytest.raises(ConversationsError) as refused:
        check(most + 1)
    assert refused.value.code == code


def test_period_of_one_moment_is_accepted() -> None:
    moment = "2026-01-02T03:04:05.006Z"
    period = Period.model_validate({"start_date": moment, "end_date": moment})
    assert period.start_date == period.end_date


def test_change_of_read_index_and_timestamp_changes_only_the_read_position() -> None:
    reads = {"last_read_message_index": "3", "last_read_timestamp": "2026-01-02T03:04:05Z"}
    assert ParticipantChange.model_validate(reads).changes_only_read_position
    assert not ParticipantChange.model_validate({**reads, "attributes": "{}"}).changes_only_read_position
