"""`/Users`: the Users of a service.

See docs/behaviour/users.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import WEBHOOK_ENABLED, ServiceRequest
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.users import NewUser, User, UserChange


class CreateUser(NewUser):
    model_config = FORM_NAMES


class UpdateUser(UserChange):
    model_config = FORM_NAMES


class UserRepresentation(Representation):
    sid: str
    account_sid: str
    chat_service_sid: str
    role_sid: str
    identity: str
    friendly_name: str | None
    attributes: str
    is_online: bool | None
    is_notifiable: bool | None
    date_created: RestDate
    date_updated: RestDate
    url: str
    links: dict[str, str]


CREATE = Contract(
    "User",
    UserRepresentation,
    statuses=(201,),
    form=CreateUser,
    request_headers=(WEBHOOK_ENABLED,),
    errors=(errors.UserExistsError,),
)
LIST = Contract("Users", UserRepresentation, page="users", max_page_size=MAX_SMALL_PAGE_SIZE)
FETCH = Contract("User", UserRepresentation)
UPDATE = Contract(
    "User",
    UserRepresentation,
    form=UpdateUser,
    request_headers=(WEBHOOK_ENABLED,),
    errors=(errors.UnavailableError,),
)

DELETE = Contract("User", None, statuses=(204,), request_headers=(WEBHOOK_ENABLED,), errors=(errors.UnavailableError,))


def represent(operations: Operations, request: ServiceRequest, user: User) -> UserRepresentation:
    online = operations.users.is_online(request.service, user)
    url = request.url(f"/Users/{user.sid}")
    return UserRepresentation(
        **user.model_dump(exclude={"revision", "date_removed", "leaving", "due_at", "attempts"}),
        is_online=online,
        # Always False or None, because Convoke sends no push notifications.
        is_notifiable=None if online is None else False,
        url=url,
        links={"user_conversations": f"{url}/Conversations"},
    )


def create(operations: Operations, request: ServiceRequest) -> Response:
    # Parse the header before the form. If both are invalid, the response must report the error in the header.
    request_webhooks, requested = operations.request_webhooks(request), parse(CreateUser, request.form)
    created = operations.users.create(request.service, requested, request_webhooks=request_webhooks)
    return json_response(represent(operations, request, created), status=201)


def fetch(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    return json_response(represent(operations, request, operations.users.fetch(request.service, sid)))


def update(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    request_webhooks, requested = operations.request_webhooks(request), parse(UpdateUser, request.form)
    updated = operations.users.update(request.service, sid, requested, request_webhooks=request_webhooks)
    return json_response(represent(operations, request, updated))


def delete(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    operations.users.delete(request.service, sid, request_webhooks=operations.request_webhooks(request))
    return no_content()


def list_(operations: Operations, request: ServiceRequest) -> Response:
    key = operations.accounts.page_key(request.account.sid)
    url = request.url("/Users")
    pagination = Pagination(request, url, "users", key, max_page_size=MAX_SMALL_PAGE_SIZE)
    page = operations.users.list(request.service, pagination.page_request)
    return json_response(
        pagination.body(page, lambda each: represent(operations, request, each), lambda each: each.sid)
    )
