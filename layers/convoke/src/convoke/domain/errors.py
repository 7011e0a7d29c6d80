"""The error catalogue: one class for each error code that an answer or the error log can have.

If Twilio has two codes for the same problem, the catalogue holds the code of Conversations and not the older one of
Programmable Chat. A missing resource is always 20404.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic.alias_generators import to_snake

FieldPath = tuple[str | int, ...]
"""The path to a field of a request, such as `("participants", 3, "messaging_binding", "address")`.

`convoke.api.parameter_names` turns it into the name of a parameter.
"""

CATALOGUE: dict[int, type[ConversationsError]] = {}
"""The errors that a request can be answered with, by code."""

LOG_ENTRIES: dict[int, type[LogEntry]] = {}
"""The errors that only alerts record, by code."""


def _more_info(code: int) -> str:
    """Return the address of a code's documentation. Clients know this address, so it is part of the wire format."""
    return f"https://www.twilio.com/docs/errors/{code}"


def _check_code_is_free(code: int, name: str) -> None:
    known = CATALOGUE.get(code) or LOG_ENTRIES.get(code)
    if known:
        raise TypeError(f"{name} and {known.__name__} have the same code {code}")


class ConversationsError(ValueError):
    """A request that cannot be served. It is a ValueError, so that pydantic collects it when a validator raises it.

    `field` is the path to the invalid field. Only the API knows the name of the parameter that the client wrote; it
    replaces `field` with that name in `parameter`. `others` are further problems of the same request. `details` are the
    keyword arguments: the figures and SIDs that `text` and the answer need. The message and the details are logged, so
    they must not hold personal data: no names, identities, addresses, attributes or bodies. NotFoundError is the
    exception. A missing placeholder of `text` raises KeyError in the constructor.
    """

    code: ClassVar[int]
    status: ClassVar[int]
    text: ClassVar[str]
    """The message. {placeholders} are filled from the keyword arguments."""
    rule: ClassVar[str]
    """The name of the broken rule, which never changes: `unique_name_taken`."""

    def __init_subclass__(cls, *, code: int, status: int = 400, text: str) -> None:
        super().__init_subclass__()
        _check_code_is_free(code, cls.__name__)
        cls.code, cls.status, cls.text = code, status, text
        cls.rule = to_snake(cls.__name__.removesuffix("Error"))
        CATALOGUE[code] = cls

    def __init__(self, *, parameter: str | None = None, field: str | FieldPath = (), **details: str | int) -> None:
        super().__init__(self.text.format_map(details))
        self.parameter = parameter
        self.field: FieldPath = (field,) if isinstance(field, str) else field
        self.details = details
        self.others: tuple[ConversationsError, ...] = ()

    def at(self, parameter: str) -> Self:
        """Return the same error for another parameter name."""
        return type(self)(parameter=parameter, field=(), **self.details)

    @property
    def message(self) -> str:
        return str(self)

    @property
    def more_info(self) -> str:
        return _more_info(self.code)


def refusal(problems: Sequence[ConversationsError]) -> ConversationsError:
    """Return the first of `problems`, with the others attached to it."""
    first, *others = problems
    first.others = tuple(others)
    return first


class LogEntry:
    """An error that Convoke finds after the answer. It is not an exception, so no request can be answered with it."""

    code: ClassVar[int]
    text: ClassVar[str]
    more_info: ClassVar[str]

    def __init_subclass__(cls, *, code: int, text: str) -> None:
        super().__init_subclass__()
        _check_code_is_free(code, cls.__name__)
        cls.code, cls.text, cls.more_info = code, text, _more_info(code)
        LOG_ENTRIES[code] = cls


# Platform


class InvalidParameterError(ConversationsError, code=20001, text="The parameter must have a valid value"):
    """An invalid value that has no code of its own. The detail `wanted` completes "must be ..."."""

    @property
    def message(self) -> str:
        """The name of the parameter and, if it is known, the requirement: `PageSize must be an integer`."""
        name, wanted = self.parameter or "The parameter", self.details.get("wanted")
        return f"{name} must be {wanted}" if wanted else f"{name} must have a valid value"


class NotAuthenticatedError(ConversationsError, code=20003, status=401, text="Authenticate"):
    """The credentials are missing or wrong."""


