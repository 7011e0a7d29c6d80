"""THE error catalogue: every failure a request is answered with, a class each (reference, section c).

Where two codes mean the same, only the one of Conversations is here: those of Programmable Chat, from which the numbers
come, are never answered (50208, 50347, 50349, 50393, 50422, 50449 and the like). A missing resource is always 20404.
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
"""What a request can be answered with, by code."""

LOG_ENTRIES: dict[int, type[LogEntry]] = {}
"""What only alerts record, by code."""


def _more_info(code: int) -> str:
    """Part of the wire format: clients know this address."""
    return f"https://www.twilio.com/docs/errors/{code}"


def _refuse_known(code: int, name: str) -> None:
    known = CATALOGUE.get(code) or LOG_ENTRIES.get(code)
    if known:
        raise TypeError(f"{name} and {known.__name__} have the same code {code}")


class ConversationsError(ValueError):
    """A request that cannot be served. A ValueError, so that validators of pydantic may raise it and have it collected.

    `parameter` names what is at fault, as the client wrote it. `others` are further problems of the same request.
    `details` are the keyword arguments: the figures and SIDs that `text` and the answer need. They and the message are
    logged, so they never hold personal data: no names, identities, addresses, attributes or bodies (but see
    NotFoundError). A placeholder of `text` that is not among them is a KeyError at once.
    """

    code: ClassVar[int]
    status: ClassVar[int]
    text: ClassVar[str]
    """May hold {placeholders}, filled from the keyword arguments."""
    rule: ClassVar[str]
    """What was not kept, in a word that stays the same: `unique_name_taken`."""

    def __init_subclass__(cls, *, code: int, status: int = 400, text: str) -> None:
        super().__init_subclass__()
        _refuse_known(code, cls.__name__)
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
        """The same failure, where it was found."""
        return type(self)(parameter=parameter, field=(), **self.details)

    @property
    def message(self) -> str:
        return str(self)

    @property
    def more_info(self) -> str:
        return _more_info(self.code)


def refusal(problems: Sequence[ConversationsError]) -> ConversationsError:
    """The first of `problems`, to be raised with the others beside it."""
    first, *others = problems
    first.others = tuple(others)
    return first


class LogEntry:
    """A failure that comes to light after the answer: for alerts only. No exception, so nobody can answer with it."""

    code: ClassVar[int]
    text: ClassVar[str]
    more_info: ClassVar[str]

    def __init_subclass__(cls, *, code: int, text: str) -> None:
        super().__init_subclass__()
        _refuse_known(code, cls.__name__)
        cls.code, cls.text, cls.more_info = code, text, _more_info(code)
        LOG_ENTRIES[code] = cls


# The platform (c.3)


class InvalidParameterError(ConversationsError, code=20001, text="A parameter has a value that it does not take"):
    """An unknown value of an enumeration, a boolean or a number: whatever has no code of its own."""

    @property
    def message(self) -> str:
        """Names the parameter, as the text could stand for any, and what is wanted of it where that is known."""
        return ": ".join(str(part) for part in (self, self.parameter, self.details.get("wanted")) if part)


class InvalidFriendlyNameError(ConversationsError, code=20002, text="The friendly name cannot be used"):
    """For what is wrong with it other than its length (50003) or its absence (50000)."""


class NotAuthenticatedError(ConversationsError, code=20003, status=401, text="Authenticate"):
    """Credentials missing or wrong."""


class MethodNotAllowedError(ConversationsError, code=20004, status=405, text="Method not allowed"):
    """A known path, asked with a verb it does not take."""


class AccountNotActiveError(ConversationsError, code=20005, status=403, text="The account is suspended or closed"):
    """The credentials are right, the account may not be used."""


class AccessDeniedError(
    ConversationsError, code=20006, status=403, text="These credentials do not give access to this resource"
):
    """The credentials are right, but not for this."""


class PageTooLargeError(
    ConversationsError, code=20007, text="The page size is too large: most lists take 1 to 100, some less"
):
    """Not answered by default: a page size is clamped, since SDKs send any (reference, a.0)."""


class CredentialsForTestsError(
    ConversationsError, code=20008, status=403, text="Test credentials cannot be used here: use those of the account"
):
    """Conversations is not covered by test credentials."""


class NotFoundError(ConversationsError, code=20404, status=404, text="The requested resource was not found"):
    """Unknown, or of another account or service. `path` goes without `/v1`; it may hold an identity: do not log it."""


class ConflictError(ConversationsError, code=20409, status=409, text="Conflict"):
    """A conflict with the state of the resource that has no code of its own."""


class GoneError(ConversationsError, code=20410, status=410, text="This resource existed and is no longer available"):
    """Unlike 20404, it will not come back."""


class IdempotencyKeyReusedError(
    ConversationsError,
    code=20422,
    status=422,
    text="Invalid Parameter: the idempotency key was used for another request within the last 24 hours",
):
    """Ours: Twilio knows no idempotency keys, and a parameter's own rules have 20001 or a code of their own."""


