"""Send copies of messages through AWS End User Messaging SMS. See docs/phones/aws.md.

A call has no idempotency key. If the answer is lost, Convoke cannot find out whether AWS accepted the copy. See
https://docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2/API_SendTextMessage.html and
https://docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2/API_SendMediaMessage.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from convoke.domain.aws_statuses import REASONS, context_of
from convoke.domain.carriers import (
    CarrierRefusedError,
    CarrierThrottledError,
    CarrierUnavailableError,
    CopyMedia,
    OutboundCopy,
    SentCopy,
)
from convoke.domain.errors import CarrierFailedError, MediaNotCarriedError, SenderMissingError
from convoke.domain.media import Media

SERVICE = "pinpoint-sms-voice-v2"

REFUSALS = frozenset({"ConflictException", "ValidationException"})

NOT_ACCEPTED = frozenset({"AccessDeniedException", "ServiceQuotaExceededException"})
"""The error codes that mean: AWS did not accept the copy, but may accept it later.

For example, the AWS account has reached its monthly spend limit. A call succeeds after the operator raises the limit,
or in the next month.
"""


MAX_IMAGE_BYTES = 2 * 1024 * 1024
MAX_FILE_BYTES = 600 * 1024

MAX_BYTES: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys((f"image/{each}" for each in ("gif", "jpeg", "png")), MAX_IMAGE_BYTES),
        **dict.fromkeys((f"audio/{each}" for each in ("3gpp", "amr", "mp4", "mpeg", "ogg")), MAX_FILE_BYTES),
        **dict.fromkeys((f"video/{each}" for each in ("3gpp", "mp4", "quicktime", "webm")), MAX_FILE_BYTES),
        **dict.fromkeys((f"text/{each}" for each in ("calendar", "vcard", "x-vcard")), MAX_FILE_BYTES),
        **dict.fromkeys(("application/pdf", "image/tiff"), MAX_FILE_BYTES),
    }
)
"""The maximum size of a media for each content type that AWS sends and Convoke accepts for phones.

See https://docs.aws.amazon.com/sms-voice/latest/userguide/mms-limitations-character.html.
"""


class SmsCarrier:
    """Implements `Carrier`. AWS offers no way to send a group MMS."""

    def __init__(self, client: Callable[[], Any], uri_of: Callable[[Media], str]) -> None:
        """Create the carrier. `client` returns the botocore client, and `uri_of` returns the S3 URI of a media.

        The carrier calls `client` only to send a copy, because creating the botocore client would slow the cold start.
        """
        self._client = client
        self._uri_of = uri_of

    @property
    def sends_group_mms(self) -> bool:
        return False

    def send(self, copy: OutboundCopy) -> SentCopy:
        try:
            answer = self._call(copy)
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise CarrierUnavailableError(type(error).__name__) from error
        except ClientError as error:
            _raise_meaning(error)
            raise
        return SentCopy(str(answer["MessageId"]))

    def _call(self, copy: OutboundCopy) -> Mapping[str, Any]:
        """Send an MMS if the copy has media, and an SMS otherwise.

        Raise CarrierRefusedError if the copy has neither text nor media, or if AWS cannot send the media.
        """
        sender, has_text = copy.sender, bool(copy.text.strip())
        common = {
            "DestinationPhoneNumber": copy.address,
            "OriginationIdentity": sender.origination_identity,
            "Context": context_of(copy.receipt),
            **({"ConfigurationSetName": sender.configuration_set} if sender.configuration_set else {}),
            **({"MessageBody": copy.text} if has_text else {}),
        }
        if copy.media:
            answer = self._client().send_media_message(**common, MediaUrls=[self._uri_of(_only(copy.media))])
        elif has_text:
            answer = self._client().send_text_message(**common, MessageType="TRANSACTIONAL")
        else:
            raise CarrierRefusedError(CarrierFailedError, "a copy needs a text or a media")
        return cast("Mapping[str, Any]", answer)


def _only(media: Sequence[CopyMedia]) -> Media:
    """Return the only media of a copy. Raise CarrierRefusedError if AWS cannot send the media of the copy.

    AWS sends only one media in a message. If a copy needed several messages and an answer was lost, nobody would know
    which messages to send again.
    """
    first, content = media[0].media, media[0].media.content
    if len(media) > 1 or content is None or content.size > MAX_BYTES.get(content.content_type, 0):
        raise CarrierRefusedError(MediaNotCarriedError, f"{len(media)} media")
    return first


def _raise_meaning(error: ClientError) -> None:
    """Convert an AWS error to the matching carrier error, and raise the carrier error.

    Return if the AWS error does not tell whether AWS accepted the copy.
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
