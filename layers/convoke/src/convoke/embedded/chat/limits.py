"""The limits on chat clients. docs/behaviour/limits.md#chat-clients lists these limits."""

from __future__ import annotations

MAX_FRAME_BYTES = 64 * 1024
"""The maximum size of a frame from a client. If a frame is longer, the server closes the connection."""

MAX_CONNECTIONS_PER_ACCOUNT = 600
"""The maximum number of chat clients of an account that are connected at the same time.

This number leaves room for REST clients below `MAX_CONNECTIONS` in `http_protocol.py`.
"""

INIT_TIMEOUT_SECONDS = 10.0
"""The maximum time from the opening of the WebSocket to the frame `init`."""

CLOSE_TIMEOUT_SECONDS = 5.0
"""The maximum time that a client may take to read the last frames. Then the server cuts the connection."""

MAX_CALLS_PER_SECOND = 100.0
"""The maximum number of calls per second that the server reads from a connection for a longer time."""

MAX_CALLS_AT_ONCE = 500
"""The maximum number of calls that the server reads at once, for example when a client starts."""

MAX_CALLS_UNDER_WAY = 64
"""The maximum number of calls of a connection that run at the same time. Further calls wait."""

MAX_UNSENT_BYTES = 1024 * 1024
"""The maximum size of the frames that wait until the client reads them.

At this size, the server reads no further calls. If there is another event for the client, the server disconnects the
client. When the client connects again, the client gets the missed events.
"""

MAX_SUBSCRIPTIONS = 6_000
"""The maximum number of subscriptions of a connection.

The same maximum applies to the requests for subscriptions that wait in the hub.
"""

MAX_SUBSCRIPTIONS_PER_CALL = 1_000

PING_SECONDS = 30.0

EXPIRY_WARNING_SECONDS = 180.0
"""The time before the expiry of an access token at which the server warns the client."""

REVOCATION_CHECK_SECONDS = 5.0
"""The interval at which the server checks whether the API key and the User of a connected client still exist.

In the same check, a client can lose the subscriptions to conversations of which the User is not a member. The client
loses these subscriptions if the role of the User no longer permits the User to see the conversations.
"""

OFFLINE_GRACE_SECONDS = 10.0
"""The time for which a User stays online after the last client of the User has disconnected."""

TYPING_TIMEOUT_SECONDS = 5
"""The minimum time between two reports of a client that its user is typing."""

STOP_GRACE_SECONDS = 1.0
"""The maximum time to answer the calls under way when the server stops.

After that, the server waits for the same maximum time until the clients have disconnected.
"""

RECONNECT_MILLISECONDS = 500
"""The time that a client waits before it connects again after a stop of the server."""

RETRY_MILLISECONDS = 5_000
"""The time that a client waits before it connects again if the account has too many connections."""
