"""Create, fetch, list, update and delete senders, and find the sender of an address."""

from __future__ import annotations

from convoke.domain.accounts import Account
from convoke.domain.errors import ConflictError, InvalidParameterError, NotFoundError
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.senders import AssignedSender, NewSender, Provider, Sender, SenderChange, simulated_by_default
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.sender_secrets import SenderSecrets
from convoke.storage.senders import SenderRepository


@lean_dataclass
class FindSender:
    """Finds the sender through which an account sends from a business address."""

    senders: SenderRepository
    now: Clock
    simulates_phones: bool

    def __call__(self, account_sid: str, address: str) -> Sender | None:
        """Return the account's sender for an address, or None.

        If no account has a sender for the address and `simulates_phones` is True, return a simulated sender. If another
        account has the sender for the address, return None.
        """
        sender = self.senders.fetch_by_address(address)
        if sender is None and self.simulates_phones:
            return simulated_by_default(account_sid, address, self.now())
        return sender if sender and sender.account_sid == account_sid else None


@lean_dataclass
class SenderOperations:
    """Stores senders and their secrets.

    On AWS, the secrets are not in the table, so a transaction cannot write a sender and its secret together. Each
    method that changes both therefore first writes or deletes the secret, and then the sender. If the process dies in
    between, the client can repeat the request. An interrupted creation leaves a secret whose sender does not exist. An
    interrupted deletion leaves a sender without a secret. A repeated deletion also deletes the sender.
    """

    senders: SenderRepository
    secrets: SenderSecrets
    simulates_phones: bool
    now: Clock
    new_sid: NewSid

    def create(self, account: Account, requested: NewSender) -> Sender:
        """Store and return a new sender. Raises ConflictError if the address already has a sender.

        Raises InvalidParameterError if the account does not own the address, or if the secret of the provider is
        missing. Also raises this error if the provider is `simulated` and `simulates_phones` is False.
        """
        if requested.provider is Provider.SIMULATED and not self.simulates_phones:
            raise InvalidParameterError(field="provider", wanted="twilio: only one machine simulates phones")
        if not account.owns(requested.address):
            raise InvalidParameterError(field="address", wanted="one of the owned addresses of this account")
        secret = requested.required_secret()
        if self.senders.fetch_by_address(requested.address):
            # The condition of the write below would be enough. Because of this earlier check, a refused request does
            # not write and then delete a secret.
            raise ConflictError(reason="address_sends")
        sender = requested.sender(account.sid, self.new_sid(Prefix.SENDER), self.now())
        if secret:
            self.secrets.put(account.sid, sender.sid, secret)
        if not self.senders.create(sender):
            self._delete_secret(sender)
            raise ConflictError(reason="address_sends")
        return sender

    def assign(self, account_sid: str, requested: AssignedSender) -> Sender:
        """Store and return a sender that uses the deployment's AWS account. Only operators may call this method.

        Raises ConflictError if the address already has a sender.
        """
        sender = requested.sender(account_sid, self.new_sid(Prefix.SENDER), self.now())
        if not self.senders.create(sender):
            raise ConflictError(reason="address_sends")
        return sender

    def fetch(self, account_sid: str, sid: str) -> Sender:
        """Return a sender. Raises NotFoundError if the account has no such sender."""
        known = parse_sid(sid, Prefix.SENDER)
        sender = known and self.senders.fetch(account_sid, known)
        if not sender:
            raise NotFoundError
        return sender

    def list(self, account_sid: str, page: PageRequest) -> Page[Sender]:
        return self.senders.list(account_sid, page)

    def update(self, account_sid: str, sid: str, requested: SenderChange) -> Sender:
        """Store the given fields. If no fields are given, nothing changes.

        Raises NotFoundError. Raises InvalidParameterError if the provider is Twilio and the request has only one part
        of the secret. Also raises this error if the operator has assigned the sender and the request sets the
        limit.
        """
        sender = self.fetch(account_sid, sid)
        if not requested.model_fields_set:
            return sender
        if sender.provider is Provider.AWS and "max_messages_per_second" in requested.model_fields_set:
            wanted = "absent, because the operator sets the limit of this sender"
            raise InvalidParameterError(field="max_messages_per_second", wanted=wanted)
        if secret := requested.secret(sender.provider):
            self.secrets.put(account_sid, sender.sid, secret)
        updated = self.senders.update(sender, requested, self.now())
        if updated is None:
            self._delete_secret(sender)
            raise NotFoundError
        return updated

    def set_limit(self, sender: Sender, change: SenderChange) -> Sender:
        """Store the limit of a sender. Only operators may call this method. Raises NotFoundError."""
        updated = self.senders.update(sender, change, self.now())
        if updated is None:
            raise NotFoundError
        return updated

    def delete(self, account_sid: str, sid: str) -> None:
        """Delete a sender and its secret. Raises NotFoundError if the account has no such sender."""
        sender = self.fetch(account_sid, sid)
        self._delete_secret(sender)
        if not self.senders.delete(sender):
            raise NotFoundError

    def _delete_secret(self, sender: Sender) -> None:
        if sender.provider is Provider.TWILIO:
            self.secrets.delete(sender.account_sid, sender.sid)
