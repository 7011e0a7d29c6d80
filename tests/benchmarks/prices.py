"""Define the AWS prices of a conversation and of a deployment. No other module contains a price."""

from __future__ import annotations

from dataclasses import dataclass

REGION = "us-east-1"

DATE = "2026-11-28"
"""The date on which the prices were collected. The sources are web pages from 2025 and 2026, of AWS and other sites."""


@dataclass(frozen=True)
class Price:
    """A price of `usd` US dollars for `units` units.

    This is the on-demand price of the first price level, without free tiers.
    """

    usd: float
    units: float
    item: str
    page: str
    """The URL of the AWS page that states the price."""

    def of(self, quantity: float) -> float:
        return self.usd * quantity / self.units


MILLION = 1e6

MONTH_SECONDS = 30 * 24 * 60 * 60

API_GATEWAY = "https://aws.amazon.com/api-gateway/pricing/"
CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
EVENTBRIDGE = "https://aws.amazon.com/eventbridge/pricing/"
LAMBDA = "https://aws.amazon.com/lambda/pricing/"
SECRETS_MANAGER = "https://aws.amazon.com/secrets-manager/pricing/"
SQS = "https://aws.amazon.com/sqs/pricing/"
STEP_FUNCTIONS = "https://aws.amazon.com/step-functions/pricing/"
TRANSFER = "https://aws.amazon.com/ec2/pricing/on-demand/"

PRICES = {
    "API requests": Price(1.00, MILLION, "HTTP API, by 512 KB", API_GATEWAY),
    "Lambda requests": Price(0.20, MILLION, "requests", LAMBDA),
    "Lambda GB-seconds": Price(0.0000133334, 1, "duration, arm64", LAMBDA),
    "SnapStart restored GB": Price(0.0001397998, 1, "SnapStart, restore", LAMBDA),
    "DynamoDB write units": Price(0.625, MILLION, "on demand", DYNAMODB),
    "DynamoDB read units": Price(0.125, MILLION, "on demand", DYNAMODB),
    "SQS requests": Price(0.40, MILLION, "standard queue, by 64 KB", SQS),
    "Express executions": Price(1.00, MILLION, "Express", STEP_FUNCTIONS),
    "Express GB-seconds": Price(0.00001667, 1, "Express, by 64 MB and 100 ms", STEP_FUNCTIONS),
    "Standard transitions": Price(25.00, MILLION, "Standard", STEP_FUNCTIONS),
    "bus events": Price(1.00, MILLION, "custom events, by 64 KB; rules and their targets are free", EVENTBRIDGE),
    "secret reads": Price(0.05, 10_000, "API calls", SECRETS_MANAGER),
    "log bytes": Price(0.50, 1e9, "logs, ingestion", CLOUDWATCH),
    "bytes to the internet": Price(0.09, 1e9, "data transfer out", TRANSFER),
}
"""Maps each priced item of a conversation to the item's price.

These items are not in the mapping:

- reads of the stream, which are free for Lambda
- DynamoDB storage, which costs 0.25 USD per GB and month, and 0.20 USD more for point-in-time recovery
- encryption, which is free, because the table and the queues use keys that AWS owns
"""

MONTHLY_PRICES = {
    "alarms": Price(0.10, 1, "alarm metrics, standard resolution", CLOUDWATCH),
    "custom metrics": Price(0.30, 1, "custom metrics, only in hours in which they receive values", CLOUDWATCH),
    "secrets": Price(0.40, 1, "secrets", SECRETS_MANAGER),
    "SnapStart cached GB": Price(0.0000015046 * MONTH_SECONDS, 1, "SnapStart, cache, per second", LAMBDA),
}
"""Maps each item of a deployment to the item's monthly price."""
