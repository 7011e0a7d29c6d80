"""Two exceptions suspend a request that must run again. `except Exception` does not catch these exceptions."""

from __future__ import annotations

from contextlib import suppress

import pytest

from convoke.embedded.suspension import NeedsThreadError, RunAgainError


@pytest.mark.parametrize("signal", [RunAgainError, NeedsThreadError])
def test_signal_is_not_caught_by_except_exception(signal: type[BaseException]) -> None:
    assert not issubclass(signal, Exception)
    with pytest.raises(signal), suppress(Exception):
        raise signal


@pytest.mark.parametrize(("one", "other"), [(RunAgainError, NeedsThreadError), (NeedsThreadError, RunAgainError)])
def test_neither_signal_is_a_subclass_of_the_other(one: type[BaseException], other: type[BaseException]) -> None:
    assert not issubclass(one, other)
