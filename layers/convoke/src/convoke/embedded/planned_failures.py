"""Store the failures that a test plans for an account's next ConversationWithParticipants.

A plan can reject participants. A plan can also hold the conversation: the conversation stays in the state
`initializing`. Plans are only in memory.
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
    """Maps the index of each rejected participant to its error. The first participant has index 0."""
    is_held: bool = False


class PlannedFailures:
    """Stores the plans of all accounts, and the conversations to which a plan applies.

    Any thread may use this object.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: defaultdict[str, _Plan] = defaultdict(_Plan)
        """Maps an Account SID to the plan for the account's next conversation."""
        self._errors: dict[str, dict[int, ConversationsError]] = {}
        """Maps a Conversation SID to the errors of rejected participants.

        All provisioning attempts get the same errors.
        """
        self._held: dict[str, Provisioning] = {}
        """Maps the SID of each held conversation to its provisioning."""

    def reject_in_next(self, account_sid: str, index: int, code: int) -> None:
        """Plan to reject a participant of the account's next conversation. `index` is the index of the participant.

        Raise ValueError if `code` is not an error code of the API.
        """
        if code not in CATALOGUE:
            raise ValueError(f"there is no error with the code {code}")
        with self._lock:
            self._next[account_sid].errors[index] = error_of(CATALOGUE[code])

    def hold_next(self, account_sid: str) -> None:
        """Plan to hold the account's next conversation until `cancel` is called."""
        with self._lock:
            self._next[account_sid].is_held = True

    def cancel(self, account_sid: str) -> list[Provisioning]:
        """Cancel the account's plan, and release the account's held conversations.

        Return the released conversations. The caller must continue to provision these conversations.
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
        """Return a function that calls `process` for a conversation, unless a test holds the conversation.

        The sweeper uses this function instead of `process`.
        """

        def process_unless_held(key: Key, go_on: GoOn) -> None:
            _, conversation_sid = keys.sids_of_conversation(key)
            if conversation_sid not in self._held:
                process(key, go_on)

        return process_unless_held

    def admit(self, provisioning: Provisioning, participant: Participant) -> None:
        """Implements `Admit`. Raises the planned error if the plan rejects the participant."""
        if errors := self._errors.get(provisioning.conversation_sid):
            index = [each.sid for each in provisioning.participants].index(participant.sid)
            if error := errors.get(index):
                raise error


def error_of(kind: type[ConversationsError]) -> ConversationsError:
    """Create an error of the class `kind`. `...` replaces each placeholder in the error text."""
    return kind(**{name: "..." for _, name, _, _ in Formatter().parse(kind.text) if name})