class InvalidSidError(
    ConversationsError, code=20423, text="A SID is malformed: it is two capital letters and 32 hexadecimal digits"
):
    """A SID in a path or parameter that has no code of its own."""


class HttpsRequiredError(ConversationsError, code=20426, status=426, text="Use HTTPS for this request"):
    """Only where plain HTTP is refused."""


class TooManyRequestsError(ConversationsError, code=20429, status=429, text="Too Many Requests"):
    """The account's rate or number of requests at once; the answer says in `Retry-After` when to come back."""


class InternalError(
    ConversationsError, code=20500, status=500, text="The server failed: try again, and report it if it stays so"
):
    """A mistake of ours."""


class UnavailableError(
    ConversationsError, code=20503, status=503, text="Temporarily unavailable: try again after a short while"
):
    """Something the server depends on does not answer."""


# Services, delivery of webhooks, limits (c.4)


class FriendlyNameMissingError(
    ConversationsError, code=50000, text="A friendly name is required and must not be empty"
):
    """Creating a service or a role."""


class ResourceBeingDeletedError(
    ConversationsError, code=50002, status=409, text="This resource is being deleted and takes no more changes"
):
    """Deleting takes a while; what comes in between is refused."""


class FriendlyNameTooLongError(
    ConversationsError,
    code=50003,
    text="The friendly name is too long: 256 characters are the most, 64 for roles and credentials",
):
    """The limits: reference, f.1."""


class UniqueNameTooLongError(
    ConversationsError, code=50004, text="The unique name is too long: 256 characters are the most"
):
    """The limit is ours (reference, h 21)."""


class InvalidAccountSidError(
    ConversationsError, code=50006, text="The account SID is malformed: it is AC and 32 hexadecimal digits"
):
    """By its form; one of another account is 20404."""


class InvalidWebhookSettingsError(
    ConversationsError,
    code=50054,
    text="The webhook settings are malformed: a URL is absolute, with http or https, a filter is the name of an event",
):
    """The webhooks of an account or a service, and the URL of any; `wanted` says what else the deployment demands."""

    @property
    def message(self) -> str:
        return ": ".join(str(part) for part in (self, self.details.get("wanted")) if part)


class InvalidWebhookMethodError(ConversationsError, code=50055, text="The method of a webhook is GET or POST"):
    """The webhooks of an account or a service."""


class WebhookRejectedError(
    ConversationsError, code=50056, text="The pre-event webhook rejected this: it answered something else than 200"
):
    """The receiver decided; the action did not happen."""


class WebhookFailedError(LogEntry, code=50057, text="A webhook's receiver answered with an error or not at all"):
    """After the last attempt."""


class NotificationTemplateTooLongError(
    ConversationsError, code=50058, text="The template of a notification is too long: shorten it"
):
    """The limit is not documented."""


class NotificationSoundTooLongError(
    ConversationsError, code=50059, text="The name of a notification's sound is too long: shorten it"
):
    """The limit is not documented."""


class ActionRateExceededError(
    ConversationsError,
    code=50063,
    status=429,
    text="Too many changes a second: 30 are the most for a service, and for a conversation",
):
    """Writes only, each service and each conversation for itself (reference, f.1)."""


class InvalidWebhookRetryCountError(
    ConversationsError, code=50065, text="The number of retries is a whole number from 0 to 3"
):
    """Of a webhook."""


