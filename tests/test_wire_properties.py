"""What holds for any text and any bytes on the wire."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mogilefs.config import Address
from mogilefs.errors import MogileFSError
from mogilefs.http1 import Head, parse_url
from mogilefs.packets import Command, Packet, TextPacket
from mogilefs.wire import (
    Err,
    LineBuffer,
    Ok,
    Request,
    arguments,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    escape,
    to_bytes,
    to_text,
    unescape,
)

# A node that another test keeps running in a thread draws random numbers meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

TEXT = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",))),
    st.binary().map(to_text),
)
"""Any text, and any bytes that are none."""

VALUES = st.dictionaries(TEXT.filter(lambda name: name != "callid"), TEXT, max_size=8)
CALLID = st.none() | TEXT
REPLIES = st.one_of(
    st.builds(Ok, VALUES, CALLID),
    st.builds(Err, st.from_regex(r"[a-z_]+", fullmatch=True), TEXT, CALLID),
)
TRACKER = Address("host", 7001)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """``data`` in pieces, cut at the places named."""
    places = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


@given(TEXT)
def test_any_text_survives(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not set(escape(text)) & set(" \r\n&=+" if " " not in text else " \r\n&=")


@given(st.binary())
def test_any_bytes_survive_as_text(data: bytes) -> None:
    assert to_bytes(to_text(data)) == data


@given(VALUES)
def test_any_arguments_survive(values: dict[str, str]) -> None:
    line = encode_request("command", arguments(values))
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == 1
    decoded = decode_request(line[:-2])
    assert decoded.command == "command"
    assert decoded.args == values


@given(
    st.lists(
        st.sampled_from(["a", "b=", "=", "a=1", "a=2", "c=3=4", "0", "", "d=é", "e=%26", "f=+"])
    )
)
def test_lines_in_any_shape_are_read_pair_by_pair(pairs: list[str]) -> None:
    line = "&".join(pairs)
    args: dict[str, str] = {}
    for pair in filter(lambda pair: pair not in ("", "0"), pairs):
        name, value = (unescape(part) for part in [*pair.split("="), ""][:2])
        known = args.get(name)
        args[name] = value if known is None else f"{known}\0{value}" if known else value
    assert decode_request(b"command " + to_bytes(line)) == Request("command", args)


@given(REPLIES)
def test_any_reply_survives(reply: Ok | Err) -> None:
    line = encode_reply(reply)
    assert line.count(b"\n") == 1
    assert decode_reply(line.removesuffix(b"\r\n")) == reply


@given(st.lists(REPLIES, max_size=5), st.lists(st.integers(0), max_size=12))
def test_any_cut_gives_the_same_replies(replies: list[Ok | Err], cuts: list[int]) -> None:
    buffer = LineBuffer()
    pieces = cut(b"".join(map(encode_reply, replies)), cuts)
    lines = [line for piece in pieces for line in buffer.feed(piece)]
    assert [decode_reply(line) for line in lines] == replies
    assert buffer.pending == b""


@given(st.binary(), st.lists(st.integers(0), max_size=12))
def test_lines_do_not_depend_on_the_cut(data: bytes, cuts: list[int]) -> None:
    whole, parts = LineBuffer(), LineBuffer()
    expected = whole.feed(data)
    assert [line for piece in cut(data, cuts) for line in parts.feed(piece)] == expected
    assert parts.pending == whole.pending


@given(st.binary())
def test_any_bytes_are_some_request(data: bytes) -> None:
    decode_request(data)


LIKE_A_REPLY = st.one_of(
    st.binary(),
    st.binary().map(lambda data: b"OK " + data + b"\r\n"),
    st.binary().map(lambda data: b"ERR " + data + b"\r\n"),
    REPLIES.map(encode_reply),
)


@given(st.lists(LIKE_A_REPLY, max_size=4), st.integers(1, 3))
def test_no_bytes_of_a_tracker_raise_anything_else(data: list[bytes], commands: int) -> None:
    packet = Packet([Command("noop")] * commands, itertools.count(), TRACKER)
    try:
        for piece in data:
            if piece and packet.feed(piece):
                assert len(packet.answers) == commands
                for answer in packet.answers:
                    answer.values()
                break
    except MogileFSError:
        pass


@given(st.lists(st.binary(min_size=1), max_size=4))
def test_no_bytes_of_an_admin_reply_raise_anything_else(data: list[bytes]) -> None:
    packet = TextPacket("!stats")
    try:
        for piece in data:
            if packet.feed(piece):
                break
    except MogileFSError:
        pass


LIKE_A_HEAD = st.one_of(
    st.binary(),
    st.binary().map(lambda data: b"HTTP/1.1 200 OK\r\n" + data),
    st.binary().map(lambda data: b"HTTP/1.0 206\r\nContent-Length: " + data),
)


@given(LIKE_A_HEAD)
def test_no_bytes_of_a_storage_node_raise_anything_else(data: bytes) -> None:
    try:
        head = Head(data)
    except MogileFSError:
        return
    assert head.length is None or head.length >= 0


@given(st.text() | st.text().map(lambda text: f"http://{text}/dev1/x.fid"))
def test_no_url_raises_anything_else(text: str) -> None:
    try:
        url = parse_url(text)
    except MogileFSError:
        return
    assert url.path.startswith("/")
    assert not set(url.path) & set(" \r\n")


@given(st.permutations(range(4)), st.lists(st.integers(0), max_size=8))
def test_replies_find_their_commands_in_any_order(order: list[int], cuts: list[int]) -> None:
    commands = [Command("file_info", f"key=key{number}") for number in range(4)]
    packet = Packet(commands, itertools.count(), TRACKER)
    data = b"".join(encode_reply(Ok({"fid": str(number)}, str(number))) for number in order)
    done = [packet.feed(piece) for piece in cut(data, cuts) if piece]
    assert done[-1]
    assert [answer.values()["fid"] for answer in packet.answers] == ["0", "1", "2", "3"]
    assert packet.clean == (order == sorted(order))
