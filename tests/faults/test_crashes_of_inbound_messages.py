"""If the process crashes while a message from a phone arrives, the message is stored once.

After the crash, the carrier delivers the message again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.crashes import Scenario, crash_points, notified_event_types
from tests.support.instances import Instance
from tests.support.phones import BUSINESS, OTHER_PHONE, URL, configure, text

SID = "SM" + "0" * 32

HOOK: dict[str, Any] = {
    "auto_creation_type": "webhook",
    "auto_creation_webhook_url": URL,
    "auto_creation_webhook_filters": ["onMessageAdded"],
}


def configure_number(instance: Instance) -> None:
    configure(instance, **HOOK)


def create_inactive(instance: Instance) -> None:
    configure(instance)
    sid = text(instance, "earlier").body["conversation_sid"]
    instance.call("POST", f"/v1/Conversations/{sid}", {"State": "inactive"})
    instance.work()


def receive_one(instance: Instance) -> None:
    text(instance, "Hello", MessageSid=SID)
    instance.work()


def receive_group(instance: Instance) -> None:
    text(instance, "Hello", BUSINESS, OTHER_PHONE, MessageSid=SID)
    instance.work()


@pytest.mark.parametrize(("receive", "members", "states"), [(receive_one, 1, 0), (receive_group, 3, 1)])
def test_crash_while_a_message_creates_a_conversation_stores_both_once(
    tmp_path: Path, receive: Scenario, members: int, states: int
) -> None:
    for restarted in crash_points(tmp_path, receive, configure_number, after_restart=receive):
        assert len(restarted.items("conversation")) == len(restarted.items("message#")) == 1
        assert len(restarted.items("participant#")) == members
        assert len(restarted.items("inbound")) == len(restarted.items("webhooks")) == 1
        # The scoped webhook and the account's webhook both receive `onMessageAdded`. `notified_event_types` counts an
        # event once, even if several webhooks receive it.
        assert notified_event_types(restarted) == sorted(
            [
                "onConversationAdded",
                *["onParticipantAdded"] * members,
                "onMessageAdded",
                *["onConversationStateUpdated"] * states,
            ]
        )
        assert {each.url for each in restarted.receivers.posted if each.event.type == "onMessageAdded"} == {
            URL,
            "https://hooks.example.com/",
        }


def test_crash_while_a_message_wakes_a_conversation_stores_it_once(tmp_path: Path) -> None:
    for restarted in crash_points(tmp_path, receive_one, create_inactive, after_restart=receive_one):
        (conversation,) = restarted.items("conversation")
        assert (conversation["state"], conversation["next_index"]) == ("active", 2)
        assert len(restarted.items("message#")) == 2
        created = ["onConversationAdded", "onParticipantAdded", "onMessageAdded"]
        assert notified_event_types(restarted) == sorted([*created, "onMessageAdded", "onConversationStateUpdated"])
