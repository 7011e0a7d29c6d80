"""The error catalogue: one class for each error code in responses, alerts and receipts.

For some errors, Twilio has two codes: an older code of Programmable Chat and a newer code of Conversations. The
catalogue contains only the newer code. If the path of a request names a missing resource, the code is 20404.
Exceptions: a missing Sync object has the code 54200, and missing channel metadata have the code 50530.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic.alias_generators import to_snake

FieldPath = tuple[str | int, ...]
"""The path to a field of a request, such as `("participants", 3, "messaging_binding", "address")`.

`convoke.api.parameter_names` converts a field path to the name of the parameter.
"""

CATALOGUE: dict[int, type[ConversationsError]] = {}
"""Maps the codes of error responses to error classes."""

LOG_ENTRIES: dict[int, type[LogEntry]] = {}
"""Maps the codes of alerts and receipts to error classes. No error response has one of these codes.

An alert can also have the code of InternalError, which is in CATALOGUE.
"""


def more_info_url(code: int) -> str:
    """Return the URL of Twilio's page about a code. The URL must not change, because clients rely on it."""
    return f"https://www.twilio.com/docs/errors/{code}"


def _check_code_is_free(code: int, name: str) -> None:
    known = CATALOGUE.get(code) or LOG_ENTRIES.get(code)
    if known:
        raise TypeError(f"{name} and {known.__name__} have the same code {code}")


class ConversationsError(ValueError):
    """The base class of the errors that responses can have.

    The class is a subclass of ValueError. Therefore pydantic collects these errors when validators raise them.

    - `field` is the path to the invalid field.
    - `parameter` is the name that clients use for the field. `convoke.api` sets `parameter` instead of `field` before
      it sends the response. Some errors have `parameter` and no `field` from the start, such as errors about headers.
    - `details` contains the values for the placeholders of `text`, and further details for the response. If the value
      for a placeholder is missing, the constructor raises KeyError.
    - The detail `wanted` is the requirement that the value does not meet, such as `an integer`. The detail `hint` is a
      remark that follows the error message.
    - `others` contains the other errors of the same request.

    The error message and the details must not contain personal data, because Convoke logs both. Personal data are
    names, identities, addresses, attributes and bodies.
    """

    code: ClassVar[int]
    status: ClassVar[int]
    text: ClassVar[str]
    """The error message. The constructor replaces each {placeholder} with a value from `details`."""
    rule: ClassVar[str]
    """The name of the rule that the request breaks, such as `unique_name_taken`. This name never changes."""
    names_parameter: ClassVar[bool]
    """Whether the error message must name the parameter.

    False if `text` is a text of Twilio that clients compare or parse. Such a text must not change.
    """

    def __init_subclass__(cls, *, code: int, status: int = 400, text: str, names_parameter: bool = True) -> None:
        super().__init_subclass__()
        _check_code_is_free(code, cls.__name__)
        cls.code, cls.status, cls.text, cls.names_parameter = code, status, text, names_parameter
        cls.rule = to_snake(cls.__name__.removesuffix("Error"))
        CATALOGUE[code] = cls

    def __init__(self, *, parameter: str | None = None, field: str | FieldPath = (), **details: str | int) -> None:
        super().__init__(self.text.format_map(details))
        self.parameter = parameter
        self.field: FieldPath = (field,) if isinstance(field, str) else field
        self.details = details
        self.others: tuple[ConversationsError, ...] = ()

    def at(self, parameter: str) -> Self:
        """Return a copy of the error that has `parameter` instead of a field path. The copy has no `others`."""
        return type(self)(parameter=parameter, field=(), **self.details)

    @property
    def message(self) -> str:
        """The error message. It usually names the parameter, because the exceptions of SDKs show only the message."""
        hint = self.details.get("hint")
        return f"{self._sentence()} ({hint})" if hint else self._sentence()

    def _sentence(self) -> str:
        if wanted := self.details.get("wanted"):
            return f"{self.parameter or 'The parameter'} must be {wanted}"
        return self._named(str(self))

    def _named(self, sentence: str) -> str:
        """Return the sentence. If the sentence must name the parameter and does not, the name comes first."""
        if self.parameter is None or not self.names_parameter or self.parameter in sentence:
            return sentence
        return f"{self.parameter}: {sentence}"

    def with_hint(self, hint: str) -> Self:
        """Return a copy of the error with a remark at the end of its message."""
        copy = type(self)(parameter=self.parameter, field=self.field, **{**self.details, "hint": hint})
        copy.others = self.others
        return copy

    @property
    def more_info(self) -> str:
        return more_info_url(self.code)


