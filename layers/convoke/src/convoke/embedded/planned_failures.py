"""The failures that a test plans for the next conversation.

A plan can reject participants, and can keep the conversation in the state `initializing`. The plan of an account
applies to the next ConversationWithParticipants of this account. Plans are in memory only.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from string import Formatter
from threading import Lock

from convoke.domain.errors import CATALOGUE, ConversationsError
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.operations.sweeper import GoOn, Process
from convoke.storage import keys
from convoke.storage.table import Key


@dataclass(slots=True)
class _Plan:
    errors: dict[int, ConversationsError] = field(default_factory=dict)
    """The errors of rejected participants. The key is the index of the participant, starting at 0."""
    is_held: bool = False


class PlannedFailures:
    """The plans of all accounts, and the conversations to which a plan applies. Any thread may use this object."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: defaultdict[str, _Plan] = defaultdict(_Plan)
        """The plan for the next conversation of an account. The key is the Account SID."""
        self._errors: dict[str, dict[int, ConversationsError]] = {}
        """The errors of a conversation, by Conversation SID. Every provisioning attempt gets the same errors."""
        self._held: dict[str, Provisioning] = {}
        """The held conversations, by Conversation SID."""

    def reject_in_next(self, account_sid: str, index: int, code: int) -> None:
        """In the next conversation of the account, reject the participant with the index `index`.

        Raises ValueError if `code` is not an error code of the API.
        """
        if code not in CATALOGUE:
            raise ValueError(f"there is no error with the code {code}")
        with self._lock:
            self._next[account_sid].errors[index] = error_of(CATALOGUE[code])

    def hold_next(self, account_sid: str) -> None:
        """Keep the next conversation of the account in the state `initializing` until `cancel` is called."""
        with self._lock:
            self._next[account_sid].is_held = True

    def cancel(self, account_sid: str) -> list[Provisioning]:
        """Cancel the plan for the next conversation of the account, and release the account's held conversations.

        Return the released conversations. The caller must continue the provisioning of these conversations.
        """
        with self._lock:
            self._next.pop(account_sid, None)
            released = [each for each in self._held.values() if each.account_sid == account_sid]
            for each in released:
                del self._held[each.conversation_sid]
        return released

    def apply(self, provisioning: Provisioning) -> bool:
        """Apply the account's plan to a new conversation. Return whether the conversation is held."""
        with self._lock:
            plan = self._next.pop(provisioning.account_sid, None)
            if plan is None:
                return False
            if plan.errors:
                self._errors[provisioning.conversation_sid] = plan.errors
            if plan.is_held:
                self._held[provisioning.conversation_sid] = provisioning
            return plan.is_held

    def unless_held(self, process: Process) -> Process:
        """Return a `Process` for the sweeper that neither finishes nor closes a held conversation."""

        def process_unless_held(key: Key, go_on: GoOn) -> None:
            _, conversation_sid = keys.sids_of_conversation(key)
            if conversation_sid not in self._held:
                process(key, go_on)

        return process_unless_held

    def admit(self, provisioning: Provisioning, participant: Participant) -> None:
        """Implements `Admit`. Rejects the planned participants."""
        if errors := self._errors.get(provisioning.conversation_sid):
            index = [each.sid for each in provisioning.participants].index(participant.sid)
            if error := errors.get(index):
                raise error


def error_of(kind: type[ConversationsError]) -> ConversationsError:
    """Create an error of the class `kind`. In the error text, `...` replaces each placeholder."""
    return kind(**{name: "..." for _, name, _, _ in Formatter().parse(kind.text) if name})
