"""Receive the webhook requests that Twilio Programmable Messaging sends for a Sender resource.

See docs/behaviour/inbound-messages.md#carriers.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from convoke.domain.errors import AccessDeniedError
from convoke.domain.media import CarrierCredentials
from convoke.domain.senders import Provider, Sender
from convoke.domain.sids import Prefix, parse_sid
from convoke.domain.twilio_messages import inbound_message
from convoke.domain.twilio_statuses import copy_in, status_in
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.carrier_messages import CarrierMessageOperations
from convoke.operations.copy_statuses import CopyStatuses
from convoke.storage.sender_secrets import SenderSecrets
from convoke.webhooks.signature import sign

MEDIA_ORIGIN = "https://api.twilio.com"
"""The origin from which Twilio serves the media of messages."""


@lean_dataclass
class TwilioWebhookOperations:
    find_sender: Callable[[str], Sender | None]
    """Returns the Sender resource that has the given SID, or None. Every result is cached, including None."""
    secrets: SenderSecrets
    messages: CarrierMessageOperations
    statuses: CopyStatuses

    def receive(self, sender_sid: str, url: str, parameters: Mapping[str, str], signature: str) -> None:
        """Store an inbound message. Raises AccessDeniedError if Twilio did not sign the request for the sender.

        Raises UnavailableError if Twilio must deliver the message again. If Convoke can never store the message, the
        method only logs a warning.
        """
        sender = self.authenticate(sender_sid, url, parameters, signature)
        secret = self.secrets.fetch(sender.account_sid, sender.sid)
        credentials = CarrierCredentials(MEDIA_ORIGIN, secret.account_sid, secret.auth_token) if secret else None
        self.messages.receive(
            parameters, inbound_message, lambda address: sender if address == sender.address else None, credentials
        )

    def record_status(
        self, sender_sid: str, url: str, query: Mapping[str, str], parameters: Mapping[str, str], signature: str
    ) -> None:
        """Record the status of a copy. Raises AccessDeniedError if Twilio did not sign the request for the sender.

        `query` contains the SIDs that identify the copy. If a SID is missing, or if the status does not change a
        receipt, nothing happens. The SID of the account comes from the sender, not from `query`. Therefore an account
        can change only its own receipts, even if the account invents and signs a request.
        """
        sender = self.authenticate(sender_sid, url, parameters, signature)
        copy, (status, entry) = copy_in(sender.account_sid, query), status_in(parameters)
        if copy and status:
            self.statuses.record(copy, status, entry)

    def authenticate(self, sender_sid: str, url: str, parameters: Mapping[str, str], signature: str) -> Sender:
        """Return the sender for which Twilio signed a request. `url` is the URL that Twilio called.

        Raises AccessDeniedError if the signature is wrong, or if there is no Twilio sender with this SID and a secret.
        The error does not say which, because a stranger must not find out which senders exist.
        """
        known = parse_sid(sender_sid, Prefix.SENDER)
        sender = self.find_sender(known) if known else None
        is_twilios = sender is not None and sender.provider is Provider.TWILIO
        secret = self.secrets.fetch(sender.account_sid, sender.sid) if sender and is_twilios else None
        expected = sign(url, parameters, secret.auth_token) if secret else ""
        if not (sender and expected and hmac.compare_digest(expected.encode(), signature.encode())):
            raise AccessDeniedError
        return sender
