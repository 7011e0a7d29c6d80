"""Create the User of each participant whose identity has no User in the service yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from convoke.domain.errors import UnavailableError
from convoke.domain.users import User
from convoke.storage import items, keys
from convoke.storage.cached import Cached
from convoke.storage.table import Equals, NotExists, Put, Table, TransactionCanceledError, Write

MAX_FIRST_SIGHT_ATTEMPTS = 12
"""The maximum number of transactions in which Convoke tries to create the Users of one request.

A transaction is repeated only if one of these creations fails. A creation fails if the User already exists, or if the
User's tombstone was changed or erased after it was read. Usually, the second transaction succeeds. The maximum is
greater than ten, because a request contains at most ten Users, and other requests can create these Users one by one.
"""


def creation(user: User) -> Put:
    """Return the write that stores a new User, or a User that replaces the tombstone of its identity.

    The write of a new User fails if the User or its tombstone exists. The write of a replacing User fails if the
    tombstone was changed or erased meanwhile.
    """
    condition = Equals("revision", user.revision - 1) if user.revision else NotExists("pk")
    return Put(items.user_item(user), condition)


class FirstSights:
    """Creates the User of each participant whose identity has no User in the service yet.

    The User is created in the transaction that stores the participant. Convoke first reads the Users of the request
    that are not cached. The transaction creates only the missing Users. See
    docs/decisions/0092-users-created-by-first-sight.md.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: Cached[bool] = Cached(lambda *_: None)
        """Contains an entry for each existing User that this process has recently read or created.

        While the entry of a User is fresh, the first transaction in `transact` does not create the User.
        """
        self.clear = self._known.clear

    def transact(self, users: Sequence[User], make_writes: Callable[[Sequence[User]], Sequence[Write]]) -> None:
        """Apply the writes of `make_writes` and create the missing Users among `users`, in one transaction.

        `make_writes` receives the Users that the transaction creates, and returns the other writes. Raises
        TransactionCanceledError if a condition of these other writes fails. If only the creation of a User fails, the
        Users are read again and the transaction is repeated. Raises UnavailableError after MAX_FIRST_SIGHT_ATTEMPTS
        transactions.
        """
        new = self._missing(users, consistent=False)
        for _ in range(MAX_FIRST_SIGHT_ATTEMPTS):
            writes = make_writes(new)
            # The Users come last, so that the positions of the other writes do not depend on the number of Users.
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
        """Return the Users among `users` that do not exist.

        If the table contains the tombstone of a deleted User, the returned User can replace the tombstone: see
        `User.in_place_of`.

        If `consistent` is False, cached Users count as existing, and the read is eventually consistent. Such a read may
        miss a User that another request has just created. The transaction then fails, and `transact` calls this method
        with `consistent=True`.
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
        """Remove the User from the cache, so that the next request with its identity reads the User from the table."""
        self._known.forget(user.account_sid, user.sid)

    def _remember(self, users: Sequence[User]) -> None:
        for user in users:
            self._known.remember(True, user.account_sid, user.sid)  # noqa: FBT003 - the cached value
