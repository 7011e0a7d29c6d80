"""Logs. Modules log by the standard library; an engine chooses the form here."""

from __future__ import annotations

import json
import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class ConsoleFormatter(logging.Formatter):
    """One line for people, with what was given as `extra` behind it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return super().formatMessage(record) + (f" {json.dumps(extra, default=str)}" if extra else "")
