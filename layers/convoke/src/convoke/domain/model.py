"""The base class of all domain models: a frozen pydantic model."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from convoke.domain.errors import ConversationsError


class Model(BaseModel):
    """A frozen model. Unknown keys are ignored in requests and in stored items.

    See docs/behaviour/requests-and-answers.md#form-bodies.
    """

    # hide_input_in_errors: Convoke logs validation errors, and the input may contain personal data.
    # defer_build: pydantic builds a validator at its first use. Building all validators would slow every cold start.

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = ()
    """The errors of an invalid request by priority. The response has the code of the first error in this order.

    Errors of classes that are not listed come last, in the order of the fields.
    """
