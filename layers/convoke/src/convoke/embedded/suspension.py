"""Exceptions that end a request on the event loop's thread before its first write, so that it can run again.

These classes derive from BaseException, because the API turns every Exception into a response with the status 500.
"""

from __future__ import annotations


class RunAgainError(BaseException):
    """The operation has written nothing and must run again after a short pause.

    Either another process holds the write lock, or another writer has changed the same item first.
    """


class NeedsThreadError(BaseException):
    """The operation must wait, for example for a receiver, and must therefore run again on a worker thread."""