def refusal(problems: Sequence[ConversationsError]) -> ConversationsError:
    """Return the first error of `problems`. The attribute `others` of this error contains the remaining errors.

    The caller sorts `problems` before, for example with `in_order_of_checks` in `api/parameters.py`.
    """
    first, *others = problems
    first.others = tuple(others)
    return first


class LogEntry:
    """The base class of the errors that only alerts and receipts can have. These classes are not exceptions."""

    code: ClassVar[int]
    text: ClassVar[str]
    more_info: ClassVar[str]

    def __init_subclass__(cls, *, code: int, text: str) -> None:
        super().__init_subclass__()
        _check_code_is_free(code, cls.__name__)
        cls.code, cls.text, cls.more_info = code, text, more_info_url(code)
        LOG_ENTRIES[code] = cls


# Platform


class InvalidParameterError(ConversationsError, code=20001, text="The parameter must have a valid value"):
    """The value of a parameter is invalid. The message names the requirement: `PageSize must be an integer`."""

    def _sentence(self) -> str:
        if "wanted" in self.details:
            return super()._sentence()
        return f"{self.parameter or 'The parameter'} must have a valid value"


class NotAuthenticatedError(ConversationsError, code=20003, status=401, text="Authenticate"):
    """The credentials are missing or wrong."""


class MethodNotAllowedError(ConversationsError, code=20004, status=405, text="Method not allowed"):
    """The path exists, but the path does not support the HTTP method."""


class AccessDeniedError(
    ConversationsError, code=20006, status=403, text="The credentials must give access to this resource"
):
    """The credentials or the signature do not permit the request, or a page of another site sends the request."""


class InvalidAccessTokenError(
    ConversationsError,
    code=20101,
    status=401,
    text="The access token must be valid, and must not exceed 4 KB or 24 hours",
):
    """An access token is malformed, too long or valid for too long, or Convoke has revoked the chat session."""


class InvalidIssuerError(
    ConversationsError,
    code=20103,
    status=401,
    text="The issuer of the access token must be an API key, and its subject the account of this key",
):
    """The claim `iss` is not a valid API key, or the claim `sub` is not the account that owns this API key."""


class AccessTokenExpiredError(ConversationsError, code=20104, status=401, text="The access token has expired"):
    """The chat client must get a new access token from the application's server."""


class AccessTokenNotYetValidError(
    ConversationsError, code=20105, status=401, text="The access token must be valid now: its time nbf is in the future"
):
    """The access token is not valid yet. Maybe the clock of the server that created the token is ahead."""


class InvalidGrantsError(
    ConversationsError,
    code=20106,
    status=401,
    text="The access token must grant chat in a service of the account, to an identity with at most 256 characters",
):
    """The grants of an access token are missing or wrong."""


class InvalidSignatureError(
    ConversationsError,
    code=20107,
    status=401,
    text="The access token must be signed with the secret of its API key (HS256)",
):
    """The signature of an access token is wrong."""


class NotFoundError(ConversationsError, code=20404, status=404, text="The requested resource was not found"):
    """The resource does not exist, or is in another account or service. The response names the path of the request."""


class ConflictError(ConversationsError, code=20409, status=409, text="Conflict"):
    """The state of the resource does not allow the request. The detail `reason` is a key of `reasons`."""

    reasons: ClassVar[dict[str, str]] = {
        "default_service": "The default service cannot be deleted: choose another default first",
        "address_configured": "The address has a configuration: update or delete this configuration",
        "address_sends": "The address has a sender: an address can have one sender, in one account",
        "default_role": "A default role of a service cannot be changed or deleted: create another role",
        "configured_role": "A role that the configuration of its service names cannot be deleted: configure another"
        " role first",
    }
    """Maps each value of the detail `reason` to the error message. Most messages say how to solve the conflict."""

    def _sentence(self) -> str:
        return self.reasons.get(str(self.details.get("reason")), self.text)


