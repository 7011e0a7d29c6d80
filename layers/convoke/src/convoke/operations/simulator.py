"""Simulate phones, and the carrier that delivers messages between these phones and Convoke.

Only the embedded engine has simulated phones. See docs/behaviour/inbound-messages.md#simulated-phones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from convoke.domain.accounts import Account
from convoke.domain.copies import Copy
from convoke.domain.errors import InvalidParameterError, MessageEmptyError, NotFoundError
from convoke.domain.inbound_messages import InboundMessage, Keyword, Outcome, Received
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.phones import PhoneMessage, SimulatedPhone
from convoke.domain.receipts import Receipt
from convoke.domain.senders import Provider
from convoke.domain.sids import NewSid, Prefix
from convoke.domain.simulated_messages import ANSWERS, NewSimulatedMessage
from convoke.domain.simulated_reports import NewDeliveryStatus
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.copy_statuses import CopyStatuses
from convoke.operations.inbound_messages import InboundMessageOperations
from convoke.storage.address_configurations import AddressConfigurationRepository
from convoke.storage.phones import OptOutRepository, PhoneRepository, StoredPhoneMessage, keyword_write
from convoke.storage.senders import SenderRepository


@lean_dataclass
class SimulatorOperations:
    senders: SenderRepository
    configurations: AddressConfigurationRepository
    phones: PhoneRepository
    opt_outs: OptOutRepository
    inbound_messages: InboundMessageOperations
    copy_statuses: CopyStatuses
    now: Clock
    new_sid: NewSid

    def send(self, account: Account, requested: NewSimulatedMessage) -> Received:
        """Deliver a message from a simulated phone to Convoke. If the message is a keyword, answer as a carrier does.

        Raises InvalidParameterError if a receiver has a Sender resource of another account, or a Sender resource with a
        real carrier. Raises the errors of `InboundMessageOperations.receive`.
        """
        business = self._business_address(account, requested.to)
        inbound = InboundMessage(
            sender=requested.from_,
            business_address=business,
            other_receivers=tuple(number for number in requested.to if number != business),
            body=requested.body,
            media_urls=requested.media_url,
            provider=Provider.SIMULATED,
            provider_message_id=requested.message_sid or self.new_sid(Prefix.SMS),
        )
        inbound.check_addresses()
        if inbound.body is None and not inbound.media_urls:
            raise MessageEmptyError(field="body")
        # Create this SID before the SIDs of the answers, because the list of the phone's messages is ordered by SID.
        sid = self.new_sid(Prefix.RECEIPT)
        # Make this call before any write of this method. The call may send a pre-event. If a pre-event needs another
        # thread, the whole request starts again on that thread.
        received = self.inbound_messages.receive(account, inbound)
        self._apply_keyword(account.sid, inbound)
        if received.outcome is not Outcome.REPEATED:
            self._deliver_to_others(account.sid, inbound)
            self._store_sent(account.sid, sid, inbound, received)
        return received

    def list_phones(self, account_sid: str, page: PageRequest) -> Page[SimulatedPhone]:
        """Return a page of the phones that have received or sent messages, ordered by number."""
        return self.phones.list_phones(account_sid, page)

    def opted_out(self, account_sid: str, number: str) -> list[str]:
        """Return the business numbers from which the phone `number` wants no messages.

        The method checks only the numbers in recent messages.
        """
        known = self.phones.known_numbers(account_sid, number)
        return [other for other in known if self.opt_outs.exists(account_sid, other, number)]

    def list_thread(self, account_sid: str, number: str, page: PageRequest) -> Page[StoredPhoneMessage]:
        """Return a page of the messages that a phone has received and sent, ordered by date."""
        found = self.phones.list_thread(account_sid, number, page)
        return Page([*self.phones.with_receipts(found.resources)], found.has_previous, found.has_next)

    def list_inbox(self, account_sid: str, number: str, page: PageRequest) -> Page[PhoneMessage]:
        """Return a page of the messages that a simulated phone has received, oldest first."""
        return self.phones.list(account_sid, number, page)

    def report(self, account: Account, requested: NewDeliveryStatus) -> Receipt:
        """Report a status of a copy as a carrier does, and return the receipt.

        Nothing changes if the stored status cannot become the reported status. Raises NotFoundError if the account has
        no such copy. Raises InvalidParameterError if the copy was not sent to a simulated phone.
        """
        copy = Copy(
            account_sid=account.sid,
            conversation_sid=requested.conversation_sid,
            message_sid=requested.message_sid,
            receipt_sid=requested.receipt_sid,
        )
        stored = self.copy_statuses.copies.fetch(copy)
        if stored is None:
            raise NotFoundError
        if stored.receipt.provider != Provider.SIMULATED:
            raise InvalidParameterError(
                field="receipt_sid", wanted="a receipt of a copy that a simulated phone has got"
            )
        self.copy_statuses.record(copy, requested.status, requested.entry)
        changed = self.copy_statuses.copies.fetch(copy)
        return (changed or stored).receipt

    def _business_address(self, account: Account, receivers: Sequence[str]) -> str:
        """Return the receiver that is the business address. The other receivers are phones.

        A receiver with a Sender resource has priority over a receiver with an address configuration. If no receiver has
        a Sender resource or an address configuration, the first receiver is the business address.
        """
        sending = [receiver for receiver in receivers if self._has_simulated_sender(account, receiver)]
        configured = (each for each in receivers if self.configurations.fetch_by_address(account.sid, each))
        return next(iter(sending), None) or next(configured, receivers[0])

    def _has_simulated_sender(self, account: Account, receiver: str) -> bool:
        """Return whether a simulated Sender resource is stored for a receiver.

        Convoke also simulates a number without a Sender resource, but the result is then False. Raises
        InvalidParameterError if the sender belongs to another account or is not simulated.
        """
        sender = self.senders.fetch_by_address(receiver)
        if sender and (sender.account_sid, sender.provider) != (account.sid, Provider.SIMULATED):
            raise InvalidParameterError(field="to", wanted="numbers whose sender in this account is simulated")
        return sender is not None

    def _apply_keyword(self, account_sid: str, inbound: InboundMessage) -> None:
        """Apply the keyword STOP, START or HELP. Do nothing if the message is not a keyword.

        STOP and START change the opt-out list. HELP only gets an answer. A STOP or START that does not change the list
        gets no answer. Each STOP or START message is applied only once, because a second delivery could otherwise undo
        a later keyword.
        """
        business, phone = inbound.business_address, inbound.sender
        keyword = inbound.keyword
        if keyword is None or self.opt_outs.was_applied(account_sid, inbound.provider_message_id):
            return
        opted_out = self.opt_outs.exists(account_sid, business, phone)
        record = [keyword_write(account_sid, inbound.provider_message_id, self.now())]
        if keyword is Keyword.STOP:
            self.opt_outs.put(account_sid, business, [phone], record)
        elif keyword is Keyword.START:
            self.opt_outs.delete(account_sid, business, phone, record)
        if keyword is Keyword.HELP or opted_out is (keyword is Keyword.START):
            self._put(account_sid, business, phone, ANSWERS[keyword])

    def _deliver_to_others(self, account_sid: str, inbound: InboundMessage) -> None:
        """Deliver a group MMS to the receivers that are phones."""
        for number in inbound.other_receivers:
            self._put(account_sid, inbound.sender, number, inbound.body or "", inbound.media_urls, inbound.numbers)

    def _store_sent(self, account_sid: str, sid: str, inbound: InboundMessage, received: Received) -> None:
        self.phones.put(
            PhoneMessage(
                account_sid=account_sid,
                sid=sid,
                channel_message_sid=inbound.provider_message_id,
                from_=inbound.sender,
                to=inbound.business_address,
                numbers=tuple(sorted(inbound.numbers)),
                outcome=received.outcome,
                body=inbound.body or "",
                media_urls=inbound.media_urls,
                conversation_sid=received.conversation_sid,
                message_sid=received.message_sid,
                date_created=self.now(),
            )
        )

    def _put(
        self,
        account_sid: str,
        sender: str,
        number: str,
        body: str,
        media_urls: Sequence[str] = (),
        numbers: Collection[str] = (),
    ) -> None:
        self.phones.put(
            PhoneMessage(
                account_sid=account_sid,
                sid=self.new_sid(Prefix.RECEIPT),
                channel_message_sid=self.new_sid(Prefix.SMS),
                from_=sender,
                to=number,
                numbers=tuple(sorted(numbers)),
                body=body,
                media_urls=tuple(media_urls),
                date_created=self.now(),
            )
        )
