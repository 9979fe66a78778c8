"""A local server that speaks chat completions as badly as a test wants it to."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from unlearning.llm.options import LLMOptions


@dataclass(frozen=True)
class Reply:
    """What the server does with a call: answers ``text``, or something worse."""

    text: str = "{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    hang: bool = False
    cut: bool = False
    raw: str | None = None


Script = Callable[[dict[str, Any], int], Reply]
"""From a call and how many calls with the same prompt came before it to what is done."""


@dataclass
class Server:
    """A running server and what it was asked."""

    url: str
    calls: list[dict[str, Any]]
    headers: list[dict[str, str]]

    def options(self, **changed: Any) -> LLMOptions:
        """Options that ask it, one call at a time."""
        return LLMOptions(**{"base_url": self.url, "model": "tiny", "parallel": 1, "timeout": 5.0, **changed})


def candidates_in(call: dict[str, Any]) -> int:
    """How many candidates a prompt offers."""
    return len(re.findall(r"^\d+: ", call["messages"][1]["content"], re.MULTILINE))


def good(call: dict[str, Any], _: int = 0) -> Reply:
    """Scores that fall with the candidate's number."""
    count = candidates_in(call)
    return Reply(json.dumps({str(k): 100 - k for k in range(1, count + 1)}))


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """A server on a free port for the time of the block."""
    done, seen, lock = threading.Event(), dict[str, int](), threading.Lock()
    calls: list[dict[str, Any]] = []
    headers: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                key = json.dumps(call["messages"])
                before = seen[key] = seen.get(key, -1) + 1
                calls.append({**call, "path": self.path})
                headers.append(dict(self.headers))
            reply = script(call, before)
            if reply.hang:
                done.wait(10)
            if reply.hang or reply.drop:
                self.close_connection = True
                return
            body = reply.raw if reply.raw is not None else completion(reply.text)
            data = body.encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if reply.cut else data)
            self.close_connection = reply.cut

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}/v1", calls, headers)
    finally:
        done.set()
        server.shutdown()
        server.server_close()


def completion(text: str) -> str:
    """A response as servers write it."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20}
    return json.dumps({"choices": [{"message": {"content": text}}], "usage": usage})
