"""Define the routes that carriers call. See docs/behaviour/inbound-messages.md#carriers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from convoke.api.contracts import Contract
from convoke.api.representations import no_content
from convoke.api.requests import CarrierRequest
from convoke.api.responses import Response
from convoke.api.routes import CarrierRoute, Endpoint

if TYPE_CHECKING:
    from convoke.operations.twilio_webhooks import TwilioWebhookOperations

CONTRACT = Contract("CarrierRequest", None, statuses=())

SIGNATURE = "x-twilio-signature"

EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""The response to an incoming message. This TwiML tells Twilio not to send a reply to the phone."""


def carrier_routes(twilio: Callable[[], TwilioWebhookOperations]) -> tuple[CarrierRoute, ...]:
    """Return the routes that Twilio calls.

    `twilio` is a function that returns the operations for requests from Twilio. The handlers call this function,
    because building the operations earlier would slow every cold start.
    """

    def receive_from_twilio(request: CarrierRequest, sender_sid: str) -> Response:
        parameters = request.form.last_values()
        twilio().receive(sender_sid, request.called_url, parameters, request.headers.get(SIGNATURE, ""))
        return Response(200, "text/xml", EMPTY_TWIML)

    def record_status_from_twilio(request: CarrierRequest, sender_sid: str) -> Response:
        query, parameters = request.query_form.last_values(), request.form.last_values()
        signature = request.headers.get(SIGNATURE, "")
        twilio().record_status(sender_sid, request.called_url, query, parameters, signature)
        return no_content()

    return (
        CarrierRoute("POST", "/Inbound/Twilio/<sender_sid>", Endpoint(receive_from_twilio, CONTRACT)),
        CarrierRoute("POST", "/Statuses/Twilio/<sender_sid>", Endpoint(record_status_from_twilio, CONTRACT)),
    )
