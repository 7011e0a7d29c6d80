"""Store the Users of a service. The module `first_sights` creates the Users of identities that a service first sees."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.errors import UserExistsError
from convoke.domain.events import Change
from convoke.domain.pages import Page, PageRequest
from convoke.domain.users import User
from convoke.storage import items, keys, lists
from convoke.storage.events import change_write
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.table import Add, Equals, NotExists, Put, Table, TransactionCanceledError, Update


@dataclass(frozen=True, slots=True)
class UserRepository:
    table: Table

    def fetch(self, account_sid: str, user_sid: str) -> User | None:
        stored = self.table.get(keys.user(account_sid, user_sid))
        return items.to_resource(User, stored) if stored else None

    def list(self, account_sid: str, chat_service_sid: str, page: PageRequest) -> Page[User]:
        """Return a page of the Users of a service, ordered by date of creation."""
        list_query = lists.ListQuery(
            account_sid, keys.users_list(chat_service_sid), keys.list_range(None, None), after=page.position
        )
        return lists.list_page(User, self.table, list_query, page)

    def create(self, user: User, change: Change) -> None:
        """Store a User. Raises UserExistsError if the service has a User with this identity."""
        try:
            self.table.transact([Put(items.user_item(user), NotExists("pk")), change_write(change)])
        except TransactionCanceledError as canceled:
            raise UserExistsError(field="identity") from canceled

    def update(self, before: User, after: User, change: Change) -> None:
        """Store the changed attributes. Raises ChangedMeanwhileError if another request changed the User meanwhile."""
        actions = items.differences(items.user_item(before), items.user_item(after))
        update = Update(
            keys.user(before.account_sid, before.sid),
            (*actions, Add("revision", 1)),
            Equals("revision", before.revision),
        )
        try:
            self.table.transact([update, change_write(change)])
        except TransactionCanceledError as canceled:
            raise ChangedMeanwhileError from canceled
