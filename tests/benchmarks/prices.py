"""What AWS asks for, as far as a conversation uses it. Nothing else in Convoke spells a price."""

from __future__ import annotations

from dataclasses import dataclass

REGION = "us-east-1"

DATE = "2026-11-22"
"""When they were put down, from public pages of 2025 and 2026: AWS's own, and others' that repeat them."""


@dataclass(frozen=True)
class Price:
    """US dollars for so many units, on demand, in the first tier and without free tiers."""

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
"""Left out are reads of the stream, which are free for Lambda; DynamoDB's storage (0.25 USD a GB and month, 0.20 more
for point-in-time recovery); what the stack costs idle (docs/operate.md#cost); starts of a cold function; and
the secret of an account, which a process reads once in 5 seconds at the most.
"""
