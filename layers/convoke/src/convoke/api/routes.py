"""The routes that both engines have, except the routes that carriers call.

Each route has a method, a rule, a handler and a contract. The rule of a route is the pattern of its path, without the
prefix. In a rule, a name such as `<sid>` stands for a path parameter. The property `rules` returns the complete
patterns, including the prefix if the route has a prefix.

A route in `SERVICE_ROUTES` has two paths. The path without a service SID, such as `/v1/Roles`, belongs to the account's
default service. The path with a service SID, such as `/v1/Services/{sid}/Roles`, belongs to the service with this SID.
See docs/behaviour/requests-and-answers.md#two-trees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, TypeVar

from convoke.api.contracts import Contract
from convoke.api.requests import CONVOKE_PREFIX, REST_PREFIX, TWILIO_PREFIX

if TYPE_CHECKING:
    from convoke.api.deferred import Deferred
    from convoke.api.operations import Operations
    from convoke.api.requests import CarrierRequest, Request, ServiceRequest
    from convoke.api.resources.description import Document
    from convoke.api.responses import Response
    from convoke.api.uploads import Upload

    PublicHandler = Callable[[Mapping[str, Any], Callable[[], Document]], Response]
    CarrierHandler = Callable[Concatenate[CarrierRequest, ...], Response]
    AccountHandler = Callable[Concatenate[Operations, Request, ...], Response | Upload]
    ServiceHandler = Callable[Concatenate[Operations, ServiceRequest, ...], Response | Deferred]

SERVICE_PREFIX = "/Services/<chat_service_sid>"
"""The part of a path that contains the service SID."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Endpoint(NamedTuple, Generic[Handler]):
    """A handler and its contract."""

    handler: Handler
    contract: Contract


class RouteTo(Generic[Handler]):
    """A route. Its handler gets the path values as keyword arguments. The other arguments depend on the subclass."""

    def __init__(
        self,
        method: str,
        rule: str,
        endpoint: Endpoint[Handler] | Callable[[], Endpoint[Handler]] | str,
        version: str = TWILIO_PREFIX,
    ) -> None:
        """Create a route. `endpoint` is an Endpoint, a function that returns an Endpoint, or a handler's name.

        The name `roles.list_` stands for the handler `list_` and the contract `LIST` in `resources/roles.py`. The route
        imports this module, or calls the function, at its first use. Therefore a process imports only the resources
        that clients use. See docs/decisions/0058-cold-start.md.
        """
        self.method = method
        self.rule = rule
        self.version = version
        self._endpoint = endpoint

    @cached_property
    def handler(self) -> Handler:
        return self.load().handler

    @property
    def contract(self) -> Contract:
        return self.load().contract

    @property
    def rules(self) -> tuple[str, ...]:
        return (self.version + self.rule,)

    @property
    def resource(self) -> str:
        """The name of the module in `resources/`, or an empty text if the route has no named handler."""
        return self._endpoint.partition(".")[0] if isinstance(self._endpoint, str) else ""

    def load(self) -> Endpoint[Handler]:
        """Return the handler and its contract. The first call imports the module of a named handler."""
        if isinstance(self._endpoint, Endpoint):
            return self._endpoint
        if not isinstance(self._endpoint, str):
            return self._endpoint()
        module, _, name = self._endpoint.partition(".")
        resource = import_module(f"convoke.api.resources.{module}")
        return Endpoint(getattr(resource, name), getattr(resource, name.removesuffix("_").upper()))


class PublicRoute(RouteTo["PublicHandler"]):
    """A route without authentication.

    The handler gets the gateway event and a function that returns the OpenAPI document.
    """

    @property
    def rules(self) -> tuple[str, ...]:
        return (self.rule,)


class CarrierRoute(RouteTo["CarrierHandler"]):
    """A route that a carrier calls. The request has no credentials, so the handler checks the carrier's signature.

    `/openapi.json` does not describe the route, because the carrier determines the parameters.
    """

    @property
    def rules(self) -> tuple[str, ...]:
        return (CONVOKE_PREFIX + self.rule,)


class AccountRoute(RouteTo["AccountHandler"]):
    """A route to a resource of the account, or to a resource of the service whose SID is in the path."""


class ServiceRoute(RouteTo["ServiceHandler"]):
    """A route to a resource of a service. The handler gets no argument for the service SID in the path."""

    @property
    def rules(self) -> tuple[str, ...]:
        """The path for the account's default service, and the path for any service."""
        return self.version + self.rule, f"{self.version}{SERVICE_PREFIX}{self.rule}"


PUBLIC_ROUTES = (
    PublicRoute("GET", "/openapi.json", "description.fetch"),
    PublicRoute("GET", "/healthz", "health.fetch"),
)

