"""What every resource of the domain is: a frozen pydantic model."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from convoke.domain.errors import ConversationsError


class Model(BaseModel):
    """Frozen; keys it does not know are ignored, in requests (reference, a.0) and in stored items alike.

    Its validation errors do not show what was given: they are logged, and it may be personal data. What validates is
    built when it is first used: a start pays for no other model.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = ()
    """Of several problems, the earliest of these is the answer; without any, that of the earliest field."""
