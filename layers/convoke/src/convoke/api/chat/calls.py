"""Parse the REST call that a chat client sends inside a `message` frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import orjson

from convoke.api.chat.frames import Frame
from convoke.api.chat.requests import ChatRequest
from convoke.domain.access_tokens import ChatSession
from convoke.domain.errors import InvalidParameterError

FORM = "application/x-www-form-urlencoded"


def parse_call(frame: Frame, session: ChatSession, base_url: str) -> ChatRequest:
    """Return the call in a `message` frame. Raise InvalidParameterError if the call is malformed."""
    call = frame.header.get("http_request")
    if not isinstance(call, dict):
        raise InvalidParameterError(parameter="http_request", wanted="a JSON object")
    path, _, query = _text(call, "path").partition("?")
    headers = {str(name).lower(): str(value) for name, value in _object(call, "headers").items()}
    return ChatRequest(
        account=session.account,
        service=session.service,
        identity=session.identity,
        user_sid=session.user_sid,
        method=_text(call, "method").upper(),
        path=path,
        params={**dict(parse_qsl(query, keep_blank_values=True)), **_params(call)},
        headers=headers,
        body=_body(frame.payload, headers.get("content-type", "")),
        base_url=base_url,
    )


def _text(call: Mapping[str, Any], name: str) -> str:
    value = call.get(name)
    if not isinstance(value, str):
        raise InvalidParameterError(parameter=name, wanted="a string")
    return value


def _object(call: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = call.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidParameterError(parameter=name, wanted="a JSON object")
    return value


def _params(call: Mapping[str, Any]) -> dict[str, str]:
    """Return the query parameters from the field `params` of a call.

    A client can repeat a parameter. The call then contains a list of values, and the last value is used.
    """
    raw = {
        name: values[-1:] if isinstance(values, list) else [values] for name, values in _object(call, "params").items()
    }
    return {unquote_plus(name): unquote_plus(str(value)) for name, values in raw.items() for value in values}


def _body(payload: bytes, content_type: str) -> dict[str, Any]:
    if not payload:
        return {}
    try:
        if content_type.startswith(FORM):
            return dict(parse_qsl(payload.decode(), keep_blank_values=True))
        body = orjson.loads(payload)
    except ValueError:
        raise InvalidParameterError(parameter="body", wanted="valid JSON, or a valid form") from None
    if body is None:  # Early versions of the SDK send `null` with DELETE.
        return {}
    if not isinstance(body, dict):
        raise InvalidParameterError(parameter="body", wanted="a JSON object")
    return body
