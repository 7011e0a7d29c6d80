"""The participants of a request must follow the rules of group MMS, and must not be duplicates.

See domain/conversation_with_participants.py and domain/groups.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest

from convoke.api.parameter_names import parameter_name
from convoke.domain.conversation_with_participants import relation_problems
from convoke.domain.groups import is_group, number_group
from convoke.domain.participants import NewParticipant

A1, A2, A3, A4 = "+15558675310", "+15558675311", "+15558675312", "+15558675313"
P1, P2 = "+15017122661", "+15017122662"


def member(identity: str | None = None, **binding: str) -> NewParticipant:
    return NewParticipant.model_validate({"identity": identity, "messaging_binding": binding})


def chat(identity: str) -> NewParticipant:
    return member(identity)


def pair(address: str, proxy_address: str) -> NewParticipant:
    return member(address=address, proxy_address=proxy_address)


def phone(address: str) -> NewParticipant:
    return member(address=address)


def business(projected_address: str) -> NewParticipant:
    return member(projected_address=projected_address)


def mask(identity: str, projected_address: str) -> NewParticipant:
    return member(identity, projected_address=projected_address)


def e_mail(address: str) -> NewParticipant:
    return member(type="email", address=address)


Members = Sequence[NewParticipant]


@pytest.mark.parametrize(
    ("members", "numbers"),
    [
        pytest.param([phone(A1), phone(A2), business(P1)], {A1, A2, P1}, id="two phones and a business number"),
        pytest.param([phone(A1), phone(A2), mask("a", P1)], {A1, A2, P1}, id="two phones and a mask"),
        pytest.param([phone(A1), mask("a", P1), mask("b", P1)], {A1, P1}, id="two masks of one number"),
        pytest.param([phone(A1), mask("a", P1), business(P1)], {A1, P1}, id="a mask of the business number"),
        pytest.param([phone(A1), phone(A2), phone(A3), pair(A4, P2)], {A1, A2, A3}, id="a pair is texted one to one"),
        pytest.param([phone(A1), e_mail("a@example.com"), business(P1)], {A1, P1}, id="an e-mail beside"),
        pytest.param([phone(A1)], {A1}, id="one phone"),
        pytest.param([business(P1)], {P1}, id="one business number"),
        pytest.param([chat("a"), mask("b", P1)], {P1}, id="one mask among chat"),
    ],
)
def test_address_without_proxy_or_projected_address_makes_a_group(members: Members, numbers: set[str]) -> None:
    assert is_group(members)
    assert number_group(members) == numbers


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([], id="nobody"),
        pytest.param([chat("a"), chat("b")], id="chat"),
        pytest.param([pair(A1, P1), chat("a")], id="the first example"),
        pytest.param([pair(A1, P1), pair(A2, P1), pair(A3, P1)], id="pairs"),
        pytest.param([pair("whatsapp:" + A1, "whatsapp:" + P1)], id="WhatsApp"),
        pytest.param([e_mail("a@example.com")], id="e-mail"),
        pytest.param([e_mail("a@example.com"), e_mail("a@example.com")], id="the same e-mail twice"),
    ],
)
def test_participants_with_proxies_chat_or_email_make_no_group(members: Members) -> None:
    assert not is_group(members)
    assert number_group(members) == frozenset()
    assert not [*relation_problems(members)]


def test_number_group_ignores_the_order_of_participants() -> None:
    members = [phone(A1), phone(A2), business(P1)]
    assert {number_group(order) for order in permutations(members)} == {frozenset({A1, A2, P1})}


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([phone(A1), phone(A2), business(P1)], id="the second example"),
        pytest.param([phone(A1), phone(A2), mask("a", P1)], id="a mask as the business side"),
        pytest.param([phone(A1), mask("a", P1), mask("b", P1)], id="people who share a business number"),
        pytest.param([phone(A1), mask("a", P1), mask("b", P2)], id="people with numbers of their own"),
        pytest.param([phone(A1), mask("a", P1), business(P1)], id="a mask of the standalone number"),
        pytest.param([phone(A1), business(P1), business(P2)], id="two business numbers"),
        pytest.param([phone(A1), phone(A2), pair(A3, P1)], id="a proxy as the business side"),
        pytest.param([phone(A1), pair(A2, P1), pair(A3, P1)], id="pairs that share a proxy"),
        pytest.param([phone(A1), pair(A2, P1), pair(A2, P2)], id="pairs that share an address"),
        pytest.param([phone(f"+1555867{number:04}") for number in range(9)] + [business(P1)], id="ten members"),
    ],
)
def test_group_with_three_bindings_a_phone_and_a_business_number_is_valid(members: Members) -> None:
    for order in (members, members[::-1]):
        assert not [*relation_problems(order)]


def refused(members: Members) -> tuple[int, int, str | None]:
    first = next(relation_problems(members))
    return first.code, first.status, parameter_name(first.field)


@pytest.mark.parametrize(
    ("members", "code", "status", "where"),
    [
        pytest.param([chat("a"), chat("b"), chat("a")], 50433, 409, "[2]", id="identity twice"),
        pytest.param([chat("a"), pair(A1, P1), chat("a")], 50433, 409, "[2]", id="identity twice beside a pair"),
        pytest.param([pair(A1, P1), chat("a"), pair(A1, P1)], 50425, 409, "[2]", id="pair twice"),
        pytest.param([pair(A1, P1), pair(A1, P1), chat("a"), chat("a")], 50425, 409, "[1]", id="pair before identity"),
        pytest.param([phone(A1), phone(A2), business(P1), phone(A1)], 50437, 409, "[3]", id="address twice"),
        pytest.param([phone(A1), mask("a", P1), mask("a", P1)], 50433, 409, "[2]", id="identity and mask twice"),
        pytest.param([phone(A1), business(P1), business(P1)], 50437, 409, "[2]", id="business number twice"),
        pytest.param([phone(A1), phone(A2), pair(A3, P1), pair(A3, P1)], 50437, 409, "[3]", id="pair twice in a group"),
        pytest.param([phone(A1), phone(A2), business(A1)], 50437, 409, "[2]", id="business number of a phone member"),
        pytest.param([mask("a", A1), phone(A1), phone(A2)], 50437, 409, "[0]", id="mask of a phone member"),
        pytest.param([phone(A1), mask("a", P1), mask("a", P2)], 50433, 409, "[2]", id="identity with two masks"),
        pytest.param([phone(A1), mask("a", P1), chat("a")], 50433, 409, "[2]", id="identity with and without a mask"),
        pytest.param([phone(A1), phone(A1)], 50437, 409, "[1]", id="duplicate before the size of the group"),
        pytest.param(
            [phone(A1), phone(A2), business(P1), chat("a")],
            *(50434, 400, "[3].messaging_binding.projected_address"),
            id="chat without a mask",
        ),
        pytest.param(
            [chat("a"), phone(A1)],
            *(50434, 400, "[0].messaging_binding.projected_address"),
            id="chat without a mask before the size of the group",
        ),
        pytest.param([phone(A1)], 50435, 400, "", id="a phone alone"),
        pytest.param([business(P1)], 50435, 400, "", id="a business number alone"),
        pytest.param([mask("a", P1)], 50435, 400, "", id="a mask alone"),
        pytest.param([phone(A1), business(P1)], 50435, 400, "", id="a phone and a business number"),
        pytest.param([phone(A1), mask("a", P1)], 50435, 400, "", id="a phone and a mask"),
        pytest.param([phone(A1), phone(A2), phone(A3)], 50435, 400, "", id="no business side"),
        pytest.param([business(P1), mask("a", P1), mask("b", P2)], 50435, 400, "", id="no phone member"),
        pytest.param([mask("a", P1), pair(A1, P1), pair(A2, P1)], 50435, 400, "", id="no phone member but pairs"),
    ],
)
def test_invalid_group_or_duplicate_participant_is_rejected_with_its_code(
    members: Members, code: int, status: int, where: str
) -> None:
    assert refused(members) == (code, status, f"Participant{where}")


def test_identities_are_compared_case_sensitively() -> None:
    assert not [*relation_problems([chat("alice"), chat("Alice"), chat("alice ")])]


def test_same_address_may_join_with_several_proxies() -> None:
    assert not [*relation_problems([pair(A1, P1), pair(A1, P2)])]


def test_duplicate_pair_message_contains_no_phone_number() -> None:
    (problem,) = relation_problems([pair(A1, P1), pair(A1, P1)])
    assert A1 not in problem.message
    assert P1 not in problem.message
