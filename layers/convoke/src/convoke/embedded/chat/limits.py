"""Define the limits for chat clients. docs/behaviour/limits.md#chat-clients lists most of these limits.

A call is a frame of the client that the server answers, such as a REST call (see `ANSWERED` in server.py).
"""

from __future__ import annotations

MAX_FRAME_BYTES = 64 * 1024
"""The maximum size of a frame from a client. After a longer frame, the server closes the connection."""

MAX_CONNECTIONS_PER_ACCOUNT = 600
"""The maximum number of chat clients that one account can connect at the same time.

This number is smaller than `MAX_CONNECTIONS` in `http_protocol.py`, so that REST clients can still connect.
"""

INIT_TIMEOUT_SECONDS = 10.0
"""How long a client may take to send the frame `init` after it opens the WebSocket."""

CLOSE_TIMEOUT_SECONDS = 5.0
"""How long a client may take to read the last frames. After this time, the server cuts the connection."""

MAX_CALLS_PER_SECOND = 100.0
"""The maximum average number of calls per second that the server reads from one connection."""

MAX_CALLS_AT_ONCE = 500
"""The maximum number of calls that the server reads in one burst, for example when a client starts."""

MAX_CALLS_UNDER_WAY = 64
"""The maximum number of calls of one connection that run at the same time. Further calls wait."""

MAX_UNSENT_BYTES = 1024 * 1024
"""If the queued frames for a client reach this total size, the server reads no further calls from the client.

The server still queues replies to earlier calls. But if a notification is due, such as an event or a ping, the server
disconnects the client instead of queueing the notification. After the client connects again, it gets the missed events.
"""

MAX_SUBSCRIPTIONS = 6_000
"""The maximum number of subscriptions of one connection.

A connection may also have at most this number of waiting requests to start or cancel a subscription (hub.py).
"""

MAX_SUBSCRIPTIONS_PER_CALL = 1_000

PING_SECONDS = 30.0

EXPIRY_WARNING_SECONDS = 180.0
"""How long before the expiry of an access token the server warns the client."""

REVOCATION_CHECK_SECONDS = 5.0
"""How often the server checks that the API key, the User and the service of a connected client are still valid.

After a change of the User's role, the check also ends subscriptions to conversations that the User must no longer see.
"""

OFFLINE_GRACE_SECONDS = 10.0
"""How long a User stays online after the User's last client disconnects."""

TYPING_TIMEOUT_SECONDS = 5
"""How long a client waits before it reports again that its user is typing.

The server tells the client this time, but does not enforce it. If the client sends no further report,
the clients of other Users hide the typing indicator one second after this time (hub.py).
"""

STOP_GRACE_SECONDS = 1.0
"""The maximum time of each wait of a stopping server.

The server first waits until the running calls are answered, then until the clients have disconnected.
"""

RECONNECT_MILLISECONDS = 500
"""How long a client waits before it connects again after the server stops."""

RETRY_MILLISECONDS = 5_000
"""How long a client waits before it connects again if the account has too many connections."""
