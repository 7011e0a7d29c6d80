"""Serve an HTTP API as a typical Lambda function, with Powertools' core utilities, pydantic and boto3."""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

logger = Logger(service="typical")
tracer = Tracer(service="typical")
metrics = Metrics(namespace="typical", service="typical")
app = APIGatewayHttpResolver(enable_validation=True)
table = boto3.resource("dynamodb").Table("typical")
queue = boto3.client("sqs")


class Order(BaseModel):
    name: str
    quantity: int


@app.post("/orders")
@tracer.capture_method
def create(order: Order) -> Order:
    table.put_item(Item=order.model_dump())
    queue.send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/1/orders", MessageBody=order.model_dump_json())
    return order


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
