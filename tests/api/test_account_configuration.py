"""`/convoke/v1/Configuration` shows and replaces the list of addresses that an account owns.

See docs/behaviour/configuration.md.
"""

from __future__ import annotations

import pytest

from convoke.domain.account_configuration import MAX_OWNED_ADDRESSES_BYTES
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import ORIGIN, Answer, Instance

PATH = "/convoke/v1/Configuration"

OWNED = ["+15017122661", "whatsapp:+15017122661", "rcs:agent", "messenger:7", "visits@example.com"]


def configure(instance: Instance, *addresses: str) -> Answer:
    return instance.call("POST", PATH, {"OwnedAddresses": list(addresses)})


def test_account_starts_with_no_owned_addresses(instance: Instance) -> None:
    assert instance.call("GET", PATH).body == {
        "account_sid": instance.account.sid,
        "owned_addresses": [],
        "error_log_url": None,
        "url": f"{ORIGIN}{PATH}",
    }


@pytest.mark.each_engine
def test_update_replaces_owned_addresses_and_empty_value_clears_them(instance: Instance) -> None:
    assert configure(instance, *OWNED, OWNED[0]).body["owned_addresses"] == sorted(OWNED)
    assert instance.call("GET", PATH).body["owned_addresses"] == sorted(OWNED)
    assert instance.call("POST", PATH, {"Colour": "red"}).body["owned_addresses"] == sorted(OWNED)
    assert configure(instance, "+15017122662").body["owned_addresses"] == ["+15017122662"]
    assert configure(instance, "").body["owned_addresses"] == []
    assert instance.call("GET", PATH).body["owned_addresses"] == []


def test_owned_addresses_apply_to_next_request(instance: Instance) -> None:
    create = {"Participant": CHAT_AND_SMS}
    configure(instance, "+15017122662")
    refused = instance.call("POST", "/v1/ConversationWithParticipants", create)
    assert (refused.status, refused.body["code"]) == (400, 50413)
    configure(instance, "+15017122661")
    assert instance.call("POST", "/v1/ConversationWithParticipants", create).status == 202


def test_owned_addresses_do_not_apply_to_another_account(instance: Instance) -> None:
    configure(instance, "+15017122662")
    other = instance.accounts.create()
    create = instance.client(
        other.sid, instance.accounts.token(other.sid)
    ).conversations.v1.conversation_with_participants
    assert create.create(participant=CHAT_AND_SMS).state == "initializing"


@pytest.mark.parametrize("wrong", ["", "5017122661", "+0", "whatsapp:", "@", "messenger:" + "7" * 250])
def test_invalid_owned_address_is_refused_with_its_index(instance: Instance, wrong: str) -> None:
    configure(instance, OWNED[0])
    refused = configure(instance, OWNED[0], OWNED[1], wrong)
    assert (refused.status, refused.body["code"]) == (400, 20001)
    assert refused.body["details"] == {"parameter": "OwnedAddresses[2]", "index": 2, "rule": "invalid_parameter"}
    assert instance.call("GET", PATH).body["owned_addresses"] == [OWNED[0]]


def test_more_than_1000_owned_addresses_are_refused(instance: Instance) -> None:
    addresses = [f"+1501{number:07}" for number in range(2_000_000, 2_001_001)]
    assert len(configure(instance, *addresses[:1000]).body["owned_addresses"]) == 1000
    assert configure(instance, *addresses).status == 400


@pytest.mark.each_engine
def test_owned_addresses_are_limited_to_the_item_size(instance: Instance) -> None:
    """DynamoDB limits the size of the account's item, which cannot contain 1,000 addresses of the maximum length."""
    addresses = [f"messenger:{number:03}{'🙂' * 243}" for number in range(1000)]
    size = len(addresses[0].encode())
    assert configure(instance, *addresses[: MAX_OWNED_ADDRESSES_BYTES // size]).status == 200
    refused = configure(instance, *addresses[: MAX_OWNED_ADDRESSES_BYTES // size + 1])
    assert (refused.body["code"], refused.body["details"]["parameter"]) == (20001, "OwnedAddresses")