class GlobalActionRateExceededError(
    ConversationsError, code=50074, status=429, text="Too many changes a second at this moment: try again more slowly"
):
    """All of the account's writes together."""


class WebhookTimeoutError(LogEntry, code=50076, text="A webhook's receiver took longer than 5 seconds"):
    """After the last attempt."""


# Roles and users (c.5)


class UnknownConversationRoleError(
    ConversationsError, code=50101, text="The role is not a known one of conversation scope"
):
    """A default role in the configuration of a service; a participant's is 50109."""


class UnknownServiceRoleError(ConversationsError, code=50102, text="The role is not a known one of service scope"):
    """A user's role, or a default role in the configuration of a service."""


class RoleSidMissingError(ConversationsError, code=50103, text="A role SID is required and must not be empty"):
    """Given, but empty."""


class UnknownPermissionError(
    ConversationsError, code=50104, text="A permission is not one that a role of this type can have"
):
    """Either scope has a list of its own (reference, a.13)."""


class UnknownRoleTypeError(ConversationsError, code=50105, text="The type of a role is conversation or service"):
    """Required, and fixed after creation."""


class CreatorRoleMissingError(
    ConversationsError, code=50106, text="The service has no role for the creator of a conversation: configure one"
):
    """The configuration of the service, not the request, is at fault."""


class NotPermittedError(ConversationsError, code=50107, status=403, text="The user's role does not permit this"):
    """Clients with an access token; account credentials are above roles."""


class InvalidRoleSidError(
    ConversationsError, code=50109, text="The role SID is not that of a role of conversation scope in this service"
):
    """A participant's role: malformed, unknown or of service scope."""


class UserExistsError(ConversationsError, code=50201, status=409, text="User already exists"):
    """Identities are unique in a service, upper and lower case told apart."""


class UserSidMissingError(
    ConversationsError, code=50202, text="The SID or the identity of a user is required and must not be empty"
):
    """Given, but empty."""


class IdentityReservedError(ConversationsError, code=50203, text="This identity is reserved: choose another one"):
    """Kept for the server itself, as `system` is."""


class IdentityMissingError(ConversationsError, code=50204, text="Identity not provided"):
    """A user without identity; a member with neither an identity nor an address."""


class IdentityLooksLikeUserSidError(
    ConversationsError,
    code=50206,
    text="An identity must not have the form of a user SID: US and 32 hexadecimal digits",
):
    """Paths take either, so it would be ambiguous."""


class IdentityTooLongError(
    ConversationsError, code=50207, text="The identity is too long: 256 characters are the most"
):
    """The limit: reference, f.1."""


class InvalidPushBindingTypeError(
    ConversationsError, code=50209, text="The type of a push binding is apn, gcm, fcm or twilsock"
):
    """Listing the push bindings of a service or a user."""


class UnknownNotificationLevelError(ConversationsError, code=50210, text="The notification level is default or muted"):
    """Of a user in a conversation."""


class IdentityNotAcceptableError(
    ConversationsError, code=50211, text="Identity parameter not acceptable for this Participant"
):
    """An identity together with an address or a proxy address."""


class UserChangedConcurrentlyError(
    ConversationsError, code=50213, status=409, text="The user is being changed by another request: try again"
):
    """Added or removed at the same moment."""


class TooManyConversationsError(
    ConversationsError, code=50214, text="The identity is in too many open conversations: 1,000 are the most"
):
    """Active and inactive ones count, closed ones do not."""


# Conversations (c.6)


class AttributesTooLongError(
    ConversationsError, code=50303, text="The attributes are too long: {longest} bytes of UTF-8 are the most"
):
    """`longest` is the limit of the resource."""


class AttributesNotJsonError(ConversationsError, code=50304, text="Attributes not valid JSON"):
    """Any JSON value will do, not objects only."""


class InvalidDateCreatedError(
    ConversationsError,
    code=50308,
    text="The date of creation is not an ISO 8601 date and time such as 2026-01-02T03:04:05Z",
):
    """Of conversations, members and messages that are imported."""


