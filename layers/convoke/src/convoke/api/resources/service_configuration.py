"""`/v1/Services/{sid}/Configuration`: the configuration of a service.

See docs/behaviour/configuration.md#service-configuration.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.service_configuration import ServiceConfigurationChange
from convoke.domain.services import Service


class UpdateServiceConfiguration(ServiceConfigurationChange):
    model_config = FORM_NAMES


class ServiceConfigurationRepresentation(Representation):
    chat_service_sid: str
    default_conversation_creator_role_sid: str
    default_conversation_role_sid: str
    default_chat_service_role_sid: str
    url: str
    links: dict[str, str]
    reachability_enabled: bool


FETCH = Contract("Configuration", ServiceConfigurationRepresentation)
UPDATE = Contract(
    "Configuration",
    ServiceConfigurationRepresentation,
    form=UpdateServiceConfiguration,
    errors=(errors.UnknownConversationRoleError, errors.UnknownServiceRoleError),
)


def represent(request: Request, service: Service) -> ServiceConfigurationRepresentation:
    url = request.url(f"/Services/{service.sid}/Configuration")
    return ServiceConfigurationRepresentation(
        chat_service_sid=service.sid,
        default_conversation_creator_role_sid=service.creator_role_sid,
        default_conversation_role_sid=service.member_role_sid,
        default_chat_service_role_sid=service.user_role_sid,
        url=url,
        links={"notifications": f"{url}/Notifications", "webhooks": f"{url}/Webhooks"},
        reachability_enabled=service.reachability_enabled,
    )


def fetch(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    return json_response(
        represent(request, operations.service_configuration.fetch(request.account.sid, chat_service_sid))
    )


def update(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    service = operations.service_configuration.fetch(request.account.sid, chat_service_sid)
    change = parse(UpdateServiceConfiguration, request.form)
    return json_response(
        represent(request, operations.service_configuration.update(request.account.sid, service.sid, change))
    )
