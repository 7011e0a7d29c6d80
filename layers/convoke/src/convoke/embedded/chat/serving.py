"""Create the chat server. The engine imports this module only when the first chat client connects."""

from __future__ import annotations

from convoke.api.chat.dispatch import ChatDispatcher
from convoke.embedded.chat.feed import SyncFeed
from convoke.embedded.chat.hub import Hub
from convoke.embedded.chat.presence import ConnectedUsers
from convoke.embedded.chat.server import ChatServer
from convoke.embedded.chat.typing import typing_route
from convoke.embedded.observation import Observers
from convoke.embedded.request_runner import RequestRunner
from convoke.embedded.sqlite import SqliteTable
from convoke.program import Program


def new_chat_server(
    program: Program,
    table: SqliteTable,
    users: ConnectedUsers,
    runner: RequestRunner,
    observers: Observers,
    *,
    trust_forwarded: bool,
) -> ChatServer:
    hub = Hub(table, SyncFeed(program), users)
    return ChatServer(
        ChatDispatcher(program, (typing_route(hub),)),
        program.access_tokens,
        hub,
        runner,
        program.api.origins,
        observers,
        trust_forwarded=trust_forwarded,
    )
