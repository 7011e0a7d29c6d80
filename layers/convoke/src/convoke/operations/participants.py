"""Create, fetch, list, update and delete participants."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

from convoke.domain.accounts import Account
from convoke.domain.addresses import Channel, channel_of
from convoke.domain.conversations import Conversation
from convoke.domain.errors import (
    ConversationsError,
    FieldPath,
    InvalidAddressError,
    InvalidRoleSidError,
    NotFoundError,
    ParticipantExistsError,
    ProjectedAddressNotOwnedError,
    ProxyAddressNotOwnedError,
    ProxyNotWhatsAppSenderError,
    refusal,
)
from convoke.domain.events import participant_removed, participant_updated, participants_added, subject_of
from convoke.domain.instants import Clock
from convoke.domain.memberships import membership_problems
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participant_requests import ParticipantChange
from convoke.domain.participants import MAX_IDENTITY_CHARACTERS, NewParticipant, Participant
from convoke.domain.pre_events import participant_add, participant_remove, participant_update
from convoke.domain.roles import RoleType
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.domain.user_conversations import UserConversationChange
from convoke.domain.users import first_seen
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversations import ConversationOperations, retry_on_conflict
from convoke.operations.request_webhooks import RequestWebhooks
from convoke.storage.participants import ParticipantRepository
from convoke.storage.roles import RoleRepository

logger = logging.getLogger(__name__)

BINDING_PATH = ("messaging_binding",)


@lean_dataclass
class ParticipantOperations:
    conversations: ConversationOperations
    participants: ParticipantRepository
    roles: RoleRepository
    now: Clock
    new_sid: NewSid

    @retry_on_conflict
    def create(
        self,
        account: Account,
        service: Service,
        conversation_sid: str,
        requested: NewParticipant,
        *,
        request_webhooks: RequestWebhooks,
    ) -> Participant:
        """Store a participant and all locks that the participant needs. See docs/behaviour/participants.md#create.

        Raises NotFoundError. Raises another error if the state of the conversation permits no changes. If the request
        breaks rules, raises the error of the first broken rule. The errors of the other broken rules are attached to
        this error. In all these cases, nothing is stored.
        """
        conversation, now = self.conversations.fetch_to_change(service, conversation_sid), self.now()
        participant = new_participant(self.new_sid(Prefix.PARTICIPANT), conversation, service, requested, now)
        after = conversation.with_participants(participant).with_timers_from(now)
        binding = requested.messaging_binding
        self._refuse(
            conversation,
            requested.identity,
            [
                *binding_ownership_problems(
                    account, BINDING_PATH, binding.address, binding.proxy_address, binding.projected_address
                ),
                *membership_problems(conversation, after, participant),
                *self._role_problems(service, requested.role_sid),
            ],
        )
        request_webhooks.send_pre_event(lambda: participant_add(conversation, participant))
        sid, subject, origin = self.new_sid(Prefix.CHANGE), subject_of(conversation), request_webhooks.origin
        user = first_seen(service, requested.identity, now) if requested.identity else None
        self.participants.create(
            conversation,
            after,
            participant,
            user,
            lambda new: participants_added(sid, subject, [participant], new, at=now, origin=origin),
        )
        self._log("participant created", participant)
        return participant

    def fetch(self, service: Service, conversation_sid: str, sid: str) -> Participant:
        """Return the participant that has the given SID or identity.

        Raises NotFoundError if the conversation or the participant does not exist.
        """
        return self._fetch_of(self.conversations.fetch(service, conversation_sid), sid)

    def list(self, service: Service, conversation_sid: str, page: PageRequest) -> Page[Participant]:
        conversation = self.conversations.fetch(service, conversation_sid)
        return self.participants.list(service.account_sid, conversation.sid, page)

    @retry_on_conflict
    def update(
        self,
        account: Account,
        service: Service,
        conversation_sid: str,
        sid: str,
        requested: ParticipantChange,
        *,
        request_webhooks: RequestWebhooks,
    ) -> Participant:
        """Store the given fields. If no fields are given, nothing changes. `sid` is a SID or an identity.

        Raises NotFoundError. Raises another error if the state of the conversation permits no changes, or if the
        request breaks a rule.
        """
        conversation, now = self.conversations.fetch_to_change(service, conversation_sid), self.now()
        participant = self._fetch_of(conversation, sid)
        if not requested.model_fields_set:
            return participant
        self._check_update(account, service, participant, requested)
        updated = requested.applied_to(participant, now)
        if requested.changes_only_read_position:
            self._store_alone(conversation, participant, updated, request_webhooks, now)
            return updated
        after = conversation.with_timers_from(now)
        if updated.bound != participant.bound:
            after = after.with_changed_participant(updated)
            problems = [*membership_problems(conversation, after, updated)]
            self._refuse(conversation, requested.identity, problems)
        request_webhooks.send_pre_event(lambda: participant_update(conversation, updated))
        change_sid, subject, origin = self.new_sid(Prefix.CHANGE), subject_of(conversation), request_webhooks.origin
        user = first_seen(service, requested.identity, now) if requested.identity else None
        self.participants.update(
            conversation,
            after,
            participant,
            updated,
            user,
            lambda new: participant_updated(change_sid, subject, updated, new, at=now, origin=origin),
        )
        return updated

    @retry_on_conflict
    def update_read_state(
        self,
        service: Service,
        conversation_sid: str,
        sid: str,
        requested: UserConversationChange,
        *,
        request_webhooks: RequestWebhooks,
    ) -> Participant:
        """Store the read position and the notification level that the request contains.

        `sid` is the SID or the identity of the participant.

        Raises NotFoundError. Raises another error if the state of the conversation permits no changes, or if the read
        position is invalid.
        """
        conversation, now = self.conversations.fetch_to_change(service, conversation_sid), self.now()
        participant = self._fetch_of(conversation, sid)
        updated = requested.applied_to(participant, conversation, now)
        self._store_alone(conversation, participant, updated, request_webhooks, now)
        return updated

    def find(self, conversation: Conversation, identity: str) -> Participant:
        """Return the participant with this identity in a conversation. Raises NotFoundError."""
        sid = self._sid_of(conversation, identity)
        found = sid and self.participants.fetch(conversation.account_sid, conversation.sid, sid)
        if not found:
            raise NotFoundError
        return found

    @retry_on_conflict
    def delete(self, service: Service, conversation_sid: str, sid: str, *, request_webhooks: RequestWebhooks) -> None:
        """Delete a participant, and release its locks. In a group MMS, also replace the lock on the set of numbers.

        `sid` is the SID or the identity of the participant.

        Raises NotFoundError. Raises another error if the state of the conversation permits no changes. Raises
        GroupExistsError if another group MMS has the same numbers as the remaining participants.
        """
        conversation, now = self.conversations.fetch_to_change(service, conversation_sid), self.now()
        participant = self._fetch_of(conversation, sid)
        after = conversation.without_participant(participant).with_timers_from(now)
        request_webhooks.send_pre_event(lambda: participant_remove(conversation, participant))
        change_sid, subject = self.new_sid(Prefix.CHANGE), subject_of(conversation)
        change = participant_removed(change_sid, subject, participant, at=now, origin=request_webhooks.origin)
        self.participants.delete(conversation, after, participant, change)
        self._log("participant deleted", participant)

    @retry_on_conflict
    def remove_identity(
        self, service: Service, conversation_sid: str, sid: str, *, request_webhooks: RequestWebhooks
    ) -> None:
        """Remove the identity of a participant that has a projected address. The participant keeps this address.

        Raises NotFoundError. Raises another error if the state of the conversation permits no changes.
        """
        conversation, now = self.conversations.fetch_to_change(service, conversation_sid), self.now()
        participant = self._fetch_of(conversation, sid)
        updated = participant.model_copy(update={"identity": None, "date_updated": max(now, participant.date_updated)})
        after = conversation.with_changed_participant(updated).with_timers_from(now)
        change_sid, subject, origin = self.new_sid(Prefix.CHANGE), subject_of(conversation), request_webhooks.origin
        change = participant_updated(
            change_sid, subject, updated, at=now, origin=origin, former_identity=participant.identity
        )
        self.participants.update(conversation, after, participant, updated, None, lambda _: change)

    def _refuse(self, conversation: Conversation, identity: str | None, problems: Sequence[ConversationsError]) -> None:
        """Raise the first of `problems`, with the others attached. Do nothing if there are no problems.

        If there are problems and another participant has the requested identity, the first error is
        ParticipantExistsError. From this error, a client that repeats a successful request learns that the participant
        exists. Without problems, this check is not necessary: the lock on the identity makes the write fail with the
        same error.
        """
        if problems:
            exists = identity and self._sid_of(conversation, identity)
            raise refusal([ParticipantExistsError(field="identity"), *problems] if exists else problems)

    def _store_alone(
        self,
        conversation: Conversation,
        before: Participant,
        after: Participant,
        request_webhooks: RequestWebhooks,
        now: datetime,
    ) -> None:
        """Store a changed participant, but not its conversation.

        Therefore the change does not conflict with concurrent messages.
        """
        request_webhooks.send_pre_event(lambda: participant_update(conversation, after))
        sid, subject, origin = self.new_sid(Prefix.CHANGE), subject_of(conversation), request_webhooks.origin
        change = participant_updated(sid, subject, after, at=now, origin=origin)
        self.participants.update_alone(conversation, before, after, change)

    def _fetch_of(self, conversation: Conversation, sid: str) -> Participant:
        """Return the participant of `conversation` with the SID or identity `sid`. Raises NotFoundError.

        The caller must read the conversation before this call. A later change of the participant then makes the
        caller's write fail, because the change increments the revision of the conversation. Exception: a change of the
        read position or the notification level increments only the revision of the participant. An update of the
        participant checks this revision too.
        """
        known = parse_sid(sid, Prefix.PARTICIPANT) or self._sid_of(conversation, sid)
        found = known and self.participants.fetch(conversation.account_sid, conversation.sid, known)
        if not found:
            raise NotFoundError
        return found

    def _sid_of(self, conversation: Conversation, identity: str) -> str | None:
        if len(identity) > MAX_IDENTITY_CHARACTERS:
            return None
        return self.participants.sid_of(conversation.account_sid, conversation.sid, identity)

    def _role_problems(self, service: Service, role_sid: str | None) -> Iterator[ConversationsError]:
        if role_sid and self.roles.types(service, [role_sid]).get(role_sid) is not RoleType.CONVERSATION:
            yield InvalidRoleSidError(field="role_sid")

    def _check_update(
        self, account: Account, service: Service, participant: Participant, requested: ParticipantChange
    ) -> None:
        proxy, projected = requested.messaging_binding_proxy_address, requested.messaging_binding_projected_address
        problems = [
            *binding_ownership_problems(account, BINDING_PATH, None, proxy, projected),
            *requested.problems(participant),
            *self._role_problems(service, requested.role_sid),
        ]
        if problems:
            raise refusal(problems)

    @staticmethod
    def _log(message: str, participant: Participant) -> None:
        context = {"conversation_sid": participant.conversation_sid, "participant_sid": participant.sid}
        logger.info(message, extra=context)


def new_participant(
    sid: str, conversation: Conversation, service: Service, requested: NewParticipant, now: datetime
) -> Participant:
    """Return the participant to store for a request. The participant gets the SID `sid`."""
    created = requested.date_created or now
    return Participant(
        account_sid=conversation.account_sid,
        conversation_sid=conversation.sid,
        sid=sid,
        identity=requested.identity,
        attributes=requested.attributes,
        messaging_binding=requested.binding(),
        role_sid=requested.role_sid_or(service.member_role_sid),
        date_created=created,
        date_updated=requested.date_updated or created,
    )


def binding_ownership_problems(
    account: Account, path: FieldPath, address: str | None, proxy_address: str | None, projected_address: str | None
) -> Iterator[ConversationsError]:
    """Yield an error for each address of a messaging binding that has the wrong owner.

    The account must own the proxy address and the projected address. The account must not own `address`. `path` is the
    field path of the messaging binding. An account without a list of addresses owns every proxy address and projected
    address.
    """
    if address in account.owned_addresses:
        yield InvalidAddressError(field=(*path, "address"), wanted="an address that does not belong to this account")
    if proxy_address and not account.owns(proxy_address):
        is_whatsapp = channel_of(proxy_address) is Channel.WHATSAPP
        error = ProxyNotWhatsAppSenderError if is_whatsapp else ProxyAddressNotOwnedError
        yield error(field=(*path, "proxy_address"))
    if projected_address and not account.owns(projected_address):
        yield ProjectedAddressNotOwnedError(field=(*path, "projected_address"))
