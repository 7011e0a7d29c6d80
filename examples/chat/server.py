"""A chat in the browser: serve the page, and create access tokens. See docs/chat.md#sample-application.

In your application, `/token` must first authenticate the person. Here everybody may choose an identity.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant

FOLDER = Path(__file__).parent
CONVOKE = os.environ.get("CONVOKE_URL", "http://127.0.0.1:8000")
SOCKET = CONVOKE.replace("http", "ws", 1)
SDK = os.environ.get("CHAT_SDK", str(FOLDER / "node_modules/@twilio/conversations/builds/twilio-conversations.min.js"))

FILES = {
    "/": (FOLDER / "index.html", "text/html; charset=utf-8"),
    "/app.js": (FOLDER / "app.js", "text/javascript"),
    "/style.css": (FOLDER / "style.css", "text/css"),
    "/sdk.js": (Path(SDK), "text/javascript"),
}

POLICY = f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {SOCKET} {CONVOKE}"
"""The page may load scripts and styles only from this server, and may connect only to this server and to Convoke."""


def token(identity: str) -> str:
    made = AccessToken(
        os.environ["TWILIO_ACCOUNT_SID"],
        os.environ["TWILIO_API_KEY"],
        os.environ["TWILIO_API_SECRET"],
        identity=identity,
    )
    made.add_grant(ChatGrant(service_sid=os.environ["CHAT_SERVICE_SID"]))
    return str(made.to_jwt())


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/token":
            identity = parse_qs(url.query).get("identity", ["guest"])[0]
            found = json.dumps({"token": token(identity), "socket": f"{SOCKET}/v3/wsconnect"}).encode()
            self.answer(found, "application/json")
        elif url.path in FILES:
            path, content_type = FILES[url.path]
            self.answer(path.read_bytes(), content_type)
        else:
            self.send_error(404)

    def answer(self, content: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print no line for a request, because the path of `/token` contains an identity."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
