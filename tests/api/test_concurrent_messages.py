"""Concurrent messages get different indexes. The order of the indexes is the order of storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

from tests.api.test_concurrency import api_on
from tests.support.examples import CHAT_AND_SMS
from tests.support.instances import ORIGIN, Instance, call, held_instance
from tests.support.tables import ministack_table

WRITERS = 50


def messages_of(instance: Instance, sid: str) -> Any:
    return instance.client().conversations.v1.conversations(sid).messages


@pytest.mark.parametrize("processes", [1, 2])
def test_fifty_concurrent_messages_get_distinct_indexes(tmp_path: Path, processes: int) -> None:
    with ExitStack() as stack:
        file = str(tmp_path / "convoke.db")
        instances = [stack.enter_context(held_instance(file)) for _ in range(processes)]
        v1 = instances[0].client().conversations.v1
        sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid
        instances[0].work()
        together = Barrier(WRITERS)

        def write(writer: int) -> int:
            messages = messages_of(instances[writer % processes], sid)
            together.wait()
            return int(messages.create(body=str(writer)).index)

        with ThreadPoolExecutor(WRITERS) as pool:
            indexes = list(pool.map(write, range(WRITERS)))
        assert sorted(indexes) == list(range(WRITERS))
        listed = messages_of(instances[0], sid).list()
        assert [message.index for message in listed] == list(range(WRITERS))
        assert {message.body: message.index for message in listed} == {
            str(writer): index for writer, index in enumerate(indexes)
        }
        assert len(instances[0].items("receipt#")) == WRITERS


def test_list_during_writes_never_inserts_before_listed_messages(tmp_path: Path) -> None:
    """Every list must begin with all messages of the previous list, because messages become visible in index order."""
    with held_instance(str(tmp_path / "convoke.db")) as instance:
        sid = instance.client().conversations.v1.conversations.create().sid
        done = Event()

        def write(writer: int) -> None:
            for _ in range(10):
                messages_of(instance, sid).create(body=str(writer))

        def read() -> list[list[int]]:
            seen = []
            while not done.is_set():
                seen.append([message.index for message in messages_of(instance, sid).list()])
            return seen

        with ThreadPoolExecutor(5) as pool:
            reader = pool.submit(read)
            list(pool.map(write, range(4)))
            done.set()
            for earlier, later in pairwise(reader.result()):
                assert later[: len(earlier)] == earlier == list(range(len(earlier)))


@pytest.mark.xdist_group("ministack")
def test_fifty_concurrent_messages_on_dynamodb_get_distinct_indexes(ministack_url: str) -> None:
    """The requests use MiniStack's DynamoDB over HTTP.

    On a slow machine, a request can get a 503 after too many conflicts. The test then sends the request again.
    """
    with ministack_table(ministack_url) as table, api_on(table) as (api, credentials):
        sid = call(api, "POST", f"{ORIGIN}/v1/Conversations", auth=credentials).body["sid"]
        path = f"{ORIGIN}/v1/Conversations/{sid}/Messages"

        def write(writer: int) -> int:
            while (answer := call(api, "POST", path, auth=credentials, data={"Body": str(writer)})).status == 503:
                pass
            assert answer.status == 201
            return int(answer.body["index"])

        with ThreadPoolExecutor(WRITERS) as pool:
            indexes = list(pool.map(write, range(WRITERS)))
        assert sorted(indexes) == list(range(WRITERS))
        listed = call(api, "GET", path, auth=credentials).body["messages"]
        assert [(message["index"], int(message["body"])) for message in listed] == sorted(
            (index, writer) for writer, index in enumerate(indexes)
        )
