"""The Credential resource: the secret with which a service sends push notifications through a push provider.

Convoke sends no push notifications. Therefore Convoke checks the form of the secret, but does not store the secret. See
docs/behaviour/credentials.md.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from convoke.domain.errors import FriendlyNameTooLongError, InvalidParameterError
from convoke.domain.instants import Instant
from convoke.domain.json_schema import IN_EITHER_CASE, pattern_schema, string_schema, word_schema
from convoke.domain.model import Model
from convoke.domain.service_configuration import Boolean

MAX_CREDENTIAL_NAME_CHARACTERS = 64

KEY_PATTERN = "[!-~]+"
"""The form of a key of Google: printable ASCII characters without spaces."""


class PushType(StrEnum):
    """The push providers: Apple (`apn`) and Google (`gcm`, and its successor `fcm`)."""

    APN = "apn"
    GCM = "gcm"
    FCM = "fcm"


SECRETS: Mapping[PushType, tuple[str, ...]] = MappingProxyType(
    {PushType.APN: ("certificate", "private_key"), PushType.GCM: ("api_key",), PushType.FCM: ("secret",)}
)
"""Maps each type of credential to the names of the parameters that contain its secrets.

A request that creates a credential must have the parameters of its type. Convoke does not store the secrets.
"""


class Credential(Model):
    """A stored credential, without its secrets."""

    account_sid: str
    sid: str
    friendly_name: str | None = None
    type: PushType
    sandbox: bool = False
    """Whether the credential is for the sandbox of Apple. False for other providers."""
    date_created: Instant
    date_updated: Instant


def parse_push_type(value: object) -> PushType:
    try:
        return PushType(str(value or "").lower())
    except ValueError as error:
        raise InvalidParameterError(wanted="apn, gcm or fcm") from error


def check_credential_name(name: str) -> str:
    if len(name) > MAX_CREDENTIAL_NAME_CHARACTERS:
        raise FriendlyNameTooLongError
    return name


def check_certificate(text: str) -> str:
    return _check_pem(text, "CERTIFICATE", "a certificate in PEM form")


def check_private_key(text: str) -> str:
    return _check_pem(text, "(?:RSA |EC )?PRIVATE KEY", "an unencrypted private key in PEM form")


def check_api_key(text: str) -> str:
    if not re.fullmatch(KEY_PATTERN, text):
        raise InvalidParameterError(wanted="printable ASCII characters without spaces")
    return text


def check_fcm_secret(text: str) -> str:
    """Return the secret unchanged. The secret is a server key, or the JSON object of a service account.

    Raises InvalidParameterError if a text that begins with `{` is not JSON. Also raises this error if any other text is
    empty or has characters that KEY_PATTERN does not permit.
    """
    if text.lstrip().startswith("{"):
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidParameterError(wanted="a server key, or the JSON of a service account") from error
        return text
    return check_api_key(text)


def _check_pem(text: str, label: str, wanted: str) -> str:
    """Return the text unchanged. Raise an error if the text does not contain a PEM block.

    `label` is a regular expression for the label of the block. `wanted` is a text for the error message. Other text
    around the block is allowed, because `openssl pkcs12` writes attributes there.
    """
    block = re.search(f"-----BEGIN ({label})-----([A-Za-z0-9+/=\\s]+)-----END \\1-----", text)
    try:
        decoded = block and base64.b64decode("".join(block[2].split()))
    except ValueError:
        decoded = None
    if not decoded:
        raise InvalidParameterError(wanted=wanted)
    return text


PEM_SCHEMA = WithJsonSchema({"type": "string", "contentMediaType": "application/x-pem-file"})

Type = Annotated[PushType, BeforeValidator(parse_push_type), word_schema(PushType, IN_EITHER_CASE)]

CredentialName = Annotated[str, AfterValidator(check_credential_name), string_schema(MAX_CREDENTIAL_NAME_CHARACTERS)]

Certificate = Annotated[str, AfterValidator(check_certificate), PEM_SCHEMA]

PrivateKey = Annotated[str, AfterValidator(check_private_key), PEM_SCHEMA]

ApiKey = Annotated[str, AfterValidator(check_api_key), pattern_schema(KEY_PATTERN)]

FcmSecret = Annotated[
    str,
    AfterValidator(check_fcm_secret),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "description": "A server key, or the JSON of a service account."}
    ),
]


class CredentialParameters(Model):
    """The common parameters of create requests and update requests."""

    friendly_name: CredentialName | None = None
    certificate: Certificate | None = None
    private_key: PrivateKey | None = None
    sandbox: Boolean = False
    api_key: ApiKey | None = None
    secret: FcmSecret | None = None

    def stored(self, push_type: PushType) -> dict[str, str | bool]:
        """Return the fields of the request that Convoke stores in a credential of the type `push_type`."""
        names = {"friendly_name", "sandbox"} if push_type is PushType.APN else {"friendly_name"}
        return self.model_dump(include=names, exclude_unset=True)


class NewCredential(CredentialParameters):
    """The parameters of a request that creates a credential."""

    # With `validate_default`, a missing type causes the same error as an empty type.
    type: Type = Field(default=None, validate_default=True)

    @model_validator(mode="after")
    def check_secrets(self) -> Self:
        for name in SECRETS[self.type]:
            if getattr(self, name) is None:
                raise InvalidParameterError(field=name, wanted=f"given for the type {self.type}")
        return self


class CredentialChange(CredentialParameters):
    """The parameters of a request that updates a credential. The type of a credential cannot change."""

    type: Type | None = None

    def refuse_other_type(self, credential: Credential) -> None:
        """Raise an error if the request would change the type of the credential."""
        if self.type and self.type is not credential.type:
            raise InvalidParameterError(field="type", wanted=f"{credential.type}, because a credential keeps its type")
