"""The signature check, which tells a client whether the signature of a webhook request matches the request."""

from __future__ import annotations

from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator

from convoke.domain.errors import InvalidParameterError
from convoke.domain.json_schema import string_schema
from convoke.domain.model import Model
from convoke.domain.urls import MAX_URL_CHARACTERS

MAX_BODY_CHARACTERS = 32 * 1024
"""The maximum length of the body in a signature check.

A check computes the signatures of many variants of the request. With the longest body and the most variants, a check
takes less than 0.1 seconds.
"""

MAX_SIGNATURE_CHARACTERS = 100


def _at_most(limit: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > limit:
            raise InvalidParameterError(wanted=f"at most {limit} characters")
        return text

    return AfterValidator(check)


def check_can_be_parsed(url: str) -> str:
    """Return the URL. Raise an error if its host is malformed, as in `http://[`.

    Other mistakes in the URL are accepted, because a signature check helps to find them.
    """
    try:
        urlsplit(url)
    except ValueError as error:
        raise InvalidParameterError(wanted="a URL with a valid host") from error
    return url


class NewSignatureCheck(Model):
    """The parameters of a signature check."""

    url: Annotated[
        str, _at_most(MAX_URL_CHARACTERS), AfterValidator(check_can_be_parsed), string_schema(MAX_URL_CHARACTERS)
    ]
    signature: Annotated[str, _at_most(MAX_SIGNATURE_CHARACTERS), string_schema(MAX_SIGNATURE_CHARACTERS)]
    body: Annotated[str, _at_most(MAX_BODY_CHARACTERS), string_schema(MAX_BODY_CHARACTERS)] = ""


class SignatureCheck(NamedTuple):
    mistakes: list[str] | None
    """The smallest set of known mistakes that explains the signature. Without these mistakes, the signature matches.

    Empty if the signature matches as it is. None if no set of known mistakes explains the signature.
    """

    @property
    def matches(self) -> bool:
        return self.mistakes == []
