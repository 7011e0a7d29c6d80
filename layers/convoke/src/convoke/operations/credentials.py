"""Create, fetch, list, update and delete push credentials."""

from __future__ import annotations

from convoke.domain.credentials import Credential, CredentialChange, NewCredential
from convoke.domain.errors import NotFoundError
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.credentials import CredentialRepository


@lean_dataclass
class CredentialOperations:
    credentials: CredentialRepository
    now: Clock
    new_sid: NewSid

    def create(self, account_sid: str, requested: NewCredential) -> Credential:
        moment = self.now()
        credential = Credential.model_validate(
            {
                **requested.stored(requested.type),
                "account_sid": account_sid,
                "sid": self.new_sid(Prefix.CREDENTIAL),
                "type": requested.type,
                "date_created": moment,
                "date_updated": moment,
            }
        )
        self.credentials.create(credential)
        return credential

    def fetch(self, account_sid: str, sid: str) -> Credential:
        """Return a credential. Raises NotFoundError if the account has no such credential."""
        known = parse_sid(sid, Prefix.CREDENTIAL)
        credential = known and self.credentials.fetch(account_sid, known)
        if not credential:
            raise NotFoundError
        return credential

    def list(self, account_sid: str, page: PageRequest) -> Page[Credential]:
        return self.credentials.list(account_sid, page)

    def update(self, account_sid: str, sid: str, requested: CredentialChange) -> Credential:
        """Store the given fields. If no fields are given, nothing changes.

        Raises NotFoundError. Raises InvalidParameterError if the request contains a type that differs from the type of
        the credential.
        """
        credential = self.fetch(account_sid, sid)
        requested.refuse_other_type(credential)
        if not requested.model_fields_set:
            return credential
        updated = self.credentials.update(credential, requested.stored(credential.type), self.now())
        if updated is None:
            raise NotFoundError
        return updated

    def delete(self, account_sid: str, sid: str) -> None:
        """Delete a credential. Raises NotFoundError if the account has no such credential."""
        known = parse_sid(sid, Prefix.CREDENTIAL)
        if not known or not self.credentials.delete(account_sid, known):
            raise NotFoundError
