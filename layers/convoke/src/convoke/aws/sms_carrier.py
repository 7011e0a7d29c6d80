"""Send copies through AWS End User Messaging SMS. See docs/phones/aws.md.

A call has no idempotency key. If the answer is lost, Convoke cannot find out whether AWS has accepted the copy. See
https://docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2/API_SendTextMessage.html.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from convoke.domain.aws_statuses import REASONS, context_of
from convoke.domain.carriers import (
    CarrierRefusedError,
    CarrierThrottledError,
    CarrierUnavailableError,
    OutboundCopy,
    SentCopy,
)
from convoke.domain.errors import CarrierFailedError, SenderMissingError

SERVICE = "pinpoint-sms-voice-v2"

REFUSALS = frozenset({"ConflictException", "ValidationException"})

NOT_ACCEPTED = frozenset({"AccessDeniedException", "ServiceQuotaExceededException"})
"""The error codes of calls that AWS has not accepted and that may succeed later.

For example, the monthly spend limit is reached. The error ends when the operator raises the limit or the month ends.
"""


class SmsCarrier:
    """Implements `Carrier`. The API of AWS cannot send a group MMS."""

    def __init__(self, client: Callable[[], Any]) -> None:
        """`client` returns the botocore client. The carrier calls `client` only when a copy is sent.

        Creating the client is slow, so the cold start must not create the client.
        """
        self._client = client

    @property
    def sends_group_mms(self) -> bool:
        return False

    def send(self, copy: OutboundCopy) -> SentCopy:
        sender = copy.sender
        if not copy.text.strip():
            raise CarrierRefusedError(CarrierFailedError, "an SMS needs a text")
        optional = {"ConfigurationSetName": sender.configuration_set} if sender.configuration_set else {}
        try:
            answer = self._client().send_text_message(
                DestinationPhoneNumber=copy.address,
                OriginationIdentity=sender.origination_identity,
                MessageBody=copy.text,
                MessageType="TRANSACTIONAL",
                Context=context_of(copy.receipt),
                **optional,
            )
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise CarrierUnavailableError(type(error).__name__) from error
        except ClientError as error:
            _raise_meaning(error)
            raise
        return SentCopy(str(answer["MessageId"]))


def _raise_meaning(error: ClientError) -> None:
    """Raise the carrier error that matches an AWS error.

    Do nothing if the AWS error does not show whether AWS has accepted the copy.
    """
    code, reason = error.response["Error"]["Code"], str(error.response.get("Reason", ""))
    if code == "ThrottlingException":
        raise CarrierThrottledError(code) from error
    if code in NOT_ACCEPTED:
        raise CarrierUnavailableError(f"{code} {reason}") from error
    if code == "ResourceNotFoundException":
        raise CarrierRefusedError(SenderMissingError, code) from error
    if code in REFUSALS:
        raise CarrierRefusedError(REASONS.get(reason, CarrierFailedError), f"{code} {reason}") from error
