"""Serve the WebSocket of the chat SDK on the embedded engine. See docs/chat.md."""
