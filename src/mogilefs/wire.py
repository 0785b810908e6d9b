"""The tracker protocol without any I/O: both ends, one line a message.

Text is ``str`` throughout. The protocol carries bytes that nobody checks, so text is UTF-8 with
``surrogateescape``: any bytes survive the way through ``str`` and back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import ConfigurationError, ProtocolError

CHECKSUMS = {"MD5": "md5", "SHA-1": "sha1"}
"""MogileFS's names of the checksums that it keeps, and hashlib's."""

MAX_KEY_BYTES = 255
"""A key's longest form in UTF-8: MogileFS's column ``dkey VARCHAR(255)``."""

MAX_LINE_BYTES = 8 * 1024 * 1024
"""The longest line either end accepts. The original has no limit (5 MB were answered); a full
``list_keys`` reply of 1,000 keys that are escaped throughout takes 0.8 MB."""

EOL = b"\r\n"

PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_,-./\\:"
"""The characters that need no escape."""

_PLAIN_BYTES = PLAIN.encode()
_UNSAFE = re.compile(f"[^{re.escape(PLAIN)}]")
_UNSAFE_BYTE = re.compile(_UNSAFE.pattern.encode())
_ESCAPES = {bytes([byte]): b"%%%02X" % byte for byte in range(256)} | {b" ": b"+"}
_HEX_PAIR = re.compile(rb"%([0-9A-Fa-f]{2})")
_BYTES = {b"%02x" % byte: bytes([byte]) for byte in range(256)}
_REQUEST = re.compile(rb"\s*([A-Za-z0-9_]*)\s*(.*)", re.DOTALL)


def to_bytes(text: str) -> bytes:
    """The bytes that ``text`` stands for on the wire.

    Raises ConfigurationError for what stands for none: a lone surrogate.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"a name that is no text: {text!r}") from error


def to_text(data: bytes) -> str:
    """The text that wire bytes stand for; never fails, and ``to_bytes`` gives the bytes back."""
    return data.decode("utf-8", "surrogateescape")


def escape(text: str) -> str:
    """``text`` as a value in a request or reply: what is not plain becomes ``+`` or ``%XX``."""
    if _UNSAFE.search(text) is None:  # nearly every value, and several times as fast
        return text
    return _UNSAFE_BYTE.sub(lambda match: _ESCAPES[match[0]], to_bytes(text)).decode("ascii")


def unescape(text: str) -> str:
    """The text of a value: ``+`` is a blank, ``%XX`` in either case a byte, a bad ``%`` stays."""
    text = text.replace("+", " ")
    if "%" not in text:
        return text
    return to_text(_HEX_PAIR.sub(lambda match: _BYTES[match[1].lower()], to_bytes(text)))


def arguments(values: Mapping[str, object]) -> str:
    """``name=value&…``, escaped. Values that are None are left out; numbers come in decimal."""
    if not values:
        return ""
    pairs = [f"{name}={value}" for name, value in values.items() if value is not None]
    text = "&".join(pairs)
    odd = to_bytes(text).translate(None, _PLAIN_BYTES)
    if pairs and odd == b"=&" * (len(pairs) - 1) + b"=":
        return text  # nearly always: nothing needs an escape
    return "&".join(
        f"{escape(name)}={escape(str(value))}"
        for name, value in values.items()
        if value is not None
    )


@dataclass(slots=True)
class Request:
    """What a client asks: a command (lower case, empty when the line named none), its arguments."""

    command: str
    args: dict[str, str]

    def given(self, name: str) -> str | None:
        """The argument if it is there and true in the protocol's sense (not empty, not ``0``)."""
        value = self.args.get(name)
        return value if value and value != "0" else None


def encode_request(command: str, args: str, callid: str | None = None) -> bytes:
    """One request line. ``args`` are ``arguments``; a ``callid`` needs no escape."""
    if callid is not None:
        args = f"{args}&callid={callid}" if args else f"callid={callid}"
    return f"{command} {args}\r\n".encode("ascii") if args else f"{command}\r\n".encode("ascii")


def decode_request(line: bytes) -> Request:
    """A request from its line (without the line end), read as leniently as the original does."""
    name, _, args = to_text(line).partition(" ")
    if not name.isidentifier() or not name.isascii() or args[:1].isspace():  # seldom
        match = _REQUEST.match(line)
        assert match is not None  # the pattern matches every line
        name, args = match[1].decode("ascii"), to_text(match[2])
    command = name.lower()
    return Request(command, (_plain_pairs(args) or _odd_arguments(args)) if args else {})


