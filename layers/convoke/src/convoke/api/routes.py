"""The routes of the API. Each route has a method, a rule, a handler and a contract.

The rule of a route is the pattern of its path. In a rule, a name such as `<sid>` stands for a path parameter. The
property `rules` returns the complete patterns, with the prefix.

A route in `SERVICE_ROUTES` has two paths. The path `/v1/...` belongs to the account's default service, and the path
`/v1/Services/{sid}/...` to the service with this SID. See docs/behaviour/requests-and-answers.md#two-trees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Concatenate, NamedTuple

from convoke.api.contracts import Contract
from convoke.api.deferred import Deferred
from convoke.api.operations import Operations
from convoke.api.requests import (
    CONVOKE_PREFIX,
    REST_PREFIX,
    TWILIO_PREFIX,
    CarrierRequest,
    Request,
    ServiceRequest,
)
from convoke.api.resources import (
    account_configuration,
    account_keys,
    address_configurations,
    alert_details,
    alerts,
    api_keys,
    attempt_requests,
    bindings,
    configuration,
    configuration_webhooks,
    conversation_with_participants,
    conversations,
    credentials,
    description,
    event_attempts,
    event_replays,
    events,
    health,
    media,
    media_contents,
    media_sets,
    messages,
    participant_conversations,
    participants,
    provisioning,
    receipts,
    roles,
    scoped_webhooks,
    senders,
    service_configuration,
    service_configuration_notifications,
    service_configuration_webhooks,
    services,
    signature_checks,
    user_conversations,
    users,
)
from convoke.api.resources.description import Document
from convoke.api.responses import Response
from convoke.api.uploads import Upload
from convoke.domain.event_attempts import ATTEMPT_NAME
from convoke.domain.sids import Prefix

SERVICE_PREFIX = "/Services/<chat_service_sid>"
"""The part of a path that contains the service SID."""


class PublicRoute(NamedTuple):
    """A route without authentication.

    The handler gets the gateway event and a function that returns the OpenAPI document.
    """

    method: str
    rule: str
    handler: Callable[[Mapping[str, Any], Callable[[], Document]], Response]
    contract: Contract

    @property
    def rules(self) -> tuple[str, ...]:
        return (self.rule,)


class CarrierRoute(NamedTuple):
    """A route that a carrier calls. The request has no credentials, so the handler checks the carrier's signature.

    The handler gets the path values as keyword arguments. `/openapi.json` does not describe the route, because the
    carrier determines the parameters.
    """

    method: str
    rule: str
    handler: Callable[Concatenate[CarrierRequest, ...], Response]
    contract: Contract = Contract("CarrierRequest", None, statuses=())

    @property
    def rules(self) -> tuple[str, ...]:
        return (CONVOKE_PREFIX + self.rule,)


class AccountRoute(NamedTuple):
    """A route to a resource of the account. The handler gets the path values as keyword arguments."""

    method: str
    rule: str
    handler: Callable[Concatenate[Operations, Request, ...], Response | Upload]
    contract: Contract
    version: str = TWILIO_PREFIX

    @property
    def rules(self) -> tuple[str, ...]:
        return (self.version + self.rule,)


class ServiceRoute(NamedTuple):
    """A route to a resource of a service.

    The handler gets the path values as keyword arguments, except the service SID.
    """

    method: str
    rule: str
    handler: Callable[Concatenate[Operations, ServiceRequest, ...], Response | Deferred]
    contract: Contract
    version: str = TWILIO_PREFIX

    @property
    def rules(self) -> tuple[str, ...]:
        """The path for the account's default service, and the path for any service."""
        return self.version + self.rule, f"{self.version}{SERVICE_PREFIX}{self.rule}"


PUBLIC_ROUTES = (
    PublicRoute("GET", "/openapi.json", description.fetch, description.FETCH),
    PublicRoute("GET", "/healthz", health.fetch, health.FETCH),
)

KEYS = "/Accounts/<account_sid>/Keys.json"

KEY = "/Accounts/<account_sid>/Keys/<sid>.json"

ADDRESSES = "/Configuration/Addresses"