class InvalidDateUpdatedError(
    ConversationsError,
    code=50309,
    text="The date of the last update is not an ISO 8601 date and time such as 2026-01-02T03:04:05Z",
):
    """Of conversations, members and messages that are imported."""


class AuthorTooLongError(ConversationsError, code=50310, text="The author is too long: 256 characters are the most"):
    """As long as the identities and addresses that it may be."""


class ConversationBeingDeletedError(
    ConversationsError, code=50334, status=409, text="The conversation is being deleted: the change was discarded"
):
    """Deleting takes a while; what comes in between is refused."""


class MessagingServiceSidMissingError(
    ConversationsError, code=50340, text="A Messaging Service SID is required and must not be empty"
):
    """Given, but empty; 50373 is a conversation that lacks one."""


class InvalidMessagingServiceSidError(
    ConversationsError, code=50341, text="The Messaging Service SID is malformed: it is MG and 32 hexadecimal digits"
):
    """By its form only."""


class MessagingServiceNotOwnedError(
    ConversationsError, code=50342, text="The Messaging Service does not belong to this account"
):
    """Unknown, or of another account."""


class UniqueNameTakenError(
    ConversationsError, code=50353, status=409, text="Conversation with provided unique name already exists"
):
    """A closed conversation keeps its name until it is deleted."""


class MessagingServiceMissingError(
    ConversationsError, code=50373, text="No Messaging Service assigned to Conversation"
):
    """Needed by every member outside chat; the account's default serves where the request names none."""


class StateEmptyError(ConversationsError, code=50374, text="The state is empty: leave it out, or give a valid one"):
    """Given, but empty."""


class InactiveTimerTooShortError(
    ConversationsError, code=50375, text="The inactive timer is too short: 1 minute is the least, PT0S switches it off"
):
    """The limit: reference, e.3."""


class ClosedTimerTooShortError(
    ConversationsError, code=50376, text="The closed timer is too short: 10 minutes are the least, PT0S switches it off"
):
    """The limit: reference, e.3."""


class ConversationClosedError(
    ConversationsError, code=50377, text="Can't update conversation as it's in final closed state"
):
    """Any change but deleting it."""


class StateUnknownError(ConversationsError, code=50378, text="The state is not one of active, inactive and closed"):
    """`initializing` is nothing a client may ask for."""


class InvalidInactiveTimerError(
    ConversationsError, code=50379, text="The inactive timer is not an ISO 8601 duration such as PT1M, PT10M or P1D"
):
    """Years and months are refused as well: they have no length of their own."""


class InvalidClosedTimerError(
    ConversationsError, code=50380, text="The closed timer is not an ISO 8601 duration such as PT10M, PT1H or P1D"
):
    """Years and months are refused as well: they have no length of their own."""


class InitialStateClosedError(
    ConversationsError, code=50384, text="A conversation cannot start closed: it starts active or inactive"
):
    """Creating; closing one later is an update."""


class RegionNotSupportedError(ConversationsError, code=50385, text="Conversations are not available in this region"):
    """Only where a deployment is bound to regions."""


class ConversationInitializingError(
    ConversationsError,
    code=50386,
    status=409,
    text="The conversation is still initializing: try again once it is active or inactive",
):
    """Its members are being added; only reading, deleting and webhooks are possible (reference, b.1)."""


class UniqueNameLooksLikeSidError(
    ConversationsError,
    code=50390,
    text="A unique name must not have the form of a conversation SID: CH and 32 hexadecimal digits",
):
    """Paths take either, so it would be ambiguous."""


class ConversationChangedConcurrentlyError(
    ConversationsError,
    code=50391,
    status=409,
    text="The conversation is being created or deleted by another request: try again",
):
    """Also one of the same unique name."""


class WebhookTimeoutTooShortError(
    ConversationsError, code=50392, text="The time limit of a pre-event webhook must be longer than 0 milliseconds"
):
    """The settings of webhooks, not a call that took too long (50076)."""


class EndDateBeforeStartDateError(
    ConversationsError, code=50396, text="The end date is before the start date: exchange them"
):
    """Listing conversations by date."""


# Webhooks of a conversation (c.7)


class TooManyWebhooksError(
    ConversationsError, code=50361, text="The conversation has too many webhooks: 5 are the most"
):
    """Those of the account and the service do not count."""


