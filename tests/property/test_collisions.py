"""Conversations are created, closed and deleted in any order, and a model of the locks predicts each collision."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule

from tests.support.examples import chat
from tests.support.instances import Answer, EmbeddedInstance, held_instance

PHONES = [f"+1555867531{digit}" for digit in range(4)]
PROXIES = ["+15017122661", "+15017122662"]


@dataclass
class ExpectedConversation:
    """A conversation in the model."""

    name: str | None
    """The unique name. The conversation keeps this name until it is deleted."""
    claims: frozenset[tuple[str, ...]]
    """The address pairs and number groups. The conversation keeps them until it is closed or deleted."""
    state: str

    def codes_for(self, name: str | None, claims: frozenset[tuple[str, ...]]) -> set[int]:
        """Return the error codes for collisions between a new conversation and this conversation."""
        common = claims & self.claims if self.state != "closed" else frozenset()
        return {50438 if len(claim) > 2 else 50425 for claim in common} | (
            {50353} if name and name == self.name else set()
        )


def pair(phone: str, proxy: str) -> tuple[str, ...]:
    return phone, proxy


def group(phones: frozenset[str], proxy: str) -> tuple[str, ...]:
    return (*sorted(phones), proxy)


PAIRS = st.frozensets(st.builds(pair, st.sampled_from(PHONES), st.sampled_from(PROXIES)), max_size=2)
GROUPS = st.builds(group, st.frozensets(st.sampled_from(PHONES), min_size=2, max_size=3), st.sampled_from(PROXIES))
CLAIMS = PAIRS | GROUPS.map(lambda claim: frozenset({claim}))
NAMES = st.none() | st.sampled_from(["first", "second"])


def members(claims: frozenset[tuple[str, ...]]) -> list[str]:
    bindings: list[dict[str, str]] = []
    for claim in sorted(claims):
        if len(claim) == 2:
            bindings.append({"address": claim[0], "proxy_address": claim[1]})
        else:
            bindings += [{"address": phone} for phone in claim[:-1]] + [{"projected_address": claim[-1]}]
    return [json.dumps({"messaging_binding": binding}) for binding in bindings] or chat(1)


class Collisions(RuleBasedStateMachine):
    conversations = Bundle("conversations")

    def __init__(self) -> None:
        super().__init__()
        self._held = held_instance()
        self.instance: EmbeddedInstance = self._held.__enter__()
        self.model: dict[str, ExpectedConversation] = {}

    def teardown(self) -> None:
        self._held.__exit__(None, None, None)

    def close_or_delete(self, method: str, sid: str) -> Answer:
        data = {"State": "closed"} if method == "POST" else None
        return self.instance.call(method, f"/v1/Conversations/{sid}", data)

    @rule(target=conversations, name=NAMES, claims=CLAIMS)
    def create(self, name: str | None, claims: frozenset[tuple[str, ...]]) -> object:
        data = {"Participant": members(claims)} | ({"UniqueName": name} if name else {})
        answered = self.instance.call("POST", "/v1/ConversationWithParticipants", data)
        codes = {code for held in self.model.values() for code in held.codes_for(name, claims)}
        if codes:
            reported = {answered.body["code"], *(p["code"] for p in answered.body["details"].get("problems", []))}
            assert (answered.status, answered.body["code"], reported) == (409, min(codes), codes)
            return multiple()
        assert answered.status == 202
        self.model[answered.body["sid"]] = ExpectedConversation(name, claims, "initializing")
        return answered.body["sid"]

    @rule()
    def work(self) -> None:
        self.instance.work()
        for held in self.model.values():
            held.state = "active" if held.state == "initializing" else held.state

    @rule(sid=conversations)
    def close(self, sid: str) -> None:
        answered, held = self.close_or_delete("POST", sid), self.model[sid]
        refused = {"initializing": (409, 50386), "closed": (400, 50377)}
        assert (answered.status, answered.body.get("code")) == refused.get(held.state, (200, None))
        held.state = "initializing" if held.state == "initializing" else "closed"

    @rule(sid=consumes(conversations))
    def delete(self, sid: str) -> None:
        assert self.close_or_delete("DELETE", sid).status == 204
        assert self.close_or_delete("DELETE", sid).status == 404
        del self.model[sid]

    @rule(sid=conversations)
    def fetch(self, sid: str) -> None:
        held = self.model[sid]
        for named in {sid, held.name or sid}:
            fetched = self.instance.call("GET", f"/v1/Conversations/{named}").body
            assert (fetched["sid"], fetched["state"]) == (sid, held.state)


TestCollisions = Collisions.TestCase
TestCollisions.settings = settings(
    deadline=None, max_examples=60, stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]
)
