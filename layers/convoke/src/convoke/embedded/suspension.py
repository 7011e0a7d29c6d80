"""Exceptions that end a request on the event loop's thread before its first write. The request can then run again.

The exceptions derive from BaseException, because the API converts each Exception to a response with the status 500.
"""

from __future__ import annotations

RUN_AGAIN_PAUSE_SECONDS = 0.005
"""The pause before background work runs again. For requests, `request_runner.py` uses growing pauses."""


class RunAgainError(BaseException):
    """The operation has written nothing and must run again after a short pause.

    The reason is that another process holds a lock of the data file.
    """


class ConflictedError(RunAgainError):
    """The operation must run again, because another writer changed an item that the operation read."""


class NeedsThreadError(BaseException):
    """The operation must wait, for example for a receiver, and must therefore run again on a worker thread."""
