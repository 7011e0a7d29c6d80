"""Convert field names to Twilio's parameter names, for example `friendly_name` to `FriendlyName`.

Only this module converts these names. The layers below the API use field paths, such as `("messaging_binding",
"proxy_address")`.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic.alias_generators import to_pascal

from convoke.domain.errors import FieldPath

PARTICIPANT = "Participant"

JSON_PARAMETERS = {"participants": PARTICIPANT, "pre_webhook": "PreWebhook"}
"""Maps the first part of a field path to the parameter, for parameters whose value is JSON.

The other parts of the field path are indexes and keys inside the JSON value. `parameter_name` does not change the keys.
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
"""The prefixes of form parameters, except `Configuration`. A dot follows the prefix, as in `Timers.Inactive`.

If a prefix starts with another prefix, the longer prefix must come first.
"""


def form_name(field: str) -> str:
    """Return the form parameter for a field, for example `Timers.Inactive` for `timers_inactive`."""
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

    The path `("messaging_binding", "proxy_address")` becomes `MessagingBinding.ProxyAddress`. The path
    `("participants", 3, "identity")` becomes `Participant[3].identity`.
    """
    if path and (name := JSON_PARAMETERS.get(str(path[0]))):
        return join_name([name, *path[1:]])
    return join_name(part if isinstance(part, int) else _to_pascal(part) for part in path)


def _to_pascal(field: str) -> str:
    """Convert a field name to PascalCase. A `_` at the end is removed.

    The name of the field `from_` ends with `_`, because `from` is a keyword of Python.
    """
    return to_pascal(field.removesuffix("_"))


def join_name(parts: Iterable[str | int]) -> str:
    """Join the parts of a parameter name with dots. Write an index in brackets."""
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name and part[0] != "[" else part
    return name
