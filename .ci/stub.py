"""Stands in for a program that is not available: answers health checks, and accepts and counts what it receives.

Usage: stub.py grafana|loki|jaeger|mailpit [arguments of the real program]
"""

import http.server
import json
import os
import socketserver
import sys
import threading
import urllib.request

PORTS = {"grafana": 3000, "loki": 3100, "jaeger": 16686, "mailpit": 8025}
role, arguments = sys.argv[1], sys.argv[2:]
counts = {"messages": 0, "posts": 0}


class Web(http.server.BaseHTTPRequestHandler):
    """Answers every request with 200 and the counts."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = json.dumps({"stub": role, "total": counts["messages"], "posts": counts["posts"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = answer

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        counts["posts"] += 1
        self.answer()

    def log_message(self, *_):
        pass


class Mail(socketserver.StreamRequestHandler):
    """The part of SMTP that a sender needs."""

    def handle(self):
        def reply(text):
            self.wfile.write(text.encode() + b"\r\n")

        reply("220 stub")
        for line in iter(self.rfile.readline, b""):
            word = line[:4].upper().strip()
            if word == b"DATA":
                reply("354 go on")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                counts["messages"] += 1
                reply("250 taken")
            elif word == b"QUIT":
                reply("221 bye")
                return
            else:
                reply("250 stub")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if "-health" in arguments or "readyz" in arguments:
    urllib.request.urlopen(f"http://127.0.0.1:{PORTS[role]}/ready", timeout=2).read()
    sys.exit(0)
# The configuration files must exist and be readable by this user.
for argument in arguments:
    path = argument.rsplit("=", 1)[-1]
    if path.endswith(".yaml"):
        if not os.path.isfile(path):
            sys.exit(f"{path} is not there")
        with open(path, encoding="utf-8") as file:
            file.read()
if role == "mailpit":
    threading.Thread(target=Server(("", 1025), Mail).serve_forever, daemon=True).start()
Server(("", PORTS[role]), Web).serve_forever()
