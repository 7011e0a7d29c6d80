"""The AWS prices of everything that a conversation uses. No other module contains a price."""

from __future__ import annotations

from dataclasses import dataclass

REGION = "us-east-1"

DATE = "2026-11-22"
"""The date on which the prices were collected. The sources are web pages of AWS and others from 2025 and 2026."""


@dataclass(frozen=True)
class Price:
    """A price: `usd` US dollars for `units` units.

    It is the on-demand price of the first price level. Free tiers are ignored.
    """

    usd: float
    units: float
    source: str

    def of(self, quantity: float) -> float:
        return self.usd * quantity / self.units


MILLION = 1e6

PRICES = {
    "API requests": Price(1.00, MILLION, "API Gateway, HTTP API, by 512 KB"),
    "Lambda requests": Price(0.20, MILLION, "Lambda"),
    "Lambda GB-seconds": Price(0.0000166667, 1, "Lambda, x86"),
    "DynamoDB write units": Price(0.625, MILLION, "DynamoDB on demand, halved in November 2024"),
    "DynamoDB read units": Price(0.125, MILLION, "DynamoDB on demand, halved in November 2024"),
    "SQS requests": Price(0.40, MILLION, "SQS, standard queue, by 64 KB"),
    "Express executions": Price(1.00, MILLION, "Step Functions, Express"),
    "Express GB-seconds": Price(0.00001667, 1, "Step Functions, Express, by 64 MB and 100 ms"),
    "Standard transitions": Price(25.00, MILLION, "Step Functions, Standard"),
    "bus events": Price(1.00, MILLION, "EventBridge, custom events, by 64 KB; rules and their targets are free"),
    "log bytes": Price(0.50, 1e9, "CloudWatch Logs, ingestion"),
    "bytes to the internet": Price(0.09, 1e9, "data transfer out"),
}
"""The price of each item. The key is the name of the item.

These costs are not included:

- reads of the stream, which are free for Lambda
- DynamoDB storage: 0.25 USD per GB and month, and 0.20 USD for point-in-time recovery
- a stack without traffic (docs/operate.md#cost)
- cold starts
- reads of an account's secret, which a process reads at most once in 5 seconds
"""
