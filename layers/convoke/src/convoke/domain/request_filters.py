"""The parameters of the list of logged requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from convoke.domain.errors import InvalidParameterError
from convoke.domain.model import Model


def parse_number(text: str | int) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InvalidParameterError(wanted="an integer") from error


class RequestFilters(Model):
    """The parameters of the list. Each logged request has a number, and the list begins after the number `after`."""

    after: Annotated[int, BeforeValidator(parse_number), WithJsonSchema({"type": "integer"})] = 0