class MethodNotAllowedError(ConversationsError, code=20004, status=405, text="Method not allowed"):
    """The path exists, but does not support the HTTP method."""


class AccessDeniedError(
    ConversationsError, code=20006, status=403, text="The credentials must give access to this resource"
):
    """The credentials are right, but the resource accepts other credentials only."""


class NotFoundError(ConversationsError, code=20404, status=404, text="The requested resource was not found"):
    """The resource does not exist, or belongs to another account or service. The path in the message is not logged."""


class ConflictError(ConversationsError, code=20409, status=409, text="Conflict"):
    """The resource's state does not permit the request, and no other code describes why. `reason` names the cause."""


class IdempotencyKeyReusedError(
    ConversationsError,
    code=20422,
    status=422,
    text="Invalid Parameter: the Idempotency-Key must not have been used for another request within the last 24 hours",
):
    """Convoke's own error: Twilio has no idempotency keys."""


class InvalidSidError(
    ConversationsError, code=20423, text="A SID must be two capital letters and 32 hexadecimal digits"
):
    """A malformed SID that has no code of its own."""


class InternalError(
    ConversationsError, code=20500, status=500, text="The server failed: try again, and report the error if it persists"
):
    """An unexpected exception in Convoke."""


class UnavailableError(
    ConversationsError, code=20503, status=503, text="Temporarily unavailable: try again in a second"
):
    """Too many requests change the same resource at once."""


# Services and configuration webhooks


class FriendlyNameMissingError(ConversationsError, code=50000, text="The friendly name must be given and not be empty"):
    """Creating a service."""


class FriendlyNameTooLongError(
    ConversationsError,
    code=50003,
    text="The friendly name must be at most 256 characters, or 64 for roles and credentials",
):
    """The friendly name of any resource. See docs/behaviour/limits.md."""


class UniqueNameTooLongError(ConversationsError, code=50004, text="The unique name must be at most 256 characters"):
    """The unique name of a conversation. The limit is Convoke's own."""


class InvalidWebhookSettingsError(
    ConversationsError,
    code=50054,
    text="A webhook URL must be an absolute http or https URL, and a filter must be the name of an event",
):
    """The webhooks of an account or a service, and the URL of any webhook. `wanted` is a rule of the deployment."""

    @property
    def message(self) -> str:
        """The requirement of the deployment if it is the reason, else the general rule."""
        wanted = self.details.get("wanted")
        return f"{self.parameter or 'A webhook URL'} must be {wanted}" if wanted else str(self)


class InvalidWebhookMethodError(ConversationsError, code=50055, text="The method of a webhook must be GET or POST"):
    """Any webhook."""


class WebhookRejectedError(
    ConversationsError, code=50056, text="The pre-event webhook rejected the change: it did not answer with status 2xx"
):
    """The change was not made."""


class WebhookFailedError(LogEntry, code=50057, text="The receiver of a webhook answered with an error, or not at all"):
    """Recorded after the last attempt."""


class NotificationTemplateTooLongError(
    ConversationsError, code=50058, text="The template of a notification must be shorter"
):
    """The notification configuration of a service."""


class NotificationSoundTooLongError(
    ConversationsError, code=50059, text="The name of a notification's sound must be shorter"
):
    """The notification configuration of a service."""


class WebhookTimeoutError(LogEntry, code=50076, text="The receiver of a webhook did not answer within 5 seconds"):
    """Recorded after the last attempt."""


# Roles and users


class UnknownConversationRoleError(
    ConversationsError, code=50101, text="The role must be a role of this service with the type conversation"
):
    """A default role in the configuration of a service. The role of a participant has the code 50109."""


class UnknownServiceRoleError(
    ConversationsError, code=50102, text="The role must be a role of this service with the type service"
):
    """The role of a user, or a default role in the configuration of a service."""


class RoleSidMissingError(ConversationsError, code=50103, text="The role SID must not be empty"):
    """A default role in the configuration of a service."""


class UnknownPermissionError(
    ConversationsError, code=50104, text="Each permission must be one that a role of this type can have"
):
    """Each type of role has its own list of permissions."""


class UnknownRoleTypeError(ConversationsError, code=50105, text="The type of a role must be conversation or service"):
    """Creating a role."""


