"""Send the copies of messages to phones, and record the outcomes.

The transaction that stores a message also stores a receipt with the status `queued` for each copy. When the event about
the message arrives, Convoke enqueues one queue message for each copy. Each time a queue message is delivered, Convoke
makes at most one attempt to send the copy. See docs/behaviour/receipts.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from convoke.domain.carriers import (
    MAX_ATTEMPTS,
    CarrierOutcomeUnknownError,
    CarrierRefusedError,
    CarrierThrottledError,
    CarrierUnavailableError,
    OutboundCopy,
    SentCopy,
    is_delayed_too_long,
    pause_seconds,
    throttled_pause_seconds,
)
from convoke.domain.copies import Copy, text_of_copy
from convoke.domain.errors import CarrierFailedError, CopyDelayedTooLongError, LogEntry, SenderMissingError
from convoke.domain.events import Event
from convoke.domain.instants import Clock
from convoke.domain.pauses import own_failure_pause_seconds
from convoke.domain.receipts import ReceiptStatus
from convoke.domain.senders import Provider
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.copy_statuses import CopyStatuses, context_of
from convoke.operations.media_links import MediaLinks
from convoke.operations.ports import Carrier, CopyQueue, RetryLaterError
from convoke.operations.senders import FindSender
from convoke.storage.copies import CopyRepository, StoredCopy
from convoke.storage.inbound_messages import group_copy_write
from convoke.storage.sender_secrets import SenderSecrets
from convoke.storage.sending_limits import SendingLimits
from convoke.storage.table import Write

logger = logging.getLogger(__name__)


class BegunCopy(NamedTuple):
    """A copy whose receipt has the status `sending`. The carrier can be called now."""

    stored: StoredCopy
    outbound: OutboundCopy
    carrier: Carrier
    queued_at: datetime | None


class CopyOutcome(NamedTuple):
    """The outcome of a call to a carrier."""

    sent: SentCopy | None = None
    refusal: type[LogEntry] | None = None
    """The reason why the carrier refused the copy. A further attempt would be refused too."""
    is_throttled: bool = False
    is_unknown: bool = False
    """Whether the carrier may have accepted the copy, although Convoke received no answer that says so."""

    @property
    def is_answered(self) -> bool:
        """Whether the carrier has accepted or refused the copy."""
        return self.sent is not None or self.refusal is not None

    @property
    def is_retryable(self) -> bool:
        """Whether the outcome counts as a failure of the line, which is a pair of a business address and a phone.

        True if the carrier has neither accepted, refused nor throttled the copy. After several failures in a row, the
        embedded engine pauses the copies of the line (domain/circuit_breakers.py).
        """
        return not self.is_answered and not self.is_throttled


@lean_dataclass
class MessageSender:
    copies: CopyRepository
    statuses: CopyStatuses
    queue: CopyQueue
    find_sender: FindSender
    limits: SendingLimits
    carriers: Mapping[Provider, Carrier]
    secrets: SenderSecrets
    links_to: MediaLinks
    now: Clock

    def split(self, event: Event) -> None:
        """Enqueue one queue message for each copy whose receipt has the status `queued`.

        `event` is the event about the message that the copies belong to.
        """
        assert event.conversation_sid is not None
        message_sid = event.payload["MessageSid"]
        receipts = self.copies.receipts(event.account_sid, event.conversation_sid, message_sid)
        now = self.now()
        if copies := [Copy.of(receipt, now) for receipt in receipts if receipt.status is ReceiptStatus.QUEUED]:
            self.queue.send(copies)

    def begin(self, copy: Copy) -> BegunCopy | None:
        """Record that a call to the carrier starts. Return None if the carrier must not be called.

        The carrier must not be called in these cases:

        - The message or the conversation was deleted.
        - The copy is already sent or has failed.
        - Another process has just started a call for the copy.

        In the following cases, the method records that the copy has failed, and also returns None:

        - The business address of the copy or the address of the phone is unknown.
        - The account has no sender for the business address, or the engine has no carrier for the sender's provider.
        - The outcomes of two calls to a real carrier were lost.
        - The limit of the sender has delayed the copy for too long.

        Raises RetryLaterError if the limit of the sender delays the copy.
        """
        stored = self.copies.fetch(copy)
        if stored is None or not stored.receipt.is_pending:
            return None
        receipt = stored.receipt
        sender = self.find_sender(receipt.account_sid, receipt.business_address) if receipt.business_address else None
        carrier = self.carriers.get(sender.provider) if sender else None
        if sender is None or carrier is None or receipt.address is None:
            self.statuses.conclude(stored, ReceiptStatus.FAILED, SenderMissingError)
            return None
        if receipt.outcome_is_lost_again and sender.provider is not Provider.SIMULATED:
            # The phone may already have received the copy twice, and a further call could send the copy again. The
            # simulator may be called again, because the simulator stores each copy only once.
            self.statuses.conclude(stored, ReceiptStatus.FAILED, CarrierFailedError)
            return None
        if pause := self.limits.pause_before(sender, self.now()):
            if self._expire(stored, copy.queued_at):
                return None
            raise RetryLaterError(pause)
        needs_secret = sender.provider is Provider.TWILIO
        secret = self.secrets.fetch(receipt.account_sid, sender.sid) if needs_secret else None
        text = text_of_copy(stored.message, in_group=receipt.in_group, is_group_mms=carrier.sends_group_mms)
        media = self.links_to(receipt.account_sid, [each.sid for each in stored.message.media])
        # Store the status `sending` last. If Convoke fails before the call, the receipt must not show a call whose
        # outcome was lost.
        begun = self.copies.begin(stored)
        if begun is None:
            return None
        outbound = OutboundCopy(begun.receipt, sender, receipt.address, text, secret, media)
        return BegunCopy(begun, outbound, carrier, copy.queued_at)

    def call(self, begun: BegunCopy) -> CopyOutcome:
        """Call the carrier and wait for its answer.

        The embedded engine calls this method on a worker thread. Therefore the method itself uses neither the table nor
        the queue. Exception: the simulated carrier uses the table, which then does the work on the event loop's thread.
        """
        try:
            return CopyOutcome(sent=begun.carrier.send(begun.outbound))
        except CarrierRefusedError as error:
            return CopyOutcome(refusal=error.entry)
        except CarrierThrottledError:
            return CopyOutcome(is_throttled=True)
        except CarrierUnavailableError:
            return CopyOutcome()
        except CarrierOutcomeUnknownError as error:
            logger.warning("the outcome of a call to a carrier is unknown: %s", error, extra=context_of(begun.stored))
            return CopyOutcome(is_unknown=True)
        except Exception:
            logger.exception("a carrier failed", extra=context_of(begun.stored))
            return CopyOutcome(is_unknown=True)

    def finish(self, begun: BegunCopy, outcome: CopyOutcome) -> None:
        """Record the outcome of the call. Raises RetryLaterError if Convoke must try to send the copy again."""
        stored = begun.stored
        if outcome.sent:
            self._record_sent(begun, outcome.sent)
        elif outcome.refusal:
            self.statuses.conclude(stored, ReceiptStatus.FAILED, outcome.refusal)
        elif outcome.is_throttled:
            if not self._expire(stored, begun.queued_at):
                self.undo(begun)
                raise RetryLaterError(throttled_pause_seconds(begun.queued_at, self.now()))
        elif stored.receipt.attempts >= MAX_ATTEMPTS:
            self.statuses.conclude(stored, ReceiptStatus.FAILED, CarrierFailedError)
        else:
            if not outcome.is_unknown:
                self.copies.requeue(stored, attempts=stored.receipt.attempts)
            raise RetryLaterError(pause_seconds(stored.receipt.attempts))

    def undo(self, begun: BegunCopy) -> None:
        """Record that the carrier has not accepted the copy, and do not count this attempt towards MAX_ATTEMPTS."""
        self.copies.requeue(begun.stored, attempts=begun.stored.receipt.attempts - 1)

    def pause_after_own_failure(self, copy: Copy) -> float | None:
        """Count a failure of Convoke itself, and return the pause in seconds. Return None if the copy must be given up.

        The failure does not count as an attempt to send the copy. Only the AWS engine calls this method, because SQS
        also counts the receives of a queue message that end without a failure. The queue of the embedded engine counts
        the failures of Convoke itself.
        """
        return own_failure_pause_seconds(self.copies.count_failure(copy))

    def give_up(self, copy: Copy) -> None:
        """Record that a copy has failed because Convoke itself failed to process its queue message.

        Does nothing if the copy is no longer pending. After this call, Convoke does not send the copy, even if an
        operator redrives the dead letter of the queue message.
        """
        if (stored := self.copies.fetch(copy)) and stored.receipt.is_pending:
            self.statuses.conclude(stored, ReceiptStatus.FAILED, CarrierFailedError)

    def _expire(self, stored: StoredCopy, queued_at: datetime | None) -> bool:
        """Record that a copy has failed if the copy was delayed for too long. Return whether the delay was too long."""
        if not is_delayed_too_long(queued_at, self.now()):
            return False
        self.statuses.conclude(stored, ReceiptStatus.FAILED, CopyDelayedTooLongError)
        return True

    def _record_sent(self, begun: BegunCopy, sent: SentCopy) -> None:
        stored, sender = begun.stored, begun.outbound.sender
        receipt = stored.receipt
        accepted = {"provider": sender.provider.value, "provider_message_id": sent.provider_message_id}
        writes: list[Write] = []
        if receipt.in_group and not begun.carrier.sends_group_mms:
            writes = [
                group_copy_write(
                    receipt.account_sid, receipt.conversation_sid, begun.outbound.address, sender.address, self.now()
                )
            ]
        after = self.statuses.conclude(stored, ReceiptStatus.SENT, fields=accepted, other_writes=writes)
        if after is None and writes:
            # Usually, a report of the carrier has changed the status already. Store `writes` nevertheless, because
            # Convoke needs this data to find the group when the phone answers.
            self.copies.write(writes)
        if after and sent.status is not ReceiptStatus.SENT:
            self.statuses.conclude(after, sent.status)
