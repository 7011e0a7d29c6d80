"""Start the finalizer's state machine in Step Functions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from convoke.domain.provisioning import Cause
from convoke.lean_dataclass import lean_dataclass

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


@lean_dataclass
class StepFunctionsWorkflow:
    """Starts Express executions of the state machine.

    Step Functions can run an execution more than once, and executions for the same conversation can run at the same
    time. Every task tolerates repetition and concurrency. See docs/how-it-works.md#promises and
    https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html.
    """

    client: SFNClient
    state_machine_arn: str

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        execution = {
            "account_sid": account_sid,
            "conversation_sid": conversation_sid,
            "causes": [cause.model_dump(mode="json", exclude_none=True) for cause in causes],
        }
        self.client.start_execution(stateMachineArn=self.state_machine_arn, input=json.dumps(execution))
