"""Store bindings directly in the table. The API has no operation that creates a binding."""

from __future__ import annotations

from convoke.domain.bindings import Binding, BindingType
from convoke.domain.sids import Prefix
from convoke.storage import items, keys
from convoke.storage.table import Put
from tests.support.instances import Instance


def store_binding(
    instance: Instance, service_sid: str, identity: str = "alice", binding_type: BindingType = BindingType.FCM
) -> Binding:
    """Store a binding for a device of `identity`. Return the binding."""
    moment = instance.accounts.now()
    binding = Binding(
        account_sid=instance.account.sid,
        chat_service_sid=service_sid,
        sid=instance.accounts.new_sid(Prefix.BINDING),
        identity=identity,
        binding_type=binding_type,
        endpoint=f"{identity}'s device",
        credential_sid=None if binding_type is BindingType.TWILSOCK else f"CR{'0' * 32}",
        message_types=("new_message", "added_to_conversation"),
        date_created=moment,
        date_updated=moment,
    )
    key = keys.binding(binding.account_sid, service_sid, binding.sid)
    instance.table.transact([Put(items.to_item(key, binding))])
    return binding