class IdempotencyKeyReusedError(
    ConversationsError,
    code=20422,
    status=422,
    text="Invalid Parameter: the Idempotency-Key must not have been used for another request within the last 24 hours",
):
    """Two different requests have the same idempotency key. Twilio has no idempotency keys."""


class InvalidSidError(
    ConversationsError, code=20423, text="A SID must be two capital letters and 32 hexadecimal digits"
):
    """A SID in a parameter is malformed. For some types of SIDs, the catalogue has a more specific code."""


class InternalError(
    ConversationsError, code=20500, status=500, text="The server failed: try again, and report the error if it persists"
):
    """Convoke itself failed, for example with an unexpected Python exception. Alerts can have this code too."""


class UnavailableError(
    ConversationsError, code=20503, status=503, text="Temporarily unavailable: try again in a second"
):
    """Convoke is overloaded, cannot read or store data, or got too many concurrent changes. The client can retry."""


# Services and configuration webhooks


class FriendlyNameMissingError(ConversationsError, code=50000, text="The friendly name must be given and not be empty"):
    """A request that creates a service or a role has no friendly name."""


class FriendlyNameTooLongError(
    ConversationsError,
    code=50003,
    text="The friendly name must be at most 256 characters, or 64 for API keys and credentials",
):
    """The friendly name of a resource is too long. See docs/behaviour/limits.md."""


class UniqueNameTooLongError(ConversationsError, code=50004, text="The unique name must be at most 256 characters"):
    """The unique name of a conversation is too long. The maximum length is a rule of Convoke, not of Twilio."""


class InvalidWebhookSettingsError(
    ConversationsError,
    code=50054,
    text="A webhook URL must be an absolute http or https URL, and a filter must be the name of an event",
):
    """A webhook URL, an error-log URL or a filter is invalid. The message names only the rule that the value breaks."""


class InvalidWebhookMethodError(ConversationsError, code=50055, text="The method of a webhook must be GET or POST"):
    """The HTTP method of a webhook is invalid."""


class WebhookRejectedError(
    ConversationsError, code=50056, text="The pre-event webhook rejected the change: it did not answer with status 2xx"
):
    """The receiver of a pre-event rejected the change. Therefore Convoke did not make the change."""


class MediaLostError(LogEntry, code=11200, text="Media of a message from a phone could not be stored"):
    """The message was stored without these media. See docs/behaviour/media.md#media-of-phones."""


class OptedOutError(LogEntry, code=21610, text="The phone has opted out of messages from this business number"):
    """The phone has opted out, for example with STOP. Therefore the carrier refuses the copy."""


class SenderMissingError(LogEntry, code=21703, text="The account has no sender for the business address"):
    """No carrier can send the copy, because the account has no usable sender for the business address."""


class CopyDelayedTooLongError(
    LogEntry, code=30001, text="The limit of the sender, or the carrier, delayed the copy for too long"
):
    """The copy was delayed for `MAX_DELAY` (domain/carriers.py) or longer, or Twilio reports the code 30001."""


class PhoneUnreachableError(LogEntry, code=30003, text="The phone cannot be reached at present"):
    """For example, the phone is switched off or has no network."""


class CopyBlockedError(LogEntry, code=30004, text="The carrier or the phone blocks the message"):
    """Twilio does not say why the copy is blocked. For the reasons of AWS, see aws_statuses.py."""


class PhoneUnknownError(LogEntry, code=30005, text="The phone number does not exist or is no longer in use"):
    """The carrier does not know the number."""


class LandlineError(LogEntry, code=30006, text="The number is a landline, or its carrier cannot be reached"):
    """The carrier cannot deliver text messages to the number."""


class CopyFilteredError(LogEntry, code=30007, text="The carrier has filtered the message as unwanted"):
    """The carrier classified the message as spam, or the sender is not registered for messages of this kind."""


class CarrierFailedError(LogEntry, code=30008, text="The message was not delivered, and no exact reason is known"):
    """Convoke gave up after several attempts, or the carrier's reason has no other code in the catalogue."""


class MediaNotCarriedError(
    LogEntry, code=30019, text="The carrier does not send media of this type, of this size or of this number"
):
    """The carrier does not accept the media. The phone does not get the text either, to avoid an incomplete copy."""


