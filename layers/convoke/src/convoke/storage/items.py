"""Resources as items and back. What is None is left out."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from convoke.domain.conversations import Conversation
from convoke.domain.model import Model
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.storage import keys
from convoke.storage.packing import packed_members
from convoke.storage.table import EXPIRES_AT, Action, Item, Key, Remove, Set

AnyModel = TypeVar("AnyModel", bound=Model)


def item(key: Key, resource: Model) -> Item:
    return {"pk": key.pk, "sk": key.sk, **resource.model_dump(mode="json", exclude_none=True)}


def conversation_item(conversation: Conversation) -> Item:
    """With the attributes that put it into the indexes, into that of what is due where it is due at all."""
    made = item(keys.conversation(conversation.account_sid, conversation.sid), conversation)
    if conversation.due_at:
        made |= keys.due(conversation.sid, conversation.due_at)
    if not conversation.date_removed:
        account_sid, service_sid = conversation.account_sid, conversation.chat_service_sid
        made |= keys.listed(account_sid, service_sid, conversation.sid, conversation.date_created)
    return made


def provisioning_item(provisioning: Provisioning) -> Item:
    key = keys.provisioning(provisioning.account_sid, provisioning.conversation_sid)
    return {"pk": key.pk, "sk": key.sk, **packed_members(provisioning)}


def participant_item(participant: Participant, chat_service_sid: str) -> Item:
    """With the attribute that puts it into the index of what somebody is a member of."""
    account_sid, known_by = participant.account_sid, participant.known_by
    made = item(keys.participant(account_sid, participant.conversation_sid, participant.sid), participant)
    if known_by:
        made[keys.MEMBERSHIPS.partition] = keys.memberships_of(account_sid, chat_service_sid, *known_by)
    return made


def expiring(made: Item, at: datetime) -> Item:
    """With the attribute for which it is removed some time after that moment."""
    return {**made, EXPIRES_AT: seconds(at)}


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def given(change: Model) -> list[Action]:
    """Only what was given is written, so that of two changes at once none is lost."""
    values = change.model_dump(mode="json", exclude_unset=True)
    return [Remove(name) if value is None else Set(name, value) for name, value in values.items()]


def differences(before: Item, after: Item) -> list[Action]:
    """What makes the one item of the other. What both have alike is not written, so it may change meanwhile."""
    gone = [Remove(name) for name in before if name not in after]
    return [*gone, *(Set(name, value) for name, value in after.items() if before.get(name) != value)]


def resource(model: type[AnyModel], stored: Item) -> AnyModel:
    return model.model_validate(stored)
