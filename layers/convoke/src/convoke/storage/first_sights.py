"""Create the Users of identities that a service sees for the first time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from convoke.domain.errors import UnavailableError
from convoke.domain.users import User
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.table import Equals, NotExists, Put, Table, TransactionCanceledError, Write

MAX_FIRST_SIGHT_ATTEMPTS = 12
"""The maximum number of transactions in which Convoke tries to create the Users of one request.

An attempt fails only if another request has created at least one of these Users. A request has at most ten Users.
"""


def creation(user: User) -> Put:
    """Return the write that stores a new User, or that replaces the tombstone of its identity.

    The condition fails if another request has created the User meanwhile.
    """
    condition = Equals("revision", user.revision - 1) if user.revision else NotExists("pk")
    return Put(items.user_item(user), condition)


class FirstSights:
    """Creates the Users of identities that a service sees for the first time.

    A User is created in the transaction that stores the participant. Convoke first reads the Users of the request, and
    then adds only the missing Users to the transaction. See docs/decisions/0092-users-created-by-first-sight.md.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: Cached[bool] = Cached(lambda *_: None)
        """The Users that this process has read or created. They are not read again while the entry is fresh."""
        self.clear = self._known.clear

    def transact(self, users: Sequence[User], make_writes: Callable[[Sequence[User]], Sequence[Write]]) -> None:
        """Apply the writes that `make_writes` returns, and create the `users` that do not exist, in one transaction.

        `make_writes` gets the Users that this transaction creates. Raises TransactionCanceledError if a condition of
        these writes fails. If only the creation of a User fails, the Users are read again, and the transaction is
        repeated.
        """
        new = self._missing(users, consistent=False)
        for _ in range(MAX_FIRST_SIGHT_ATTEMPTS):
            writes = make_writes(new)
            # The Users are the last writes, so the positions of the other writes do not change.
            creations = [creation(user) for user in new]
            try:
                self._table.transact([*writes, *creations])
            except TransactionCanceledError as canceled:
                failed = {position: item for position, item in canceled.failed.items() if position < len(writes)}
                if failed:
                    raise TransactionCanceledError(failed) from canceled
                new = self._missing(users, consistent=True)
            else:
                self._remember(new)
                return
        raise UnavailableError

    def _missing(self, users: Sequence[User], *, consistent: bool) -> list[User]:
        """Return the Users that do not exist, as far as this process knows.

        An eventually consistent read may miss a new User. In that case, the transaction fails and the Users are read
        again.
        """
        unknown = [user for user in users if consistent or not self._known(user.account_sid, user.sid)]
        if not unknown:
            return []
        by_key = {keys.user(user.account_sid, user.sid): user for user in unknown}
        stored = self._table.get_many([*by_key], consistent=consistent)
        found = {key: items.to_resource(User, item) for key, item in stored.items()}
        self._remember([user for user in found.values() if not user.date_removed])
        tombstones = {key: user for key, user in found.items() if user.date_removed}
        return [
            user.in_place_of(tombstones[key]) if key in tombstones else user
            for key, user in by_key.items()
            if key not in found or key in tombstones
        ]

    def forget(self, user: User) -> None:
        """Read the User again at its next sight."""
        self._known.forget(user.account_sid, user.sid)

    def _remember(self, users: Sequence[User]) -> None:
        for user in users:
            self._known.remember(True, user.account_sid, user.sid)  # noqa: FBT003 - the found value