class NotPermittedError(
    ConversationsError, code=50107, status=403, text="The role of the user must permit this action"
):
    """Clients with an access token. Account credentials are not subject to roles."""


class InvalidRoleSidError(
    ConversationsError,
    code=50109,
    text="The role SID must be the SID of a role of this service with the type conversation",
):
    """The role of a participant."""


class UserExistsError(ConversationsError, code=50201, status=409, text="User already exists"):
    """The service has a user with this identity. Identities are case-sensitive."""


class IdentityReservedError(ConversationsError, code=50203, text="The identity must not be a reserved one"):
    """An identity such as `system`, which Convoke itself uses."""


class IdentityMissingError(ConversationsError, code=50204, text="Identity not provided"):
    """A user without an identity, or a participant with neither an identity nor an address."""


class IdentityLooksLikeUserSidError(
    ConversationsError,
    code=50206,
    text="The identity must not have the form of a user SID: US and 32 hexadecimal digits",
):
    """A path accepts a SID or an identity, so such an identity would be ambiguous."""


class IdentityTooLongError(ConversationsError, code=50207, text="The identity must be at most 256 characters"):
    """The identity of a participant or user."""


class InvalidPushBindingTypeError(
    ConversationsError, code=50209, text="The type of a push binding must be apn, gcm, fcm or twilsock"
):
    """Listing the push bindings of a service or a user."""


class UnknownNotificationLevelError(
    ConversationsError, code=50210, text="The notification level must be default or muted"
):
    """The notification level of a user in a conversation."""


class IdentityNotAcceptableError(
    ConversationsError, code=50211, text="Identity parameter not acceptable for this Participant"
):
    """An identity together with an address or a proxy address."""


class UserChangedConcurrentlyError(
    ConversationsError, code=50213, status=409, text="Another request is changing the user: try again"
):
    """Two requests change the same user at once."""


class TooManyConversationsError(
    ConversationsError, code=50214, text="The identity must be in at most 1,000 open conversations"
):
    """Active and inactive conversations count, closed ones do not."""


# Conversations


class AttributesTooLongError(
    ConversationsError, code=50303, text="The attributes must be at most {longest} bytes of UTF-8"
):
    """The limit depends on the resource."""


class AttributesNotJsonError(ConversationsError, code=50304, text="Attributes not valid JSON"):
    """Any JSON value is valid, not only objects."""


class InvalidDateCreatedError(
    ConversationsError,
    code=50308,
    text="The creation date must be an ISO 8601 date and time such as 2026-01-02T03:04:05Z",
):
    """An imported conversation, participant or message."""


class InvalidDateUpdatedError(
    ConversationsError,
    code=50309,
    text="The date of the last update must be an ISO 8601 date and time such as 2026-01-02T03:04:05Z",
):
    """An imported conversation, participant or message."""


class AuthorTooLongError(ConversationsError, code=50310, text="The author must be at most 256 characters"):
    """The same limit as for the identities and addresses that an author can be."""


class ConversationBeingDeletedError(
    ConversationsError, code=50334, status=409, text="The conversation is being deleted: the change was discarded"
):
    """A change that arrives between the deletion of a conversation and the removal of its items."""


class InvalidMessagingServiceSidError(
    ConversationsError, code=50341, text="The Messaging Service SID must be MG and 32 hexadecimal digits"
):
    """Only the form is checked."""


class UniqueNameTakenError(
    ConversationsError, code=50353, status=409, text="Conversation with provided unique name already exists"
):
    """A closed conversation keeps its unique name until it is deleted."""


class MessagingServiceMissingError(
    ConversationsError, code=50373, text="No Messaging Service assigned to Conversation"
):
    """A participant with an address needs one, and neither the request nor the account's configuration names one."""


class StateEmptyError(ConversationsError, code=50374, text="The state must not be empty"):
    """A `State` parameter with an empty value."""


class InactiveTimerTooShortError(
    ConversationsError, code=50375, text="The inactive timer must be at least 1 minute, or PT0S to switch it off"
):
    """See docs/behaviour/states-and-timers.md."""


class ClosedTimerTooShortError(
    ConversationsError, code=50376, text="The closed timer must be at least 10 minutes, or PT0S to switch it off"
):
    """See docs/behaviour/states-and-timers.md."""