ACCOUNT_ROUTES = (
    AccountRoute("GET", "/Services", services.list_, services.LIST),
    AccountRoute("POST", "/Services", services.create, services.CREATE),
    AccountRoute("GET", "/Services/<sid>", services.fetch, services.FETCH),
    AccountRoute("DELETE", "/Services/<sid>", services.delete, services.DELETE),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Configuration", service_configuration.fetch, service_configuration.FETCH),
    AccountRoute("POST", f"{SERVICE_PREFIX}/Configuration", service_configuration.update, service_configuration.UPDATE),
    AccountRoute(
        "GET",
        f"{SERVICE_PREFIX}/Configuration/Webhooks",
        service_configuration_webhooks.fetch,
        service_configuration_webhooks.FETCH,
    ),
    AccountRoute(
        "POST",
        f"{SERVICE_PREFIX}/Configuration/Webhooks",
        service_configuration_webhooks.update,
        service_configuration_webhooks.UPDATE,
    ),
    AccountRoute(
        "GET",
        f"{SERVICE_PREFIX}/Configuration/Notifications",
        service_configuration_notifications.fetch,
        service_configuration_notifications.FETCH,
    ),
    AccountRoute(
        "POST",
        f"{SERVICE_PREFIX}/Configuration/Notifications",
        service_configuration_notifications.update,
        service_configuration_notifications.UPDATE,
    ),
    AccountRoute("GET", "/Configuration", configuration.fetch, configuration.FETCH),
    AccountRoute("POST", "/Configuration", configuration.update, configuration.UPDATE),
    AccountRoute("GET", "/Configuration/Webhooks", configuration_webhooks.fetch, configuration_webhooks.FETCH),
    AccountRoute("POST", "/Configuration/Webhooks", configuration_webhooks.update, configuration_webhooks.UPDATE),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Bindings", bindings.list_, bindings.LIST),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Bindings/<sid>", bindings.fetch, bindings.FETCH),
    AccountRoute("DELETE", f"{SERVICE_PREFIX}/Bindings/<sid>", bindings.delete, bindings.DELETE),
    AccountRoute("POST", f"{SERVICE_PREFIX}/Media", media.create, media.CREATE),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Media/<sid>", media.fetch, media.FETCH),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Media/<sid>/Content", media_contents.fetch, media_contents.FETCH),
    AccountRoute("POST", f"{SERVICE_PREFIX}/MediaSet", media_sets.fetch, media_sets.FETCH),
    AccountRoute("GET", "/Credentials", credentials.list_, credentials.LIST),
    AccountRoute("POST", "/Credentials", credentials.create, credentials.CREATE),
    AccountRoute("GET", "/Credentials/<sid>", credentials.fetch, credentials.FETCH),
    AccountRoute("POST", "/Credentials/<sid>", credentials.update, credentials.UPDATE),
    AccountRoute("DELETE", "/Credentials/<sid>", credentials.delete, credentials.DELETE),
    AccountRoute("GET", ADDRESSES, address_configurations.list_, address_configurations.LIST),
    AccountRoute("POST", ADDRESSES, address_configurations.create, address_configurations.CREATE),
    AccountRoute("GET", f"{ADDRESSES}/<sid>", address_configurations.fetch, address_configurations.FETCH),
    AccountRoute("POST", f"{ADDRESSES}/<sid>", address_configurations.update, address_configurations.UPDATE),
    AccountRoute("DELETE", f"{ADDRESSES}/<sid>", address_configurations.delete, address_configurations.DELETE),
    AccountRoute("GET", "/Configuration", account_configuration.fetch, account_configuration.FETCH, CONVOKE_PREFIX),
    AccountRoute("POST", "/Configuration", account_configuration.update, account_configuration.UPDATE, CONVOKE_PREFIX),
    AccountRoute("GET", "/Events", events.list_, events.LIST, CONVOKE_PREFIX),
    AccountRoute("GET", "/Events/<event_id>", events.fetch, events.FETCH, CONVOKE_PREFIX),
    AccountRoute("GET", "/Events/<event_id>/Attempts", event_attempts.list_, event_attempts.LIST, CONVOKE_PREFIX),
    AccountRoute("POST", "/Events/<event_id>/Replay", event_replays.create, event_replays.CREATE, CONVOKE_PREFIX),
    AccountRoute(
        "GET",
        "/Events/<event_id>/Attempts/<attempt_name>/Request",
        attempt_requests.fetch,
        attempt_requests.FETCH,
        CONVOKE_PREFIX,
    ),
    AccountRoute("POST", "/SignatureChecks", signature_checks.create, signature_checks.CREATE, CONVOKE_PREFIX),
    AccountRoute("GET", "/Senders", senders.list_, senders.LIST, CONVOKE_PREFIX),
    AccountRoute("POST", "/Senders", senders.create, senders.CREATE, CONVOKE_PREFIX),
    AccountRoute("GET", "/Senders/<sid>", senders.fetch, senders.FETCH, CONVOKE_PREFIX),
    AccountRoute("POST", "/Senders/<sid>", senders.update, senders.UPDATE, CONVOKE_PREFIX),
    AccountRoute("DELETE", "/Senders/<sid>", senders.delete, senders.DELETE, CONVOKE_PREFIX),
    AccountRoute("GET", "/Keys", account_keys.list_, account_keys.LIST, CONVOKE_PREFIX),
    AccountRoute("GET", "/Alerts/<sid>", alert_details.fetch, alert_details.FETCH, CONVOKE_PREFIX),
    AccountRoute("GET", KEYS, api_keys.list_, api_keys.LIST, REST_PREFIX),
    AccountRoute("POST", KEYS, api_keys.create, api_keys.CREATE, REST_PREFIX),
    AccountRoute("GET", KEY, api_keys.fetch, api_keys.FETCH, REST_PREFIX),
    AccountRoute("POST", KEY, api_keys.update, api_keys.UPDATE, REST_PREFIX),
    AccountRoute("DELETE", KEY, api_keys.delete, api_keys.DELETE, REST_PREFIX),
    AccountRoute("GET", "/Alerts", alerts.list_, alerts.LIST),
    AccountRoute("GET", "/Alerts/<sid>", alerts.fetch, alerts.FETCH),
)

