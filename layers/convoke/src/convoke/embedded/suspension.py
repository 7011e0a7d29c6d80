"""Define the exceptions that end a request before its first write, so that the request can run again.

The exceptions derive from BaseException, because the API converts every unexpected Exception to a response with status
500.
"""

from __future__ import annotations

RUN_AGAIN_PAUSE_SECONDS = 0.005
"""The pause before background work runs again. `request_runner.py` uses growing pauses for requests."""


class RunAgainError(BaseException):
    """The operation has written nothing and must run again after a short pause.

    Usually, the reason is that another process holds a lock of the data file. The subclass ConflictedError has another
    reason.
    """


class ConflictedError(RunAgainError):
    """The operation must run again, because another writer changed an item that the operation had read."""


class NeedsThreadError(BaseException):
    """The operation must wait, for example for a receiver.

    The operation must therefore run again on a worker thread.
    """
