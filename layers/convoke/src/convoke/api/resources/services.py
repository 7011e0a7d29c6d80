"""`/v1/Services`: the services of the account.

See docs/behaviour/services.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.services import NewService, Service


class CreateService(NewService):
    model_config = FORM_NAMES


LINKS = {
    "conversations": "Conversations",
    "users": "Users",
    "roles": "Roles",
    "bindings": "Bindings",
    "configuration": "Configuration",
    "participant_conversations": "ParticipantConversations",
    "conversation_with_participants": "ConversationWithParticipants",
}


class ServiceRepresentation(Representation):
    account_sid: str
    sid: str
    friendly_name: str
    date_created: RestDate
    date_updated: RestDate
    url: str
    links: dict[str, str]


LIST = Contract("Services", ServiceRepresentation, page="services")
CREATE = Contract(
    "Service",
    ServiceRepresentation,
    statuses=(201,),
    form=CreateService,
    errors=(errors.FriendlyNameMissingError, errors.FriendlyNameTooLongError),
)
FETCH = Contract("Service", ServiceRepresentation)
DELETE = Contract("Service", None, statuses=(204,), errors=(errors.ConflictError, errors.UnavailableError))


def represent(request: Request, service: Service) -> ServiceRepresentation:
    url = request.url(f"/Services/{service.sid}")
    return ServiceRepresentation(
        account_sid=service.account_sid,
        sid=service.sid,
        friendly_name=service.friendly_name,
        date_created=service.date_created,
        date_updated=service.date_updated,
        url=url,
        links={name: f"{url}/{path}" for name, path in LINKS.items()},
    )


def create(operations: Operations, request: Request) -> Response:
    parameters = parse(CreateService, request.form)
    service = operations.services.create(request.account.sid, parameters.friendly_name)
    return json_response(represent(request, service), status=201)


def fetch(operations: Operations, request: Request, sid: str) -> Response:
    return json_response(represent(request, operations.services.fetch(request.account.sid, sid)))


def delete(operations: Operations, request: Request, sid: str) -> Response:
    operations.services.delete(request.account.sid, sid)
    return no_content()


def list_(operations: Operations, request: Request) -> Response:
    key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(request, request.url("/Services"), "services", key)
    page = operations.services.list(request.account.sid, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))
