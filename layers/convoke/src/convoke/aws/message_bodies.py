"""Make JSON acceptable as the body of a queue message in SQS."""

from __future__ import annotations


def escape_noncharacters(json_text: str) -> str:
    r"""Replace the characters U+FFFE and U+FFFF in JSON by the escapes `\ufffe` and `\uffff`.

    The meaning of the JSON stays the same. SQS rejects or replaces these two characters. SQS also refuses control
    characters, which JSON always escapes. See
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html.
    """
    return json_text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
