"""Generate the table of Conversations v1 operations in docs/api-coverage.md.

The table says which operations Convoke serves. `make docs-tables` runs this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from convoke.api.requests import TWILIO_PREFIX
from convoke.api.resources import alerts, media, media_contents, media_sets
from convoke.api.routes import ROUTES
from tests.support.docs import API_COVERAGE, with_part

IN_SERVICE = "/Services/{ISxx}"
"""The first part of each path that contains a service SID."""

CONVERSATION = "/Conversations/{sid or unique name}"

IN_BOTH_TREES = {
    "/ConversationWithParticipants": ("POST", "all parameters; 0 to 10 participants"),
    "/Conversations": ("GET POST", "paged; `StartDate`, `EndDate`, `State`; all parameters"),
    CONVERSATION: ("GET POST DELETE", "all parameters; `State=closed` is final"),
    f"{CONVERSATION}/Participants": (
        "GET POST",
        "paged; all parameters, and `MessagingBinding.Type`, `Name` and `Level`",
    ),
    f"{CONVERSATION}/Participants/{{sid or identity}}": (
        "GET POST DELETE",
        "all parameters; the value `null` removes a proxy address, a projected address or the read position",
    ),
    f"{CONVERSATION}/Messages": ("GET POST", "paged, `Order`; all parameters"),
    f"{CONVERSATION}/Messages/{{sid}}": ("GET POST DELETE", "all parameters"),
    f"{CONVERSATION}/Messages/{{sid}}/Receipts": ("GET", "paged"),
    f"{CONVERSATION}/Messages/{{sid}}/Receipts/{{sid}}": ("GET", ""),
    f"{CONVERSATION}/Webhooks": ("GET POST", "paged; all parameters; the target `studio` is stored and never called"),
    f"{CONVERSATION}/Webhooks/{{sid}}": ("GET POST DELETE", "all parameters"),
    "/ParticipantConversations": ("GET", "paged; exactly one of `Identity` and `Address`"),
    "/Users": ("GET POST", ""),
    "/Users/{sid or identity}": ("GET POST DELETE", ""),
    "/Users/{sid or identity}/Conversations": ("GET", ""),
    "/Users/{sid or identity}/Conversations/{sid or unique name}": ("GET POST DELETE", ""),
    "/Roles": ("GET POST", ""),
    "/Roles/{sid}": ("GET POST DELETE", ""),
}
"""Maps each path that also exists below `/Services/{ISxx}` to all its methods at Twilio, and to a note.

The note says what Convoke supports, and with which limits. The note is empty if there is nothing to say.
"""

IN_ONE_TREE = {
    "/Configuration": ("GET POST", "default service, default Messaging Service, default timers"),
    "/Configuration/Webhooks": ("GET POST", "all parameters"),
    "/Configuration/Addresses": ("GET POST", "paged, `Type`; all parameters; Studio flows are stored and never called"),
    "/Configuration/Addresses/{sid or address}": ("GET POST DELETE", "all parameters"),
    "/Credentials": ("GET POST", "paged; all parameters; secrets are checked and not stored"),
    "/Credentials/{sid}": ("GET POST DELETE", "all parameters"),
    "/Services": ("GET POST", "paged"),
    "/Services/{ISxx}": ("GET DELETE", ""),
    f"{IN_SERVICE}/Configuration": ("GET POST", "default roles and reachability"),
    f"{IN_SERVICE}/Configuration/Webhooks": ("GET POST", "all parameters"),
    f"{IN_SERVICE}/Configuration/Notifications": ("GET POST", "all parameters; no notification is sent"),
    f"{IN_SERVICE}/Bindings": ("GET", "paged, `BindingType`, `Identity`; empty, because no device can register yet"),
    f"{IN_SERVICE}/Bindings/{{sid}}": ("GET DELETE", ""),
}
"""Maps each path that exists only once to its methods and a note, as in IN_BOTH_TREES."""

OF_OTHER_APIS = (
    *(alerts.LIST, alerts.FETCH),
    *(media.CREATE, media.FETCH, media_contents.FETCH, media_sets.FETCH),
)
"""Contracts of routes outside Conversations v1: the error log (Monitor v1) and Twilio's media service."""

Operation = tuple[str, str]
"""An HTTP method and a path. In the path, `{}` stands for any SID or name."""


def known() -> list[Operation]:
    """Return every operation of Conversations v1."""
    both = [(path, verbs) for path, (verbs, _) in IN_BOTH_TREES.items()]
    paths = [*both, *((IN_SERVICE + path, verbs) for path, verbs in both)]
    paths += [(path, verbs) for path, (verbs, _) in IN_ONE_TREE.items()]
    return [(verb, _bare(path)) for path, verbs in paths for verb in verbs.split()]


def served() -> set[Operation]:
    """Return the operations of Conversations v1 that Convoke serves."""
    rules = ((route.method, rule) for route in ROUTES for rule in route.rules if route.contract not in OF_OTHER_APIS)
    return {
        (method, _bare(rule.removeprefix(TWILIO_PREFIX)))
        for method, rule in rules
        if rule.startswith(f"{TWILIO_PREFIX}/")
    }


def _bare(path: str) -> str:
    return re.sub(r"[{<][^/]+[}>]", "{}", path)


def _tables() -> str:
    return "\n".join(
        [
            f"{len(served())} of the {len(known())} operations of Conversations v1 are served.",
            "",
            (
                "These paths act on the account's default service. "
                f"Under `{TWILIO_PREFIX}{IN_SERVICE}` they act on any service:"
            ),
            "",
            *_table(IN_BOTH_TREES),
            "",
            "These paths exist once, for the account or for one service:",
            "",
            *_table(IN_ONE_TREE),
            "",
        ]
    )


def _table(paths: dict[str, tuple[str, str]]) -> Iterator[str]:
    yield "| path | served | not yet | notes |"
    yield "|---|---|---|---|"
    answered = served()
    for path, (verbs, note) in paths.items():
        supported = [verb for verb in verbs.split() if (verb, _bare(path)) in answered]
        missing = [verb for verb in verbs.split() if verb not in supported]
        yield f"| `{TWILIO_PREFIX}{path}` | {_listed(supported)} | {_listed(missing)} | {note if supported else ''} |"


def _listed(verbs: list[str]) -> str:
    return ", ".join(f"`{verb}`" for verb in verbs)


def with_table(page: str) -> str:
    return with_part(page, "operations", _tables())


if __name__ == "__main__":
    API_COVERAGE.write_text(with_table(API_COVERAGE.read_text()))
    print(f"{len(served())} of {len(known())} operations")
