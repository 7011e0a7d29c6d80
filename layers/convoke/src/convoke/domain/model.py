"""The base class of the pydantic models in this package."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from convoke.domain.errors import ConversationsError


class Model(BaseModel):
    """A frozen model. The model ignores unknown keys in requests and in stored items.

    See docs/behaviour/requests-and-answers.md#form-bodies.
    """

    # hide_input_in_errors: Convoke logs validation errors. The logs must not contain personal data from the input.
    # defer_build: pydantic builds a validator only when Convoke first uses it. Otherwise every cold start would build
    # all validators, which is slow.

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = ()
    """The classes of the errors that a request can have, from the highest to the lowest priority.

    If a request has several errors, the response has the code of the error with the highest priority. Classes that are
    not in this tuple have the lowest priority. Among errors of the same priority, the error of the first field counts.
    """