class WebhookFailedError(LogEntry, code=50057, text="The receiver of a webhook answered with an error, or not at all"):
    """The last attempt to deliver an event failed, or a pre-event got no answer. After a timeout, the code is 50076."""


class NotificationTemplateTooLongError(
    ConversationsError, code=50058, text="The template of a notification must be at most 4,096 bytes of UTF-8"
):
    """A template in the notification configuration of a service is too long."""


class NotificationSoundTooLongError(
    ConversationsError, code=50059, text="The name of a notification's sound must be at most 256 characters"
):
    """The name of a sound in the notification configuration of a service is too long."""


class WebhookTimeoutError(LogEntry, code=50076, text="The receiver of a webhook did not answer in time"):
    """The receiver of a webhook took too long. The URL of the webhook can set a limit other than 5 seconds."""


# Roles and users


class UnknownConversationRoleError(
    ConversationsError, code=50101, text="The role must be a role of this service with the type conversation"
):
    """A service's default role for participants is invalid. For the role of one participant, the code is 50109."""


class UnknownServiceRoleError(
    ConversationsError, code=50102, text="The role must be a role of this service with the type service"
):
    """The role of a User is invalid, or the default role for the Users of a service is invalid."""


class RoleSidMissingError(ConversationsError, code=50103, text="The role SID must not be empty"):
    """The SID of a default role in the configuration of a service is empty."""


class UnknownPermissionError(
    ConversationsError, code=50104, text="Each permission must be one that a role of this type can have"
):
    """A role contains a permission that does not exist, or that a role of its type cannot have."""


class UnknownRoleTypeError(ConversationsError, code=50105, text="The type of a role must be conversation or service"):
    """A request to create a role contains an invalid role type."""


class NotPermittedError(
    ConversationsError, code=50107, status=403, text="The role of the user must permit this action"
):
    """The role of a chat user does not permit the action. Account credentials do not need a role."""


class InvalidRoleSidError(
    ConversationsError,
    code=50109,
    text="The role SID must be the SID of a role of this service with the type conversation",
):
    """The role of a participant is invalid."""


class UserExistsError(ConversationsError, code=50201, status=409, text="User already exists"):
    """The service already has a user with this identity. Identities are case-sensitive."""


class IdentityMissingError(ConversationsError, code=50204, text="Identity not provided"):
    """A user has no identity, or a participant has neither an identity nor an address."""


class IdentityLooksLikeUserSidError(
    ConversationsError,
    code=50206,
    text="The identity must not have the form of a user SID: US and 32 hexadecimal digits",
):
    """Some paths accept a User SID or an identity. An identity with the form of a User SID would be ambiguous there."""


class IdentityTooLongError(ConversationsError, code=50207, text="The identity must be at most 256 characters"):
    """The identity of a participant or of a user is too long."""


class InvalidPushBindingTypeError(
    ConversationsError, code=50209, text="The type of a push binding must be apn, gcm, fcm or twilsock"
):
    """A client filters the list of push bindings by an invalid type."""


class UnknownNotificationLevelError(
    ConversationsError, code=50210, text="The notification level must be default or muted"
):
    """The notification level of a user in a conversation is invalid."""


class IdentityNotAcceptableError(
    ConversationsError, code=50211, text="Identity parameter not acceptable for this Participant"
):
    """A participant has an identity and also an address or a proxy address."""


# Conversations


class AttributesTooLongError(
    ConversationsError, code=50303, text="The attributes must be at most {longest} bytes of UTF-8"
):
    """The attributes are too long. The detail `longest` is the maximum number of bytes for this type of resource."""


class AttributesNotJsonError(ConversationsError, code=50304, text="Attributes not valid JSON"):
    """The attributes are not valid JSON. Any JSON value is accepted, not only a JSON object."""


class InvalidDateCreatedError(
    ConversationsError,
    code=50308,
    text="The creation date must be an ISO 8601 date and time such as 2026-01-02T03:04:05Z",
):
    """The creation date of an imported conversation, participant or message is malformed."""


class InvalidDateUpdatedError(
    ConversationsError,
    code=50309,
    text="The date of the last update must be an ISO 8601 date and time such as 2026-01-02T03:04:05Z",
):
    """The update date of an imported conversation, participant or message is malformed."""


