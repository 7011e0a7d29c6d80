"""The Sender resource: a business address of one account, and the carrier that delivers messages from this address.

See docs/behaviour/senders.md.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from convoke.domain.addresses import Channel, channel_of
from convoke.domain.conversations import FriendlyName
from convoke.domain.errors import (
    ConversationsError,
    FriendlyNameTooLongError,
    InvalidParameterError,
    InvalidProxyAddressError,
    ProxyAddressEmptyError,
)
from convoke.domain.instants import Instant
from convoke.domain.json_schema import IN_EITHER_CASE, pattern_schema, sid_schema, word_schema
from convoke.domain.model import Model
from convoke.domain.participants import ProxyAddress
from convoke.domain.sids import Prefix, parse_sid

PRINTABLE = "[!-~]{1,128}"
"""The form of an Auth Token: 1 to 128 printable ASCII characters without spaces."""

MAX_LIMIT = 500
"""The maximum value of `max_messages_per_second`.

If a sender has a limit, each copy updates the item that counts the copies in this second. A copy that exceeds the limit
also updates a second item, at most twice. See storage/sending_limits.py. With 500 such copies per second, the second
item gets at most 1,000 writes per second, and DynamoDB accepts no more. See
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html.
"""

LIMIT = "[0-9]{0,3}"

TWILIO_CHANNELS = frozenset({Channel.SMS, Channel.WHATSAPP})


SIMULATED_SENDER_SID = Prefix.SENDER + "0" * 32
"""The SID of the sender that `simulated_by_default` returns. This sender is not stored."""


class Provider(StrEnum):
    """The carrier that delivers the messages of a sender, or the simulator of phones."""

    SIMULATED = "simulated"
    TWILIO = "twilio"
    AWS = "aws"


class TwilioCredentials(Model):
    """The secret of a sender whose carrier is Twilio. The secret is not stored in the item of the sender."""

    account_sid: str
    auth_token: str


class Sender(Model):
    """A stored sender, without its secret."""

    account_sid: str
    sid: str
    address: str
    provider: Provider
    friendly_name: str | None = None
    origination_identity: str | None = None
    """The ARN of the phone number or of the pool in AWS End User Messaging. None if the provider is not AWS."""
    configuration_set: str | None = None
    """The name of the configuration set in AWS End User Messaging that publishes the delivery events of the copies.

    None if the provider is not AWS, or if the operator has assigned the sender without a configuration set.
    """
    max_messages_per_second: int | None = None
    """The maximum number of copies that Convoke sends from the address in a second. None if there is no maximum."""
    date_created: Instant
    date_updated: Instant


def simulated_by_default(account_sid: str, address: str, moment: datetime) -> Sender:
    """Return a simulated sender for an address that has no stored sender. Clients cannot fetch this sender.

    Only the embedded engine uses such senders.
    """
    return Sender(
        account_sid=account_sid,
        sid=SIMULATED_SENDER_SID,
        address=address,
        provider=Provider.SIMULATED,
        date_created=moment,
        date_updated=moment,
    )


def parse_provider(value: object) -> Provider:
    try:
        return Provider(str(value or "").lower())
    except ValueError as error:
        raise InvalidParameterError(wanted="simulated or twilio") from error


def check_account_sid(text: str) -> str:
    sid = parse_sid(text, Prefix.ACCOUNT)
    if sid is None:
        raise InvalidParameterError(wanted="the Account SID of an account at Twilio")
    return sid


def check_token(text: str) -> str:
    if not re.fullmatch(PRINTABLE, text):
        raise InvalidParameterError(wanted="the Auth Token of the account at Twilio")
    return text


def parse_limit(value: object) -> int | None:
    """Return the limit, or None for an empty text. None means that there is no limit."""
    text = "" if value is None else str(value)
    if not text:
        return None
    if not re.fullmatch(LIMIT, text) or not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidParameterError(wanted=f"an integer from 1 to {MAX_LIMIT}")
    return int(text)


ProviderName = Annotated[Provider, BeforeValidator(parse_provider), word_schema(Provider, IN_EITHER_CASE)]

TwilioAccountSid = Annotated[str, AfterValidator(check_account_sid), sid_schema(Prefix.ACCOUNT)]

TwilioAuthToken = Annotated[str, AfterValidator(check_token), pattern_schema(PRINTABLE)]

Limit = Annotated[
    int | None,
    BeforeValidator(parse_limit),
    pattern_schema(LIMIT, f"An integer from 1 to {MAX_LIMIT}. An empty value means that there is no limit."),
]


class SenderParameters(Model):
    """The common parameters of create requests and update requests.

    The parameters for Twilio have an effect only if the provider is Twilio. The form of each value is always checked.
    """

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        ProxyAddressEmptyError,
        InvalidProxyAddressError,
        InvalidParameterError,
        FriendlyNameTooLongError,
    )

    friendly_name: FriendlyName | None = None
    max_messages_per_second: Limit = None
    twilio_account_sid: TwilioAccountSid | None = None
    twilio_auth_token: TwilioAuthToken | None = None

    def secret(self, provider: Provider) -> TwilioCredentials | None:
        """Return the secret in the request. Return None if the request has no secret or the provider needs no secret.

        Raises InvalidParameterError if the provider is Twilio and the request has an Account SID without an Auth Token,
        or an Auth Token without an Account SID.
        """
        sid, token = self.twilio_account_sid, self.twilio_auth_token
        if provider is not Provider.TWILIO or sid is None is token:
            return None
        if sid is None:
            raise InvalidParameterError(field=("twilio", "account_sid"), wanted="given with Twilio.AuthToken")
        if token is None:
            raise InvalidParameterError(field=("twilio", "auth_token"), wanted="given with Twilio.AccountSid")
        return TwilioCredentials(account_sid=sid, auth_token=token)


class NewSender(SenderParameters):
    """The parameters of a request that creates a sender."""

    # With `validate_default`, a missing parameter causes the same error as an empty parameter.
    address: ProxyAddress = Field(default="", validate_default=True)
    provider: ProviderName = Field(default=None, validate_default=True)

    @model_validator(mode="after")
    def check_provider(self) -> Self:
        if self.provider is Provider.AWS:
            raise InvalidParameterError(field="provider", wanted="simulated or twilio, as operators assign aws")
        if self.provider is Provider.TWILIO and channel_of(self.address) not in TWILIO_CHANNELS:
            raise InvalidParameterError(field="address", wanted="a phone number, or whatsapp: and a phone number")
        return self

    def required_secret(self) -> TwilioCredentials | None:
        """Return the secret in the request, or None if the provider needs no secret.

        Raises InvalidParameterError if the provider is Twilio and the Account SID or the Auth Token is missing.
        """
        secret = self.secret(self.provider)
        if self.provider is Provider.TWILIO and secret is None:
            raise InvalidParameterError(field=("twilio", "account_sid"), wanted="given for the provider twilio")
        return secret

    def sender(self, account_sid: str, sid: str, moment: datetime) -> Sender:
        made = {"account_sid": account_sid, "sid": sid, "date_created": moment, "date_updated": moment}
        fields = self.model_dump(include={"address", "provider", "friendly_name", "max_messages_per_second"})
        return Sender.model_validate(fields | made)


class AssignedSender(Model):
    """A sender at AWS that the operator assigns to an account.

    `origination_identity` is the ARN of a phone number or of a pool in the deployment's AWS account.
    """

    address: ProxyAddress
    origination_identity: str
    configuration_set: str | None = None
    max_messages_per_second: Limit = None

    def sender(self, account_sid: str, sid: str, moment: datetime) -> Sender:
        return Sender(
            account_sid=account_sid,
            sid=sid,
            address=self.address,
            provider=Provider.AWS,
            origination_identity=self.origination_identity,
            configuration_set=self.configuration_set,
            max_messages_per_second=self.max_messages_per_second,
            date_created=moment,
            date_updated=moment,
        )


class SenderChange(SenderParameters):
    """The parameters of a request that updates a sender. The address and the provider cannot change."""
