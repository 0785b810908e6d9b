"""A tracker and storage nodes on real sockets that do as they should until a test says otherwise.

``tracker.on["get_paths"] = behaviour`` replaces what the tracker does for a command;
``storage.on["PUT"] = behaviour`` what a storage node does for a method. A behaviour is called with
the connection (a Connection), the request and the bytes of the proper answer; it sends what it
likes. ``once`` makes it do so only the first time.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mogilefs import wire

Behaviour = Callable[["Connection", object, bytes], None]


class Connection:
    """A server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive_until(self, mark: bytes) -> bytes | None:
        """What comes up to and without ``mark``; None when the client closed."""
        while mark not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def receive_exactly(self, size: int) -> bytes:
        chunks = [self.buffer[:size]]
        self.buffer = self.buffer[size:]
        left = size - len(chunks[0])
        while left and (data := self.sock.recv(min(left, 1 << 20))):
            chunks.append(data)
            left -= len(data)
        return b"".join(chunks)

    def close(self) -> None:
        """Say goodbye: the client reads the end of the stream."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        raise Closed

    def reset(self) -> None:
        """Break the connection: the client reads ECONNRESET."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Closed


class Closed(Exception):
    """A behaviour closed its connection."""


class Server:
    """Accepts connections in a thread, serves each in a thread of its own."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=64)
        self.host, self.port = host, self._listener.getsockname()[1]
        self.connections = 0
        self.on: dict[str, Behaviour] = {}
        self._open: set[socket.socket] = set()
        self._stopped = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._stopped:
                sock.close()
                return
            self.connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if "connect" in self.on:
                self.on["connect"](Connection(sock), None, b"")
            self.serve(Connection(sock))
        except (OSError, Closed):
            pass
        finally:
            self._open.discard(sock)
            sock.close()

    def serve(self, connection: Connection) -> None:
        raise NotImplementedError

    def drop_connections(self) -> None:
        """Close every connection, as an idle timeout or a restart does."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Stop listening and break every connection."""
        self._stopped = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        self._thread.join(5)


@dataclass
class Stored:
    """A file as the tracker knows it."""

    fid: int
    size: int
    urls: list[str]
    mogile_class: str = "default"
    checksum: str | None = None


@dataclass
class Cluster:
    """What all trackers and storage nodes of one test share."""

    files: dict[str, Stored] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    storages: list[TinyStorage] = field(default_factory=list)
    fids: Iterator[int] = field(default_factory=lambda: itertools.count(2**33))
    opened: dict[int, tuple[list[str], str]] = field(default_factory=dict)
    sizes_are_believed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, key: str, body: bytes, replicas: int | None = None) -> Stored:
        """Put a file there without asking anybody."""
        fid = next(self.fids)
        urls = [storage.url(fid) for storage in self.storages[:replicas]]
        for storage in self.storages[:replicas]:
            storage.bodies[storage.path(fid)] = body
        self.files[key] = Stored(fid, len(body), urls)
        return self.files[key]