class ConversationClosedError(
    ConversationsError, code=50377, text="Can't update conversation as it's in final closed state"
):
    """Any change of a closed conversation except its deletion."""


class StateUnknownError(ConversationsError, code=50378, text="The state must be active, inactive or closed"):
    """A request cannot ask for `initializing`."""


class InvalidInactiveTimerError(
    ConversationsError,
    code=50379,
    text="The inactive timer must be an ISO 8601 duration such as PT1M, PT10M or P1D, without years and months",
):
    """Years and months have no fixed length."""


class InvalidClosedTimerError(
    ConversationsError,
    code=50380,
    text="The closed timer must be an ISO 8601 duration such as PT10M, PT1H or P1D, without years and months",
):
    """Years and months have no fixed length."""


class InitialStateClosedError(
    ConversationsError, code=50384, text="The state of a new conversation must be active or inactive"
):
    """An update can close a conversation."""


class ConversationInitializingError(
    ConversationsError,
    code=50386,
    status=409,
    text="The conversation is still initializing: try again when its state is active or inactive",
):
    """Convoke is adding the participants. See docs/behaviour/states-and-timers.md."""


class UniqueNameLooksLikeSidError(
    ConversationsError,
    code=50390,
    text="The unique name must not have the form of a conversation SID: CH and 32 hexadecimal digits",
):
    """A path accepts a SID or a unique name, so such a unique name would be ambiguous."""


class EndDateBeforeStartDateError(
    ConversationsError, code=50396, text="The end date must not be before the start date"
):
    """A list that is filtered by date."""


# Webhooks of a conversation


class TooManyWebhooksError(ConversationsError, code=50361, text="A conversation must have at most 5 webhooks"):
    """The webhooks of the account and the service do not count."""


class TooManyTriggersError(ConversationsError, code=50362, text="A webhook must have at most 5 triggers"):
    """The keywords of a webhook with the target `trigger`."""


class InvalidWebhookSidError(
    ConversationsError, code=50363, text="The webhook SID must be WH and 32 hexadecimal digits"
):
    """Only the form is checked. An unknown webhook is 20404."""


class UnknownWebhookTargetError(
    ConversationsError, code=50364, text="The target of a webhook must be webhook, trigger or studio"
):
    """Creating a webhook. An update cannot change the target."""


class UnknownWebhookFilterError(
    ConversationsError, code=50365, text="A filter of a conversation's webhook must be the name of a post-event"
):
    """Only the webhooks of the account and the service receive pre-events."""


class InvalidWebhookTriggerError(
    ConversationsError, code=50366, text="A trigger must be a keyword of 1 to 248 characters"
):
    """A webhook with the target `trigger`."""


class InvalidFlowSidError(
    ConversationsError, code=50367, text="The Studio flow SID must be FW and 32 hexadecimal digits"
):
    """A webhook with the target `studio`. Only the form is checked."""


class WebhookTargetMissingError(
    ConversationsError, code=50368, text="The target must be given: webhook, trigger or studio"
):
    """Creating a webhook."""


class WebhookUrlMissingError(
    ConversationsError, code=50369, text="A webhook with the target webhook or trigger must have a URL"
):
    """A webhook with the target `studio` has no URL."""


class WebhookFilterMissingError(
    ConversationsError, code=50370, text="A webhook with the target webhook must have at least one filter"
):
    """Without a filter Convoke would never call the webhook."""


class WebhookTriggerMissingError(
    ConversationsError, code=50371, text="A webhook with the target trigger must have 1 to 5 triggers"
):
    """Without a trigger Convoke would never call the webhook."""


class WebhookUrlTooLongError(
    ConversationsError, code=50372, text="The URL of a webhook must be at most 512 characters"
):
    """See docs/behaviour/limits.md."""


# Participants and ConversationWithParticipants


class InvalidAddressError(ConversationsError, code=50407, text="Invalid messaging binding address"):
    """A malformed address, one over 256 characters, or an address together with a projected address."""


class InvalidProxyAddressError(
    ConversationsError,
    code=50408,
    text="The proxy address must be at most 256 characters, such as +15558675310 or whatsapp:+15558675310",
):
    """Only the form is checked. A proxy address of another account is 50413."""


