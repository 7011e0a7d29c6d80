"""A User's SID depends only on the service and the identity (domain/users.py)."""

from __future__ import annotations

from itertools import product

from convoke.domain.sids import Prefix, is_sid
from convoke.domain.users import user_sid

ONE, OTHER = "IS" + "0" * 32, "IS" + "0" * 31 + "1"


def test_user_sids_differ_by_service_and_identity() -> None:
    made = [user_sid(*each) for each in product((ONE, OTHER), ("alice", "Alice", "alice ", "😀" * 256))]
    assert all(is_sid(sid, Prefix.USER) for sid in made)
    assert len(set(made)) == len(made)


def test_user_sid_of_a_known_identity_does_not_change() -> None:
    assert user_sid(ONE, "alice") == "USff681c8e46fa250404ab3f5883704494"