class AuthorTooLongError(ConversationsError, code=50310, text="The author must be at most 256 characters"):
    """The author of a message is too long. The maximum length is the same as for an identity or an address."""


class ConversationBeingDeletedError(
    ConversationsError, code=50334, status=409, text="The conversation is being deleted: the change was discarded"
):
    """The conversation was deleted, and the sweeper has not erased its items yet. Such a conversation cannot change."""


class InvalidMessagingServiceSidError(
    ConversationsError, code=50341, text="The Messaging Service SID must be MG and 32 hexadecimal digits"
):
    """The SID of a Messaging Service is malformed. Convoke does not check whether the Messaging Service exists."""


class UniqueNameTakenError(
    ConversationsError,
    code=50353,
    status=409,
    text="Conversation with provided unique name already exists",
    names_parameter=False,
):
    """Another conversation has the unique name. A closed conversation keeps its name, except after the code 50427."""


class MessagingServiceMissingError(
    ConversationsError, code=50373, text="No Messaging Service assigned to Conversation"
):
    """A participant with a messaging binding needs a Messaging Service, but the conversation has none."""


class StateEmptyError(ConversationsError, code=50374, text="The state must not be empty"):
    """The parameter `State` has an empty value."""


class InactiveTimerTooShortError(
    ConversationsError, code=50375, text="The inactive timer must be at least 1 minute, or PT0S to switch it off"
):
    """The length of the inactive timer is too short. See docs/behaviour/states-and-timers.md."""


class ClosedTimerTooShortError(
    ConversationsError, code=50376, text="The closed timer must be at least 10 minutes, or PT0S to switch it off"
):
    """The length of the closed timer is too short. See docs/behaviour/states-and-timers.md."""


class ConversationClosedError(
    ConversationsError, code=50377, text="Can't update conversation as it's in final closed state"
):
    """A request changes a closed conversation. Clients can still read and delete the conversation."""


class StateUnknownError(ConversationsError, code=50378, text="The state must be active, inactive or closed"):
    """The parameter `State` is invalid. A client cannot set the state `initializing`."""


class InvalidInactiveTimerError(
    ConversationsError,
    code=50379,
    text="The inactive timer must be an ISO 8601 duration such as PT1M, PT10M or P1D, without years and months,"
    " of at most 36,500 days",
):
    """The inactive timer is not a valid duration. Years and months are not allowed, because their length varies."""


class InvalidClosedTimerError(
    ConversationsError,
    code=50380,
    text="The closed timer must be an ISO 8601 duration such as PT10M, PT1H or P1D, without years and months,"
    " of at most 36,500 days",
):
    """The closed timer is not a valid duration. Years and months are not allowed, because their length varies."""


class InitialStateClosedError(
    ConversationsError, code=50384, text="The state of a new conversation must be active or inactive"
):
    """A request creates a closed conversation. A client can close only an existing conversation."""


class ConversationInitializingError(
    ConversationsError,
    code=50386,
    status=409,
    text="The conversation is still initializing: try again when its state is active or inactive",
):
    """Convoke is still adding participants to the conversation. See docs/behaviour/states-and-timers.md."""


class UniqueNameLooksLikeSidError(
    ConversationsError,
    code=50390,
    text="The unique name must not have the form of a conversation SID: CH and 32 hexadecimal digits",
):
    """Some paths accept a SID or a unique name. A unique name with the form of a SID would be ambiguous there."""


class EndDateBeforeStartDateError(
    ConversationsError, code=50396, text="The end date must not be before the start date"
):
    """A client filters a list by dates, but the end date is before the start date."""


# Webhooks of a conversation


class TooManyWebhooksError(ConversationsError, code=50361, text="A conversation must have at most 5 webhooks"):
    """The conversation has too many webhooks. Webhooks of the account and of the service do not count."""


class TooManyTriggersError(ConversationsError, code=50362, text="A webhook must have at most 5 triggers"):
    """A webhook with the target `trigger` has too many triggers. Each trigger is a keyword."""


class InvalidWebhookSidError(
    ConversationsError, code=50363, text="The webhook SID must be WH and 32 hexadecimal digits"
):
    """The webhook SID in the path is malformed. If the SID is well-formed but unknown, the code is 20404."""


