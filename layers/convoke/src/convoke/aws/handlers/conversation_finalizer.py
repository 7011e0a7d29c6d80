"""The Lambda handler for the tasks of the finalizer's state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter

from convoke.aws.event_bus import put_events_entry
from convoke.aws.handlers.invocations import AwsEvent, Handler, observed
from convoke.domain.provisioning import Cause
from convoke.program import Program

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges


def make_handler(edges: AwsEdges) -> Handler:
    """Return a handler that performs the task that the event names.

    For the tasks `finalize` and `close`, the handler returns the entry that the state machine then puts on the event
    bus.
    """
    finalizer, bus_name = Program(edges).conversation_finalizer, edges.settings.event_bus_name
    causes_type = TypeAdapter(list[Cause], config=ConfigDict(hide_input_in_errors=True))

    def handler(event: AwsEvent, _: LambdaContext) -> Any:
        account_sid, conversation_sid = event["account_sid"], event["conversation_sid"]
        edges.logger.set_correlation_id(conversation_sid)
        causes = causes_type.validate_python(event.get("causes", []))
        match event["task"]:
            case "finalize":
                return put_events_entry(finalizer.finalize(account_sid, conversation_sid, causes), bus_name)
            case "close":
                return put_events_entry(finalizer.close(account_sid, conversation_sid, causes), bus_name)
            case "settle":
                return finalizer.settle(account_sid, conversation_sid)
            case unknown:
                raise ValueError(f"unknown task: {unknown}")

    return observed(edges, handler)
