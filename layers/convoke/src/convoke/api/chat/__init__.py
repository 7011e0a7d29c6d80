"""The API of the chat SDK. Clients send their calls, except calls about media, through a WebSocket."""
