"""The growth benchmark copies conversations, and the API lists all copies (tests/benchmarks/copies.py)."""

from __future__ import annotations

from pathlib import Path

from convoke.domain.sids import Prefix, SidFactory
from convoke.embedded.engine import EmbeddedEngine
from tests.benchmarks.copies import copy
from tests.support.examples import chat
from tests.support.instances import call

AUTH = (SidFactory()(Prefix.ACCOUNT), "token")

URL = "http://convoke.test"


def test_copied_conversations_are_listed_like_the_original(tmp_path: Path) -> None:
    data = tmp_path / "convoke.db"
    engine = EmbeddedEngine(str(data))
    engine.accounts.create(*AUTH)
    form = {"FriendlyName": "Visit", "Participant": chat(3)}
    created = call(engine.api.resolve, "POST", f"{URL}/v1/ConversationWithParticipants", auth=AUTH, data=form)
    original = created.body["sid"]
    engine.work()
    engine.close()

    sids = copy(data, original, 20)

    engine = EmbeddedEngine(str(data))

    def listed(path: str, key: str) -> list[dict[str, object]]:
        answer = call(engine.api.resolve, "GET", f"{URL}{path}", auth=AUTH)
        found: list[dict[str, object]] = answer.body[key]
        return found

    assert {each["sid"] for each in listed("/v1/Conversations", "conversations")} == {original, *sids}
    assert len(listed("/v1/ParticipantConversations?Identity=member+1", "conversations")) == 21
    for sid in sids:
        members = listed(f"/v1/Conversations/{sid}/Participants", "participants")
        assert {each["identity"] for each in members} == {"member 0", "member 1", "member 2"}
        assert len(listed(f"/convoke/v1/Events?ConversationSid={sid}", "events")) == 5
    engine.close()
