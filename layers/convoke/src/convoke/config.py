"""Read the environment variables that configure a deployment or the embedded engine.

The Lambda functions and the embedded engine read these variables only through this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from convoke.lean_dataclass import lean_dataclass

BASE_URL = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*[^/?#\s])?")
"""Matches a base URL. The parameter `PublicUrl` in template.yaml has the same rule."""


class NotConfiguredError(Exception):
    """A required environment variable is not set."""


class InvalidSettingError(ValueError):
    """An environment variable has an invalid value. The error text is one line for the operator of Convoke."""


@lean_dataclass
class Settings:
    """The settings from the environment variables.

    Each Lambda function has only some of the variables, so a variable is read only when its property is used.
    """

    environ: Mapping[str, str]

    @property
    def stack_name(self) -> str:
        return self._required("CONVOKE_STACK_NAME")

    @property
    def table_name(self) -> str:
        return self._required("CONVOKE_TABLE_NAME")

    @property
    def participant_queue_url(self) -> str:
        return self._required("CONVOKE_PARTICIPANT_QUEUE_URL")

    @property
    def delivery_queue_url(self) -> str:
        return self._required("CONVOKE_DELIVERY_QUEUE_URL")

    @property
    def copy_queue_url(self) -> str:
        return self._required("CONVOKE_COPY_QUEUE_URL")

    @property
    def copy_failure_queue_url(self) -> str:
        return self._required("CONVOKE_COPY_FAILURE_QUEUE_URL")

    @property
    def outbound_failure_queue_url(self) -> str:
        return self._required("CONVOKE_OUTBOUND_FAILURE_QUEUE_URL")

    @property
    def delivery_dead_letter_queue_url(self) -> str:
        return self._required("CONVOKE_DELIVERY_DEAD_LETTER_QUEUE_URL")

    @property
    def delivery_failure_queue_url(self) -> str:
        return self._required("CONVOKE_DELIVERY_FAILURE_QUEUE_URL")

    @property
    def change_dead_letter_queue_url(self) -> str:
        return self._required("CONVOKE_CHANGE_DEAD_LETTER_QUEUE_URL")

    @property
    def state_machine_arn(self) -> str:
        return self._required("CONVOKE_STATE_MACHINE_ARN")

    @property
    def event_bus_name(self) -> str:
        return self._required("CONVOKE_EVENT_BUS_NAME")

    @property
    def media_bucket(self) -> str:
        return self._required("CONVOKE_MEDIA_BUCKET")

    @property
    def auth_token_prefix(self) -> str:
        """The first part of the name of each Auth Token secret. The second part is the Account SID."""
        return self._required("CONVOKE_AUTH_TOKEN_PREFIX")

    @property
    def api_key_master_secret(self) -> str:
        """The name of the secret that contains the master secrets of API keys."""
        return self._required("CONVOKE_API_KEY_MASTER_SECRET")

    @property
    def sender_secret_prefix(self) -> str:
        """The first part of the name of each sender's secret. The Account SID, a slash and the sender's SID follow."""
        return self._required("CONVOKE_SENDER_SECRET_PREFIX")

    @property
    def first_account_sid(self) -> str:
        """The SID of the first account. The first request with the Auth Token of this account creates the account.

        Empty if the deployment uses an existing table, because an existing table contains accounts.
        """
        return self.environ.get("CONVOKE_FIRST_ACCOUNT_SID", "")

    @property
    def public_url(self) -> str | None:
        """The base URL of the API. If None, the headers of each request determine the base URL.

        Raise InvalidSettingError if the variable does not contain a base URL.
        """
        url = self.environ.get("CONVOKE_PUBLIC_URL") or None
        if url and not BASE_URL.fullmatch(url):
            raise InvalidSettingError(
                "CONVOKE_PUBLIC_URL must be an http or https URL, without a query or a slash at the end, such as"
                " https://example.com/chat"
            )
        return url

    @property
    def allowed_webhook_networks(self) -> tuple[str, ...]:
        """The private networks to which Convoke may send webhooks and requests for media, in CIDR notation."""
        networks = self.environ.get("CONVOKE_ALLOWED_WEBHOOK_NETWORKS", "").split(",")
        return tuple(network.strip() for network in networks if network.strip())

    @property
    def require_https_webhooks(self) -> bool:
        return self.environ.get("CONVOKE_REQUIRE_HTTPS_WEBHOOKS") == "true"

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins whose web pages may use the API, such as `https://app.example.com`."""
        origins = self.environ.get("CONVOKE_ALLOWED_ORIGINS", "").split(",")
        return tuple(origin.strip() for origin in origins if origin.strip())

    @property
    def has_console(self) -> bool:
        return self.environ.get("CONVOKE_CONSOLE") == "true"

    @property
    def synchronous(self) -> str:
        """The mode of SQLite's commits: `full` or `normal`. The caller must check the value.

        With `full`, each commit of the embedded engine survives a power failure.
        """
        return self.environ.get("CONVOKE_SYNCHRONOUS") or "normal"

    @property
    def provisioning_retries(self) -> Mapping[str, str]:
        """The configured fields of ProvisioningRetries, without the fields whose environment variable is not set.

        The values of `first_pause` and `max_pause` are ISO 8601 durations.
        """
        names = {
            "max_attempts": "CONVOKE_PROVISIONING_ATTEMPTS",
            "first_pause": "CONVOKE_PROVISIONING_FIRST_PAUSE",
            "max_pause": "CONVOKE_PROVISIONING_LONGEST_PAUSE",
        }
        return {name: value for name, variable in names.items() if (value := self.environ.get(variable))}

    def _required(self, name: str) -> str:
        value = self.environ.get(name)
        if not value:
            raise NotConfiguredError(f"{name} is not set")
        return value
