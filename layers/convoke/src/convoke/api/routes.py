"""Every route. Those of `SERVICE_ROUTES` stand in both trees, through one handler each (reference, a.0)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, NamedTuple

from aws_lambda_powertools.event_handler import Response

from convoke.api import configuration_webhooks, conversation_with_participants, conversations, participants, services
from convoke.api.operations import Operations
from convoke.api.requests import Request, ServiceRequest


class AccountRoute(NamedTuple):
    method: str
    rule: str
    handler: Callable[Concatenate[Operations, Request, ...], Response[str]]


class ServiceRoute(NamedTuple):
    method: str
    rule: str
    handler: Callable[Concatenate[Operations, ServiceRequest, ...], Response[str]]


ACCOUNT_ROUTES = (
    AccountRoute("GET", "/Services", services.list_),
    AccountRoute("POST", "/Services", services.create),
    AccountRoute("GET", "/Services/<sid>", services.fetch),
    AccountRoute("GET", "/Configuration/Webhooks", configuration_webhooks.fetch),
    AccountRoute("POST", "/Configuration/Webhooks", configuration_webhooks.update),
)

SERVICE_ROUTES = (
    ServiceRoute("POST", "/ConversationWithParticipants", conversation_with_participants.create),
    ServiceRoute("GET", "/Conversations/<sid>", conversations.fetch),
    ServiceRoute("GET", "/Conversations/<conversation_sid>/Participants", participants.list_),
    ServiceRoute("GET", "/Conversations/<conversation_sid>/Participants/<sid>", participants.fetch),
)