class AddressEqualsProxyError(
    ConversationsError, code=50409, text="The address and the proxy address must be different"
):
    """The address belongs to the participant, the proxy address to the account."""


class AddressEmptyError(
    ConversationsError, code=50411, text="The address must not be empty, and must be given with a proxy address"
):
    """An empty address, or a proxy address without an address."""


class ProxyAddressEmptyError(ConversationsError, code=50412, text="The proxy address must not be empty"):
    """A proxy address with an empty value."""


class ProxyAddressNotOwnedError(ConversationsError, code=50413, text="The proxy address must belong to this account"):
    """Checked only if the account lists its own addresses."""


class ChannelMismatchError(
    ConversationsError, code=50414, text="The address and the proxy address must be on the same channel"
):
    """For example, one of them has the prefix `whatsapp:` and the other does not."""


class ProxyNotWhatsAppSenderError(
    ConversationsError, code=50415, text="The proxy address must be a WhatsApp sender of this account"
):
    """Checked only if the account lists its own addresses."""


class BindingTakenError(
    ConversationsError,
    code=50416,
    status=409,
    text="A binding for this participant and proxy address already exists"
    " in Conversation {conflicting_conversation_sid}",
):
    """Another open conversation of the account has the same pair. Clients read the SID at the end of the message."""


class TooManyParticipantsError(
    ConversationsError, code=50417, text="A conversation must have at most 1,000 participants"
):
    """All participants count. A group MMS has the lower limit of 50436."""


class TooManyNonChatParticipantsError(
    ConversationsError, code=50418, text="A conversation must have at most 50 participants with a messaging binding"
):
    """Participants with an identity only do not count."""


class NameOrLevelNotAcceptableError(
    ConversationsError,
    code=50420,
    text="The name and level of a messaging binding must be given for e-mail participants only",
):
    """A name or level for any other channel."""


class InvalidLastReadMessageIndexError(
    ConversationsError, code=50421, text="The index of the last read message must be an integer"
):
    """The read position of a participant or of a user's conversation."""


class ParticipantNotJsonError(
    ConversationsError,
    code=50424,
    text="Each participant must be a JSON object with keys in snake_case",
):
    """The value is no JSON, or another JSON value than an object."""


class BindingsTakenError(
    ConversationsError,
    code=50425,
    status=409,
    text="One or more pairs of address and proxy address are already in use, the first of them in {where}",
):
    """`where` is `Conversation CH...`, or `this request` for a repeated pair. Clients read the SID at the end."""


class TooManyParticipantsInRequestError(
    ConversationsError,
    code=50426,
    text="The request must have at most 10 participants: add the others after the conversation is created",
):
    """ConversationWithParticipants only."""


class ProvisioningFailedError(
    LogEntry,
    code=50427,
    text="The participants could not be added: the conversation is closed, and the same request can be made again",
):
    """All locks of the conversation are released. The alert lists the errors that led to it."""


class ParticipantExistsError(ConversationsError, code=50433, status=409, text="Participant already exists"):
    """The identity is already in this conversation, or twice in this request."""


class ProjectedAddressMissingError(
    ConversationsError, code=50434, text="A participant with an identity must have a projected address in a group MMS"
):
    """The phones of the group see the projected address instead of the identity."""


class GroupNotActivatableError(
    ConversationsError,
    code=50435,
    text="A group MMS must have at least 3 participants with a messaging binding: at least one phone and one business"
    " number, and a projected address for each identity",
):
    """A phone has an address and no proxy address. A business number is a projected address or a proxy address."""


class GroupTooLargeError(ConversationsError, code=50436, text="A group MMS must have at most 10 participants"):
    """All participants count."""


class DuplicateGroupMemberError(
    ConversationsError, code=50437, status=409, text="Each participant must be in the group MMS only once"
):
    """A repeated address, pair, or identity with projected address. Identities may share a projected address."""


class GroupExistsError(
    ConversationsError,
    code=50438,
    status=409,
    text="Group MMS with given participant list already exists as Conversation {conflicting_conversation_sid}",
):
    """An open conversation has the same set of numbers. Clients read the SID at the end of the message."""


class ProjectedAddressNotOwnedError(
    ConversationsError, code=50439, text="The projected address must be a phone number of this account"
):
    """Also a projected address that is not a phone number."""