class TooManyTriggersError(ConversationsError, code=50362, text="The webhook has too many triggers: 5 are the most"):
    """Keywords of a hook with the target `trigger`."""


class InvalidWebhookSidError(
    ConversationsError, code=50363, text="The webhook SID is malformed: it is WH and 32 hexadecimal digits"
):
    """By its form; an unknown one is 20404."""


class UnknownWebhookTargetError(
    ConversationsError, code=50364, text="The target of a webhook is webhook, trigger or studio"
):
    """Fixed after creation."""


class UnknownWebhookFilterError(
    ConversationsError, code=50365, text="A filter of a conversation's webhook is the name of a post-event"
):
    """Pre-events are for the webhooks of the account and the service."""


class InvalidWebhookTriggerError(ConversationsError, code=50366, text="A trigger is a keyword of 1 to 248 characters"):
    """Of a hook with the target `trigger`."""


class InvalidFlowSidError(
    ConversationsError, code=50367, text="The Studio flow SID is malformed: it is FW and 32 hexadecimal digits"
):
    """Of a hook with the target `studio`."""


class WebhookTargetMissingError(
    ConversationsError, code=50368, text="A target is required: webhook, trigger or studio"
):
    """Creating a hook."""


class WebhookUrlMissingError(
    ConversationsError, code=50369, text="A webhook with the target webhook or trigger needs a URL"
):
    """A hook to Studio has none."""


class WebhookFilterMissingError(
    ConversationsError, code=50370, text="A webhook with the target webhook needs one filter or more"
):
    """Without one it would never be called."""


class WebhookTriggerMissingError(
    ConversationsError, code=50371, text="A webhook with the target trigger needs 1 to 5 triggers"
):
    """Without one it would never be called."""


class WebhookUrlTooLongError(
    ConversationsError, code=50372, text="The URL of the webhook is too long: 512 characters are the most"
):
    """The limit: reference, f.1."""


# Participants and ConversationWithParticipants (c.8)


class InvalidAddressError(ConversationsError, code=50407, text="Invalid messaging binding address"):
    """Malformed or over 256 characters; also an address together with a projected address, seen live."""


class InvalidProxyAddressError(
    ConversationsError,
    code=50408,
    text="The proxy address is malformed: it is at most 256 characters, such as +15558675310 or whatsapp:+15558675310",
):
    """By its form; whose it is, is 50413."""


class AddressEqualsProxyError(
    ConversationsError, code=50409, text="The address and the proxy address are the same: they must differ"
):
    """The one is the member's, the other faces the member."""


class AddressEmptyError(
    ConversationsError, code=50411, text="The address is empty: a proxy address needs one, other members leave it out"
):
    """Empty, or absent beside a proxy address."""


class ProxyAddressEmptyError(
    ConversationsError, code=50412, text="The proxy address is empty: give one, or leave it out"
):
    """Given, but empty."""


class ProxyAddressNotOwnedError(
    ConversationsError, code=50413, text="The proxy address does not belong to this account"
):
    """The account's list of numbers, where it keeps one."""


class ChannelMismatchError(
    ConversationsError, code=50414, text="The address and the proxy address must be on the same channel"
):
    """One with the prefix `whatsapp:` and one without, say."""


class ProxyNotWhatsAppSenderError(
    ConversationsError, code=50415, text="The proxy address is not set up as a WhatsApp sender"
):
    """The account owns it, but not on WhatsApp."""


class BindingTakenError(
    ConversationsError,
    code=50416,
    status=409,
    text="A binding for this participant and proxy address already exists"
    " in Conversation {conflicting_conversation_sid}",
):
    """The pair is in another open conversation of the account. Clients read the SID at the end."""


class TooManyParticipantsError(
    ConversationsError, code=50417, text="The conversation has too many members: 1,000 are the most"
):
    """Of all kinds; 10 in a group MMS (50436)."""


class TooManyNonChatParticipantsError(
    ConversationsError, code=50418, text="The conversation has too many members outside chat: 50 are the most"
):
    """Members with a messaging binding."""


class ParticipantChangedConcurrentlyError(
    ConversationsError,
    code=50419,
    status=409,
    text="The member is being added or removed by another request: try again",
):
    """The same member at the same moment."""


