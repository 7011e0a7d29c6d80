"""Store the tombstones of deleted services, and remove the items of a deleted service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice

from convoke.domain.instants import to_milliseconds
from convoke.domain.services import DeletedService, Service
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.conversations import ERASE_BATCH_SIZE
from convoke.storage.table import Add, ConditionFailedError, Delete, Equals, Item, Key, Set, Table, Update, key_of

PAGE_SIZE = 100


@lean_dataclass
class DeletedServiceRepository:
    table: Table

    def fetch(self, account_sid: str, chat_service_sid: str) -> DeletedService | None:
        stored = self.table.get(keys.deleted_service(account_sid, chat_service_sid))
        return items.to_resource(DeletedService, stored) if stored else None

    def claim(self, deleted: DeletedService, due_at: datetime) -> bool:
        """Increment the number of attempts to erase the service, and set the due time of the tombstone to `due_at`.

        Returns False if another sweeper has claimed or erased the tombstone first.
        """
        actions = (Set(keys.DUE.sort, to_milliseconds(due_at)), Add("attempts", 1))
        unclaimed = Equals(keys.DUE.sort, to_milliseconds(deleted.due_at))
        try:
            self.table.update(Update(_key(deleted.service), actions, unclaimed))
        except ConditionFailedError:
            return False
        return True

    def conversation_sids(self, service: Service) -> Iterator[str]:
        """Yield the SID of each conversation of a service.

        The method queries an eventually consistent index. The result may therefore miss a conversation that was created
        a moment ago, and may contain a conversation that was deleted a moment ago.
        """
        for key in self._listed(service.account_sid, service.sid):
            yield keys.sids_of_conversation(key)[1]

    def erase(self, deleted: DeletedService, go_on: Callable[[], bool]) -> bool:
        """Remove the Users, roles, bindings and configurations of a service, and its tombstone.

        The method calls `go_on` before each batch of Users, roles and bindings, and stops if `go_on` returns False.
        Returns whether all these items are removed. The last transaction removes the tombstone, so the sweeper
        continues an interrupted removal.
        """
        service = deleted.service
        belongings = self._belongings(service)
        while batch := [*islice(belongings, ERASE_BATCH_SIZE)]:
            if not go_on():
                return False
            self.table.transact([*map(Delete, batch)])
        webhooks = keys.service_configuration_webhooks(service.account_sid, service.sid)
        notifications = keys.service_configuration_notifications(service.account_sid, service.sid)
        self.table.transact([Delete(webhooks), Delete(notifications), Delete(_key(service))])
        return True

    def _belongings(self, service: Service) -> Iterator[Key]:
        """Yield the keys of the Users, roles and bindings of a service."""
        yield from self._listed(service.account_sid, keys.users_list(service.sid))
        tombstone, after = _key(service), None
        while page := self.table.query(tombstone.pk, after=after, limit=PAGE_SIZE, consistent=True):
            yield from (key for key in map(key_of, page) if key != tombstone)
            after = page[-1]

    def _listed(self, account_sid: str, name: str) -> Iterator[Key]:
        for shard in keys.list_shards(account_sid, name):
            after: Item | None = None
            while page := self.table.query(shard, index=keys.LISTED, after=after, limit=PAGE_SIZE):
                yield from map(key_of, page)
                after = page[-1]


def _key(service: Service) -> Key:
    return keys.deleted_service(service.account_sid, service.sid)
