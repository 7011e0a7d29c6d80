"""Store the Users of a service.

The module `first_sights` creates the missing Users of participants.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime

from convoke.domain.errors import UnavailableError, UserExistsError
from convoke.domain.events import Change
from convoke.domain.instants import to_milliseconds
from convoke.domain.pages import Page, PageRequest
from convoke.domain.users import User
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys, lists
from convoke.storage.events import change_write
from convoke.storage.first_sights import MAX_FIRST_SIGHT_ATTEMPTS, creation
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.table import (
    Add,
    ConditionFailedError,
    Delete,
    Equals,
    Table,
    TransactionCanceledError,
    Update,
)
from convoke.storage.table import (
    Set as SetAttribute,
)

UserKey = tuple[str, str]
"""An Account SID and the SID of a User."""


@lean_dataclass
class UserRepository:
    table: Table

    def fetch(self, account_sid: str, user_sid: str) -> User | None:
        """Return a User, or None if the User does not exist or was deleted."""
        user = self.fetch_with_tombstone(account_sid, user_sid)
        return None if user is None or user.date_removed else user

    def existing(self, users: Set[UserKey]) -> set[UserKey]:
        """Return the keys of the Users in `users` that exist. Deleted Users are not in the result."""
        by_key = {keys.user(*user): user for user in users}
        found = self.table.get_many([*by_key])
        return {by_key[key] for key, item in found.items() if "date_removed" not in item}

    def fetch_with_tombstone(self, account_sid: str, user_sid: str) -> User | None:
        """Return a User or the tombstone of a deleted User. Return None if neither exists."""
        stored = self.table.get(keys.user(account_sid, user_sid))
        return items.to_resource(User, stored) if stored else None

    def list(self, account_sid: str, chat_service_sid: str, page: PageRequest) -> Page[User]:
        """Return a page of the Users of a service, ordered by date of creation."""
        list_query = lists.ListQuery(
            account_sid, keys.users_list(chat_service_sid), keys.list_range(None, None), after=page.position
        )
        return lists.list_page(User, self.table, list_query, page, lambda user: user.date_removed is None)

    def create(self, user: User, change: Change) -> None:
        """Store a new User. If a tombstone with the identity of the User exists, replace the tombstone.

        Raises UserExistsError if the service has a User with this identity. If the tombstone is changed or erased
        meanwhile, the transaction is repeated. Raises UnavailableError after MAX_FIRST_SIGHT_ATTEMPTS transactions.
        """
        new = user
        for _ in range(MAX_FIRST_SIGHT_ATTEMPTS):
            try:
                self.table.transact([creation(new), change_write(change)])
            except TransactionCanceledError as canceled:
                stored = canceled.failed.get(0)
                existing = items.to_resource(User, stored) if stored else None
                if existing and not existing.date_removed:
                    raise UserExistsError(field="identity") from canceled
                # If no item exists, the sweeper has erased the tombstone since the previous attempt read it.
                new = user.in_place_of(existing) if existing else user
            else:
                return
        raise UnavailableError

    def replace(self, user: User, change: Change) -> None:
        """Replace the tombstone of a User with the new User `user`. `User.in_place_of` must have created `user`.

        Raises ChangedMeanwhileError if the tombstone was changed or erased meanwhile.
        """
        try:
            self.table.transact([creation(user), change_write(change)])
        except TransactionCanceledError as canceled:
            raise ChangedMeanwhileError from canceled

    def update(self, before: User, after: User, change: Change | None) -> None:
        """Store the changed attributes. Raises ChangedMeanwhileError if another request changed the User meanwhile.

        `change` is the record of the update, or None if no client can see the update.
        """
        if change:
            change = change.following(before.last_event_id)
            after = after.model_copy(update={"event_id": change.last_event_id})
        actions = items.differences(items.user_item(before), items.user_item(after))
        update = Update(
            keys.user(before.account_sid, before.sid),
            (*actions, Add("revision", 1)),
            Equals("revision", before.revision),
        )
        try:
            self.table.transact([update, *([change_write(change)] if change else [])])
        except TransactionCanceledError as canceled:
            raise ChangedMeanwhileError from canceled

    def claim(self, user: User, due_at: datetime) -> bool:
        """Increment the number of attempts to process a due User, and set the due time of the User to `due_at`.

        Returns False if the User has no due time, or if the stored due time is no longer the one in `user`. In the
        second case, usually another sweeper has claimed the User first.
        """
        if user.due_at is None:
            return False
        actions = (SetAttribute(keys.DUE.sort, to_milliseconds(due_at)), Add("attempts", 1))
        unclaimed = Equals(keys.DUE.sort, to_milliseconds(user.due_at))
        try:
            self.table.update(Update(keys.user(user.account_sid, user.sid), actions, unclaimed))
        except ConditionFailedError:
            return False
        return True

    def erase(self, tombstone: User) -> None:
        """Remove a tombstone.

        Raises ChangedMeanwhileError if the tombstone was changed or erased meanwhile, or if a new User has replaced it.
        """
        key = keys.user(tombstone.account_sid, tombstone.sid)
        try:
            self.table.transact([Delete(key, Equals("revision", tombstone.revision))])
        except TransactionCanceledError as canceled:
            raise ChangedMeanwhileError from canceled
