"""If the process crashes while Convoke sends copies of a message, no copy is lost.

If the carrier may have received a copy twice, Convoke marks the receipt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from convoke.domain.carriers import OutboundCopy, SentCopy
from convoke.domain.senders import Provider
from tests.support.crashes import crash_points
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import Instance
from tests.support.phones import OTHER_PHONE, PHONE

MEMBERS = [CHAT_AND_SMS[0], CHAT_AND_SMS[0].replace(PHONE, OTHER_PHONE)]


def create(instance: Instance) -> None:
    instance.client().conversations.v1.conversation_with_participants.create(unique_name="visit", participant=MEMBERS)
    instance.work()


def send(instance: Instance) -> None:
    instance.call("POST", "/v1/Conversations/visit/Messages", {"Body": "Hello"})
    instance.work()


def test_simulated_phones_get_each_copy_once(tmp_path: Path) -> None:
    written = set()
    for restarted in crash_points(tmp_path, send, create):
        messages = restarted.items("message#")
        written.add(len(messages))
        copies = 2 * len(messages)
        assert len(restarted.items("phone-message#")) == copies
        assert [receipt["status"] for receipt in restarted.items("receipt#")] == ["delivered"] * copies
        assert [message["copies_delivered"] for message in messages] == [2] * len(messages)
        assert [message.get("copies_pending", 0) for message in messages] == [0] * len(messages)
    assert written == {0, 1}


@dataclass
class CountingCarrier:
    """A fake carrier that accepts every copy, including copies that it has already received."""

    sent: list[str] = field(default_factory=list)

    @property
    def sends_group_mms(self) -> bool:
        return False

    def send(self, copy: OutboundCopy) -> SentCopy:
        self.sent.append(copy.receipt.sid)
        return SentCopy("id")


def test_carrier_gets_only_the_copy_in_flight_twice_and_it_is_marked(tmp_path: Path) -> None:
    carrier, repeated = CountingCarrier(), 0
    for restarted in crash_points(tmp_path, send, create, carriers={Provider.SIMULATED: carrier}):
        receipts = restarted.items("receipt#")
        counts = [carrier.sent.count(receipt["sid"]) for receipt in receipts]
        assert [receipt["status"] for receipt in receipts] == ["sent"] * len(receipts)
        assert all(count in (1, 2) for count in counts)
        assert counts.count(2) <= 1
        for receipt, count in zip(receipts, counts, strict=True):
            # A copy that the carrier got once can be marked too: after a crash just before the call, Convoke does not
            # know whether the carrier got the copy.
            assert receipt.get("may_be_repeated", False) or count == 1
        repeated += counts.count(2)
    assert repeated > 0
