"""The signals by which a request leaves the event loop's thread before its first write.

Both derive from BaseException: Powertools turns an Exception into an answer with the status 500.
"""

from __future__ import annotations


class RunAgainError(BaseException):
    """The operation wrote nothing and must run again a moment later: another writer was faster, or holds the lock."""


class NeedsThreadError(BaseException):
    """The operation must wait for something outside, such as a receiver: run it again on a thread of its own."""
