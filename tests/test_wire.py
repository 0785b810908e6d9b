from __future__ import annotations

import pytest

from mogilefs.errors import ProtocolError
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
    unescape,
)


def test_a_reply_leaves_the_plain_characters_alone_and_escapes_the_rest():
    assert escape("aZ9_,-./\\: ~é") == "aZ9_,-./\\:+%7E%C3%A9"


@pytest.mark.parametrize("value", ["", "a b", "%41", "+", "é\udcff", "a\nb\0"])
def test_values_survive_both_ways(value):
    assert unescape(escape(value)) == value


def test_a_bad_percent_stays():
    assert unescape("100%&%zz%4") == "100%&%zz%4"


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b"noop;x", Request("noop", {";x": ""})),
        (b"  NOOP  a=1&b=2=3&&0&c", Request("noop", {"a": "1", "b": "2", "c": ""})),
        (b"noop a=1&a=2&z=0&z=3", Request("noop", {"a": "1\x002", "z": "03"})),
        (b"?what", Request("", {"?what": ""})),
    ],
)
def test_requests_are_read_leniently(line, request_):
    assert decode_request(line) == request_


def test_an_argument_is_given_only_if_it_is_true():
    request = decode_request(b"x a=0&b=&c=00")
    assert [request.given(name) for name in "abcd"] == [None, None, "00", None]


def test_none_is_left_out_of_a_request():
    args = arguments({"key": "a b", "fid": 7, "x": None})
    assert encode_request("delete", args) == b"delete key=a+b&fid=7\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        Ok({}),
        Ok({"paths": "1", "path1": "http://h/x y"}, "7"),
        Err("dup", "a b"),
        Err("db", "", "9 9"),
    ],
)
def test_replies_survive_both_ways(reply):
    (line,) = LineBuffer().feed(encode_reply(reply))
    assert decode_reply(line) == reply


@pytest.mark.parametrize("line", [b"", b"OKAY", b"ERR", b"ERR ", b"OK a", b"\xff"])
def test_garbage_is_a_protocol_error(line):
    with pytest.raises(ProtocolError):
        decode_reply(line)


def test_lines_are_the_same_however_they_are_cut():
    stream = b"one\r\ntwo\nth\rree\r\n\r\nrest"
    whole = LineBuffer()
    lines = whole.feed(stream)
    assert lines == [b"one", b"two", b"th\rree", b""]
    assert whole.pending == b"rest"
    bytewise = LineBuffer()
    assert [line for byte in stream for line in bytewise.feed(bytes([byte]))] == lines


@pytest.mark.parametrize("data", [b"12345", b"12345\n"])
def test_a_line_over_the_limit_is_refused(data):
    with pytest.raises(ProtocolError):
        LineBuffer(limit=4).feed(data)
