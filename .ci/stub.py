"""Stands in for a program that cannot be had: says that it is well, and takes what it is sent.

Usage: stub.py grafana|loki|jaeger|mailpit [what the real program would be told]
"""

import http.server
import json
import os
import socketserver
import sys
import threading
import urllib.request

PORTS = {"grafana": 3000, "loki": 3100, "jaeger": 16686, "mailpit": 8025}
role, told = sys.argv[1], sys.argv[2:]
taken = {"messages": 0, "posts": 0}


class Web(http.server.BaseHTTPRequestHandler):
    """Answers 200 to everything: health, and how much came."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = json.dumps({"stub": role, "total": taken["messages"], "posts": taken["posts"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = answer

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        taken["posts"] += 1
        self.answer()

    def log_message(self, *_):
        pass


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as a sender needs."""

    def handle(self):
        def say(text):
            self.wfile.write(text.encode() + b"\r\n")

        say("220 stub")
        for line in iter(self.rfile.readline, b""):
            word = line[:4].upper().strip()
            if word == b"DATA":
                say("354 go on")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                taken["messages"] += 1
                say("250 taken")
            elif word == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 stub")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if "-health" in told or "readyz" in told:
    urllib.request.urlopen(f"http://127.0.0.1:{PORTS[role]}/ready", timeout=2).read()
    sys.exit(0)
# What it is given to read has to be there, and readable by whom it runs as.
for word in told:
    path = word.rsplit("=", 1)[-1]
    if path.endswith(".yaml"):
        if not os.path.isfile(path):
            sys.exit(f"{path} is not there")
        with open(path, encoding="utf-8") as file:
            file.read()
if role == "mailpit":
    threading.Thread(target=Server(("", 1025), Mail).serve_forever, daemon=True).start()
Server(("", PORTS[role]), Web).serve_forever()
