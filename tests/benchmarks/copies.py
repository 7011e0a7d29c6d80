"""Makes many conversations of one, in the data file itself: what 100,000 requests would have left, in a minute.

Every SID of a copy is a new one, in the order of making, and its changes are copied with it. All have the same members,
as those of a team have. `tests/unit/test_copies.py` looks at them through the API.
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

OF_A_CONVERSATION = "|".join((Prefix.CONVERSATION, Prefix.PARTICIPANT, Prefix.CHANGE, Prefix.ALERT))
SID = re.compile(f"((?:{OF_A_CONVERSATION})[0-9a-f]{{32}})")

LIST = re.compile(r'"list_shard":"(?P<account>\w+)#(?P<name>\w+)#\d+","listed_at":"(?P<at>[^#]+)#(?P<sid>\w+)"')

AT_ONCE = 1000
"""Conversations in a transaction."""

Row = list[Any]


def copy(data: Path, conversation_sid: str, count: int) -> list[str]:
    """The SIDs of so many copies in the file, which no process has open."""
    with closing(sqlite3.connect(data, isolation_level=None)) as connection:
        # Whoever is interrupted here begins with a new file.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''").fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        rows = _rows_of(connection, conversation_sid)
        statement = f"INSERT INTO items VALUES ({', '.join('?' * len(rows[0]))})"
        pieces, new_sid, sids = SID.split(json.dumps(rows)), SidFactory(), []
        for first in range(0, count, AT_ONCE):
            connection.execute("BEGIN")
            for _ in range(min(AT_ONCE, count - first)):
                sid, copied = _copied(pieces, conversation_sid, new_sid)
                sids.append(sid)
                connection.executemany(statement, copied)
            connection.execute("COMMIT")
        for _, made in indexes:
            connection.execute(made)
    return sids


def _rows_of(connection: sqlite3.Connection, conversation_sid: str) -> list[Row]:
    """The conversation, all that belongs to it, and its changes."""
    found = connection.execute("SELECT * FROM items WHERE instr(body, ?)", (conversation_sid,))
    return [[*row] for row in found]


def _copied(pieces: Sequence[str], conversation_sid: str, new_sid: SidFactory) -> tuple[str, list[Row]]:
    """`pieces` are the text of the original, every other one of them a SID."""
    sids = {sid: new_sid(Prefix(sid[:2])) for sid in dict.fromkeys(pieces[1::2])}
    rows: list[Row] = json.loads("".join([sids.get(piece, piece) for piece in pieces]))
    return sids[conversation_sid], [_listed(row) if '"list_shard"' in str(row[-1]) else row for row in rows]


def _listed(row: Row) -> Row:
    """In the shard of its list that follows from its new SID."""
    found = LIST.search(str(row[-1]))
    assert found
    before = found[0].split('"')[3]
    listed = keys.list_attributes(found["account"], found["name"], found["sid"], datetime.fromisoformat(found["at"]))
    after = str(listed[keys.LISTED.partition])
    return [value.replace(before, after) if isinstance(value, str) else value for value in row]
