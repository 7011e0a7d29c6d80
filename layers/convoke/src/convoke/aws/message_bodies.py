"""Convert JSON to a form that SQS accepts as the body of a queue message."""

from __future__ import annotations


def escape_noncharacters(json_text: str) -> str:
    r"""Return JSON with the same meaning, in which U+FFFE and U+FFFF are written as `\ufffe` and `\uffff`.

    SQS rejects or replaces these two characters. SQS also does not allow control characters, but JSON already escapes
    control characters. See
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html.
    """
    return json_text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
