"""If an account lists its business addresses, participants can use only these business addresses.

A person cannot have a listed address. See operations/participants.py.
"""

from __future__ import annotations

import pytest

from convoke.api.parameter_names import parameter_name
from convoke.domain.accounts import Account
from convoke.domain.instants import now
from convoke.domain.participants import NewParticipant
from convoke.operations.conversation_with_participants import ownership_problems

OWNED = frozenset({"+15017122661", "whatsapp:+15017122662"})


def problems(owned: frozenset[str], **binding: str) -> list[tuple[int, str]]:
    account = Account(
        sid="AC" + "0" * 32,
        date_created=now(),
        default_chat_service_sid="IS" + "0" * 32,
        owned_addresses=owned,
    )
    members = [
        NewParticipant(identity="alice"),
        NewParticipant.model_validate({"messaging_binding": binding}),
    ]
    return [(problem.code, parameter_name(problem.field)) for problem in ownership_problems(account, members)]


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        ({"address": "+15558675310", "proxy_address": "+15017122661"}, None),
        ({"address": "whatsapp:+15558675310", "proxy_address": "whatsapp:+15017122662"}, None),
        ({"projected_address": "+15017122661"}, None),
        ({"address": "+15558675310"}, None),
        ({"address": "+15558675310", "proxy_address": "+15017122662"}, (50413, "proxy_address")),
        ({"address": "whatsapp:+15558675310", "proxy_address": "whatsapp:+15017122661"}, (50415, "proxy_address")),
        ({"projected_address": "+15017122662"}, (50439, "projected_address")),
        ({"address": "+15017122661"}, (50407, "address")),
    ],
)
def test_business_address_that_is_not_owned_and_own_address_of_a_person_are_rejected(
    binding: dict[str, str], expected: tuple[int, str] | None
) -> None:
    found = problems(OWNED, **binding)
    assert found == ([(expected[0], f"Participant[1].messaging_binding.{expected[1]}")] if expected else [])
    assert problems(frozenset(), **binding) == []
