"""The rules of HTTP, each in a row of a table (RFC 9110, sections 8.8, 13 and 14)."""

from __future__ import annotations

import pytest

from django_mogilefs.http import (
    NO_BYTES,
    Decision,
    Representation,
    Span,
    content_disposition,
    content_range,
    decide,
    format_date,
    is_plain_range,
    matches,
    parse_date,
    parse_range,
)

DATE = 784111777
DATED = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER, LATER = format_date(DATE - 1), format_date(DATE + 1)
FILE = Representation('"7-a"', DATE, 10)
UNDATED = FILE._replace(modified=None)
WHOLE = Decision(200, Span(0, 10))
PART = Decision(206, Span(2, 4))
FAILED, UNMODIFIED, BEYOND = (Decision(status, NO_BYTES) for status in (412, 304, 416))


@pytest.mark.parametrize(
    ("header", "size", "span"),
    [
        ("bytes=0-0", 10, Span(0, 1)),
        ("bytes=5-9", 10, Span(5, 10)),
        ("bytes=5-", 10, Span(5, 10)),
        ("bytes=0-", 10, Span(0, 10)),
        ("bytes=8-30", 10, Span(8, 10)),
        ("bytes=9-9", 10, Span(9, 10)),
        ("bytes=-1", 10, Span(9, 10)),
        ("bytes=-10", 10, Span(0, 10)),
        ("bytes=-11", 10, Span(0, 10)),
        ("bytes=-0", 10, NO_BYTES),
        ("bytes=10-", 10, NO_BYTES),
        ("bytes=10-12", 10, NO_BYTES),
        ("bytes=0-0", 0, NO_BYTES),
        ("bytes=-1", 0, NO_BYTES),
        ("Bytes = 1-2 ,", 10, Span(1, 3)),
        (f"bytes=1-{'9' * 5000}", 10, Span(1, 10)),
        (f"bytes={'9' * 5000}-", 10, NO_BYTES),
        ("bytes=5-2", 10, None),
        ("bytes=0-1,4-5", 10, None),
        ("bytes=-", 10, None),
        ("bytes=", 10, None),
        ("bytes", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=1-2-3", 10, None),
        ("bytes=--1", 10, None),
        ("bytes=+1-2", 10, None),
        ("bytes=\u0661-\u0662", 10, None),
        ("items=0-1", 10, None),
        ("", 10, None),
    ],
)
def test_ranges(header: str, size: int, span: Span | None) -> None:
    assert parse_range(header, size) == span


@pytest.mark.parametrize(
    ("header", "plain"),
    [
        ("bytes=0-0", True),
        ("bytes=7-", True),
        ("bytes=-3", False),
        ("Bytes=0-0", False),
        ("bytes=0-0,", False),
        ("bytes=0-0\n", False),
        (f"bytes={'0' * 30}1-", False),
    ],
)
def test_which_ranges_any_server_reads_alike(header: str, plain: bool) -> None:
    assert is_plain_range(header) is plain


@pytest.mark.parametrize(
    ("header", "weakly", "strongly"),
    [
        ('"7-a"', True, True),
        ('W/"7-a"', True, False),
        ("*", True, True),
        (" * ", True, True),
        ('"x", "7-a"', True, True),
        ('"x","7-a","y"', True, True),
        ('W/"x", W/"7-a"', True, False),
        (', "7-a" ,', True, True),
        ('"a,b", "7-a"', True, True),
        ('"x, 7-a"', False, False),
        ('"7-b"', False, False),
        ('""', False, False),
        ("7-a", False, False),
        ('"7-a" oops', False, False),
        ('oops "7-a"', False, False),
        ('w/"7-a"', False, False),
    ],
)
def test_lists_of_entity_tags(header: str, weakly: bool, strongly: bool) -> None:
    assert matches(header, '"7-a"', weakly=True) is weakly
    assert matches(header, '"7-a"', weakly=False) is strongly


@pytest.mark.parametrize(
    ("headers", "what", "decision"),
    [
        ({}, FILE, WHOLE),
        ({"if-none-match": '"7-a"'}, FILE, UNMODIFIED),
        ({"if-none-match": 'W/"7-a"'}, FILE, UNMODIFIED),
        ({"if-none-match": "*"}, FILE, UNMODIFIED),
        ({"if-none-match": '"other"'}, FILE, WHOLE),
        ({"if-none-match": '"other"', "if-modified-since": DATED}, FILE, WHOLE),
        ({"if-none-match": '"7-a"', "range": "bytes=2-3"}, FILE, UNMODIFIED),
        ({"if-modified-since": DATED}, FILE, UNMODIFIED),
        ({"if-modified-since": LATER}, FILE, UNMODIFIED),
        ({"if-modified-since": EARLIER}, FILE, WHOLE),
        ({"if-modified-since": DATED}, UNDATED, WHOLE),
        ({"if-modified-since": "yesterday"}, FILE, WHOLE),
        ({"if-match": '"7-a"'}, FILE, WHOLE),
        ({"if-match": "*"}, FILE, WHOLE),
        ({"if-match": 'W/"7-a"'}, FILE, FAILED),
        ({"if-match": '"other"'}, FILE, FAILED),
        ({"if-match": '"other"', "if-none-match": "*"}, FILE, FAILED),
        ({"if-match": '"7-a"', "if-none-match": '"7-a"'}, FILE, UNMODIFIED),
        ({"if-match": '"7-a"', "if-unmodified-since": EARLIER}, FILE, WHOLE),
        ({"if-unmodified-since": DATED}, FILE, WHOLE),
        ({"if-unmodified-since": EARLIER}, FILE, FAILED),
        ({"if-unmodified-since": EARLIER}, UNDATED, WHOLE),
        ({"range": "bytes=2-3"}, FILE, PART),
        ({"range": "bytes=10-"}, FILE, BEYOND),
        ({"range": "bytes=1-2,4-5"}, FILE, WHOLE),
        ({"range": "bytes=2-3", "if-range": '"7-a"'}, FILE, PART),
        ({"range": "bytes=2-3", "if-range": '"other"'}, FILE, WHOLE),
        ({"range": "bytes=2-3", "if-range": 'W/"7-a"'}, FILE, WHOLE),
        ({"range": "bytes=2-3", "if-range": DATED}, FILE, PART),
        ({"range": "bytes=2-3", "if-range": LATER}, FILE, WHOLE),
        ({"range": "bytes=2-3", "if-range": DATED}, UNDATED, WHOLE),
        ({"range": "bytes=10-", "if-range": '"other"'}, FILE, WHOLE),
        ({"range": "bytes=2-3", "if-match": '"7-a"'}, FILE, PART),
    ],
)
def test_decisions(headers: dict[str, str], what: Representation, decision: Decision) -> None:
    assert decide("GET", headers, what) == decision


def test_a_head_request_knows_no_ranges() -> None:
    assert decide("HEAD", {"range": "bytes=2-3"}, FILE) == WHOLE
    assert decide("HEAD", {"range": "bytes=10-"}, FILE) == WHOLE
    assert decide("HEAD", {"if-none-match": "*"}, FILE) == UNMODIFIED


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (DATED, DATE),
        ("Sunday, 06-Nov-94 08:49:37 GMT", DATE),
        ("Sun Nov  6 08:49:37 1994", DATE),
        ("", None),
        ("0", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
    ],
)
def test_dates(text: str, seconds: int | None) -> None:
    assert parse_date(text) == seconds


def test_what_content_range_says() -> None:
    assert content_range(Span(2, 4), 10) == "bytes 2-3/10"
    assert content_range(NO_BYTES, 10) == "bytes */10"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("cat.png", 'attachment; filename="cat.png"'),
        ("a b.png", 'attachment; filename="a b.png"'),
        (
            "Katze ä.png",
            "attachment; filename=\"Katze _.png\"; filename*=utf-8''Katze%20%C3%A4.png",
        ),
        ('a"b.png', "attachment; filename=\"a_b.png\"; filename*=utf-8''a%22b.png"),
        ("100%25.png", "attachment; filename=\"100_25.png\"; filename*=utf-8''100%2525.png"),
        ("a\r\nX-Evil: 1", 'attachment; filename="a__X-Evil: 1"'),
        ("a\x00b\x7fc\x85d\x9f", 'attachment; filename="a_b_c_d_"'),
        ("../../etc/passwd", 'attachment; filename=".._.._etc_passwd"'),
        ("", "attachment"),
    ],
)
def test_names_of_attachments(name: str, header: str) -> None:
    assert content_disposition(name) == header


def test_a_name_that_is_shown_in_place() -> None:
    assert content_disposition("cat.png", attachment=False) == 'inline; filename="cat.png"'
