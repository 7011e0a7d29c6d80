"""The API of the chat SDK. Clients send their REST calls and their reads of Sync objects through a WebSocket."""
