"""The HTTP clients of the embedded engine. The first call imports and creates a client.

At the start of an instance, an import of urllib3 would take 11 % of the CPU instructions of the start and 2 MB of
memory. Many instances never call another server.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from convoke.carriers.twilio import TwilioCarrier
    from convoke.domain.carriers import OutboundCopy, SentCopy
    from convoke.domain.media import CarrierCredentials
    from convoke.domain.receivers import ReceiverRules
    from convoke.domain.webhooks import Delivery
    from convoke.webhooks.answers import FetchedMedia, WebhookAnswer
    from convoke.webhooks.client import WebhookHttpClient
    from convoke.webhooks.media_client import MediaHttpClient


class Cuttable(Protocol):
    def cut(self) -> None: ...


Client = TypeVar("Client", bound=Cuttable)


class Late(Generic[Client]):
    """Creates a client at the first call of `get`. Several threads may call `get` at the same time."""

    def __init__(self, create: Callable[[], Client]) -> None:
        self.created: Client | None = None
        self._create = create
        self._lock = Lock()

    def get(self) -> Client:
        with self._lock:
            if self.created is None:
                self.created = self._create()
            return self.created

    def cut(self) -> None:
        """End all calls in progress."""
        if self.created:
            self.created.cut()


class LateWebhookClient(Late["WebhookHttpClient"]):
    """Implements `WebhookClient`."""

    def __init__(self, rules: ReceiverRules) -> None:
        def create() -> WebhookHttpClient:
            from convoke.webhooks.client import WebhookHttpClient  # noqa: PLC0415 - see the docstring of this module

            return WebhookHttpClient(rules)

        super().__init__(create)

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, max_answer_bytes: int) -> WebhookAnswer:
        client = self.get()
        return client.call(delivery, retry_count=retry_count, auth_token=auth_token, max_answer_bytes=max_answer_bytes)


class LateMediaClient(Late["MediaHttpClient"]):
    """Implements `MediaClient`."""

    def __init__(self, rules: ReceiverRules) -> None:
        def create() -> MediaHttpClient:
            from convoke.webhooks.media_client import MediaHttpClient  # noqa: PLC0415 - see the docstring of this module

            return MediaHttpClient(rules)

        super().__init__(create)

    def fetch(
        self, url: str, credentials: CarrierCredentials | None, seconds: float
    ) -> AbstractContextManager[FetchedMedia]:
        return self.get().fetch(url, credentials, seconds)


class LateTwilioCarrier(Late["TwilioCarrier"]):
    """Implements `Carrier`."""

    def __init__(self, public_url: str | None) -> None:
        def create() -> TwilioCarrier:
            from convoke.carriers.twilio import TwilioCarrier  # noqa: PLC0415 - see the docstring of this module

            return TwilioCarrier(public_url)

        super().__init__(create)

    @property
    def sends_group_mms(self) -> bool:
        return self.get().sends_group_mms

    def send(self, copy: OutboundCopy) -> SentCopy:
        return self.get().send(copy)
