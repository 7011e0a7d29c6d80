"""Keep the webhook setting of a request in memory, and send the pre-event of the request at most once.

The module `pre_events` calls the receiver of a pre-event.
"""

from __future__ import annotations

from collections.abc import Callable

from convoke.domain.events import Origin
from convoke.domain.pre_events import PreEvent, Reply

SendPreEvent = Callable[[PreEvent, Origin], Reply]
"""The function `PreEvents.send`."""


class RequestWebhooks:
    """The webhook setting of one request, and the receiver's reply to the pre-event of the request.

    The setting tells whether the request enables webhooks. If not, webhooks get neither a pre-event nor the events of
    the request.

    An operation is repeated if optimistic locking fails. The repeated operation uses the stored reply, so that the
    receiver gets only one pre-event for each request.
    """

    def __init__(self, send: SendPreEvent, origin: Origin) -> None:
        self.origin = origin
        self._send = send
        self._reply: Reply | None = None

    def send_pre_event(self, build: Callable[[], PreEvent]) -> Reply:
        """Send the pre-event of the request once, and return the receiver's reply. Raises WebhookRejectedError.

        The reply contains new values for fields of the pending change. `build` returns the pre-event, and is called
        only if the pre-event must be sent. The reply is empty if the request does not enable webhooks. See
        `PreEvents.send` for the other cases in which the reply is empty.
        """
        if not self.origin.notify_webhooks:
            return {}
        if self._reply is None:
            self._reply = self._send(build(), self.origin)
        return self._reply


class CheckedWebhooks(RequestWebhooks):
    """The webhook setting of a chat user's request. After a pre-event, a repeated operation checks permissions again.

    While the receiver answers the pre-event, another request can remove the user from the conversation. Then optimistic
    locking fails, and the operation is repeated.
    """

    def __init__(self, send: SendPreEvent, origin: Origin, check: Callable[[], None]) -> None:
        """`check` raises an error if the user must not make the change anymore."""
        super().__init__(send, origin)
        self._check = check

    def send_pre_event(self, build: Callable[[], PreEvent]) -> Reply:
        if self._reply is not None:
            self._check()
        return super().send_pre_event(build)


class LaterWebhooks(RequestWebhooks):
    """The webhook setting of changes that Convoke makes after the response to a request.

    Such changes cause no pre-events.
    """

    def __init__(self, *, enabled: bool) -> None:
        self.origin = Origin(notify_webhooks=enabled)

    def send_pre_event(self, _: Callable[[], PreEvent]) -> Reply:
        return {}
