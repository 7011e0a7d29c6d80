"""`/v3/Maps`, `/v3/Lists`, `/v3/Documents`: the Sync objects of chat clients.

Old versions of the SDK request the next or the previous page with the value of `next_token` or `previous_token`. New
versions send the key or the index of an item in the parameter `From`, and use a token only to learn whether a further
page exists.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from convoke.api.chat.acting import sync_of
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.api.pagination import BACKWARD, DEFAULT_PAGE_SIZE, FORWARD, MAX_PAGE_SIZE, PageTokens
from convoke.domain.errors import AccessDeniedError, InvalidParameterError, SyncObjectNotFoundError
from convoke.domain.event_ids import to_moment
from convoke.domain.instants import to_milliseconds
from convoke.domain.messages import SYSTEM
from convoke.domain.sync_objects import ObjectType, SyncObject
from convoke.operations.sync import ItemsPage, ItemsRequest, SyncEvent, SyncItem, SyncRoot

PATHS = {ObjectType.MAP: "/v3/Maps", ObjectType.LIST: "/v3/Lists", ObjectType.DOCUMENT: "/v3/Documents"}

INCLUDED_ITEMS = "items"
"""A client sends this value in the parameter `Include` to get the first items together with the object."""


def fetch_map(operations: Operations, request: ChatRequest, name: str) -> ChatAnswer:
    return _fetch(operations, request, ObjectType.MAP, name)


def fetch_list(operations: Operations, request: ChatRequest, name: str) -> ChatAnswer:
    return _fetch(operations, request, ObjectType.LIST, name)


def fetch_document(operations: Operations, request: ChatRequest, name: str) -> ChatAnswer:
    return _fetch(operations, request, ObjectType.DOCUMENT, name)


def list_map_items(operations: Operations, request: ChatRequest, name: str) -> ChatAnswer:
    return _list_items(operations, request, ObjectType.MAP, name, "Key")


def list_list_items(operations: Operations, request: ChatRequest, name: str) -> ChatAnswer:
    return _list_items(operations, request, ObjectType.LIST, name, "Index")


def refuse(operations: Operations, request: ChatRequest, **values: str) -> ChatAnswer:  # noqa: ARG001
    """Raise AccessDeniedError, because Sync objects are read-only.

    To change conversations, messages, participants and Users, clients call `/Conversations` and `/Users`.
    """
    raise AccessDeniedError


def event_type(event: SyncEvent) -> str:
    """Return the notification type for an event, such as `map_item_updated`."""
    kind = event.object.kind.type
    is_whole = event.key is None
    return f"{kind}_{event.action}" if is_whole else f"{kind}_item_{event.action}"


def represent_event(event: SyncEvent) -> dict[str, Any]:
    """Return the JSON body of the notification for an event."""
    kind, sid = event.object.kind.type, event.object.sid
    revision = _revision(event.event_id)
    body: dict[str, Any] = {
        "id": event.event_id,
        "date_created": to_milliseconds(to_moment(event.event_id)),
        f"{kind}_sid": sid,
        f"{kind}_revision": revision,
    }
    if kind is ObjectType.DOCUMENT:
        return body | {"document_data": event.data}
    if event.key is None:
        return body
    return body | {
        f"item_{_key_name(kind)}": _key(kind, event.key),
        "item_data": event.data,
        "item_revision": revision,
        "item_url": _item_path(event.object, event.key),
    }


def _fetch(operations: Operations, request: ChatRequest, kind: ObjectType, name: str) -> ChatAnswer:
    found = _find(operations, request, kind, name)
    root = sync_of(operations).root(request.service, request.identity, found)
    body = _represent_root(request, root)
    if request.params.get("Include") == INCLUDED_ITEMS and kind is not ObjectType.DOCUMENT:
        page = sync_of(operations).items(request.service, request.identity, found, ItemsRequest(DEFAULT_PAGE_SIZE))
        body["items"] = [_represent_item(request, found, item) for item in page.items]
    return ChatAnswer(HTTPStatus.OK, body)


def _list_items(
    operations: Operations, request: ChatRequest, kind: ObjectType, name: str, key_parameter: str
) -> ChatAnswer:
    found = _find(operations, request, kind, name)
    if key := request.params.get(key_parameter):
        item = sync_of(operations).item(request.service, request.identity, found, key)
        page = ItemsPage([item] if item else [])
        return ChatAnswer(HTTPStatus.OK, _represent_page(request, found, page, {}))
    tokens = PageTokens(_object_path(found), operations.accounts.page_key(request.account.sid))
    wanted = _wanted_page(request, tokens)
    page = sync_of(operations).items(request.service, request.identity, found, wanted)
    prefix = f"{'a' if wanted.forward else 'd'}{wanted.size}:"
    meta = {
        "previous_token": page.previous and tokens.create(BACKWARD, prefix + page.previous),
        "next_token": page.next and tokens.create(FORWARD, prefix + page.next),
    }
    return ChatAnswer(HTTPStatus.OK, _represent_page(request, found, page, meta))


def _wanted_page(request: ChatRequest, tokens: PageTokens) -> ItemsRequest:
    """Return the page that a request asks for. Raise InvalidParameterError if a parameter is invalid.

    A page token contains the order and the page size, because old clients send no other parameter with a token.
    """
    if token := request.params.get("PageToken"):
        direction, position = tokens.parse(token)
        prefix, _, key = position.partition(":")
        start, before = (key, None) if direction == FORWARD else (None, key)
        return ItemsRequest(int(prefix[1:]), prefix.startswith("a"), start, before)
    size = _page_size(request.params.get("PageSize"))
    order = request.params.get("Order", "asc")
    if order not in ("asc", "desc"):
        raise InvalidParameterError(parameter="Order", wanted="asc or desc")
    return ItemsRequest(size, order == "asc", request.params.get("From") or None)


def _page_size(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE_SIZE
    if not re.fullmatch("0*[1-9][0-9]{0,17}", text):
        raise InvalidParameterError(parameter="PageSize", wanted="a positive integer of at most 18 digits")
    return min(int(text), MAX_PAGE_SIZE)


def _find(operations: Operations, request: ChatRequest, kind: ObjectType, name: str) -> SyncObject:
    found = sync_of(operations).find(request.service, name)
    if found.kind.type is not kind:
        raise SyncObjectNotFoundError
    return found


def _represent_root(request: ChatRequest, root: SyncRoot) -> dict[str, Any]:
    url = request.base_url + _object_path(root.object)
    body = {
        "sid": root.object.sid,
        "unique_name": root.name,
        "account_sid": request.account.sid,
        "service_sid": request.service.sid,
        "url": url,
        "links": {} if root.data is not None else {"items": f"{url}/Items"},
        "revision": _revision(root.event_id),
        "last_event_id": root.event_id,
        "created_by": root.created_by or SYSTEM,
        "date_created": to_milliseconds(root.date_created),
        "date_updated": to_milliseconds(root.date_updated),
        "date_expires": None,
    }
    return body if root.data is None else body | {"data": root.data}


def _represent_page(
    request: ChatRequest, sync_object: SyncObject, page: ItemsPage, meta: dict[str, str | None]
) -> dict[str, Any]:
    return {
        "items": [_represent_item(request, sync_object, item) for item in page.items],
        "meta": {"previous_token": None, "next_token": None} | meta,
    }


def _represent_item(request: ChatRequest, sync_object: SyncObject, item: SyncItem) -> dict[str, Any]:
    kind = sync_object.kind.type
    return {
        _key_name(kind): _key(kind, item.key),
        f"{kind}_sid": sync_object.sid,
        "url": request.base_url + _item_path(sync_object, item.key),
        "revision": _revision(item.event_id),
        "last_event_id": item.event_id,
        "data": item.data,
        "date_created": to_milliseconds(item.date_created),
        "date_updated": to_milliseconds(item.date_updated),
        "date_expires": None,
    }


def _key_name(kind: ObjectType) -> str:
    return "index" if kind is ObjectType.LIST else "key"


def _key(kind: ObjectType, key: str) -> str | int:
    return int(key) if kind is ObjectType.LIST else key


def _object_path(sync_object: SyncObject) -> str:
    return f"{PATHS[sync_object.kind.type]}/{sync_object.sid}"


def _item_path(sync_object: SyncObject, key: str) -> str:
    return f"{_object_path(sync_object)}/Items/{quote(key, safe='')}"


def _revision(event_id: int) -> str:
    return f"{event_id:x}"
