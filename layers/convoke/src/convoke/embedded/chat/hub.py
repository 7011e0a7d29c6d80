"""Store the subscriptions of chat clients to Sync objects, and notify the subscribers about each change.

A Sync object shows a client some data, such as the messages of a conversation. A touch is the effect of a change on one
Sync object. A replay contains the events of a Sync object that a client has missed. See domain/sync_objects.py and
operations/sync.py.

While at least one client has a subscription, the engine passes each change to the hub right after the commit. The hub
queues tasks, and runs them in order. No task runs while a unit of work (embedded/unit.py) is open, so clients see only
committed data. A client gets the replay of an object before all later events of this object.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from http import HTTPStatus
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import orjson

from convoke.api.chat import frames
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.chat.resources.sync import event_type, represent_event
from convoke.domain.access_tokens import ChatSession
from convoke.domain.errors import ConversationsError, InvalidParameterError, SyncObjectNotFoundError, UnavailableError
from convoke.domain.events import Change
from convoke.domain.sync_objects import Action, ObjectKind, ObjectType, SyncObject, Touch, object_of_sid
from convoke.embedded.chat.connection import ChatClient, new_id
from convoke.embedded.chat.limits import MAX_SUBSCRIPTIONS, MAX_SUBSCRIPTIONS_PER_CALL, TYPING_TIMEOUT_SECONDS
from convoke.embedded.chat.presence import ConnectedUsers
from convoke.embedded.sqlite import SqliteTable
from convoke.embedded.suspension import RUN_AGAIN_PAUSE_SECONDS, RunAgainError
from convoke.operations.sync import Replay, SyncEvent

logger = logging.getLogger(__name__)

SUBSCRIPTIONS_PATH = "/v4/Subscriptions"

SYNC_EVENT = "twilio.sync.event"

TYPING_INDICATOR = "twilio.ipmsg.typing_indicator"

EVENT_PROTOCOL_VERSION = 4

ESTIMATED_DELIVERY_MILLISECONDS = 5_000
"""A client requests a subscription again if it gets no notification about the subscription within this time."""

SUBSCRIPTION_LIFETIME_SECONDS = 86_400

SLICE_SECONDS = 0.01
"""How long the hub runs tasks before the event loop may run other callbacks."""


class Feed(Protocol):
    """The operations on Sync objects that the hub needs."""

    def replay(self, session: ChatSession, sync_object: SyncObject, since: int | None) -> Replay:
        """Return the events of an object after the event id `since`, and possibly a few events shortly before `since`.

        If `since` is None, return only the events of the last few seconds. The replay can be incomplete, see
        `Replay.is_complete`. Raise an error if the session must not see the object.
        """

    def check_visible(self, session: ChatSession, sync_object: SyncObject) -> None:
        """Raise an error if the session must not see the object. The object must belong to a conversation."""

    def touches(self, change: Change) -> Iterable[Touch]: ...

    def events(self, change: Change, touches: Iterable[Touch]) -> Iterable[SyncEvent]:
        """Return the events that the `touches` of a change cause. The events show the current state of the objects."""

    def reachability(self, session: ChatSession) -> SyncEvent | None:
        """Return the event that tells whether the User is online. Return None if the service disables reachability."""


class Requested(NamedTuple):
    """One subscription that a client wants to start or cancel."""

    object_sid: str
    object_type: str
    last_event_id: int | None


class Hub:
    """Notifies chat clients of changes to Sync objects. All methods run on the event loop's thread."""

    def __init__(self, table: SqliteTable, feed: Feed, users: ConnectedUsers) -> None:
        self._table = table
        self._users = users
        users.on_change = self._tell_reachability
        self._feed = feed
        self._subscribers: dict[SyncObject, dict[ChatClient, None]] = {}
        """Maps each Sync object to its subscribers. The order is the order in which the clients subscribed."""
        self._by_user: dict[str, set[ChatClient]] = {}
        self._work: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def join(self, client: ChatClient) -> None:
        self._by_user.setdefault(client.session.user_sid, set()).add(client)
        self._users.arrived(client.session)

    def leave(self, client: ChatClient) -> None:
        """Forget a client that has disconnected, and end all its subscriptions."""
        for sync_object in [*client.subscriptions]:
            self._unsubscribe(client, sync_object)
        clients = self._by_user[client.session.user_sid]
        clients.discard(client)
        if not clients:
            del self._by_user[client.session.user_sid]
        self._users.left(client.session)

    def subscribe(self, client: ChatClient, request: ChatRequest) -> ChatAnswer:
        """Accept a call that starts or cancels subscriptions. Notifications later report the outcome.

        Raise InvalidParameterError if the call is invalid. Raise UnavailableError if too many requests of this client
        are waiting.
        """
        action, correlation_id = request.body.get("action"), request.body.get("correlation_id")
        work = {"establish": self._establish, "cancel": self._cancel}.get(str(action))
        if work is None:
            raise InvalidParameterError(parameter="action", wanted="establish or cancel")
        # Refuse lists and objects, because a notification cannot contain a value that is nested too deeply.
        if not isinstance(correlation_id, int | float | str | None):
            raise InvalidParameterError(parameter="correlation_id", wanted="a number or a string")
        requests = _requested(request.body.get("requests"))
        if client.waiting_subscriptions + len(requests) > MAX_SUBSCRIPTIONS:
            raise UnavailableError
        client.waiting_subscriptions += len(requests)
        for requested in requests:
            self._add_work(partial(self._serve, client, partial(work, client, correlation_id, requested)))
        return ChatAnswer(
            HTTPStatus.ACCEPTED,
            {
                "max_batch_size": MAX_SUBSCRIPTIONS_PER_CALL,
                "estimated_delivery_in_ms": ESTIMATED_DELIVERY_MILLISECONDS,
                "ttl_in_s": SUBSCRIPTION_LIFETIME_SECONDS,
            },
        )

    def changed(self, changes: Sequence[Change]) -> None:
        """Notify the subscribers about `changes`, which were just committed.

        The subscriptions of removed members end immediately. Removed members therefore get no notification that still
        waits in the queue.
        """
        for change in changes:
            for touch in change.touches:
                if touch.object.kind is ObjectKind.CHANNELS and touch.action is Action.REMOVED:
                    self._end_membership(touch.object.owner_sid, touch.key)
        self._add_work(partial(self._notify, changes))

    def check_guest(self, client: ChatClient) -> None:
        """End those subscriptions of a client that the role of its User no longer permits.

        Check only conversations that the User is not a member of. `changed` handles removed members.
        """
        if client.guest_subscriptions:
            self._add_work(partial(self._check_guest, client))

    @property
    def has_subscribers(self) -> bool:
        return bool(self._subscribers)

    def typing(self, conversation_sid: str, identity: str, user_sid: str) -> None:
        """Report that a User is typing, to all clients that subscribe to the participants of the conversation.

        The clients of the typing User get no notification.
        """
        indicator = {
            "channel_sid": conversation_sid,
            "identity": identity,
            # Add a second. If the User goes on typing, the next indicator needs some time to arrive.
            "typing_timeout": TYPING_TIMEOUT_SECONDS + 1,
        }
        frame = frames.notification(new_id(), TYPING_INDICATOR, orjson.dumps(indicator))
        for client in self._subscribers_of(SyncObject(ObjectKind.ROSTER, conversation_sid)):
            if client.session.user_sid != user_sid:
                client.connection.notify(frame)

    def _subscribers_of(self, sync_object: SyncObject) -> list[ChatClient]:
        return [*self._subscribers.get(sync_object, ())]

    def _publish(self, sync_object: SyncObject, events: Iterable[SyncEvent]) -> None:
        """Send the events of a Sync object to its subscribers."""
        for frame in _notifications(events):
            for client in self._subscribers_of(sync_object):
                client.connection.notify(frame)

    def _tell_reachability(self, session: ChatSession) -> None:
        if self._subscribers.get(SyncObject(ObjectKind.INFO, session.user_sid)):
            self._add_work(partial(self._publish_reachability, session))

    # The methods from `_serve` to `_publish_reachability` are the tasks of the hub. A task runs while no unit of work
    # is open.

    def _serve(self, client: ChatClient, work: Callable[[], None]) -> None:
        """Call `work`, which starts or cancels one subscription. A failure disconnects only this client."""
        try:
            work()
        except RunAgainError:
            raise
        except Exception:
            logger.exception("a chat client is disconnected, because its subscription failed")
            client.connection.cut()
        client.waiting_subscriptions -= 1

    def _establish(self, client: ChatClient, correlation_id: Any, requested: Requested) -> None:
        if client.connection.is_closing:
            return
        named = {"object_sid": requested.object_sid, "object_type": requested.object_type}
        try:
            if len(client.subscriptions) >= MAX_SUBSCRIPTIONS:
                raise InvalidParameterError(parameter="requests", wanted=f"at most {MAX_SUBSCRIPTIONS} objects")
            sync_object = object_of_sid(requested.object_sid)
            if sync_object is None:
                raise SyncObjectNotFoundError
            replay = self._feed.replay(client.session, sync_object, requested.last_event_id)
        except ConversationsError as error:
            failure = {"status": error.status, "code": error.code, "message": error.message}
            _tell(client, "subscription_failed", {**named, "error": failure}, correlation_id)
            return
        for frame in _notifications(replay.events, correlation_id):
            client.connection.notify(frame)
        if replay.is_complete:
            self._subscribers.setdefault(sync_object, {})[client] = None
            client.subscriptions.add(sync_object)
            if replay.is_guest:
                client.guest_subscriptions.add(sync_object)
        status = "completed" if replay.is_complete else "interrupted"
        outcome = {**named, "replay_status": status, "last_event_id": replay.last_event_id}
        _tell(client, "subscription_established", outcome, correlation_id)

    def _check_guest(self, client: ChatClient) -> None:
        for sync_object in [*client.guest_subscriptions]:
            try:
                self._feed.check_visible(client.session, sync_object)
            except UnavailableError:
                return  # The data file is not readable. The next check tries again.
            except ConversationsError:
                self._unsubscribe(client, sync_object)

    def _cancel(self, client: ChatClient, correlation_id: Any, requested: Requested) -> None:
        if sync_object := object_of_sid(requested.object_sid):
            self._unsubscribe(client, sync_object)
        named = {"object_sid": requested.object_sid, "object_type": requested.object_type}
        _tell(client, "subscription_canceled", named, correlation_id)

    def _notify(self, changes: Sequence[Change]) -> None:
        touched: dict[SyncObject, list[tuple[Change, list[Touch]]]] = {}
        for change in changes:
            # Keep the order of the touches. A member must get a message before the resulting change of the
            # conversation.
            by_object: dict[SyncObject, list[Touch]] = {}
            for touch in self._feed.touches(change):
                if touch.object in self._subscribers:
                    by_object.setdefault(touch.object, []).append(touch)
            for sync_object, touches in by_object.items():
                touched.setdefault(sync_object, []).append((change, touches))
        for sync_object, causes in touched.items():
            # Each event of a document contains the document's current state, so the last event is enough.
            reported = causes[-1:] if sync_object.kind.type is ObjectType.DOCUMENT else causes
            events = [event for change, touches in reported for event in self._feed.events(change, touches)]
            self._publish(sync_object, events)
            if any(event.key is None and event.action is Action.REMOVED for event in events):
                for client in self._subscribers_of(sync_object):
                    self._unsubscribe(client, sync_object)

    def _publish_reachability(self, session: ChatSession) -> None:
        if event := self._feed.reachability(session):
            self._publish(event.object, [event])

    def _add_work(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        self._schedule()

    def _schedule(self, delay: float = 0.0) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_later(delay, self._work_when_committed)

    def _work_when_committed(self) -> None:
        """Run the tasks. If a request has opened a unit in this tick, first wait for the end of this unit."""
        self._table.on_failure(self._do_work)
        self._table.after_commit(self._do_work)

    def _do_work(self) -> None:
        """Run the queued tasks in order. Start no task after SLICE_SECONDS.

        If the data file is locked, try again after a pause.
        """
        self._is_scheduled = False
        loop = asyncio.get_running_loop()
        until = loop.time() + SLICE_SECONDS
        try:
            while self._work and loop.time() < until:
                self._work[0]()
                self._work.popleft()
        except RunAgainError:
            self._schedule(RUN_AGAIN_PAUSE_SECONDS)
        except Exception:
            # Disconnect all clients. A client that connects again gets the lost events in the replay.
            logger.exception("chat clients are disconnected, because their events could not be read")
            self._work.clear()
            for clients in [*self._by_user.values()]:
                for client in [*clients]:
                    client.connection.cut()
        if self._work:
            self._schedule()

    def _end_membership(self, user_sid: str, conversation_sid: str | None) -> None:
        for client in self._by_user.get(user_sid, ()):
            for sync_object in [*client.subscriptions]:
                if sync_object.conversation_sid == conversation_sid:
                    self._unsubscribe(client, sync_object)

    def _unsubscribe(self, client: ChatClient, sync_object: SyncObject) -> None:
        client.subscriptions.discard(sync_object)
        client.guest_subscriptions.discard(sync_object)
        subscribers = self._subscribers.get(sync_object, {})
        subscribers.pop(client, None)
        if not subscribers:
            self._subscribers.pop(sync_object, None)


def _requested(named: Any) -> list[Requested]:
    """Return the subscriptions that a call lists. Raise InvalidParameterError if the list is invalid."""
    if not isinstance(named, list) or len(named) > MAX_SUBSCRIPTIONS_PER_CALL:
        raise InvalidParameterError(parameter="requests", wanted=f"a list of at most {MAX_SUBSCRIPTIONS_PER_CALL}")
    found = []
    for each in named:
        sid, kind = (each.get("object_sid"), each.get("object_type")) if isinstance(each, dict) else (None, None)
        if not isinstance(sid, str) or not isinstance(kind, str):
            raise InvalidParameterError(parameter="requests", wanted="objects with object_sid and object_type")
        since = each.get("last_event_id")
        found.append(Requested(sid, kind, since if isinstance(since, int) else None))
    return found


def _tell(client: ChatClient, name: str, data: dict[str, Any], correlation_id: Any) -> None:
    client.connection.notify(_notification(name, [data], correlation_id))


def _notifications(events: Iterable[SyncEvent], correlation_id: Any = None) -> list[bytes]:
    """Return the frames for some events. Consecutive events of the same type share a frame."""
    named = ((event_type(event), represent_event(event)) for event in events)
    return [
        _notification(name, [body for _, body in group], correlation_id)
        for name, group in groupby(named, key=itemgetter(0))
    ]


def _notification(name: str, events: Sequence[dict[str, Any]], correlation_id: Any = None) -> bytes:
    """Return a frame with events of one type."""
    payload = {
        "event_type": name,
        "correlation_id": correlation_id,
        "event_protocol_version": EVENT_PROTOCOL_VERSION,
        "events": events,
    }
    return frames.notification(new_id(), SYNC_EVENT, orjson.dumps(payload))
