"""Serve an engine. A reset, which is one of the test controls, replaces the engine while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import Protocol

from convoke.embedded.engine import EmbeddedEngine
from convoke.embedded.gateway import Message, Receive, Send
from convoke.embedded.observation import Observers


class MakeEngine(Protocol):
    def __call__(self, *, reset: Callable[[], None] | None, observers: Observers) -> EmbeddedEngine:
        """Return a new engine for the instance's data file. See `EmbeddedEngine` for the arguments."""


class Instance:
    """The ASGI application of a server. Each request goes to the current engine. A reset replaces the engine."""

    def __init__(
        self,
        make_engine: MakeEngine,
        prepare: Callable[[EmbeddedEngine], None] = lambda engine: None,  # noqa: ARG005
        *,
        has_controls: bool,
        trust_forwarded: bool = False,
    ) -> None:
        """Create the first engine.

        A reset calls `prepare` with the new engine, which then contains only the first account.
        """
        self._make_engine = make_engine
        self._prepare = prepare
        self._reset = self.reset if has_controls else None
        self._trust_forwarded = trust_forwarded
        self._account_sid = ""
        self._resetting = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.observers = Observers()
        self.on_data_file_gone: Callable[[], None] = lambda: None
        """See `EmbeddedEngine.on_data_file_gone`."""
        self._open = asyncio.Event()
        """During a reset, requests wait for this event."""
        self._open.set()
        self._use(make_engine(reset=self._reset, observers=self.observers))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await self._open.wait()
        await self._gateway(scope, receive, send)

    def start(self, account_sid: str) -> None:
        """Start the engine on the running event loop. A reset keeps the account `account_sid` and its Auth Token."""
        self._account_sid = account_sid
        self._loop = asyncio.get_running_loop()
        self.engine.start()

    def begin_stop(self) -> None:
        self._gateway.begin_stop()

    async def stop_chat(self) -> None:
        await self._gateway.stop_chat()

    def close(self) -> None:
        self._gateway.close()

    async def stop(self) -> None:
        await self.engine.stop()

    def reset(self) -> None:
        """Delete all data except the SID and the Auth Token of the first account. Drop the running work.

        A movable clock shows real time again. This method waits until the reset is done, so do not call it on the event
        loop's thread.
        """
        assert self._loop is not None
        with self._resetting:
            asyncio.run_coroutine_threadsafe(self._replace_engine(), self._loop).result()

    async def _replace_engine(self) -> None:
        self._open.clear()
        try:
            token = self.engine.accounts.token(self._account_sid)
            self._gateway.close()
            await self.engine.abandon()
            engine = self._make_engine(reset=self._reset, observers=self.observers)
            with engine.table.unit():
                # Use one unit of work, which is stored in one commit. After a crash, the data file then contains either
                # all old data, or only the account and what `prepare` adds.
                engine.table.clear()
                engine.accounts.create(self._account_sid, token)
                self._prepare(engine)
            # Remove the media only after the commit. Otherwise a crash could leave records without their media.
            await asyncio.to_thread(engine.media_folder.clear)
            self._use(engine)
            engine.start()
        finally:
            self._open.set()

    def _use(self, engine: EmbeddedEngine) -> None:
        self.engine = engine
        engine.on_data_file_gone = lambda: self.on_data_file_gone()
        self._gateway = engine.gateway(trust_forwarded=self._trust_forwarded)
