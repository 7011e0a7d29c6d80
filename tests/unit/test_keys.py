"""The keys of different accounts and resources are different (storage/keys.py)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convoke.domain.sids import Prefix, SidFactory
from convoke.storage import keys
from convoke.storage.table import Key

DIGITS = "0123456789abcdef" * 2

OURS, THEIRS = "AC" + "0" * 32, "AC" + "0" * 31 + "1"
SERVICE, OTHER_SERVICE = "IS" + DIGITS, "IS" + "0" * 32
CONVERSATION, PARTICIPANT = "CH" + DIGITS, "MB" + DIGITS
MESSAGE, RECEIPT = "IM" + DIGITS, "DY" + DIGITS
ADDRESS_CONFIGURATION, CREDENTIAL = "IG" + DIGITS, "CR" + DIGITS
BINDING = "BS" + DIGITS
SENDER = "XE" + DIGITS
CHANGE, ALERT, API_KEY = "EV" + DIGITS, "NO" + DIGITS, "SK" + DIGITS

KEYS: dict[str, Callable[[str], Key]] = {
    "account entry": keys.account_entry,
    "account": keys.account,
    "auth token": keys.auth_token,
    "API key": lambda account: keys.api_key(account, API_KEY),
    "webhook configuration": keys.configuration_webhooks,
    "webhook configuration of a service": lambda account: keys.service_configuration_webhooks(account, SERVICE),
    "notification configuration": lambda account: keys.service_configuration_notifications(account, SERVICE),
    "address configuration": lambda account: keys.address_configuration(account, ADDRESS_CONFIGURATION),
    "address": lambda account: keys.address_lock(account, "+15017122661"),
    "credential": lambda account: keys.credential(account, CREDENTIAL),
    "opt-out": lambda account: keys.opt_out(account, "+15017122661", "+15558675310"),
    "keyword": lambda account: keys.keyword_record(account, "SM1"),
    "message of a phone": lambda account: keys.phone_message(account, "+15558675310", RECEIPT),
    "message from a phone": lambda account: keys.sent_phone_message(account, "+15558675310", RECEIPT),
    "phone": lambda account: keys.simulated_phone(account, "+15558675310"),
    "sender": lambda account: keys.sender(account, SENDER),
    "secret of a sender": lambda account: keys.sender_secret(account, SENDER),
    "second of a sender": lambda account: keys.sending_second(account, SENDER, 1764336000),
    "turns of a sender": lambda account: keys.sending_turns(account, SENDER),
    "binding": lambda account: keys.binding(account, SERVICE, BINDING),
    "binding of another service": lambda account: keys.binding(account, OTHER_SERVICE, BINDING),
    "service": lambda account: keys.service(account, SERVICE),
    "role": lambda account: keys.role(account, SERVICE, f"RL{DIGITS}"),
    "user": lambda account: keys.user(account, f"US{DIGITS}"),
    "conversation": lambda account: keys.conversation(account, CONVERSATION),
    "provisioning": lambda account: keys.provisioning(account, CONVERSATION),
    "participant": lambda account: keys.participant(account, CONVERSATION, PARTICIPANT),
    "webhooks of a conversation": lambda account: keys.scoped_webhooks(account, CONVERSATION),
    "message": lambda account: keys.message(account, CONVERSATION, MESSAGE),
    "touch of a message": lambda account: keys.sync_touch(account, CONVERSATION, "messages", "0" * 17),
    "touch of a participant": lambda account: keys.sync_touch(account, CONVERSATION, "roster", "0" * 17),
    "departure": lambda account: keys.departure(account, f"US{DIGITS}", CONVERSATION),
    "receipt": lambda account: keys.receipt(account, CONVERSATION, MESSAGE, RECEIPT),
    "media": lambda account: keys.media(account, f"ME{DIGITS}"),
    "identity": lambda account: keys.identity_lock(account, CONVERSATION, "alice"),
    "another identity": lambda account: keys.identity_lock(account, CONVERSATION, "Alice"),
    "unique name": lambda account: keys.unique_name_lock(account, SERVICE, "name"),
    "unique name in another service": lambda account: keys.unique_name_lock(account, OTHER_SERVICE, "name"),
    "another unique name": lambda account: keys.unique_name_lock(account, SERVICE, "Name"),
    "pair": lambda account: keys.pair_lock(account, "+15558675310", "+15017122661"),
    "pair the other way round": lambda account: keys.pair_lock(account, "+15017122661", "+15558675310"),
    "number group": lambda account: keys.number_group_lock(account, ["+15558675310", "+15017122661"]),
    "idempotency record": lambda account: keys.idempotency_record(account, "key"),
    "inbound message": lambda account: keys.inbound_record(account, "twilio", f"SM{DIGITS}"),
    "inbound message of another provider": lambda account: keys.inbound_record(account, "aws", f"SM{DIGITS}"),
    "copy of a group": lambda account: keys.group_copy(account, "+15558675310", "+15017122661", CONVERSATION),
    "change": lambda account: keys.change(account, CHANGE),
    "attempt": lambda account: keys.event_attempt(account, f"{CHANGE}-0", "#account#01"),
    "second attempt": lambda account: keys.event_attempt(account, f"{CHANGE}-0", "#account#02"),
    "attempt at another event": lambda account: keys.event_attempt(account, f"{CHANGE}-1", "#account#01"),
    "attempt at another target": lambda account: keys.event_attempt(account, f"{CHANGE}-0", f"#WH{DIGITS}#01"),
    "alert": lambda account: keys.alert(account, ALERT),
    "console code": lambda account: keys.console_code(account, "0" * 64),
    "circuit breaker": lambda account: keys.circuit_breaker(account, f"{account} https://hooks.example.com:443"),
    "another circuit breaker": lambda account: keys.circuit_breaker(account, f"{account} http://hooks.example.com:80"),
}

EVERY_KEY = pytest.mark.parametrize("make", KEYS.values(), ids=KEYS)

NAMES = st.one_of(st.text(), st.text("#-pairunqe"), st.sampled_from([OURS, THEIRS, f"#pair#{OURS}", "lock", ""]))


def test_every_key_function_is_covered_by_these_tests() -> None:
    made = {
        name for name, function in vars(keys).items() if getattr(function, "__annotations__", {}).get("return") == "Key"
    }
    covered = {
        *("api_key", "api_key_masters", "api_key_owner", "idempotency_record", "service_configuration_webhooks"),
        *(
            "account_entry",
            "account",
            "auth_token",
            "configuration_webhooks",
            "service",
            "deleted_service",
            "role",
            "user",
            "conversation",
            "provisioning",
        ),
        *("participant", "message", "receipt", "identity_lock", "unique_name_lock", "pair_lock", "number_group_lock"),
        *("service_configuration_notifications", "address_configuration", "address_lock", "credential", "binding"),
        *(
            "inbound_record",
            "group_copy",
            "opt_out",
            "keyword_record",
            "phone_message",
            "sent_phone_message",
            "simulated_phone",
            "sender",
            "sender_secret",
            "sender_owner",
            "sending_second",
            "sending_turns",
            "sender_address",
        ),
        *("scoped_webhooks", "change", "event_attempt", "alert", "circuit_breaker", "console_code", "media"),
        *("sync_touch", "departure"),
    }
    assert made == covered


def test_keys_of_different_accounts_are_never_equal() -> None:
    assert not {make(OURS) for make in KEYS.values()} & {make(THEIRS) for make in KEYS.values()}


def test_api_key_owner_has_a_partition_outside_any_account() -> None:
    owner = keys.api_key_owner(API_KEY)
    assert owner.pk == API_KEY
    assert owner.pk not in {make(account).pk for make in KEYS.values() for account in (OURS, THEIRS)}


def test_no_two_keys_of_an_account_are_equal() -> None:
    assert len({make(OURS) for make in KEYS.values()}) == len(KEYS)


@EVERY_KEY
def test_every_partition_key_except_the_account_list_starts_with_the_account_sid(make: Callable[[str], Key]) -> None:
    key = make(OURS)
    if key.pk == keys.account_directory():
        assert key == Key("accounts", OURS)
    else:
        assert key.pk == OURS or key.pk.startswith(f"{OURS}#")


@EVERY_KEY
def test_key_functions_are_deterministic(make: Callable[[str], Key]) -> None:
    assert make(OURS) == make(OURS)


@settings(deadline=None)
@given(NAMES, NAMES, NAMES)
@example("", "", "")
@example("a", "#b", "#c")
def test_values_chosen_by_clients_cannot_collide_with_other_keys(first: str, second: str, third: str) -> None:
    made = [
        keys.unique_name_lock(OURS, SERVICE, first),
        keys.unique_name_lock(OURS, OTHER_SERVICE, first),
        keys.pair_lock(OURS, second, third),
        keys.address_lock(OURS, first),
        keys.number_group_lock(OURS, [first, second, third]),
    ]
    fixed = [make(account) for account in (OURS, THEIRS) for name, make in KEYS.items() if "pair" not in name]
    fixed = [key for key in fixed if "#unique-name#" not in key.pk and "#address#" not in key.pk]
    assert len({*made, *fixed}) == len(made) + len(fixed)
    assert all(key.pk.startswith(f"{OURS}#") for key in made)


@settings(deadline=None)
@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
@example(("a", "b#c"), ("a#b", "c"))
@example(("ab", "c"), ("a", "bc"))
def test_different_pairs_have_different_lock_keys(first: tuple[str, str], second: tuple[str, str]) -> None:
    assert (keys.pair_lock(OURS, *first) == keys.pair_lock(OURS, *second)) is (first == second)


@settings(deadline=None)
@given(st.tuples(NAMES, st.booleans()), st.tuples(NAMES, st.booleans()))
def test_unique_name_locks_differ_unless_name_and_service_are_equal(
    first: tuple[str, bool], second: tuple[str, bool]
) -> None:
    made = [
        keys.unique_name_lock(OURS, SERVICE if default else OTHER_SERVICE, name) for name, default in (first, second)
    ]
    assert (made[0] == made[1]) is (first == second)


NUMBERS = ["+15558675310", "+15558675311", "+15558675312", "+15017122661"]


def test_number_group_lock_ignores_the_order_of_numbers() -> None:
    assert len({keys.number_group_lock(OURS, order) for order in permutations(NUMBERS)}) == 1


def test_duplicate_numbers_do_not_change_the_number_group_lock() -> None:
    assert keys.number_group_lock(OURS, [*NUMBERS, *NUMBERS]) == keys.number_group_lock(OURS, frozenset(NUMBERS))


def test_different_number_groups_have_different_locks() -> None:
    groups = [group for size in range(1, 5) for group in combinations(NUMBERS, size)]
    assert len({keys.number_group_lock(OURS, group) for group in groups}) == len(groups) == 15


def test_number_group_lock_does_not_contain_phone_numbers() -> None:
    key = keys.number_group_lock(OURS, NUMBERS)
    assert not any(number[1:] in f"{key.pk} {key.sk}" for number in NUMBERS)


def test_keys_stay_within_the_limits_of_dynamodb() -> None:
    """DynamoDB allows 2048 bytes for a partition key and 1024 bytes for a sort key."""
    longest = "messenger:" + "\U0001f600" * 246
    for key in (
        keys.unique_name_lock(OURS, SERVICE, "\U0001f600" * 256),
        keys.pair_lock(OURS, longest, longest),
        keys.address_lock(OURS, longest * 30),
        keys.number_group_lock(OURS, [f"{longest}{number}" for number in range(10)]),
    ):
        assert 0 < len(key.pk.encode()) <= 2048
        assert 0 < len(key.sk.encode()) <= 1024


@pytest.mark.parametrize(
    ("between", "inside"),
    [
        (keys.services(), keys.service(OURS, SERVICE)),
        (keys.api_keys(), keys.api_key(OURS, API_KEY)),
        (keys.console_codes(), keys.console_code(OURS, "0" * 64)),
        (keys.credentials(), keys.credential(OURS, CREDENTIAL)),
        (keys.address_configurations(), keys.address_configuration(OURS, ADDRESS_CONFIGURATION)),
        (keys.participants(), keys.participant(OURS, CONVERSATION, PARTICIPANT)),
    ],
    ids=["services", "API keys", "console codes", "credentials", "address configurations", "participants"],
)
def test_sort_key_range_contains_only_its_own_kind_of_item(between: tuple[str, str], inside: Key) -> None:
    lower, upper = (bound.encode() for bound in between)
    neighbours = [key for make in KEYS.values() if (key := make(OURS)).pk == inside.pk]
    assert len(neighbours) > 1
    assert [key for key in neighbours if lower <= key.sk.encode() <= upper] == [inside]


def test_participant_keys_sort_by_creation_time() -> None:
    new_sid = SidFactory()
    made = [keys.participant(OURS, CONVERSATION, new_sid(Prefix.PARTICIPANT)) for _ in range(100)]
    assert made == sorted(made)


def test_attempt_keys_share_the_partition_of_the_change_and_sort_by_event() -> None:
    key = keys.event_attempt(OURS, f"{CHANGE}-1", "#account#01")
    partition, (lower, upper) = keys.event_attempts(OURS, f"{CHANGE}-1")
    assert key.pk == keys.change(OURS, CHANGE).pk == partition
    assert lower < key.sk < upper
    for other in ("0", "10", "12"):
        assert not lower < keys.event_attempt(OURS, f"{CHANGE}-{other}", "#account#01").sk < upper


def test_account_and_conversation_sid_are_read_from_a_conversation_key() -> None:
    assert keys.sids_of_conversation(keys.conversation(OURS, CONVERSATION)) == (OURS, CONVERSATION)


def test_conversation_list_shards_differ_by_account_and_service() -> None:
    shards = {
        shard
        for account in (OURS, THEIRS)
        for service in (SERVICE, OTHER_SERVICE)
        for shard in keys.list_shards(account, service)
    }
    assert len(shards) == 4 * keys.LIST_SHARDS == 16
    assert all(shard.startswith((f"{OURS}#", f"{THEIRS}#")) for shard in shards)


def test_list_shard_of_a_conversation_does_not_change() -> None:
    """The table stores the shard. Therefore every version of Convoke must compute the same shard."""
    moments = [NOON + timedelta(days=day) for day in range(10)]
    listed = [keys.list_attributes(OURS, SERVICE, CONVERSATION, moment) for moment in moments]
    assert {item[keys.LISTED.partition] for item in listed} == {f"{OURS}#{SERVICE}#0"}
    assert [item[keys.LISTED.sort] for item in listed] == sorted(str(item[keys.LISTED.sort]) for item in listed)


def test_conversations_are_spread_over_every_list_shard() -> None:
    new_sid = SidFactory()
    made = [keys.list_attributes(OURS, SERVICE, new_sid(Prefix.CONVERSATION), NOON) for _ in range(2000)]
    shards = [item[keys.LISTED.partition] for item in made]
    assert all(shards.count(shard) > 300 for shard in keys.list_shards(OURS, SERVICE))


def test_membership_partitions_differ_by_account_service_kind_and_value() -> None:
    made = [
        keys.membership_partition(account, service, kind, value)
        for account in (OURS, THEIRS)
        for service in (SERVICE, OTHER_SERVICE)
        for kind in ("identity", "address")
        for value in ("alice", "Alice", "alice#identity", "\U0001f600" * 256)
    ]
    assert len(set(made)) == len(made) == 32
    assert all(partition.startswith((f"{OURS}#", f"{THEIRS}#")) for partition in made)
    assert max(len(partition.encode()) for partition in made) <= 2048


def test_membership_position_gives_the_key_of_the_participant() -> None:
    member = keys.participant(OURS, CONVERSATION, PARTICIPANT)
    assert keys.participant(OURS, *keys.sids_of_membership(keys.membership_position(member))) == member


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_conversations_are_spread_over_every_due_shard() -> None:
    new_sid = SidFactory()
    shards = [keys.due_attributes(new_sid(Prefix.CONVERSATION), NOON)[keys.DUE.partition] for _ in range(4000)]
    assert set(shards) == set(keys.DUE_SHARDS)
    assert all(shards.count(shard) > 300 for shard in keys.DUE_SHARDS)


def test_due_index_has_eight_shards() -> None:
    assert len(set(keys.DUE_SHARDS)) == len(keys.DUE_SHARDS) == 8


def test_due_shard_of_a_conversation_does_not_change() -> None:
    """The table stores the shard. Therefore every version of Convoke must compute the same shard."""
    moments = [NOON + timedelta(days=day) for day in range(10)]
    assert {keys.due_attributes(CONVERSATION, moment)[keys.DUE.partition] for moment in moments} == {"due#4"}


def test_sort_key_of_a_due_item_tells_its_kind() -> None:
    assert keys.kind_of(keys.conversation(OURS, CONVERSATION)) == keys.CONVERSATION
    assert keys.kind_of(keys.service(OURS, SERVICE)) == "service"


def test_due_items_sort_by_time() -> None:
    moments = [NOON + timedelta(milliseconds=37 * step) for step in range(100)]
    written = [str(keys.due_attributes(CONVERSATION, moment)[keys.DUE.sort]) for moment in moments]
    assert written == sorted(written)
    assert len(set(written)) == len(written)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({**keys.change(OURS, CHANGE)._asdict()}, True),
        ({**keys.change(OURS, CHANGE)._asdict(), "published_by_maker": False}, True),
        ({**keys.change(OURS, CHANGE)._asdict(), "published_by_maker": True}, False),
        *[({**make(OURS)._asdict()}, False) for name, make in KEYS.items() if name != "change"],
    ],
)
def test_change_is_streamed_unless_its_writer_publishes_it(item: dict[str, str], expected: bool) -> None:
    assert keys.is_streamed({**item}) is expected
