"""Create Lambda handlers for batches of records from SQS or from the table's stream.

A handler calls a function `consume` for each record. If `consume` raises an exception for a record, AWS delivers the
record again. After too many deliveries, SQS moves a queue message to a dead-letter queue.

If a record cannot be parsed, most `consume` functions add a dead letter and raise no exception. In this case, only the
`consume` function for the participant queue raises an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from convoke.aws.handlers.invocations import AwsEvent, Handler, observed

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.utilities.batch.base import FailureResponse
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from convoke.aws.edges import AwsEdges


def batch_handler(
    edges: AwsEdges,
    event_type: EventType,
    consume: Callable[[Any], None],
    expected_error: type[Exception] | None = None,
) -> Handler:
    """Return a handler that calls `consume` for each record of a batch.

    If `consume` raises an exception, the handler reports the record as failed. A queue then delivers only the failed
    records again, but the stream delivers the first failed record and all later records again. See
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.

    The handler logs every exception, except an exception whose class is exactly `expected_error`.
    """
    logger = edges.logger
    processor = _LoggingProcessor(event_type, logger, expected_error)

    def consume_alone(record: Any) -> None:
        # The log lines of this record must not show the correlation id of the previous record.
        logger.set_correlation_id(None)
        consume(record)

    def handler(event: AwsEvent, context: LambdaContext) -> PartialItemFailureResponse:
        return process_partial_response(event, consume_alone, processor, context)

    return observed(edges, handler)


class _LoggingProcessor(BatchProcessor):
    def __init__(self, event_type: EventType, logger: Logger, expected_error: type[Exception] | None) -> None:
        # By default, Powertools raises an exception if all records of a batch failed. Lambda would count the invocation
        # as failed, although the handler reports each failed record.
        super().__init__(event_type, raise_on_entire_batch_failure=False)
        self._logger = logger
        self._expected_error = expected_error

    def failure_handler(self, record: Any, exception: Any) -> FailureResponse:
        if exception[0] is not self._expected_error:
            # Records from SQS have the id in `messageId`, and records from the stream in `eventID`.
            record_id = record.get("messageId") or record.get("eventID")
            self._logger.error("a record failed and comes again", exc_info=exception[1], extra={"record_id": record_id})
        return super().failure_handler(record, exception)