class UnknownWebhookTargetError(
    ConversationsError, code=50364, text="The target of a webhook must be webhook, trigger or studio"
):
    """A request that creates a conversation's webhook has an unknown target."""


class UnknownWebhookFilterError(
    ConversationsError, code=50365, text="A filter of a conversation's webhook must be the name of a post-event"
):
    """A filter of a conversation's webhook is not a post-event. Such a webhook cannot get pre-events."""


class InvalidWebhookTriggerError(
    ConversationsError, code=50366, text="A trigger must be a keyword of 1 to 248 characters"
):
    """A keyword of a webhook with the target `trigger` is empty or too long."""


class InvalidFlowSidError(
    ConversationsError, code=50367, text="The Studio flow SID must be FW and 32 hexadecimal digits"
):
    """The SID of a Studio flow is malformed or missing. Convoke does not check whether the flow exists."""


class WebhookTargetMissingError(
    ConversationsError, code=50368, text="The target must be given: webhook, trigger or studio"
):
    """A request that creates a conversation's webhook has no target."""


class WebhookUrlMissingError(
    ConversationsError, code=50369, text="A webhook with the target webhook or trigger must have a URL"
):
    """A conversation's webhook has no URL or an empty URL. Only a webhook with the target `studio` needs no URL."""


class WebhookFilterMissingError(
    ConversationsError, code=50370, text="A webhook with the target webhook must have at least one filter"
):
    """A conversation's webhook with the target `webhook` has no filters, so Convoke would never call the webhook."""


class WebhookTriggerMissingError(
    ConversationsError, code=50371, text="A webhook with the target trigger must have 1 to 5 triggers"
):
    """A conversation's webhook with the target `trigger` has no triggers, so Convoke would never call the webhook."""


class WebhookUrlTooLongError(
    ConversationsError, code=50372, text="The URL of a webhook must be at most 512 characters"
):
    """The URL of a conversation's webhook is too long. See docs/behaviour/limits.md."""


# Participants and ConversationWithParticipants


class InvalidAddressError(ConversationsError, code=50407, text="Invalid messaging binding address"):
    """The address is malformed, is owned by the account, cannot be in a group MMS, or does not fit the other fields."""

    def _sentence(self) -> str:
        sentence, wanted = self._named(str(self)), self.details.get("wanted")
        return f"{sentence}: must be {wanted}" if wanted else sentence


class InvalidProxyAddressError(
    ConversationsError,
    code=50408,
    text="The proxy address must be valid, such as +15558675310 or whatsapp:+15558675310, and at most 256 characters",
):
    """A proxy address or the address of a sender is malformed. For unowned proxy addresses, see 50413 and 50415."""


class AddressEqualsProxyError(
    ConversationsError, code=50409, text="The address and the proxy address must be different"
):
    """Both addresses are equal. The address belongs to the participant, and the proxy address to the account."""


class AddressEmptyError(
    ConversationsError, code=50411, text="The address must not be empty, and a proxy address needs an address"
):
    """The address is empty, or the request has a proxy address without an address."""


class ProxyAddressEmptyError(ConversationsError, code=50412, text="The proxy address must not be empty"):
    """A proxy address is empty, or the address of a sender is missing or empty."""


class ProxyAddressNotOwnedError(ConversationsError, code=50413, text="The proxy address must belong to this account"):
    """The account has a list of owned addresses, and the proxy address is not in this list."""


class ChannelMismatchError(
    ConversationsError, code=50414, text="The address and the proxy address must be on the same channel"
):
    """For example, the address has the prefix `whatsapp:` and the proxy address has no prefix."""


class ProxyNotWhatsAppSenderError(
    ConversationsError, code=50415, text="The proxy address must be a WhatsApp sender of this account"
):
    """The account has a list of owned addresses, and the WhatsApp proxy address is not in this list."""


class BindingTakenError(
    ConversationsError,
    code=50416,
    status=409,
    text="A binding for this participant and proxy address already exists"
    " in Conversation {conflicting_conversation_sid}",
    names_parameter=False,
):
    """A conversation that is not closed has the same pair of addresses. Clients parse the SID in the error message."""


class TooManyParticipantsError(
    ConversationsError, code=50417, text="A conversation must have at most 1,000 participants"
):
    """A conversation has too many participants, with or without a messaging binding. For a group MMS, see 50436."""


