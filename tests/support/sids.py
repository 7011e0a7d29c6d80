"""Replace `SidFactory` with factories whose SIDs a test can predict."""

from __future__ import annotations

from abc import ABC, abstractmethod

from convoke.domain.sids import Prefix


class Sids(ABC):
    """The base class of the replacements. Each subclass defines how to create one SID."""

    @abstractmethod
    def __call__(self, prefix: Prefix) -> str: ...

    def batch(self, prefix: Prefix, count: int) -> list[str]:
        return [self(prefix) for _ in range(count)]


class FixedSid(Sids):
    """Returns the same SID for every prefix."""

    def __init__(self, sid: str) -> None:
        self._sid = sid

    def __call__(self, prefix: Prefix) -> str:
        return self._sid