class ProxyAddressNotRemovableError(
    ConversationsError, code=50440, text="The participant must have a proxy address for it to be removed"
):
    """Updating a participant that has no proxy address, or that is not on SMS."""


class ProxyAddressNotAddableError(
    ConversationsError, code=50441, text="The participant must have an address for a proxy address to be added"
):
    """Updating a participant that has an identity only."""


class ProjectedAddressNotRemovableError(
    ConversationsError, code=50442, text="The participant must have a projected address for it to be removed"
):
    """Updating a participant of a group MMS."""


class ProjectedAddressNotAddableError(
    ConversationsError,
    code=50443,
    text="The participant must have no messaging binding for a projected address to be added",
):
    """Updating a participant."""


class IdentityNotAddableError(
    ConversationsError,
    code=50444,
    text="The participant must have a projected address and no identity for an identity to be added",
):
    """Assigning a business number of a group MMS to a user."""


class IdentityWithAddressError(ConversationsError, code=50451, text="Identity and Address must not be given together"):
    """Listing the conversations of a participant."""


class ProxyNotSupportedError(
    ConversationsError, code=50453, text="Participants on this channel must not have a proxy address"
):
    """An e-mail participant."""


# Messages


class MessageEmptyError(
    ConversationsError, code=50503, text="The message must have a body, media or a content template"
):
    """An empty body counts as no body."""


class MessageTooLongError(
    ConversationsError,
    code=50504,
    text="The body must be at most 1,600 characters if a participant has an address, and at most 32 KB otherwise",
):
    """See docs/behaviour/limits.md."""


class MediaSidMissingError(ConversationsError, code=50506, text="The media SID must not be empty"):
    """A `MediaSid` parameter with an empty value."""


class MediaNotFoundError(ConversationsError, code=50507, text="The media must be uploaded to this service first"):
    """The media is a parameter of the message and not the requested resource, so this is not a 404."""


class MediaAlreadyUsedError(
    ConversationsError, code=50508, text="The media must not be in another message: upload it again"
):
    """Each media belongs to one message."""


class MediaMessageBodyFixedError(
    ConversationsError, code=50509, text="The body of a message with media must not change"
):
    """Updating a message."""


class InvalidMediaSidError(ConversationsError, code=50510, text="The media SID must be ME and 32 hexadecimal digits"):
    """Only the form is checked."""


class MediaTypeNotAcceptableError(
    ConversationsError, code=50511, text="The content type of the media must be one that this channel accepts"
):
    """Each channel has its own list of content types."""


class MediaTooLargeError(
    ConversationsError,
    code=50512,
    text="The media must be at most 150 MB in chat, 5 MB in total by MMS, and 16 MB on WhatsApp",
):
    """See docs/behaviour/limits.md."""


class AuthorNotInGroupError(
    ConversationsError,
    code=50513,
    text="The author must be the identity, address or projected address of a participant in the group MMS",
):
    """The default author `system` is not a participant."""


class InvalidContentSidError(
    ConversationsError, code=50526, text="The content SID must be HX and 32 hexadecimal digits"
):
    """Only the form is checked."""


class ContentVariablesNotJsonError(
    ConversationsError, code=50527, text="The content variables must be a JSON object whose values are strings"
):
    """The variables of a content template."""


class ContentSidMissingError(
    ConversationsError, code=50528, text="The content SID must be given together with content variables"
):
    """Content variables without a content template."""


class ContentVariablesTooLongError(
    ConversationsError, code=50529, text="The content variables must be at most 27,801 characters in total"
):
    """Keys and values together."""


class ChannelMetadataNotFoundError(ConversationsError, code=50530, text="The message must have channel metadata"):
    """The message exists, but its channel provided no metadata."""


class ContentVariableKeyTooLongError(
    ConversationsError, code=50540, text="The key of a content variable must be at most 16 characters"
):
    """See docs/behaviour/limits.md."""


class ContentVariableTooLongError(
    ConversationsError, code=50541, text="The value of a content variable must be at most 256 characters"
):
    """See docs/behaviour/limits.md."""


class TooManyContentVariablesError(
    ConversationsError, code=50542, text="A message must have at most 100 content variables"
):
    """See docs/behaviour/limits.md."""
