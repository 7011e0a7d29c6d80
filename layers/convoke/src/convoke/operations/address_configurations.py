"""Create, fetch, list, update and delete address configurations."""

from __future__ import annotations

from collections.abc import Mapping

from convoke.domain.accounts import Account
from convoke.domain.address_configurations import (
    AddressConfiguration,
    AddressConfigurationChange,
    AddressConfigurationFilters,
    AddressConfigurationParameters,
    NewAddressConfiguration,
)
from convoke.domain.addresses import channel_of
from convoke.domain.errors import ConflictError, FieldPath, InvalidParameterError, NotFoundError
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.receivers import ReceiverRules
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.address_configurations import AddressConfigurationRepository
from convoke.storage.services import CachedServices


@lean_dataclass
class AddressConfigurationOperations:
    configurations: AddressConfigurationRepository
    services: CachedServices
    rules: ReceiverRules
    now: Clock
    new_sid: NewSid

    def create(self, account: Account, requested: NewAddressConfiguration) -> AddressConfiguration:
        """Store and return a new configuration. See docs/behaviour/address-configurations.md#create.

        Raises ConflictError if the address already has a configuration. Raises another error in these cases:

        - The account does not own the address.
        - A required parameter is missing.
        - The URL is not allowed.
        - The service does not exist.
        """
        configuration = requested.configuration(account.sid, self.new_sid(Prefix.ADDRESS_CONFIGURATION), self.now())
        # Some valid addresses have no channel, such as a short code. The list of owned addresses cannot contain such an
        # address, so this check would refuse all such addresses if the list is not empty.
        if channel_of(requested.address) and not account.owns(requested.address):
            raise InvalidParameterError(field="address", wanted="one of the owned addresses of this account")
        self._refuse_unusable(account.sid, requested)
        if not self.configurations.create(configuration):
            raise ConflictError(reason="address_configured")
        return configuration

    def fetch(self, account_sid: str, sid_or_address: str) -> AddressConfiguration:
        """Return the configuration that has the given SID or address. Raises NotFoundError."""
        if sid := parse_sid(sid_or_address, Prefix.ADDRESS_CONFIGURATION):
            found = self.configurations.fetch(account_sid, sid)
        else:
            found = self.configurations.fetch_by_address(account_sid, sid_or_address)
        if found is None:
            raise NotFoundError
        return found

    def list(
        self, account_sid: str, filters: AddressConfigurationFilters, page: PageRequest
    ) -> Page[AddressConfiguration]:
        return self.configurations.list(account_sid, filters, page)

    def update(
        self, account_sid: str, sid_or_address: str, requested: AddressConfigurationChange
    ) -> AddressConfiguration:
        """Store the given fields. If no fields are given, nothing changes.

        Raises NotFoundError. Raises another error if the URL is not allowed, if the service does not exist, or if a
        required setting is missing after the update. The type of autocreation determines which settings are required.
        """
        configuration = self.fetch(account_sid, sid_or_address)
        if not requested.model_fields_set:
            return configuration
        # A concurrent update cannot remove a required setting, because no request can remove a setting.
        configuration.model_copy(update=requested.model_dump(exclude_unset=True)).refuse_incomplete()
        self._refuse_unusable(account_sid, requested)
        updated = self.configurations.update(configuration, requested, self.now())
        if updated is None:
            raise NotFoundError
        return updated

    def delete(self, account_sid: str, sid_or_address: str) -> None:
        """Delete a configuration. Raises NotFoundError."""
        if not self.configurations.delete(self.fetch(account_sid, sid_or_address)):
            raise NotFoundError

    def _refuse_unusable(self, account_sid: str, requested: AddressConfigurationParameters) -> None:
        """Raise an error if the requested webhook URL is not allowed, or if the requested service does not exist."""
        urls: Mapping[FieldPath, str | None] = {("auto_creation", "webhook_url"): requested.auto_creation_webhook_url}
        self.rules.refuse(urls)
        service_sid = requested.auto_creation_conversation_service_sid
        if service_sid and not self.services.fetch(account_sid, service_sid):
            field = ("auto_creation", "conversation_service_sid")
            raise InvalidParameterError(field=field, wanted="the SID of a service of this account")