def _plain_pairs(text: str) -> dict[str, str] | None:
    """The pairs of nearly every line: none is escaped, repeated or odd. None for the others."""
    if "%" in text or "+" in text:
        return None
    pairs: dict[str, str] = {}
    parts = text.split("&")
    try:
        for part in parts:
            name, value = part.split("=")
            pairs[name] = value
    except ValueError:  # a part without, or with more than one, equals sign
        return None
    return pairs if len(pairs) == len(parts) else None


def _odd_arguments(text: str) -> dict[str, str]:
    args: dict[str, str] = {}
    for pair in text.split("&"):
        if pair in ("", "0"):
            continue
        name, _, value = pair.partition("=")
        _add(args, unescape(name), unescape(value.partition("=")[0]))
    return args


def _add(args: dict[str, str], name: str, value: str) -> None:
    """A repeated name joins its values: with a NUL, or with nothing while the first is false."""
    if name in args:
        before = args[name]
        value = f"{before}\0{value}" if before not in ("", "0") else before + value
    args[name] = value


@dataclass(slots=True)
class Ok:
    """A tracker's ``OK``: its values, and the request's ``callid`` where the tracker echoes it."""

    values: dict[str, str]
    callid: str | None = None


@dataclass(slots=True)
class Err:
    """A tracker's ``ERR``: the protocol's code, free text, and the request's ``callid``."""

    code: str
    text: str = ""
    callid: str | None = None


Reply = Ok | Err


def encode_reply(reply: Reply) -> bytes:
    """One reply line, as a tracker sends it."""
    if isinstance(reply, Ok):
        return encode_ok(reply.values, reply.callid)
    echoed = "" if reply.callid is None else f" {escape(reply.callid)}"
    return f"ERR {reply.code} {escape(reply.text)}{echoed}\r\n".encode("ascii")


def encode_ok(values: Mapping[str, object], callid: str | None = None) -> bytes:
    """The line of an ``Ok``; its values may be numbers, and None is left out."""
    if callid is not None:
        values = {**values, "callid": callid}
    return f"OK {arguments(values)}\r\n".encode("ascii")


def decode_reply(line: bytes) -> Reply:
    """A reply from its line (without the line end). Raises ProtocolError if it is none."""
    status, _, rest = to_text(line).partition(" ")
    if status == "OK":
        values = _plain_pairs(rest)
        if values is None:
            values = _odd_values(rest)
        return Ok(values, values.pop("callid", None))
    if status == "ERR":
        code, *words = rest.split(" ")
        if code:
            text, callid, *_ = [*map(unescape, words), None, None]
            return Err(code, text or "", callid)
    raise ProtocolError(f"not a tracker's reply: {line[:80]!r}")


def _odd_values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        if equals:
            values[unescape(name)] = unescape(value)
        elif pair:
            raise ProtocolError(f"not a value in a tracker's reply: {pair[:80]!r}")
    return values


def whole_lines(data: bytes) -> list[bytes] | None:
    """The lines of data that is nothing but lines which end in CRLF, as nearly all is, else None.

    They come without their ends.
    """
    lines = data.split(EOL)
    return lines if not lines.pop() and len(lines) == data.count(b"\n") else None


class LineBuffer:
    """Cuts a stream of bytes into lines, however it was cut into packets.

    Lines come without their end (LF or CRLF; a CR elsewhere is kept). ``limit`` is the longest
    line in bytes; ProtocolError beyond it.
    """

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take ``data``; return the lines that are now complete."""
        if not self._buffer and len(data) <= self._limit:
            whole = whole_lines(data)
            if whole is not None:
                return whole
        self._buffer += data
        lines = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            lines.append(self._line(start, end))
            start = end + 1
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if self._searched > self._limit:
            raise ProtocolError(f"a line of more than {self._limit} bytes")
        return lines

    def _line(self, start: int, end: int) -> bytes:
        if end - start > self._limit:
            raise ProtocolError(f"a line of more than {self._limit} bytes")
        stop = end - 1 if end > start and self._buffer[end - 1] == 0x0D else end
        return bytes(self._buffer[start:stop])

    def __len__(self) -> int:
        """How many bytes have come of a line that is not complete."""
        return len(self._buffer)

    @property
    def pending(self) -> bytes:
        """What has come of a line that is not complete."""
        return bytes(self._buffer)