class TooManyNonChatParticipantsError(
    ConversationsError, code=50418, text="A conversation must have at most 50 participants with a messaging binding"
):
    """Too many participants have a messaging binding. For the number of all participants, the code is 50417."""


class NameOrLevelNotAcceptableError(
    ConversationsError,
    code=50420,
    text="Only the messaging binding of an e-mail participant can have a name or a level",
):
    """A messaging binding has a name or a level, but the channel of the binding is not e-mail."""


class InvalidLastReadMessageIndexError(
    ConversationsError, code=50421, text="The index of the last read message must be an integer"
):
    """The last read index of a participant, or of a user in a conversation, is invalid."""


class ParticipantNotJsonError(
    ConversationsError,
    code=50424,
    text="Each participant must be a JSON object with keys in snake_case",
):
    """A value of the parameter `Participant` is not valid JSON, or is not a JSON object."""


class BindingsTakenError(
    ConversationsError,
    code=50425,
    status=409,
    text="One or more pairs of address and proxy address are already in use, the first of them in {where}",
):
    """In the message, `where` is `Conversation CH...` or `this request`. Clients parse the SID in the message."""


class TooManyParticipantsInRequestError(
    ConversationsError,
    code=50426,
    text="The request must have at most 10 participants: add the others after the conversation is created",
):
    """A ConversationWithParticipants request has too many participants. A conversation can have more."""


class ProvisioningFailedError(
    LogEntry,
    code=50427,
    text="The participants could not be added: the conversation is closed, and the same request can be made again",
):
    """Convoke could not add a participant and closed the conversation. The alert contains the causes."""


class NotAParticipantError(
    ConversationsError, code=50430, status=403, text="The user must be a participant of the conversation"
):
    """A chat user who is not a participant tried to fetch or change a conversation."""


class ParticipantExistsError(ConversationsError, code=50433, status=409, text="Participant already exists"):
    """The identity is already in the conversation, or the request contains the identity twice."""


class ProjectedAddressMissingError(
    ConversationsError, code=50434, text="A participant with an identity must have a projected address in a group MMS"
):
    """In a group MMS, phones show a chat participant's projected address, because they cannot show an identity."""


class GroupNotActivatableError(
    ConversationsError,
    code=50435,
    text="A group MMS must have at least 3 participants with a messaging binding: at least one phone and one business"
    " number, and a projected address for each identity",
):
    """A phone is a number without a proxy address. A business number is a projected address or a proxy address."""


class GroupTooLargeError(ConversationsError, code=50436, text="A group MMS must have at most 10 participants"):
    """A group MMS has too many participants. Participants without a messaging binding count too."""


class DuplicateGroupMemberError(
    ConversationsError, code=50437, status=409, text="Each participant must be in the group MMS only once"
):
    """A group MMS would have the same participant twice. See docs/behaviour/group-mms.md#duplicates."""


class GroupExistsError(
    ConversationsError,
    code=50438,
    status=409,
    text="Group MMS with given participant list already exists as Conversation {conflicting_conversation_sid}",
    names_parameter=False,
):
    """A group MMS that is not closed has the same set of numbers. Clients parse the SID in the error message."""


class ProjectedAddressNotOwnedError(
    ConversationsError, code=50439, text="The projected address must be a phone number of this account"
):
    """The account does not own the projected address, or the address cannot be in a group MMS."""


class ProxyAddressNotRemovableError(
    ConversationsError, code=50440, text="A proxy address can be removed only from an SMS participant that has one"
):
    """The participant has no proxy address, or the channel of the participant is not SMS."""


class ProxyAddressNotAddableError(
    ConversationsError,
    code=50441,
    text="A proxy address can be added only to a participant that has an address and no proxy address",
):
    """An update adds a proxy address, but the participant has no address or already has a proxy address."""


class ProjectedAddressNotRemovableError(
    ConversationsError, code=50442, text="A projected address can be removed only from a participant that has one"
):
    """An update removes the projected address, but the participant has no projected address."""


class ProjectedAddressNotAddableError(
    ConversationsError,
    code=50443,
    text="A projected address can be added only to a participant that has no address",
):
    """An update adds a projected address to a participant that has an address."""


