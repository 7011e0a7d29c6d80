"""What a deployment sets: the environment variables of its functions, named once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class NotConfiguredError(Exception):
    """An environment variable that the function needs is not set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Reads a variable when it is asked for: each function has those that it needs, and no others."""

    environ: Mapping[str, str]

    @property
    def stack_name(self) -> str:
        return self._of("CONVOKE_STACK_NAME")

    @property
    def table_name(self) -> str:
        return self._of("CONVOKE_TABLE_NAME")

    @property
    def participant_queue_url(self) -> str:
        return self._of("CONVOKE_PARTICIPANT_QUEUE_URL")

    @property
    def delivery_queue_url(self) -> str:
        return self._of("CONVOKE_DELIVERY_QUEUE_URL")

    @property
    def delivery_dead_letter_queue_url(self) -> str:
        return self._of("CONVOKE_DELIVERY_DEAD_LETTER_QUEUE_URL")

    @property
    def state_machine_arn(self) -> str:
        return self._of("CONVOKE_STATE_MACHINE_ARN")

    @property
    def event_bus_name(self) -> str:
        return self._of("CONVOKE_EVENT_BUS_NAME")

    @property
    def auth_token_prefix(self) -> str:
        """What the name of an account's secret begins with; its SID follows."""
        return self._of("CONVOKE_AUTH_TOKEN_PREFIX")

    @property
    def allowed_webhook_networks(self) -> tuple[str, ...]:
        """Networks in the form of CIDR that webhooks may be in although they are not public."""
        networks = self.environ.get("CONVOKE_ALLOWED_WEBHOOK_NETWORKS", "").split(",")
        return tuple(network.strip() for network in networks if network.strip())

    @property
    def require_https_webhooks(self) -> bool:
        return self.environ.get("CONVOKE_REQUIRE_HTTPS_WEBHOOKS") == "true"

    @property
    def provisioning(self) -> Mapping[str, str]:
        """What is set of how often, and after what ISO 8601 durations, members are tried to be added again."""
        names = {
            "max_attempts": "CONVOKE_PROVISIONING_ATTEMPTS",
            "initial_delay": "CONVOKE_PROVISIONING_FIRST_PAUSE",
            "max_delay": "CONVOKE_PROVISIONING_LONGEST_PAUSE",
        }
        return {name: value for name, variable in names.items() if (value := self.environ.get(variable))}

    def _of(self, name: str) -> str:
        value = self.environ.get(name)
        if not value:
            raise NotConfiguredError(f"{name} is not set")
        return value
