import pytest

from mogilefs.node.storage.ranges import Unsatisfiable, parse_range


@pytest.mark.parametrize(
    ("header", "window"),
    [
        (b"bytes=0-3", (0, 4)),
        (b"bytes=0-0", (0, 1)),
        (b"bytes=9-9", (9, 10)),
        (b"bytes=6-", (6, 10)),
        (b"bytes=0-", (0, 10)),
        (b"bytes=-3", (7, 10)),
        (b"bytes=-100", (0, 10)),
        (b"bytes=5-100", (5, 10)),
        (b"bytes=5-99999999999999999999", (5, 10)),
        (b"Bytes = 0 - 3 ", (0, 4)),
    ],
)
def test_one_range_of_ten_bytes(header, window):
    assert parse_range(header, 10) == window


NO_RANGE = b"bytes=0-1,4-5|bytes=abc|lines=0-3|bytes=-|bytes||bytes=1-2-3|bytes=--1|bytes=+1-2"


@pytest.mark.parametrize("header", [*NO_RANGE.split(b"|"), b"bytes=" + b"9" * 21 + b"-"])
def test_what_is_not_one_range_means_the_whole_file(header):
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", [b"bytes=10-", b"bytes=100-200", b"bytes=5-2", b"bytes=-0"])
def test_a_range_without_a_byte(header):
    with pytest.raises(Unsatisfiable):
        parse_range(header, 10)


@pytest.mark.parametrize("header", [b"bytes=0-3", b"bytes=0-", b"bytes=-3"])
def test_an_empty_file_has_no_range(header):
    with pytest.raises(Unsatisfiable):
        parse_range(header, 0)
