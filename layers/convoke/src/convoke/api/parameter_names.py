"""Convert the snake_case field names of the domain to the PascalCase parameter names of Twilio.

Only this module knows the parameter names. All other layers use field paths, such as
`("messaging_binding", "proxy_address")`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic.alias_generators import to_pascal

from convoke.domain.errors import FieldPath

PARTICIPANT = "Participant"

JSON_PARAMETERS = {"participants": PARTICIPANT, "pre_webhook": "PreWebhook"}
"""The names of parameters with a JSON value. The key is the first part of a field path into the JSON value.

The further parts of the field path are keys of the JSON value. `parameter_name` does not convert these keys.
"""

PREFIXES = (
    "Timers",
    "Bindings.Email",
    "MessagingBinding",
    "AutoCreation",
    "Twilio",
    "NewMessage.WithMedia",
    "NewMessage",
    "AddedToConversation",
    "RemovedFromConversation",
)
"""Prefixes of form parameter names, longest first. A dot follows each prefix, as in `Timers.Inactive`."""


def form_name(field: str) -> str:
    """Return the form parameter for a field. For example, the parameter for `timers_inactive` is `Timers.Inactive`."""
    name = _to_pascal(field)
    for prefix in PREFIXES:
        plain = prefix.replace(".", "")
        if name.startswith(plain):
            return f"{prefix}.{name.removeprefix(plain)}"
    return name


def scoped_webhook_name(field: str) -> str:
    """Return the form parameter for a field of a scoped webhook, for example `Configuration.FlowSid` for `flow_sid`."""
    return to_pascal(field) if field == "target" else f"Configuration.{to_pascal(field)}"


def parameter_name(path: FieldPath) -> str:
    """Return the parameter name for a field path.

    For example, the name for `("messaging_binding", "proxy_address")` is `MessagingBinding.ProxyAddress`. The name for
    `("participants", 3, "identity")` is `Participant[3].identity`.
    """
    if path and (name := JSON_PARAMETERS.get(str(path[0]))):
        return join_name([name, *path[1:]])
    return join_name(part if isinstance(part, int) else _to_pascal(part) for part in path)


def _to_pascal(field: str) -> str:
    """Convert a field name to PascalCase, without a trailing `_`.

    For example, the field `from_` ends with `_`, because `from` is a keyword of Python.
    """
    return to_pascal(field.removesuffix("_"))


def join_name(parts: Iterable[str | int]) -> str:
    """Join the parts of a parameter name with dots. An index is written in brackets."""
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name and part[0] != "[" else part
    return name
