"""While background steps are late, certain writes wait or are refused (embedded/admission.py)."""

from __future__ import annotations

import asyncio
import time

import pytest

from convoke.embedded.admission import MAX_ADMISSION_WAIT_SECONDS, MAX_STEP_AGE_SECONDS, Admission

SERVICE = "/v1/Services/IS0"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ConversationWithParticipants"),
        ("POST", "/Conversations"),
        ("POST", "/Conversations/CH0"),
        ("DELETE", "/Conversations/CH0"),
        ("POST", "/Conversations/CH0/Participants"),
        ("POST", "/Conversations/CH0/Participants/MB0"),
        ("DELETE", "/Conversations/CH0/Participants/MB0"),
        ("POST", "/Conversations/CH0/Messages"),
        ("DELETE", "/Conversations/CH0/Messages/IM0"),
    ],
)
@pytest.mark.parametrize("prefix", ["/v1", SERVICE, "/Client/v2/Services/IS0"])
def test_writes_of_conversations_participants_and_messages_can_be_shed(method: str, path: str, prefix: str) -> None:
    assert Admission(lambda: 0).applies_to(method, prefix + path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/Conversations"),
        ("GET", "/v1/Conversations/CH0/Messages/IM0/Receipts"),
        ("HEAD", "/v1/Conversations"),
        ("POST", "/v1/Services"),
        ("DELETE", SERVICE),
        ("POST", "/v1/Configuration"),
        ("POST", f"{SERVICE}/Configuration/Webhooks"),
        ("POST", "/v1/Conversations/CH0/Webhooks"),
        ("POST", "/convoke/v1/Clock"),
        ("POST", "/convoke/v1/Conversations"),
        ("POST", "/convoke/v1/Events/IM0-0/Replay"),
        ("POST", "/openapi.json"),
        ("POST", "/Client/v2/Services/IS0/Users/US0"),
        ("POST", "/v4/Subscriptions"),
    ],
)
def test_reads_settings_and_controls_are_never_shed(method: str, path: str) -> None:
    assert not Admission(lambda: 0).applies_to(method, path)


@pytest.mark.parametrize("age", [0.0, MAX_STEP_AGE_SECONDS])
def test_request_is_admitted_at_once_while_steps_are_young(age: float) -> None:
    with pytest.raises(StopIteration) as admitted:
        Admission(lambda: age).admitted().send(None)  # StopIteration shows that `admitted` did not wait.
    assert admitted.value.value is True


def test_request_waits_until_steps_have_caught_up() -> None:
    ages = [9.0, 9.0, 9.0, MAX_STEP_AGE_SECONDS]
    assert asyncio.run(Admission(lambda: ages.pop(0)).admitted())
    assert ages == []


def test_request_is_refused_after_the_longest_wait() -> None:
    async def scenario() -> tuple[bool, float]:
        begun = time.monotonic()
        return await Admission(lambda: MAX_STEP_AGE_SECONDS + 0.001).admitted(), time.monotonic() - begun

    admitted, waited = asyncio.run(scenario())
    assert not admitted
    assert MAX_ADMISSION_WAIT_SECONDS - 0.01 <= waited < MAX_ADMISSION_WAIT_SECONDS + 0.5
