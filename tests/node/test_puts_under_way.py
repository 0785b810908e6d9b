"""What a tracker's command means for a PUT that has not ended: it counts, or it leaves nothing."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from mogilefs.node import devices as devices_module
from mogilefs.node.arrivals import Arrivals, Emptied
from mogilefs.node.layout import file_path
from tests.support.farm import Farm, until
from tests.support.recorded import Reply, Tracker


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with Farm(tmp_path / "farm", devices=2) as farm:
        yield farm


class Opened:
    """An upload that create_open has begun, and its two devices, by number."""

    def __init__(self, tracker: Tracker, **where: str) -> None:
        self._where = where or {"domain": "demo", "class": "thumb"}
        asked = urlencode({**self._where, "key": "k", "multi_dest": 1})
        args = tracker.ask(f"create_open {asked}").args
        self.fid = args["fid"]
        self.paths = {int(args[f"devid_{n}"]): args[f"path_{n}"] for n in (1, 2)}

    def closing_line(self, devid: int, key: str = "k", size: int = 10) -> str:
        told = {"fid": self.fid, "devid": devid, "path": self.paths[devid], "size": size}
        return "create_close " + urlencode({**self._where, "key": key, **told})


class Put:
    """A PUT of ten bytes of which five have been sent, and have come to the disk."""

    def __init__(self, farm: Farm, opened: Opened, devid: int) -> None:
        url = urlsplit(opened.paths[devid])
        self._connection = http.client.HTTPConnection(url.netloc, timeout=20)
        self._connection.putrequest("PUT", url.path)
        self._connection.putheader("Content-Length", "10")
        self._connection.endheaders(b"first")
        self.parts = farm.directory / f"dev{devid}" / ".incoming"
        until(lambda: [part.stat().st_size for part in self.parts.glob("*")] == [5])

    def finish(self) -> int:
        """Send the rest; the status of the answer."""
        self._connection.send(b"later")
        status = self._connection.getresponse().status
        self.break_off()
        return status

    def break_off(self) -> None:
        self._connection.close()


def leaves_nothing(farm: Farm, put: Put) -> bool:
    return not farm.fids_on_disk() and not list(put.parts.iterdir())


def test_a_close_waits_for_the_file_that_is_still_coming(farm: Farm, tracker: Tracker) -> None:
    opened = Opened(tracker)
    put = Put(farm, opened, 1)
    tracker.send(opened.closing_line(1) + "\r\n")
    assert tracker.nothing_comes()
    assert put.finish() == 200
    assert Reply.parse(tracker.line()).status == "OK"
    assert farm.client.read("k") == b"firstlater"


def test_a_close_is_refused_when_the_file_will_not_come(farm: Farm, tracker: Tracker) -> None:
    opened = Opened(tracker)
    put = Put(farm, opened, 1)
    tracker.send(opened.closing_line(1) + "\r\n")
    assert tracker.nothing_comes()
    put.break_off()
    assert Reply.parse(tracker.line()).code == "size_verify_error"
    assert leaves_nothing(farm, put)


def test_a_close_does_not_wait_for_ever(
    farm: Farm, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices_module, "ARRIVAL_SECONDS", 0.2)
    opened = Opened(tracker)
    put = Put(farm, opened, 1)
    assert tracker.ask(opened.closing_line(1)).code == "size_verify_error"
    assert put.finish() == 409
    assert leaves_nothing(farm, put)


CLOSES: dict[str, Callable[[Opened], tuple[str, str]]] = {
    "cancelled": lambda opened: (opened.closing_line(1, key=""), "OK"),
    "refused": lambda opened: (opened.closing_line(2), "size_verify_error"),
}


@pytest.mark.parametrize("how", CLOSES)
def test_an_upload_that_failed_leaves_no_trace_of_its_put(
    farm: Farm, tracker: Tracker, how: str
) -> None:
    opened = Opened(tracker)
    put = Put(farm, opened, 1)
    line, said = CLOSES[how](opened)
    reply = tracker.ask(line)
    assert (reply.code or reply.status) == said
    until(lambda: not farm.rows("SELECT fid FROM file_to_delete2"))
    assert put.finish() == 409
    assert leaves_nothing(farm, put)


def test_a_put_on_another_device_than_the_one_that_counts_is_ended(
    farm: Farm, tracker: Tracker
) -> None:
    opened = Opened(tracker)
    given_up = Put(farm, opened, 1)
    assert Put(farm, opened, 2).finish() == 200
    assert tracker.ask(opened.closing_line(2)).status == "OK"
    assert given_up.finish() == 409
    assert farm.copies(int(opened.fid)) == {2: b"firstlater"}


def test_a_file_that_was_closed_is_not_replaced_by_an_older_put(
    farm: Farm, tracker: Tracker
) -> None:
    opened = Opened(tracker)
    given_up = Put(farm, opened, 1)
    farm.copy(1, int(opened.fid)).parent.mkdir(parents=True)
    farm.copy(1, int(opened.fid)).write_bytes(b"the second")
    assert tracker.ask(opened.closing_line(1)).status == "OK"
    assert given_up.finish() == 409
    assert farm.client.read("k") == b"the second"


def test_only_one_close_of_an_upload_has_an_effect(farm: Farm, tracker: Tracker) -> None:
    opened = Opened(tracker)
    until(lambda: farm.rows("SELECT 1 FROM tempfile WHERE fid = ?", opened.fid))
    farm.copy(2, int(opened.fid)).parent.mkdir(parents=True)
    farm.copy(2, int(opened.fid)).write_bytes(b"on another")
    put = Put(farm, opened, 1)
    tracker.send(opened.closing_line(1) + "\r\n")
    assert tracker.nothing_comes()
    with closing(Tracker(farm.node.tracker)) as other:
        assert other.ask(opened.closing_line(2)).code == "no_temp_file"
    assert put.finish() == 200
    assert Reply.parse(tracker.line()).status == "OK"
    assert farm.client.read("k") == b"firstlater"


def test_a_domain_that_was_deleted_meanwhile_gets_no_file(farm: Farm, tracker: Tracker) -> None:
    assert tracker.ask("create_domain domain=short").status == "OK"
    opened = Opened(tracker, domain="short")
    put = Put(farm, opened, 1)
    tracker.send(opened.closing_line(1) + "\r\n")
    assert tracker.nothing_comes()
    with closing(Tracker(farm.node.tracker)) as other:
        assert other.ask("delete_domain domain=short").status == "OK"
    assert put.finish() == 200
    assert Reply.parse(tracker.line()).code == "unreg_domain"
    until(lambda: leaves_nothing(farm, put))
    assert farm.rows("SELECT * FROM file") == []


def test_a_disk_that_fails_does_not_stand_in_the_way_of_another(
    farm: Farm, tracker: Tracker
) -> None:
    opened = Opened(tracker)
    (farm.directory / "dev1" / "0").symlink_to("0")  # whatever is asked for there is an OSError
    assert Put(farm, opened, 2).finish() == 200
    assert tracker.ask(opened.closing_line(2)).status == "OK"
    assert farm.client.read("k") == b"firstlater"


async def test_what_is_removed_in_the_moment_of_a_put_is_removed_after_it(tmp_path: Path) -> None:
    arrivals, place = Arrivals(), (1, file_path(7))
    arrival = arrivals.begin(*place)
    loop = asyncio.get_running_loop()
    stopped: list[asyncio.Future[None]] = []

    def move() -> None:
        future = asyncio.run_coroutine_threadsafe(stop_elsewhere(), loop)
        assert future.result(20) is None

    async def stop_elsewhere() -> None:
        stopped.append(loop.run_in_executor(None, arrivals.stop, 1, [place[1]]))
        assert await asyncio.wait([stopped[0]], timeout=0.1) == (set(), {stopped[0]})

    await asyncio.to_thread(arrival.publish, move)
    await stopped[0]
    with pytest.raises(Emptied):
        arrival.publish(move)


async def test_every_one_who_waits_hears_of_the_end() -> None:
    arrivals = Arrivals()
    arrival = arrivals.begin(1, "p")
    assert not await arrivals.wait(1, "p", 0.01)
    waiting = [asyncio.create_task(arrivals.wait(1, "p", 20)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting.pop().cancel()
    await asyncio.sleep(0)
    await asyncio.to_thread(arrivals.end, arrival)
    assert await waiting[0]
    assert (1, "p") not in arrivals
    assert not await arrivals.wait(1, "p", 20)


def test_nothing_is_closed_on_a_device_that_died_meanwhile(farm: Farm, tracker: Tracker) -> None:
    opened = Opened(tracker)
    assert Put(farm, opened, 1).finish() == 200
    farm.set_state(1, "dead")
    assert tracker.ask(opened.closing_line(1)).code == "size_verify_error"
    assert not farm.client.exists("k")
