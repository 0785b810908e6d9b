import pytest

from mogilefs.node import layout
from mogilefs.node.layout import Place

PATHS = [
    (1, "/dev3/0/000/000/0000000001.fid"),
    (1234, "/dev3/0/000/001/0000001234.fid"),
    (98765432, "/dev3/0/098/765/0098765432.fid"),
    (999999999, "/dev3/0/999/999/0999999999.fid"),
    (1234567890, "/dev3/1/234/567/1234567890.fid"),
    (12345678901, "/dev3/1/234/567/12345678901.fid"),
]


@pytest.mark.parametrize(("fid", "path"), PATHS)
def test_a_fid_has_the_path_that_mogilefs_gives_it(fid, path):
    assert layout.url_path(3, fid) == path
    assert layout.parse(path) == Place(3, path[len("/dev3/") :], fid)


def test_a_fid_is_a_positive_number():
    with pytest.raises(ValueError, match="fid 0 "):
        layout.file_path(0)


@pytest.mark.parametrize("path", ["usage", "test-write/test-write-17", "test-write/test-md5"])
def test_the_monitors_names_belong_to_a_device(path):
    assert layout.parse(f"/dev12/{path}") == Place(12, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "/dev1",
        "/dev1/",
        "/dev/0/000/000/0000000001.fid",
        "/dev0/0/000/000/0000000001.fid",
        "/dev01/0/000/000/0000000001.fid",
        "/dev1/0/000/000/0000000000.fid",
        "/dev1/0/000/001/0000000001.fid",
        "/dev1/0/000/000/000000001.fid",
        "/dev1/0/000/000/00000000001.fid",
        "/dev1/0/000/000/0000000001.fid\n",
        "/dev1/0/000/000/0000000001.fid/",
        "/dev1/0/000/000/\N{ARABIC-INDIC DIGIT ONE}000000001.fid",
        "/dev1/usage2",
        "/dev1/.incoming/1.part",
        "/dev1/test-write/.hidden",
        "/dev1/test-write/../usage",
        "/dev1/test-write/a/b",
        "/dev1/../mogilefs.sqlite",
        "/mogilefs.sqlite",
    ],
)
def test_nothing_else_is_a_place(url):
    assert layout.parse(url) is None


def test_directories_of_the_layout():
    for url, path in [
        ("/dev1", ""),
        ("/dev1/", ""),
        ("/dev1/9", "9"),
        ("/dev1/9/", "9"),
        ("/dev1/9/999/999/", "9/999/999"),
        ("/dev1/test-write", "test-write"),
    ]:
        assert layout.parse_directory(url) == Place(1, path)
    for url in ["/", "/x", "/dev1/.incoming", "/dev1/9/99", "/dev1//", "/dev1/9//", "/dev1/.."]:
        assert layout.parse_directory(url) is None


def test_device_directories_by_name():
    assert layout.parse_devid("dev7") == 7
    for name in ["dev", "dev0", "dev07", "dev7x", "device7", "dev7/9"]:
        assert layout.parse_devid(name) is None
