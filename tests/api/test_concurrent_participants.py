"""After concurrent changes, the table contains the locks of the remaining participants and no other locks."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from tests.api.test_optimistic_locking import conversation, engines_on, run_concurrently
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import EmbeddedInstance

A1, A2, A3, A4 = (f"+1555867531{number}" for number in range(4))
P1, P2 = "+15017122661", "+15017122662"


def members(instance: EmbeddedInstance, sid: str) -> Any:
    return conversation(instance, sid).participants


def new(instance: EmbeddedInstance) -> str:
    sid: str = instance.client().conversations.v1.conversations.create().sid
    return sid


def pairs_held(instance: EmbeddedInstance) -> set[tuple[str, str]]:
    """Return the participant's address and the conversation SID for each lock on an address pair."""
    return {(item["pk"].rpartition("#")[2], item["conversation_sid"]) for item in instance.items("+1501")}


def groups_held(instance: EmbeddedInstance) -> list[str]:
    return [item["conversation_sid"] for item in instance.items("lock") if "#number-group#" in item["pk"]]


def test_concurrent_creates_of_one_identity_add_it_once(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as instances:
        for _ in range(20):
            sid = new(instances[0])
            works = [partial(members(each, sid).create, identity="alice") for each in instances]
            answers = run_concurrently(*works)
            assert [answer for answer in answers if isinstance(answer, int)] == [50433]
            assert len(members(instances[0], sid).list()) == 1


def test_concurrent_claims_of_one_address_pair_succeed_once(tmp_path: Path) -> None:
    given = {"messaging_binding_address": A1, "messaging_binding_proxy_address": P1}
    with engines_on(tmp_path, 2) as instances:
        for _ in range(20):
            works = [partial(members(each, new(each)).create, **given) for each in instances]
            answers = run_concurrently(*works)
            (winner,) = (answer for answer in answers if answer != 50416)
            assert pairs_held(instances[0]) == {(A1, winner.conversation_sid)}
            conversation(instances[0], winner.conversation_sid).update(state="closed")
            assert pairs_held(instances[0]) == set()


def test_concurrent_creates_count_every_participant(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as instances:
        sid = new(instances[0])
        for number in range(40):
            run_concurrently(*(partial(members(each, sid).create, identity=f"{number} {each}") for each in instances))
        (stored,) = instances[0].items("conversation")
        assert (stored["members"], stored["revision"]) == (80, 80)
        assert len(members(instances[0], sid).list()) == len(instances[0].items("identity")) == 80


def test_closing_during_participant_create_leaves_no_lock(tmp_path: Path) -> None:
    given = {"messaging_binding_address": A2, "messaging_binding_proxy_address": P1}
    with engines_on(tmp_path, 2) as (one, other):
        outcomes: Counter[bool] = Counter()
        for ending in ["close", "delete"] * 10:
            sid = one.client().conversations.v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid
            one.work()
            mine = conversation(one, sid)
            end = mine.delete if ending == "delete" else partial(mine.update, state="closed")
            _, came = run_concurrently(end, partial(members(other, sid).create, **given))
            assert not isinstance(came, int) or came in {50377, 50334, 20404}
            outcomes[isinstance(came, int)] += 1
            assert pairs_held(one) == set()


def test_concurrent_proxy_updates_leave_one_matching_lock(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as instances:
        sid = new(instances[0])
        for number in range(20):
            member = members(instances[0], sid).create(messaging_binding_address=A1).sid
            proxies = [f"+1501712{number:02}{position}1" for position in range(2)]
            works = [
                partial(members(each, sid)(member).update, messaging_binding_proxy_address=proxy)
                for each, proxy in zip(instances, proxies, strict=True)
            ]
            assert [answer for answer in run_concurrently(*works) if isinstance(answer, int)] == [50441]
            shown = members(instances[0], sid)(member).fetch().messaging_binding["proxy_address"]
            assert [item["sk"] for item in instances[0].items("+1501")] == [shown]
            members(instances[0], sid)(member).delete()


def test_concurrent_group_changes_lock_the_remaining_numbers(tmp_path: Path) -> None:
    with engines_on(tmp_path, 2) as (one, other):
        for _ in range(10):
            sid = new(one)
            mine, yours = members(one, sid), members(other, sid)
            for address in (A1, A2, A3):
                last = (
                    mine.create(messaging_binding_address=address)
                    if address != A2
                    else mine.create(messaging_binding_projected_address=P2)
                )
            run_concurrently(mine(last.sid).delete, partial(yours.create, messaging_binding_address=A4))
            assert groups_held(one) == [sid]
            same = new(one)
            members(one, same).create(messaging_binding_address=A1)
            members(one, same).create(messaging_binding_projected_address=P2)
            code = run_concurrently(partial(members(one, same).create, messaging_binding_address=A4))
            assert code == [50438]
            conversation(one, sid).update(state="closed")
            assert groups_held(one) == []
