"""The base class of all domain models: a frozen pydantic model."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from convoke.domain.errors import ConversationsError


class Model(BaseModel):
    """A frozen model. Unknown keys are ignored in requests and in stored items.

    See docs/behaviour/requests-and-answers.md#form-bodies.
    """

    # hide_input_in_errors: validation errors are logged, and the input may be personal data.
    # defer_build: the validator is built at first use, so that a cold start builds only the models that it needs.

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = ()
    """The priority of the errors of an invalid request. The answer is the error that comes first here.

    Errors that are not listed come last, in the order of the fields.
    """