class NameOrLevelNotAcceptableError(
    ConversationsError,
    code=50420,
    text="The name and level of a binding are for members on e-mail only: leave them out",
):
    """Given for any other channel."""


class InvalidLastReadMessageIndexError(
    ConversationsError, code=50421, text="The index of the last read message is not a whole number"
):
    """Of a member or of a user's conversation."""


class ParticipantNotJsonError(
    ConversationsError,
    code=50424,
    text="A participant is not a JSON object: each value is one, with its keys in snake_case",
):
    """No JSON at all, or a list, a text, a number or null."""


class BindingsTakenError(
    ConversationsError,
    code=50425,
    status=409,
    text="One or more pairs of address and proxy address are already in use, the first of them in {where}",
):
    """`where` is `Conversation CH…`, last for clients that cut the SID off, or `this request` for a repeated pair."""


class TooManyParticipantsInRequestError(
    ConversationsError, code=50426, text="The request has too many participants: 10 are the most, add others afterwards"
):
    """ConversationWithParticipants only."""


class ProvisioningFailedError(
    LogEntry,
    code=50427,
    text="The participants could not be added: the conversation is closed, and the same request can be made again",
):
    """All its locks are released; the alert lists the errors that led to it."""


class ParticipantSidMissingError(
    ConversationsError, code=50431, text="The SID or the identity of a member is required and must not be empty"
):
    """Given, but empty."""


class ParticipantExistsError(ConversationsError, code=50433, status=409, text="Participant already exists"):
    """The identity is already in this conversation, or twice in this request."""


class ProjectedAddressMissingError(
    ConversationsError, code=50434, text="A member with an identity needs a projected address in a group MMS"
):
    """The number that the phones of the group see."""


class GroupNotActivatableError(
    ConversationsError,
    code=50435,
    text="A group MMS needs 3 or more members with a messaging binding: a phone and a business number among them, "
    "and a projected address for each identity",
):
    """An address without a proxy makes a phone member, a projected address or a proxy a business number."""


class GroupTooLargeError(ConversationsError, code=50436, text="The group MMS has too many members: 10 are the most"):
    """Of all kinds."""


class DuplicateGroupMemberError(
    ConversationsError, code=50437, status=409, text="A member is twice in the group MMS: each may be in it once"
):
    """The same address, pair, or identity and projected address. Several identities may share a projected address."""


class GroupExistsError(
    ConversationsError,
    code=50438,
    status=409,
    text="Group MMS with given participant list already exists as Conversation {conflicting_conversation_sid}",
):
    """Its set of numbers has an open conversation. Clients cut the SID off the end: nothing may follow it."""


class ProjectedAddressNotOwnedError(
    ConversationsError, code=50439, text="The projected address is not a phone number that belongs to this account"
):
    """What cannot be a number cannot be owned either."""


class ProxyAddressNotRemovableError(
    ConversationsError, code=50440, text="The proxy address cannot be removed: the member has none"
):
    """Updating a member that has none, or is not reached by SMS."""


class ProxyAddressNotAddableError(
    ConversationsError, code=50441, text="The proxy address cannot be added: the member has no address"
):
    """Updating a pure chat member."""


class ProjectedAddressNotRemovableError(
    ConversationsError, code=50442, text="The projected address cannot be removed: the member has none"
):
    """Updating a member of a group MMS."""


class ProjectedAddressNotAddableError(
    ConversationsError,
    code=50443,
    text="The projected address cannot be added: the member has a messaging binding already",
):
    """Updating a member."""


class IdentityNotAddableError(
    ConversationsError,
    code=50444,
    text="The identity cannot be added: only a member with a projected address and no identity takes one",
):
    """Handing a business number of a group MMS to a person."""


class IdentityWithAddressError(ConversationsError, code=50451, text="Ask by an identity or by an address, not by both"):
    """Listing the conversations of a member."""


class GroupMmsNotEnabledError(ConversationsError, code=50452, text="Group MMS is not enabled for this account"):
    """Only where a deployment says so."""


class ProxyNotSupportedError(
    ConversationsError, code=50453, text="Members on this channel have no proxy address: leave it out"
):
    """E-mail."""


