"""The limits on chat clients. docs/behaviour/limits.md#chat-clients lists them."""

from __future__ import annotations

MAX_FRAME_BYTES = 64 * 1024
"""The maximum size of a frame from a client. A longer frame closes the connection."""

MAX_CONNECTIONS_PER_ACCOUNT = 600
"""The maximum number of chat clients of an account that are connected at the same time.

This number leaves room for REST clients below `MAX_CONNECTIONS` in `http_protocol.py`.
"""

INIT_TIMEOUT_SECONDS = 10.0
"""The maximum time from the opening of the WebSocket to the frame `init`."""

CLOSE_TIMEOUT_SECONDS = 5.0
"""The maximum time that a client may take to read the last frames. Then the server cuts the connection."""

MAX_CALLS_PER_SECOND = 100.0
"""The number of calls per second that a connection may send for a longer time. The server reads no faster."""

MAX_CALLS_AT_ONCE = 500
"""The number of calls that a connection may send at once, for example when the client starts."""

MAX_CALLS_UNDER_WAY = 64
"""The number of calls of a connection that can run at the same time. The server reads no further call meanwhile."""

MAX_UNSENT_BYTES = 1024 * 1024
"""The maximum size of the frames that wait until the client reads them.

At this size, the server reads no further call. A client that still gets more events is disconnected. It connects again
and gets what it missed.
"""

MAX_SUBSCRIPTIONS = 6_000
"""The maximum number of Sync objects to which a connection can subscribe, and of subscriptions that wait."""

MAX_SUBSCRIPTIONS_PER_CALL = 1_000

PING_SECONDS = 30.0

EXPIRY_WARNING_SECONDS = 180.0
"""How long before the expiry of its token a client is told that the token is about to expire."""

REVOCATION_CHECK_SECONDS = 5.0
"""How often the server checks whether the API key and the User of a connected client still exist.

A client that follows a conversation as a guest loses it after the same time, if its role no longer permits to see it.
"""

OFFLINE_GRACE_SECONDS = 10.0
"""How long a User stays online after its last client has disconnected. A client that connects again stays online."""

TYPING_TIMEOUT_SECONDS = 5
"""How often a client may say that its user is typing."""

STOP_GRACE_SECONDS = 1.0
"""How long the server waits at its stop until the calls of chat clients are answered and the clients are told."""

RECONNECT_MILLISECONDS = 500
"""How long a client waits before it connects again after the server has stopped."""

RETRY_MILLISECONDS = 5_000
"""How long a client waits before it connects again when its account has too many connections."""
