"""An HTTP server on 127.0.0.1 that serves files with ranges, and that can be told to misbehave, request by request."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """How one request is answered; the plain Reply is an honest server with ranges and an ETag."""

    body: bytes | None = None  # in place of the file's content
    status: int | None = None
    tag: str | None = '"1"'  # ETag; None for none
    ranges: bool = True  # False: Range is ignored and the answer is 200
    sent: int | None = None  # bytes of the answer's body after which the connection ends
    then_stall: bool = False  # instead of ending there, stay silent until the server closes
    length: int | None = -1  # Content-Length; -1 for the true one, None for none
    span: str | None = None  # Content-Range of a 206, in place of the true one
    heeds: bool = True  # whether If-Range is minded
    named: bool = True  # whether the answer names the ETag
    drips: bool = False  # a byte every 20 ms
    reason: str | None = None
    chunked: bool = False
    headers: dict = field(default_factory=dict)


class Server:
    """`files` maps a path to (content, [Reply of the first request, of the second, ...]); the last Reply repeats."""

    def __init__(self):
        self.files, self.requests = {}, []
        self.closing, self.stalling = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *ignored):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def serve(self, path, content, *replies):
        """Serve `content` at `path`, answering as the replies say."""
        self.files[path] = (content, list(replies) or [Reply()])

    def ranges(self):
        """The Range headers (or None) of all requests so far."""
        return [span for _, span in self.requests]

    def answer(self, handler):
        handler.close_connection = True
        self.requests.append((handler.path, handler.headers.get("Range")))
        if handler.path not in self.files:
            handler.send_error(404)
            return
        content, replies = self.files[handler.path]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        status, body, headers = self.compose(reply, content, handler.headers)
        handler.send_response(status, reply.reason)
        for key, value in headers.items():
            handler.send_header(key, str(value))
        handler.end_headers()
        cut = len(body) if reply.sent is None else reply.sent
        try:
            self.send(handler.wfile, body[:cut], reply)
        except ConnectionError:
            return
        if reply.then_stall:
            self.stalling.set()
            self.closing.wait(60)

    @staticmethod
    def compose(reply, content, asked):
        """(status, body, headers) of an answer."""
        body = content if reply.body is None else reply.body
        whole, headers, status = len(body), {"Content-Type": "application/octet-stream"}, 200
        same = not reply.heeds or asked.get("If-Range") in (None, reply.tag)
        if reply.ranges and same and asked.get("Range"):
            first = int(asked["Range"].removeprefix("bytes=").removesuffix("-"))
            if first >= whole:
                return 416, b"", {"Content-Range": f"bytes */{whole}", "Content-Length": 0, "ETag": reply.tag or "none"}
            body, status = body[first:], 206
            headers["Content-Range"] = reply.span or f"bytes {first}-{whole - 1}/{whole}"
        if reply.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif reply.length is not None:
            headers["Content-Length"] = len(body) if reply.length == -1 else reply.length
        if reply.tag and reply.named:
            headers["ETag"] = reply.tag
        return reply.status or status, body, {**headers, **reply.headers}

    def send(self, stream, body, reply):
        if reply.chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) + (b"0\r\n\r\n" if reply.sent is None else b"")
        size = 1 if reply.drips else len(body) or 1
        for start in range(0, len(body), size):
            stream.write(body[start : start + size])
            stream.flush()
            if reply.drips and self.closing.wait(0.02):
                return


@contextmanager
def running():
    """A Server in a thread; it ends with the block."""
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join(10)