class TinyTracker(Server):
    """The commands of one domain on one connection each, with callid unless ``echoes`` is off."""

    def __init__(self, cluster: Cluster, host: str = "127.0.0.1") -> None:
        self.cluster = cluster
        self.requests: list[wire.Request] = []
        self.waiting: list[int] = []  # commands that had come by the time one was taken up
        self.echoes = True
        super().__init__(host)

    @property
    def commands(self) -> list[str]:
        return [request.command for request in self.requests]

    def serve(self, connection: Connection) -> None:
        while (line := connection.receive_until(b"\r\n")) is not None:
            request = wire.decode_request(line)
            self.requests.append(request)
            self.waiting.append(connection.buffer.count(b"\r\n"))
            with self.cluster.lock:
                reply = self.answer(request)
            callid = request.args.get("callid") if self.echoes else None
            if isinstance(reply, wire.Ok):
                reply = wire.Ok(reply.values, callid)
            else:
                reply = wire.Err(reply.code, reply.text, callid)
            data = wire.encode_reply(reply)
            behaviour = self.on.get(request.command)
            if behaviour is None:
                connection.send(data)
            else:
                behaviour(connection, request, data)

    def answer(self, request: wire.Request) -> wire.Reply:
        command = getattr(self, f"do_{request.command}", None)
        if command is None:
            return wire.Err("unknown_command", "no such command")
        return command(request.args)

    def _file(self, args: dict[str, str], name: str = "key") -> Stored | None:
        return self.cluster.files.get(args.get(name, ""))

    def do_file_info(self, args: dict[str, str]) -> wire.Reply:
        file = self._file(args)
        if file is None:
            return wire.Err("unknown_key", "no such key")
        values = {"fid": str(file.fid), "length": str(file.size), "class": file.mogile_class}
        return wire.Ok({**values, "key": args["key"], "domain": args["domain"], "devcount": "1"})

    def do_list_keys(self, args: dict[str, str]) -> wire.Reply:
        prefix, after = args.get("prefix", ""), args.get("after", "")
        keys = [key for key in sorted(self.cluster.files) if key.startswith(prefix) and key > after]
        numbered = {f"key_{number}": key for number, key in enumerate(keys, 1)}
        if not keys:
            return wire.Err("none_match", "no keys")
        return wire.Ok({"key_count": str(len(keys)), **numbered})

    def do_get_paths(self, args: dict[str, str]) -> wire.Reply:
        file = self._file(args)
        if file is None:
            return wire.Err("unknown_key", "no such key")
        paths = {f"path{number}": url for number, url in enumerate(file.urls, 1)}
        return wire.Ok({"paths": str(len(paths)), **paths})

    def do_create_open(self, args: dict[str, str]) -> wire.Reply:
        fid = next(self.cluster.fids)
        urls = [storage.url(fid) for storage in self.cluster.storages]
        self.cluster.opened[fid] = (urls, args.get("class", "default"))
        values = {"fid": str(fid), "dev_count": str(len(urls))}
        for number, url in enumerate(urls, 1):
            values |= {f"devid_{number}": str(number), f"path_{number}": url}
        return wire.Ok(values)

    def do_create_close(self, args: dict[str, str]) -> wire.Reply:
        urls, mogile_class = self.cluster.opened.pop(int(args["fid"]), ([], ""))
        if args["path"] not in urls:
            return wire.Err("no_temp_file", "not opened")
        storage = self.cluster.storages[urls.index(args["path"])]
        body = storage.bodies.get(storage.path(int(args["fid"])))
        if body is None:
            return wire.Err("size_verify_error", "not there")
        if len(body) != int(args["size"]) and not self.cluster.sizes_are_believed:
            return wire.Err("size_mismatch", f"{args['size']} told, {len(body)} counted")
        stored = Stored(
            int(args["fid"]), len(body), [args["path"]], mogile_class, args.get("checksum")
        )
        self.cluster.files[args["key"]] = stored
        return wire.Ok({})

    def do_delete(self, args: dict[str, str]) -> wire.Reply:
        if self.cluster.files.pop(args["key"], None) is None:
            return wire.Err("unknown_key", "no such key")
        return wire.Ok({})

    def do_rename(self, args: dict[str, str]) -> wire.Reply:
        if args["from_key"] not in self.cluster.files:
            return wire.Err("unknown_key", "no such key")
        if args["to_key"] in self.cluster.files:
            return wire.Err("key_exists", "taken")
        self.cluster.files[args["to_key"]] = self.cluster.files.pop(args["from_key"])
        return wire.Ok({})

    def do_noop(self, args: dict[str, str]) -> wire.Reply:
        return wire.Ok({})


@dataclass
class HttpRequest:
    """A request that reached a storage node."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class TinyStorage(Server):
    """GET (with one range), HEAD and PUT on files in memory."""

    def __init__(self, cluster: Cluster, host: str = "127.0.0.1") -> None:
        self.bodies: dict[str, bytes] = {}
        self.requests: list[HttpRequest] = []
        self.device = len(cluster.storages) + 1
        cluster.storages.append(self)
        super().__init__(host)

    def path(self, fid: int) -> str:
        digits = f"{fid:010d}"
        return f"/dev{self.device}/{digits[0]}/{digits[1:4]}/{digits[4:7]}/{digits}.fid"

    def url(self, fid: int) -> str:
        return f"http://{self.address}{self.path(fid)}"

    def serve(self, connection: Connection) -> None:
        while (head := connection.receive_until(b"\r\n\r\n")) is not None:
            request = self.parse(head.decode("latin-1"))
            self.requests.append(request)
            before = self.on.get(f"{request.method} head")
            if before is not None:
                before(connection, request, b"")
            request.body = connection.receive_exactly(int(request.headers.get("content-length", 0)))
            data = self.answer(request)
            behaviour = self.on.get(request.method)
            if behaviour is None:
                connection.send(data)
            else:
                behaviour(connection, request, data)

    def parse(self, head: str) -> HttpRequest:
        line, *lines = head.split("\r\n")
        method, path, _ = line.split(" ")
        headers = dict(entry.lower().split(": ", 1) for entry in lines)
        return HttpRequest(method, path, headers)

    def answer(self, request: HttpRequest) -> bytes:
        if request.method == "PUT":
            self.bodies[request.path] = request.body
            return response(200, b"")
        body = self.bodies.get(request.path)
        if body is None:
            return response(404, b"not found")
        if request.method == "HEAD":
            return response(200, body).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        if "range" in request.headers:
            return self.ranged(request.headers["range"], body)
        return response(200, body)

    def ranged(self, header: str, body: bytes) -> bytes:
        first, _, last = header.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(body)), len(body) - 1)
        told = f"Content-Range: bytes {start}-{end}/{len(body)}"
        return response(206, body[start : end + 1], told)


def response(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """An HTTP response; ``length`` is what its Content-Length claims."""
    told = len(body) if length is None else length
    modified = "Last-Modified: Sun, 22 Nov 2026 08:09:01 GMT"
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {told}", modified, *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def once(behaviour: Behaviour) -> Behaviour:
    """Misbehave the first time only."""
    first = threading.Lock()

    def wrapped(connection: Connection, request: object, proper: bytes) -> None:
        if first.acquire(blocking=False):
            behaviour(connection, request, proper)
        else:
            connection.send(proper)

    return wrapped
