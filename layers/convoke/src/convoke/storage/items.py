"""Convert resources to items of the table, and items to resources. A field with the value None is not stored."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from convoke.domain.conversations import Conversation
from convoke.domain.media import Media
from convoke.domain.model import Model
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.domain.services import DeletedService
from convoke.domain.users import User
from convoke.storage import keys
from convoke.storage.packing import pack_provisioning
from convoke.storage.table import EXPIRES_AT, Action, Item, Key, Remove, Set

AnyModel = TypeVar("AnyModel", bound=Model)


def to_item(key: Key, resource: Model) -> Item:
    return {"pk": key.pk, "sk": key.sk, **resource.model_dump(mode="json", exclude_none=True)}


def to_resource(model: type[AnyModel], stored: Item) -> AnyModel:
    # The model ignores attributes that are not fields of the model, such as keys.
    return model.model_validate(stored)


def conversation_item(conversation: Conversation) -> Item:
    """Return the item of a conversation, including its attributes for the indexes `due` and `listed`.

    Only a conversation with a due time is in `due`. A deleted conversation is not in `listed`.
    """
    item = to_item(keys.conversation(conversation.account_sid, conversation.sid), conversation)
    if conversation.due_at:
        item |= keys.due_attributes(conversation.sid, conversation.due_at)
    if not conversation.date_removed:
        account_sid, service_sid = conversation.account_sid, conversation.chat_service_sid
        item |= keys.list_attributes(account_sid, service_sid, conversation.sid, conversation.date_created)
    return item


def provisioning_item(provisioning: Provisioning) -> Item:
    key = keys.provisioning(provisioning.account_sid, provisioning.conversation_sid)
    return {"pk": key.pk, "sk": key.sk, **pack_provisioning(provisioning)}


def participant_item(participant: Participant, chat_service_sid: str) -> Item:
    """Return the item of a participant, including its attribute for the index `memberships`.

    A participant without an identity and without an address is not in this index.
    """
    account_sid, known_by = participant.account_sid, participant.known_by
    item = to_item(keys.participant(account_sid, participant.conversation_sid, participant.sid), participant)
    if known_by:
        item[keys.MEMBERSHIPS.partition] = keys.membership_partition(account_sid, chat_service_sid, *known_by)
    return item


def user_item(user: User) -> Item:
    """Return the item of a User, including its attributes for the indexes `due` and `listed`.

    Only a User with a due time is in `due`. A deleted User is not in `listed`.
    """
    item = to_item(keys.user(user.account_sid, user.sid), user)
    if user.due_at:
        item |= keys.due_attributes(user.sid, user.due_at)
    if not user.date_removed:
        name = keys.users_list(user.chat_service_sid)
        item |= keys.list_attributes(user.account_sid, name, user.sid, user.date_created)
    return item


def media_item(media: Media) -> Item:
    """Return the item of a media, including the attributes for the index `due` if the media has a due time."""
    item = to_item(keys.media(media.account_sid, media.sid), media)
    return item | keys.due_attributes(media.sid, media.due_at) if media.due_at else item


def deleted_service_item(deleted: DeletedService) -> Item:
    """Return the item of a deleted service, including the attributes for the index `due`."""
    service = deleted.service
    item = to_item(keys.deleted_service(service.account_sid, service.sid), deleted)
    return item | keys.due_attributes(service.sid, deleted.due_at)


def with_expiry(item: Item, at: datetime) -> Item:
    """Return a copy of `item` with an expiry date. The engine removes the item some time after `at`."""
    return {**item, EXPIRES_AT: epoch_seconds(at)}


def epoch_seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def update_actions(change: Model) -> list[Action]:
    """Return the actions that store the fields of `change`.

    If a field has the value None, the stored attribute is removed. A field that is not set in `change` is not written.
    Two concurrent updates of different fields therefore both take effect.
    """
    values = change.model_dump(mode="json", exclude_unset=True)
    return [Remove(name) if value is None else Set(name, value) for name, value in values.items()]


def differences(before: Item, after: Item) -> list[Action]:
    """Return the actions that turn the item `before` into the item `after`.

    Attributes with equal values are not written.
    """
    removed = [Remove(name) for name in before if name not in after]
    return [*removed, *(Set(name, value) for name, value in after.items() if before.get(name) != value)]
