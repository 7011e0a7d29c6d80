"""The API of the chat SDK: REST calls and reads of Sync objects, which clients send through their WebSocket."""