class IdentityNotAddableError(
    ConversationsError,
    code=50444,
    text="An identity can be added only to a participant that has a projected address and no identity",
):
    """An update adds an identity, but the participant has no projected address or already has an identity."""


class IdentityWithAddressError(ConversationsError, code=50451, text="Identity and Address must not be given together"):
    """A request that lists the conversations of a participant has both an identity and an address."""


class ProxyNotSupportedError(
    ConversationsError, code=50453, text="Participants on this channel must not have a proxy address"
):
    """An e-mail participant has a proxy address."""


# Messages


class MessageEmptyError(
    ConversationsError, code=50503, text="The message must have a body, media or a content template"
):
    """The message has no content. An empty body is not content."""


class MessageTooLongError(
    ConversationsError,
    code=50504,
    text="The body must be at most 1,600 characters if a participant has an address, and at most 32 KB otherwise",
):
    """The body of a message is too long. See docs/behaviour/limits.md."""


class MediaSidMissingError(ConversationsError, code=50506, text="The media SID must not be empty"):
    """The parameter `MediaSid` has an empty value."""


class MediaNotFoundError(ConversationsError, code=50507, text="The media must be uploaded to this service first"):
    """The missing media is named in a parameter, not in the path. Therefore the status is 400 and not 404."""


class MediaAlreadyUsedError(
    ConversationsError, code=50508, text="The media must not be in another message: upload it again"
):
    """Another message has this media, or the request names the media twice."""


class MediaMessageBodyFixedError(
    ConversationsError, code=50509, text="The body of a message with media must not change"
):
    """A request updates the body of a message with media."""


class InvalidMediaSidError(ConversationsError, code=50510, text="The media SID must be ME and 32 hexadecimal digits"):
    """The SID of the media is malformed."""


class MediaTypeNotAcceptableError(
    ConversationsError, code=50511, text="The content type of the media must be one that this channel accepts"
):
    """The content type is malformed, or phones cannot receive media of this type."""


class MediaTooLargeError(
    ConversationsError,
    code=50512,
    text="The media must be at most 150 MB in chat, 5 MB in total by MMS, and 16 MB on WhatsApp",
):
    """The media is too large for an upload, or for the channel of a participant. See docs/behaviour/media.md#limits."""


class AuthorNotInGroupError(
    ConversationsError,
    code=50513,
    text="Message author should be among Group MMS participants",
    names_parameter=False,
):
    """The author is not a participant of the group MMS. This also applies to the default author `system`."""


class InvalidContentSidError(
    ConversationsError, code=50526, text="The content SID must be HX and 32 hexadecimal digits"
):
    """The SID of a content template is malformed. Convoke does not check whether the template exists."""


class ContentVariablesNotJsonError(
    ConversationsError, code=50527, text="The content variables must be a JSON object whose values are strings"
):
    """The content variables are not valid JSON, are no JSON object, or contain a value that is not a string."""


class ContentSidMissingError(
    ConversationsError, code=50528, text="Content variables must be given together with a content SID"
):
    """A request gives content variables without the SID of a content template."""


class ContentVariablesTooLongError(
    ConversationsError, code=50529, text="The content variables must be at most 27,801 characters in total"
):
    """The JSON text that contains all content variables is too long."""


class ChannelMetadataNotFoundError(
    ConversationsError, code=50530, status=404, text="The message must have channel metadata"
):
    """The message exists, but has no channel metadata. Convoke gets no such metadata from carriers."""


class ContentVariableKeyTooLongError(
    ConversationsError, code=50540, text="The key of a content variable must be at most 16 characters"
):
    """The key of a content variable is too long. See docs/behaviour/limits.md."""


class ContentVariableTooLongError(
    ConversationsError, code=50541, text="The value of a content variable must be at most 256 characters"
):
    """The value of a content variable is too long. See docs/behaviour/limits.md."""


class TooManyContentVariablesError(
    ConversationsError, code=50542, text="A message must have at most 100 content variables"
):
    """The message has too many content variables. See docs/behaviour/limits.md."""


class SyncObjectNotFoundError(
    ConversationsError, code=54200, status=404, text="The requested Sync object must exist and be visible to the user"
):
    """The Sync object does not exist, has another type than the path names, or is another User's conversation map."""
