"""The bodies of queue messages: JSON that SQS accepts."""

from __future__ import annotations


def escape_noncharacters(json_text: str) -> str:
    r"""Return JSON with the same meaning, in which U+FFFE and U+FFFF are written as `\ufffe` and `\uffff`.

    SQS rejects or replaces these two characters. JSON in UTF-8 contains no other character that SQS does not allow,
    because JSON escapes control characters. See
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html.
    """
    return json_text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
