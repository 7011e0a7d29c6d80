"""The IAM policies of a function allow every AWS call of the function. They allow no other call on the table.

The test runs a scenario that uses every feature, records the AWS calls and compares the calls with the policies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from convoke.aws.edges import AwsEdges
from tests.support.aws import FunctionContext, MotoInstance, moto_instance
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.template import functions

Action = tuple[str, str]
"""An IAM action and its resource. The resource is `table`, the name of an index, or "" for any other resource."""

Calls = dict[str, set[Action]]
"""Maps the name of a function to the IAM actions that the function uses."""


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch, calls: Calls) -> Iterator[MotoInstance]:
    """Run an instance, and record the AWS calls of all functions in `calls`.

    Each sweep creates new edges, like a cold start. Therefore the sweeper makes every call of unknown edges.
    """
    names: dict[int, str] = {}
    client_of = AwsEdges._client

    def recording(edges: AwsEdges, service: Any) -> Any:
        def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
            calls[names.get(id(edges), "sweeper")].update(needed(service, model.name, params))

        client = client_of(edges, service)
        client.meta.events.register("provide-client-params.*.*", note)
        return client

    monkeypatch.setattr(AwsEdges, "_client", recording)
    with moto_instance() as instance:
        names.update({id(instance.edges(function)): function for function in functions()})
        calls.clear()  # Ignore the calls of the setup.
        yield instance


def needed(service: str, operation: str, params: Mapping[str, Any]) -> Iterator[Action]:
    """Yield the IAM actions that an AWS call needs."""
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            yield from ((f"dynamodb:{kind}Item", "table") for write in params["TransactItems"] for kind in write)
        case "dynamodb", _:
            yield f"dynamodb:{operation}", params.get("IndexName", "table")
        case "sqs", "SendMessageBatch":
            yield "sqs:SendMessage", ""
        case "stepfunctions", _:
            yield f"states:{operation}", ""
        case _:
            yield f"{service}:{operation}", ""


def allowed(function: str) -> Iterator[Action]:
    """Yield the IAM actions that the template allows for a function."""
    for policy in functions()[function]["Policies"]:
        for statement in policy["Statement"]:
            for action in listed(statement["Action"]):
                yield from ((action, part_of_table(resource)) for resource in listed(statement["Resource"]))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def part_of_table(resource: Any) -> str:
    match resource:
        case {"Fn::GetAtt": "Table.Arn"}:
            return "table"
        case {"Fn::Sub": str(arn)} if arn.startswith("${Table.Arn}/index/"):
            return arn.removeprefix("${Table.Arn}/index/")
    return ""


def live(instance: MotoInstance) -> None:
    """Use every feature, also failing webhooks, replays, lost queue messages, timers and deletion."""
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(
        post_webhook_url="https://hooks.example.com/", filters=["onConversationStateUpdated", "onConversationUpdated"]
    )
    create = v1.conversation_with_participants.create
    create(unique_name="visit", participant=CHAT_AND_SMS)
    instance.call("POST", "/convoke/v1/Configuration", {"ErrorLogUrl": "https://errors.example.com/"})
    instance.receivers.statuses = [500, 403]
    for _ in range(2):
        instance.work()
        instance.forget_pauses()
    assert len(v1.conversations("visit").participants.list()) == 2
    assert len(v1.conversations.list()) == len(v1.participant_conversations.list(identity="alice")) == 1
    (event, *_) = instance.call("GET", "/convoke/v1/Events").body["events"]
    assert instance.call("GET", f"/convoke/v1/Events/{event['id']}/Attempts").status == 200
    assert instance.call("POST", f"/convoke/v1/Events/{event['id']}/Replay").status == 202
    assert len(instance.call("GET", "/v1/Alerts").body["alerts"]) == 1
    v1.conversations("visit").update(unique_name="other", state="closed", x_twilio_webhook_enabled="true")
    v1.conversations("other").delete()
    instance.execute({**execution(instance, create(participant=CHAT_AND_SMS).sid), "causes": [CAUSE]})

    create(participant=chat(2))
    instance.lose_messages()
    instance.sweep(timedelta(minutes=1))
    instance.work()

    create(unique_name="timed", participant=CHAT_AND_SMS, timers_inactive="PT1M", timers_closed="PT10M")
    instance.work()
    v1.conversations("timed").messages.create(body="Hello")
    v1.conversations("timed").messages.create(body="Hello again")
    v1.conversations("timed").webhooks.create(
        target="webhook",
        configuration_url="https://hooks.example.com/own",
        configuration_filters=["onMessageAdded"],
        configuration_replay_after=0,
    )
    instance.work()
    assert instance.receivers.posted[-1].url == "https://hooks.example.com/own"
    v1.roles.create(friendly_name="guest", type="conversation", permission=["sendMessage"])
    v1.users("alice").delete()
    for minutes in (1, 2, 11):
        instance.sweep(timedelta(minutes=minutes))
    assert v1.conversations("timed").fetch().state == "closed"

    sid = create(participant=chat(3)).sid
    instance._add_participants()
    for _ in range(2):
        assert instance._conversation_finalizer({**execution(instance, sid), "task": "finalize"}, FunctionContext())
    v1.conversations(sid).delete()
    instance.work()
    instance.sweep(timedelta(minutes=1))


CAUSE = {"code": 50109, "message": "The role is gone"}


def execution(instance: MotoInstance, sid: str) -> dict[str, Any]:
    return {"account_sid": instance.account.sid, "conversation_sid": sid, "causes": []}


def test_policies_allow_the_calls_of_functions_and_nothing_more_on_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Calls = defaultdict(set)
    with recorded(monkeypatch, calls) as instance:
        live(instance)
    # The state machine calls PutEvents itself, so the function needs no permission for the call.
    calls["conversation_finalizer"].discard(("events:PutEvents", ""))
    for function in functions():
        may = set(allowed(function))
        assert calls[function] <= may, function
        assert {action for action in may - calls[function] if action[0].startswith("dynamodb:")} == set(), function
