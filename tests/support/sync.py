"""Read a chat user's Sync objects on any engine, without a WebSocket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from convoke.domain import instants
from convoke.domain.events import Change
from convoke.domain.services import Service
from convoke.domain.sids import SidFactory
from convoke.domain.sync_objects import Action, SyncObject
from convoke.domain.users import user_sid
from convoke.operations.conversations import ConversationOperations
from convoke.operations.ports import NobodyOnline
from convoke.operations.principals import PrincipalOperations
from convoke.operations.sync import ItemsRequest, Replay, SyncEvent, SyncOperations
from convoke.operations.users import UserOperations
from convoke.storage.conversations import ConversationRepository
from convoke.storage.events import EventRepository, change_of
from convoke.storage.first_sights import FirstSights
from convoke.storage.participants import ParticipantRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.roles import RoleRepository
from convoke.storage.services import ServiceRepository
from convoke.storage.sync import SyncRepository
from convoke.storage.users import UserRepository
from tests.support.instances import Instance


@dataclass
class SyncReader:
    """Reads Sync objects in the default service as the user `identity`."""

    instance: Instance
    identity: str
    sync: SyncOperations = field(init=False)
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        table, now, new_sid = self.instance.table, instants.now, SidFactory()
        conversations = ConversationOperations(
            ConversationRepository(table), ProvisioningRepository(table), EventRepository(table), now, new_sid
        )
        first_sights, users, roles = FirstSights(table), UserRepository(table), RoleRepository(table)
        participants = ParticipantRepository(table, first_sights)
        self.sync = SyncOperations(
            SyncRepository(table),
            PrincipalOperations(users, conversations, participants, roles),
            UserOperations(users, first_sights, roles, NobodyOnline(), now, new_sid),
            now,
        )
        service_sid = self.instance.account.default_chat_service_sid
        service = ServiceRepository(table).fetch(self.instance.account.sid, service_sid)
        assert service is not None
        self.service = service

    @property
    def user_sid(self) -> str:
        return user_sid(self.service.sid, self.identity)

    def object(self, name: str) -> SyncObject:
        return self.sync.find(self.service, name)

    def event_id(self, name: str) -> int:
        """Return the last event id of the Sync object, as a client would receive it."""
        return self.sync.root(self.service, self.identity, self.object(name)).event_id

    def items(self, name: str, size: int = 100, **page: Any) -> dict[str, Any]:
        found = self.sync.items(self.service, self.identity, self.object(name), ItemsRequest(size, **page))
        return {item.key: item.data for item in found.items}

    def replay(self, name: str, since: int | None) -> Replay:
        return self.sync.replay(self.service, self.identity, self.object(name), since)

    def missed(self, name: str, since: int | None) -> list[tuple[Action, str | None]]:
        """Return the action and the key of each event in a replay from the event id `since`.

        Raises AssertionError if the replay is incomplete.
        """
        replay = self.replay(name, since)
        assert replay.is_complete
        return [(event.action, event.key) for event in replay.events]

    def events(self, name: str) -> list[SyncEvent]:
        """Return the Sync object's events for all stored changes. The oldest change comes first."""
        changes = [change_of(item) for item in self.instance.items("change")]
        changes.sort(key=lambda change: (change.last_event_id, change.sid))
        return [event for change in changes for event in self._events_of(change, self.object(name))]

    def _events_of(self, change: Change, sync_object: SyncObject) -> Iterator[SyncEvent]:
        touches = [touch for touch in self.sync.touches(change) if touch.object == sync_object]
        return self.sync.events(change, touches)
