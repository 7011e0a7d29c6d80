"""Copy a conversation many times inside a data file.

100,000 copies take one minute. The API would need much longer for 100,000 conversations. Each copy has new SIDs, which
contain the time of the copying. The change records of the conversation are copied too. The participants of all copies
have the same identities. `tests/unit/test_copies.py` fetches copies through the API.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from convoke.domain.sids import Prefix, SidFactory
from convoke.storage import keys

COPIED_PREFIXES = "|".join((Prefix.CONVERSATION, Prefix.PARTICIPANT, Prefix.CHANGE, Prefix.ALERT))
SID = re.compile(f"((?:{COPIED_PREFIXES})[0-9a-f]{{32}})")

LIST = re.compile(r'"list_shard":"(?P<account>\w+)#(?P<name>\w+)#\d+","listed_at":"(?P<at>[^#]+)#(?P<sid>\w+)"')

CONVERSATIONS_PER_TRANSACTION = 1000

Row = list[Any]


def copy(data: Path, conversation_sid: str, count: int) -> list[str]:
    """Add `count` copies of the conversation to the data file. Return the SIDs of the copies.

    During the copying, no other process may have the data file open.
    """
    with closing(sqlite3.connect(data, isolation_level=None)) as connection:
        # This setting makes writes fast, but a power failure can break the data file. A broken data file does no harm,
        # because the next run starts with a new data file.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''").fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        rows = _rows_of(connection, conversation_sid)
        statement = f"INSERT INTO items VALUES ({', '.join('?' * len(rows[0]))})"
        pieces, new_sid, sids = SID.split(json.dumps(rows)), SidFactory(), []
        for first in range(0, count, CONVERSATIONS_PER_TRANSACTION):
            connection.execute("BEGIN")
            for _ in range(min(CONVERSATIONS_PER_TRANSACTION, count - first)):
                sid, copied = _copied(pieces, conversation_sid, new_sid)
                sids.append(sid)
                connection.executemany(statement, copied)
            connection.execute("COMMIT")
        for _, made in indexes:
            connection.execute(made)
    return sids


def _rows_of(connection: sqlite3.Connection, conversation_sid: str) -> list[Row]:
    """Return all rows of the conversation, including its resources and changes.

    The body of each of these rows contains the conversation SID.
    """
    found = connection.execute("SELECT * FROM items WHERE instr(body, ?)", (conversation_sid,))
    return [[*row] for row in found]


def _copied(pieces: Sequence[str], conversation_sid: str, new_sid: SidFactory) -> tuple[str, list[Row]]:
    """Copy the conversation once. Return the new conversation SID and the new rows.

    `pieces` is the JSON text of the original rows, split at the SIDs that each copy replaces.
    """
    sids = {sid: new_sid(Prefix(sid[:2])) for sid in dict.fromkeys(pieces[1::2])}
    rows: list[Row] = json.loads("".join([sids.get(piece, piece) for piece in pieces]))
    return sids[conversation_sid], [_listed(row) if '"list_shard"' in str(row[-1]) else row for row in rows]


def _listed(row: Row) -> Row:
    """Return `row` with the list shard of its new SID. The argument `row` has the list shard of the original SID."""
    found = LIST.search(str(row[-1]))
    assert found
    before = found[0].split('"')[3]
    listed = keys.list_attributes(found["account"], found["name"], found["sid"], datetime.fromisoformat(found["at"]))
    after = str(listed[keys.LISTED.partition])
    return [value.replace(before, after) if isinstance(value, str) else value for value in row]
