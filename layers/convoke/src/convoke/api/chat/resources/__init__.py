"""The resources of the chat API. See docs/chat.md."""
