"""Requests recorded at MogileFS 2.73's storage node, and what the door answers to them.

Where the door differs from the recording on purpose, the reason stands beside it.
"""

import os

import pytest

from tests.support.conversation import ask, converse

FILE = "/dev1/9/999/999/9999999991.fid"
EMPTY = "/dev1/9/999/999/9999999992.fid"
OTHER = "/dev1/9/999/999/9999999993.fid"
MODIFIED = 1795335119  # Sun, 22 Nov 2026 08:11:59 GMT
DATE = "Sun, 22 Nov 2026 08:11:59 GMT"


@pytest.fixture
def stored(devices):
    for url, content in [(FILE, b"0123456789"), (EMPTY, b"")]:
        path = devices.root / url[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (MODIFIED, MODIFIED))
    return devices.root


READS = [
    ("get", "GET", FILE, "", 200, {}, b"0123456789"),
    ("head", "HEAD", FILE, "", 200, {"Content-Length": "10"}, b""),
    ("get zero bytes", "GET", EMPTY, "", 200, {"Content-Length": "0"}, b""),
    ("head zero bytes", "HEAD", EMPTY, "", 200, {"Content-Length": "0"}, b""),
    ("get missing", "GET", "/dev1/9/999/999/nope", "", 404, {}, None),
    ("get a missing fid", "GET", OTHER, "", 404, {}, None),
    ("head missing", "HEAD", OTHER, "", 404, {}, b""),
    ("first four", "GET", FILE, "Range: bytes=0-3", 206, {"Content-Range": "0-3/10"}, b"0123"),
    ("first byte", "GET", FILE, "Range: bytes=0-0", 206, {"Content-Range": "0-0/10"}, b"0"),
    ("open end", "GET", FILE, "Range: bytes=6-", 206, {"Content-Range": "6-9/10"}, b"6789"),
    # the original takes it for 0-3
    ("suffix", "GET", FILE, "Range: bytes=-3", 206, {"Content-Range": "7-9/10"}, b"789"),
    ("long suffix", "GET", FILE, "Range: bytes=-100", 206, {"Content-Range": "0-9/10"}, None),
    ("end beyond", "GET", FILE, "Range: bytes=5-100", 206, {"Content-Range": "5-9/10"}, b"56789"),
    ("unsatisfiable", "GET", FILE, "Range: bytes=100-200", 416, {"Content-Range": "*/10"}, b""),
    ("open behind end", "GET", FILE, "Range: bytes=10-", 416, {"Content-Range": "*/10"}, b""),
    ("backwards", "GET", FILE, "Range: bytes=5-2", 416, {"Content-Range": "*/10"}, b""),
    ("zero suffix", "GET", FILE, "Range: bytes=-0", 416, {"Content-Range": "*/10"}, b""),
    ("range of nothing", "GET", EMPTY, "Range: bytes=0-3", 416, {"Content-Range": "*/0"}, b""),
    ("several", "GET", FILE, "Range: bytes=0-1,4-5", 200, {}, b"0123456789"),
    ("garbage", "GET", FILE, "Range: bytes=abc", 200, {}, b"0123456789"),
    ("other unit", "GET", FILE, "Range: lines=0-3", 200, {}, b"0123456789"),
    ("whole", "GET", FILE, "Range: bytes=0-9", 206, {"Content-Length": "10"}, b"0123456789"),
    ("range head", "HEAD", FILE, "Range: bytes=0-3", 206, {"Content-Length": "4"}, b""),
    # the original looks at no If-Range and would join halves of two files
    ("if-range", "GET", FILE, 'Range: bytes=0-3\r\nIf-Range: "x"', 200, {}, b"0123456789"),
    ("if-range date", "GET", FILE, f"Range: bytes=0-3\r\nIf-Range: {DATE}", 206, {}, b"0123"),
    ("since equal", "GET", FILE, f"If-Modified-Since: {DATE}", 304, {}, b""),
    ("since older", "GET", FILE, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", 200, {}, None),
    # the original only compares for equality
    ("since newer", "GET", FILE, "If-Modified-Since: Sat, 06 Nov 2094 08:49:37 GMT", 304, {}, b""),
    ("since garbage", "GET", FILE, "If-Modified-Since: yesterday", 200, {}, None),
    ("if-none-match", "GET", FILE, 'If-None-Match: "x"', 200, {}, None),
    ("directory", "GET", "/dev1/9/", "", 200, {"Content-Length": "44"}, None),
    ("device root", "GET", "/dev1/", "", 200, {}, None),
    ("root", "GET", "/", "", 200, {}, None),
    ("head directory", "HEAD", "/dev1/", "", 200, {"Content-Length": "44"}, b""),
    ("query", "GET", FILE + "?x=1", "", 200, {}, b"0123456789"),
    ("double slash", "GET", "/" + FILE.replace("/9/", "//9/"), "", 200, {}, b"0123456789"),
    ("single dot", "GET", FILE.replace("/9/", "/./9/"), "", 200, {}, b"0123456789"),
    ("absolute", "GET", "http://x" + FILE, "", 200, {}, b"0123456789"),
    ("encoded", "GET", FILE.replace("dev1", "%64ev1"), "", 200, {}, b"0123456789"),
    ("raw", "GET", "/dev1/../../canary.txt", "", 403, {}, None),
    ("deep", "GET", "/dev1/../../../../../../etc/hostname", "", 403, {}, None),
    ("within", "GET", "/dev1/../dev2/usage", "", 403, {}, None),
    ("leading", "GET", "/../canary.txt", "", 403, {}, None),
    ("encoded dots", "GET", "/dev1/%2e%2e/%2e%2e/canary.txt", "", 403, {}, None),
    ("encoded slash", "GET", "/dev1/..%2f..%2fcanary.txt", "", 403, {}, None),
    ("double encoded", "GET", "/dev1/%252e%252e/%252e%252e/canary.txt", "", 404, {}, None),
    ("backslash", "GET", "/dev1/..\\..\\canary.txt", "", 404, {}, None),
    ("dots in a name", "GET", "/dev1/a..b", "", 404, {}, None),
    ("absolute dots", "GET", "http://x/dev1/../../canary.txt", "", 403, {}, None),
    # the original cuts the name there and serves the file
    ("NUL", "GET", FILE + "%00.txt", "", 400, {}, None),
    ("percent in name", "GET", "/dev1/9/999/999/a%20b.fid", "", 404, {}, None),
    ("catalogue", "GET", "/mogilefs.sqlite", "", 404, {}, None),
    ("incoming", "GET", "/dev1/.incoming/", "", 404, {}, None),
    ("post", "POST", FILE, "Content-Length: 0", 400, {}, None),
    ("options", "OPTIONS", "/", "", 400, {}, None),
    ("mkcol", "MKCOL", "/dev1/m/", "Content-Length: 0", 400, {}, None),
    ("mkcol nested", "MKCOL", "/dev1/m/n/o/", "Content-Length: 0", 400, {}, None),
    ("unknown method", "FOO", FILE, "", 400, {}, None),
    ("lower case method", "get", FILE, "", 400, {}, None),
    ("long header", "GET", FILE, "X-Long: " + "x" * 70000, 200, {}, b"0123456789"),
]


@pytest.mark.parametrize("read", READS, ids=[read[0] for read in READS])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_reading(door, stored, read, version):
    _, method, url, fields, status, headers, body = read
    fields = f"{fields}\r\n" if fields else ""
    host = "Host: x\r\n" if version == "1.1" else ""
    request = f"{method} {url} HTTP/{version}\r\n{host}{fields}\r\n"
    reply = await ask(door.address, request.encode("latin-1"))
    assert reply.status == status
    for name, value in headers.items():
        assert reply.headers[name] == ("bytes " if name == "Content-Range" else "") + value
    if body is not None:
        assert reply.body == body
    if status in (200, 206, 304, 416) and reply.headers.get("Content-Type") != "text/html":
        assert reply.headers["Last-Modified"] == DATE
        assert status == 304 or reply.headers["Accept-Ranges"] == "bytes"


RIGHT = "Content-MD5: gNjsipCeqqc5FI7PSjbDXA=="  # of "md5 ok"
WRITES = [
    ("new", OTHER, "Content-Length: 5", b"hello", 200, b"hello"),
    ("overwrite longer", FILE, "Content-Length: 11", b"hello again", 200, b"hello again"),
    ("overwrite shorter", FILE, "Content-Length: 3", b"abc", 200, b"abc"),
    ("zero bytes", FILE, "Content-Length: 0", b"", 200, b""),
    ("no length", OTHER, "X: y", b"", 200, b""),
    # the original makes an empty file of it
    ("bad length", OTHER, "Content-Length: abc", b"", 400, None),
    (
        "chunked",
        OTHER,
        "Transfer-Encoding: chunked",
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        200,
        b"hello world",
    ),
    # the original waits for more and leaves an empty file
    ("bad chunk", FILE, "Transfer-Encoding: chunked", b"zz\r\nhello\r\n", 400, b"0123456789"),
    (
        "content-range",
        OTHER,
        "Content-Range: bytes 5-9/10\r\nContent-Length: 5",
        b"56789",
        200,
        None,
    ),
    ("md5 right", FILE, f"{RIGHT}\r\nContent-Length: 6", b"md5 ok", 201, b"md5 ok"),
    ("md5 wrong", FILE, f"{RIGHT}\r\nContent-Length: 7", b"md5 bad", 400, b"0123456789"),
    ("md5 wrong, new", OTHER, f"{RIGHT}\r\nContent-Length: 7", b"md5 bad", 400, None),
    ("md5 garbage", OTHER, "Content-MD5: zzz\r\nContent-Length: 6", b"md5 ok", 400, None),
    ("more than promised", OTHER, "Content-Length: 3", b"abcdef", 200, b"abc"),
    ("no device", "/dev77/0/000/000/0000000001.fid", "Content-Length: 1", b"x", 404, None),
    ("below the root", "/plain.txt", "Content-Length: 1", b"x", 400, None),
    # the original takes any name; here only MogileFS's own are taken
    ("below the device", "/dev1/plain.txt", "Content-Length: 1", b"x", 400, None),
    ("slash", "/dev1/9/", "Content-Length: 1", b"x", 400, None),
    ("query", OTHER + "?a=b", "Content-Length: 1", b"x", 400, None),
    ("percent", "/dev1/9/999/999/a%20b.fid", "Content-Length: 1", b"x", 400, None),
    ("dots", "/dev1/../../evil.txt", "Content-Length: 1", b"x", 400, None),
    ("encoded dots", "/dev1/%2e%2e/%2e%2e/evil.txt", "Content-Length: 1", b"x", 400, None),
    ("other device", "/dev1/../dev2/evil.txt", "Content-Length: 1", b"x", 400, None),
    ("usage", "/dev1/usage", "Content-Length: 1", b"x", 403, None),
    ("test write", "/dev1/test-write/test-write-7", "Content-Length: 2", b"ok", 200, b"ok"),
    ("gzip", OTHER, "Transfer-Encoding: gzip, chunked", b"1\r\nx\r\n0\r\n\r\n", 400, None),
]


@pytest.mark.parametrize("write", WRITES, ids=[write[0] for write in WRITES])
@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
async def test_writing(door, stored, files, write, pieces):
    _, url, fields, body, status, content = write
    before = files(stored.parent)
    head = f"PUT {url} HTTP/1.0\r\n{fields}\r\n\r\n".encode()
    packets = [head + body] if pieces == "whole" else [bytes([b]) for b in head + body]
    got = await converse(door.address, *packets)
    assert got.startswith(f"HTTP/1.1 {status} ".encode())
    if content is not None:
        assert (stored / url[1:]).read_bytes() == content
    if status >= 400:
        assert files(stored.parent) == before
    elif url not in (FILE, EMPTY):
        assert set(files(stored.parent)) - set(before) == {f"docroot{url}"}


DELETES = [
    ("present", FILE, 204),
    ("missing", OTHER, 404),
    ("directory", "/dev1/9/", 400),
    ("directory without slash", "/dev1/9", 400),
    ("missing device", "/dev77/0/000/000/0000000001.fid", 404),
    ("root", "/", 400),
    ("dots", "/dev1/../../canary.txt", 400),
    ("encoded dots", "/dev1/%2e%2e/%2e%2e/canary.txt", 400),
    ("usage", "/dev1/usage", 403),
]


@pytest.mark.parametrize("delete", DELETES, ids=[delete[0] for delete in DELETES])
async def test_deleting(door, stored, files, delete):
    _, url, status = delete
    (stored.parent / "canary.txt").write_text("alive")
    (stored / "dev1/usage").write_text("used: 1")
    before = set(files(stored.parent))
    reply = await ask(door.address, f"DELETE {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert reply.status == status
    assert before - set(files(stored.parent)) == ({"docroot" + url} if status == 204 else set())


@pytest.mark.parametrize(
    ("request_", "connection"),
    [
        ("GET {} HTTP/1.0\r\n\r\n", "close"),
        ("GET {} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"),
        ("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", "keep-alive"),
        ("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "close"),
        ("DELETE {} HTTP/1.1\r\nHost: x\r\n\r\n", "keep-alive"),
        ("DELETE {} HTTP/1.0\r\n\r\n", "close"),
    ],
)
async def test_connections_are_kept_as_asked(door, stored, request_, connection):
    reply = await ask(door.address, request_.format(FILE).encode())
    assert reply.headers["Connection"] == connection
    pair = await converse(door.address, 2 * request_.format(EMPTY).encode())
    assert pair.count(b"HTTP/1.1 ") == (2 if connection == "keep-alive" else 1)


GARBAGE = [
    b"hello\r\n\r\n",
    f"GET {FILE}\r\n\r\n".encode(),
    # the original takes bare newlines; where a proxy reads them differently, they smuggle requests
    f"GET {FILE} HTTP/1.0\n\n".encode(),
    b"\x16\x03\x01\x02\x00\x01\x00",
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_what_is_no_http_is_refused_and_closed(door, garbage):
    assert (await converse(door.address, garbage)).startswith(b"HTTP/1.1 400 ")


async def test_http_1_1_needs_a_host(door, stored):
    assert (await ask(door.address, f"GET {FILE} HTTP/1.1\r\n\r\n".encode())).status == 400