KEYS = "/Accounts/<account_sid>/Keys.json"

KEY = "/Accounts/<account_sid>/Keys/<sid>.json"

ADDRESSES = "/Configuration/Addresses"

ACCOUNT_ROUTES = (
    AccountRoute("GET", "/Services", "services.list_"),
    AccountRoute("POST", "/Services", "services.create"),
    AccountRoute("GET", "/Services/<sid>", "services.fetch"),
    AccountRoute("DELETE", "/Services/<sid>", "services.delete"),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Configuration", "service_configuration.fetch"),
    AccountRoute("POST", f"{SERVICE_PREFIX}/Configuration", "service_configuration.update"),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Configuration/Webhooks", "service_configuration_webhooks.fetch"),
    AccountRoute("POST", f"{SERVICE_PREFIX}/Configuration/Webhooks", "service_configuration_webhooks.update"),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Configuration/Notifications", "service_configuration_notifications.fetch"),
    AccountRoute("POST", f"{SERVICE_PREFIX}/Configuration/Notifications", "service_configuration_notifications.update"),
    AccountRoute("GET", "/Configuration", "configuration.fetch"),
    AccountRoute("POST", "/Configuration", "configuration.update"),
    AccountRoute("GET", "/Configuration/Webhooks", "configuration_webhooks.fetch"),
    AccountRoute("POST", "/Configuration/Webhooks", "configuration_webhooks.update"),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Bindings", "bindings.list_"),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Bindings/<sid>", "bindings.fetch"),
    AccountRoute("DELETE", f"{SERVICE_PREFIX}/Bindings/<sid>", "bindings.delete"),
    AccountRoute("POST", f"{SERVICE_PREFIX}/Media", "media.create"),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Media/<sid>", "media.fetch"),
    AccountRoute("GET", f"{SERVICE_PREFIX}/Media/<sid>/Content", "media_contents.fetch"),
    AccountRoute("POST", f"{SERVICE_PREFIX}/MediaSet", "media_sets.fetch"),
    AccountRoute("GET", "/Credentials", "credentials.list_"),
    AccountRoute("POST", "/Credentials", "credentials.create"),
    AccountRoute("GET", "/Credentials/<sid>", "credentials.fetch"),
    AccountRoute("POST", "/Credentials/<sid>", "credentials.update"),
    AccountRoute("DELETE", "/Credentials/<sid>", "credentials.delete"),
    AccountRoute("GET", ADDRESSES, "address_configurations.list_"),
    AccountRoute("POST", ADDRESSES, "address_configurations.create"),
    AccountRoute("GET", f"{ADDRESSES}/<sid>", "address_configurations.fetch"),
    AccountRoute("POST", f"{ADDRESSES}/<sid>", "address_configurations.update"),
    AccountRoute("DELETE", f"{ADDRESSES}/<sid>", "address_configurations.delete"),
    AccountRoute("GET", "/Configuration", "account_configuration.fetch", CONVOKE_PREFIX),
    AccountRoute("POST", "/Configuration", "account_configuration.update", CONVOKE_PREFIX),
    AccountRoute("GET", "/Events", "events.list_", CONVOKE_PREFIX),
    AccountRoute("GET", "/Events/<event_id>", "events.fetch", CONVOKE_PREFIX),
    AccountRoute("GET", "/Events/<event_id>/Attempts", "event_attempts.list_", CONVOKE_PREFIX),
    AccountRoute("POST", "/Events/<event_id>/Replay", "event_replays.create", CONVOKE_PREFIX),
    AccountRoute("GET", "/Events/<event_id>/Attempts/<attempt_name>/Request", "attempt_requests.fetch", CONVOKE_PREFIX),
    AccountRoute("POST", "/SignatureChecks", "signature_checks.create", CONVOKE_PREFIX),
    AccountRoute("GET", "/Senders", "senders.list_", CONVOKE_PREFIX),
    AccountRoute("POST", "/Senders", "senders.create", CONVOKE_PREFIX),
    AccountRoute("GET", "/Senders/<sid>", "senders.fetch", CONVOKE_PREFIX),
    AccountRoute("POST", "/Senders/<sid>", "senders.update", CONVOKE_PREFIX),
    AccountRoute("DELETE", "/Senders/<sid>", "senders.delete", CONVOKE_PREFIX),
    AccountRoute("GET", "/Keys", "account_keys.list_", CONVOKE_PREFIX),
    AccountRoute("GET", "/Alerts/<sid>", "alert_details.fetch", CONVOKE_PREFIX),
    AccountRoute("GET", KEYS, "api_keys.list_", REST_PREFIX),
    AccountRoute("POST", KEYS, "api_keys.create", REST_PREFIX),
    AccountRoute("GET", KEY, "api_keys.fetch", REST_PREFIX),
    AccountRoute("POST", KEY, "api_keys.update", REST_PREFIX),
    AccountRoute("DELETE", KEY, "api_keys.delete", REST_PREFIX),
    AccountRoute("GET", "/Alerts", "alerts.list_"),
    AccountRoute("GET", "/Alerts/<sid>", "alerts.fetch"),
)

