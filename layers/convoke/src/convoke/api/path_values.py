"""The valid values of path parameters. `/openapi.json` describes the values."""

from __future__ import annotations

from collections.abc import Mapping

from convoke.domain.event_attempts import ATTEMPT_NAME
from convoke.domain.sids import Prefix

PATH_VALUES: Mapping[str, Prefix | Mapping[str, str]] = {
    "Services": Prefix.SERVICE,
    "Conversations": {"description": "A SID or a unique name."},
    "Participants": {"description": "A SID or an identity."},
    "Media": Prefix.MEDIA,
    "Messages": Prefix.MESSAGE,
    "Receipts": Prefix.RECEIPT,
    "Webhooks": Prefix.WEBHOOK,
    "Roles": Prefix.ROLE,
    "Users": {"description": "A SID or an identity."},
    "Events": {"pattern": f"^{Prefix.CHANGE}[0-9a-fA-F]{{32}}-[0-9]+$"},
    "Alerts": Prefix.ALERT,
    "Attempts": {"pattern": f"^{ATTEMPT_NAME.pattern}$"},
    "Accounts": Prefix.ACCOUNT,
    "Keys": Prefix.API_KEY,
    "Addresses": {"description": "A SID or an address."},
    "Bindings": Prefix.BINDING,
    "Credentials": Prefix.CREDENTIAL,
    "Senders": Prefix.SENDER,
    "Phones": {"description": "The number of a simulated phone."},
}
"""Describes the valid values of the documented path parameters. The key is the path segment before the parameter.

The value is a SID prefix, or a part of a JSON Schema.
"""