# Messages (c.9)


class MessageSidMissingError(ConversationsError, code=50501, text="A message SID is required and must not be empty"):
    """Given, but empty."""


class MessageEmptyError(
    ConversationsError, code=50503, text="There is nothing to send: give a body, media or a content template"
):
    """An empty body counts as none."""


class MessageTooLongError(
    ConversationsError,
    code=50504,
    text="The body is too long: 1,600 characters are the most where a member is outside chat, 32 KB among chat members",
):
    """The limits: reference, f.1."""


class MediaSidMissingError(ConversationsError, code=50506, text="A media SID is required and must not be empty"):
    """Given, but empty."""


class MediaNotFoundError(
    ConversationsError, code=50507, text="The media does not exist in this service: upload it first"
):
    """A parameter of the message, hence no 404."""


class MediaAlreadyUsedError(
    ConversationsError, code=50508, text="The media is already in another message: upload it again"
):
    """Media belong to one message."""


class MediaMessageBodyFixedError(
    ConversationsError, code=50509, text="The body of a message with media cannot be changed"
):
    """Updating a message."""


class InvalidMediaSidError(
    ConversationsError, code=50510, text="The media SID is malformed: it is ME and 32 hexadecimal digits"
):
    """By its form only."""


class MediaTypeNotAcceptableError(
    ConversationsError, code=50511, text="The content type of the media is not one that this channel takes"
):
    """Each channel has types of its own."""


class MediaTooLargeError(
    ConversationsError,
    code=50512,
    text="The media is too large: 150 MB are the most in chat, 5 MB in all by MMS, 16 MB on WhatsApp",
):
    """The limits: reference, f.1."""


class AuthorNotInGroupError(
    ConversationsError,
    code=50513,
    text="The author is no member of the group MMS: give an identity, an address or a projected address that is in it",
):
    """`system` is none either."""


class MessageChangedConcurrentlyError(
    ConversationsError, code=50514, status=409, text="The message is being changed by another request: try again"
):
    """The same message at the same moment."""


class InvalidMessageIndexError(ConversationsError, code=50516, text="The index of a message is a whole number"):
    """By its form only."""


class InvalidContentSidError(
    ConversationsError, code=50526, text="The content SID is malformed: it is HX and 32 hexadecimal digits"
):
    """By its form only."""


class ContentVariablesNotJsonError(
    ConversationsError, code=50527, text="The content variables are not a JSON object of texts"
):
    """The variables of a content template."""


class ContentSidMissingError(
    ConversationsError, code=50528, text="Content variables need the content SID of the template that they are for"
):
    """Variables alone."""


class ContentVariablesTooLongError(
    ConversationsError, code=50529, text="The content variables are too long: 27,801 characters in all are the most"
):
    """Keys and values together."""


class ChannelMetadataNotFoundError(
    ConversationsError, code=50530, text="The message has no channel metadata: only some channels give it"
):
    """The message itself exists."""


class ChannelMetadataNotAuthorizedError(
    ConversationsError, code=50531, status=403, text="The account may not read channel metadata"
):
    """The one of its group with a status of its own."""


class InvalidChannelMetadataError(
    ConversationsError, code=50532, text="The channel metadata cannot be used with this message"
):
    """Of this code only the group it belongs to is documented (reference, c.9)."""


class ChannelMetadataNotJsonError(
    ConversationsError, code=50533, text="The channel metadata is not JSON with the keys that its channel requires"
):
    """Writing it."""


class ChannelMetadataNotReadableError(
    ConversationsError, code=50534, text="The channel metadata of the message could not be read: try again"
):
    """Reading it."""


class ContentVariableKeyTooLongError(
    ConversationsError, code=50540, text="The key of a content variable is too long: 16 characters are the most"
):
    """The limit: reference, f.1."""


class ContentVariableTooLongError(
    ConversationsError, code=50541, text="The value of a content variable is too long: 256 characters are the most"
):
    """The limit: reference, f.1."""


class TooManyContentVariablesError(
    ConversationsError, code=50542, text="There are too many content variables: 100 are the most"
):
    """The limit: reference, f.1."""
