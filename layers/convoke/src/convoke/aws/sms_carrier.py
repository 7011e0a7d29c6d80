"""Send copies of messages through AWS End User Messaging SMS. See docs/phones/aws.md.

A call has no idempotency key. If the answer is lost, Convoke cannot find out whether AWS accepted the copy. See
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
"""The error codes which mean that AWS did not accept the copy, but may accept it later.

For example, the account has reached the monthly spend limit. A later call succeeds after the operator raises the limit,
or after the month ends.
"""


class SmsCarrier:
    """Implements `Carrier`. AWS offers no way to send a group MMS."""

    def __init__(self, client: Callable[[], Any]) -> None:
        """`client` returns the botocore client. `client` is not called before the first copy is sent.

        Creating the botocore client is slow, so the cold start must not create it.
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
    """Raise the carrier error that has the meaning of an AWS error.

    Do nothing if the AWS error does not tell whether AWS accepted the copy.
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