PARTICIPANTS = "/Conversations/<conversation_sid>/Participants"

MESSAGES = "/Conversations/<conversation_sid>/Messages"

USER_CONVERSATIONS = "/Users/<user_sid>/Conversations"

WEBHOOKS = "/Conversations/<conversation_sid>/Webhooks"

SERVICE_ROUTES = (
    ServiceRoute(
        "POST",
        "/ConversationWithParticipants",
        conversation_with_participants.create,
        conversation_with_participants.CREATE,
    ),
    ServiceRoute("GET", "/Conversations", conversations.list_, conversations.LIST),
    ServiceRoute("POST", "/Conversations", conversations.create, conversations.CREATE),
    ServiceRoute("GET", "/Conversations/<sid>", conversations.fetch, conversations.FETCH),
    ServiceRoute("POST", "/Conversations/<sid>", conversations.update, conversations.UPDATE),
    ServiceRoute("DELETE", "/Conversations/<sid>", conversations.delete, conversations.DELETE),
    ServiceRoute("GET", PARTICIPANTS, participants.list_, participants.LIST),
    ServiceRoute("POST", PARTICIPANTS, participants.create, participants.CREATE),
    ServiceRoute("GET", f"{PARTICIPANTS}/<sid>", participants.fetch, participants.FETCH),
    ServiceRoute("GET", MESSAGES, messages.list_, messages.LIST),
    ServiceRoute("POST", MESSAGES, messages.create, messages.CREATE),
    ServiceRoute("GET", f"{MESSAGES}/<sid>", messages.fetch, messages.FETCH),
    ServiceRoute("POST", f"{MESSAGES}/<sid>", messages.update, messages.UPDATE),
    ServiceRoute("DELETE", f"{MESSAGES}/<sid>", messages.delete, messages.DELETE),
    ServiceRoute("GET", f"{MESSAGES}/<message_sid>/Receipts", receipts.list_, receipts.LIST),
    ServiceRoute("GET", f"{MESSAGES}/<message_sid>/Receipts/<sid>", receipts.fetch, receipts.FETCH),
    ServiceRoute("POST", f"{PARTICIPANTS}/<sid>", participants.update, participants.UPDATE),
    ServiceRoute("DELETE", f"{PARTICIPANTS}/<sid>", participants.delete, participants.DELETE),
    ServiceRoute("GET", "/ParticipantConversations", participant_conversations.list_, participant_conversations.LIST),
    ServiceRoute("GET", "/Roles", roles.list_, roles.LIST),
    ServiceRoute("POST", "/Roles", roles.create, roles.CREATE),
    ServiceRoute("GET", "/Roles/<sid>", roles.fetch, roles.FETCH),
    ServiceRoute("POST", "/Roles/<sid>", roles.update, roles.UPDATE),
    ServiceRoute("DELETE", "/Roles/<sid>", roles.delete, roles.DELETE),
    ServiceRoute("GET", "/Users", users.list_, users.LIST),
    ServiceRoute("POST", "/Users", users.create, users.CREATE),
    ServiceRoute("GET", "/Users/<sid>", users.fetch, users.FETCH),
    ServiceRoute("POST", "/Users/<sid>", users.update, users.UPDATE),
    ServiceRoute("DELETE", "/Users/<sid>", users.delete, users.DELETE),
    ServiceRoute("GET", USER_CONVERSATIONS, user_conversations.list_, user_conversations.LIST),
    ServiceRoute("GET", f"{USER_CONVERSATIONS}/<conversation_sid>", user_conversations.fetch, user_conversations.FETCH),
    ServiceRoute(
        "POST", f"{USER_CONVERSATIONS}/<conversation_sid>", user_conversations.update, user_conversations.UPDATE
    ),
    ServiceRoute(
        "DELETE", f"{USER_CONVERSATIONS}/<conversation_sid>", user_conversations.delete, user_conversations.DELETE
    ),
    ServiceRoute("GET", WEBHOOKS, scoped_webhooks.list_, scoped_webhooks.LIST),
    ServiceRoute("POST", WEBHOOKS, scoped_webhooks.create, scoped_webhooks.CREATE),
    ServiceRoute("GET", f"{WEBHOOKS}/<sid>", scoped_webhooks.fetch, scoped_webhooks.FETCH),
    ServiceRoute("POST", f"{WEBHOOKS}/<sid>", scoped_webhooks.update, scoped_webhooks.UPDATE),
    ServiceRoute("DELETE", f"{WEBHOOKS}/<sid>", scoped_webhooks.delete, scoped_webhooks.DELETE),
    ServiceRoute(
        "GET", "/Conversations/<conversation_sid>/Provisioning", provisioning.fetch, provisioning.FETCH, CONVOKE_PREFIX
    ),
)