PARTICIPANTS = "/Conversations/<conversation_sid>/Participants"

MESSAGES = "/Conversations/<conversation_sid>/Messages"

USER_CONVERSATIONS = "/Users/<user_sid>/Conversations"

WEBHOOKS = "/Conversations/<conversation_sid>/Webhooks"

SERVICE_ROUTES = (
    ServiceRoute("POST", "/ConversationWithParticipants", "conversation_with_participants.create"),
    ServiceRoute("GET", "/Conversations", "conversations.list_"),
    ServiceRoute("POST", "/Conversations", "conversations.create"),
    ServiceRoute("GET", "/Conversations/<sid>", "conversations.fetch"),
    ServiceRoute("POST", "/Conversations/<sid>", "conversations.update"),
    ServiceRoute("DELETE", "/Conversations/<sid>", "conversations.delete"),
    ServiceRoute("GET", PARTICIPANTS, "participants.list_"),
    ServiceRoute("POST", PARTICIPANTS, "participants.create"),
    ServiceRoute("GET", f"{PARTICIPANTS}/<sid>", "participants.fetch"),
    ServiceRoute("GET", MESSAGES, "messages.list_"),
    ServiceRoute("POST", MESSAGES, "messages.create"),
    ServiceRoute("GET", f"{MESSAGES}/<sid>", "messages.fetch"),
    ServiceRoute("POST", f"{MESSAGES}/<sid>", "messages.update"),
    ServiceRoute("DELETE", f"{MESSAGES}/<sid>", "messages.delete"),
    ServiceRoute("GET", f"{MESSAGES}/<message_sid>/Receipts", "receipts.list_"),
    ServiceRoute("GET", f"{MESSAGES}/<message_sid>/Receipts/<sid>", "receipts.fetch"),
    ServiceRoute("POST", f"{PARTICIPANTS}/<sid>", "participants.update"),
    ServiceRoute("DELETE", f"{PARTICIPANTS}/<sid>", "participants.delete"),
    ServiceRoute("GET", "/ParticipantConversations", "participant_conversations.list_"),
    ServiceRoute("GET", "/Roles", "roles.list_"),
    ServiceRoute("POST", "/Roles", "roles.create"),
    ServiceRoute("GET", "/Roles/<sid>", "roles.fetch"),
    ServiceRoute("POST", "/Roles/<sid>", "roles.update"),
    ServiceRoute("DELETE", "/Roles/<sid>", "roles.delete"),
    ServiceRoute("GET", "/Users", "users.list_"),
    ServiceRoute("POST", "/Users", "users.create"),
    ServiceRoute("GET", "/Users/<sid>", "users.fetch"),
    ServiceRoute("POST", "/Users/<sid>", "users.update"),
    ServiceRoute("DELETE", "/Users/<sid>", "users.delete"),
    ServiceRoute("GET", USER_CONVERSATIONS, "user_conversations.list_"),
    ServiceRoute("GET", f"{USER_CONVERSATIONS}/<conversation_sid>", "user_conversations.fetch"),
    ServiceRoute("POST", f"{USER_CONVERSATIONS}/<conversation_sid>", "user_conversations.update"),
    ServiceRoute("DELETE", f"{USER_CONVERSATIONS}/<conversation_sid>", "user_conversations.delete"),
    ServiceRoute("GET", WEBHOOKS, "scoped_webhooks.list_"),
    ServiceRoute("POST", WEBHOOKS, "scoped_webhooks.create"),
    ServiceRoute("GET", f"{WEBHOOKS}/<sid>", "scoped_webhooks.fetch"),
    ServiceRoute("POST", f"{WEBHOOKS}/<sid>", "scoped_webhooks.update"),
    ServiceRoute("DELETE", f"{WEBHOOKS}/<sid>", "scoped_webhooks.delete"),
    ServiceRoute("GET", "/Conversations/<conversation_sid>/Provisioning", "provisioning.fetch", CONVOKE_PREFIX),
)

Route = PublicRoute | CarrierRoute | AccountRoute | ServiceRoute

ROUTES: tuple[Route, ...] = (*PUBLIC_ROUTES, *ACCOUNT_ROUTES, *SERVICE_ROUTES)
