#!/usr/bin/env bash
# slack_sdk 3.48.0 (PyPI): chat.postMessage where the reply of the server is lost.
#
# One would expect an exception, and no second request, from a client created with its defaults: a post is not idempotent,
# and the same client neither retries an answer of 429 nor one of 500, both of which say that nothing or something went wrong.
#
# Seen: a connection that the server closes after it has read the request, before it answers, is taken for one that failed,
# and the request is sent again at once: the default retry handler for lost connections makes one more attempt, whatever the
# method. The caller sees one successful post; the channel holds the message twice. Nothing in the second request (no header,
# no key) lets a server or a reader tell that it repeats the first. `retry_handlers=[]` switches it off.
#
# What to do: create the client with `retry_handlers=[]`, give each message metadata of its own, and look it up by that before
# posting again. Watch Tower's client never retries a post by itself, and its notifier looks up what it cannot be sure of.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check slack_sdk==3.48.0

cat >lost.py <<'PY'
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from slack_sdk import WebClient

posts = []

class Slack(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        posts.append((sorted(name.lower() for name in self.headers.keys()), body))
        if len(posts) % 2:  # carried out, but the reply never leaves
            self.close_connection = True
            return
        reply = json.dumps({"ok": True, "channel": "C1", "ts": "1.000100"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Slack)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/api/"

answer = WebClient(token="xoxb-example", base_url=url).chat_postMessage(channel="C1", text="T1 entered yard")
print("defaults: ok", answer["ok"], "posts", len(posts), "the same", posts[0] == posts[1])
posts.clear()
try:
    WebClient(token="xoxb-example", base_url=url, retry_handlers=[]).chat_postMessage(channel="C1", text="T1 entered yard")
except Exception as error:
    print("without handlers:", type(error).__name__, "posts", len(posts))
PY
venv/bin/python lost.py | tee seen
diff - seen <<'TEXT'
defaults: ok True posts 2 the same True
without handlers: RemoteDisconnected posts 1
TEXT