Route = PublicRoute | AccountRoute | ServiceRoute

ExtraRoute = PublicRoute | CarrierRoute | AccountRoute
"""A route that is not in `ROUTES`. Only some engines have the route, or only carriers call the route."""

ROUTES: tuple[Route, ...] = (*PUBLIC_ROUTES, *ACCOUNT_ROUTES, *SERVICE_ROUTES)

PATH_VALUES: Mapping[str, Prefix | Mapping[str, str]] = {
    "Services": Prefix.SERVICE,
    "Conversations": {"description": "A SID or a unique name."},
    "Participants": {"description": "A SID or an identity."},
    "Media": Prefix.MEDIA,
    "Messages": Prefix.MESSAGE,
    "Receipts": Prefix.RECEIPT,
    "Webhooks": Prefix.WEBHOOK,
    "Roles": Prefix.ROLE,
    "Users": {"description": "A SID or an identity."},
    "Events": {"pattern": f"^{Prefix.CHANGE}[0-9a-fA-F]{{32}}-[0-9]+$"},
    "Alerts": Prefix.ALERT,
    "Attempts": {"pattern": f"^{ATTEMPT_NAME.pattern}$"},
    "Accounts": Prefix.ACCOUNT,
    "Keys": Prefix.API_KEY,
    "Addresses": {"description": "A SID or an address."},
    "Bindings": Prefix.BINDING,
    "Credentials": Prefix.CREDENTIAL,
    "Senders": Prefix.SENDER,
    "Phones": {"description": "The number of a simulated phone."},
}
"""Describes the valid values of each path parameter. The key is the path segment before the parameter.

The value is a SID prefix, or a part of a JSON Schema.
"""
