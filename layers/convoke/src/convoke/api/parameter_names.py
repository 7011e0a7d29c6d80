"""The names of request parameters: Twilio's PascalCase names for the snake_case fields of the domain.

Only this module knows them. The domain, the operations and the storage layer name fields by their path, such as
`("messaging_binding", "proxy_address")`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic.alias_generators import to_pascal

from convoke.domain.errors import FieldPath

PARTICIPANT = "Participant"

JSON_PARAMETERS = {"participants": PARTICIPANT, "pre_webhook": "PreWebhook"}
"""The names for the first part of a field path that leads into JSON, where the other parts keep their spelling."""

PREFIXES = ("Timers", "Bindings.Email", "MessagingBinding")
"""The parts of form parameter names that are followed by a dot."""


def form_name(field: str) -> str:
    """Return the form parameter of a field: `timers_inactive` is sent as `Timers.Inactive`."""
    name = to_pascal(field)
    for prefix in PREFIXES:
        plain = prefix.replace(".", "")
        if name.startswith(plain):
            return f"{prefix}.{name.removeprefix(plain)}"
    return name


def scoped_webhook_name(field: str) -> str:
    """Return the form parameter of a field of a conversation's webhook: `flow_sid` is `Configuration.FlowSid`."""
    return to_pascal(field) if field == "target" else f"Configuration.{to_pascal(field)}"


def parameter_name(path: FieldPath) -> str:
    """Return the parameter that a field path leads to.

    `("messaging_binding", "proxy_address")` is `MessagingBinding.ProxyAddress`, and
    `("participants", 3, "identity")` is `Participant[3].identity`.
    """
    if path and (name := JSON_PARAMETERS.get(str(path[0]))):
        return join_name([name, *path[1:]])
    return join_name(part if isinstance(part, int) else to_pascal(part) for part in path)


def join_name(parts: Iterable[str | int]) -> str:
    """Return the parts of a name with dots between them, and with indexes in brackets."""
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name and part[0] != "[" else part
    return name
