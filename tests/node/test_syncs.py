"""Files that are made durable, and the changes of the catalogue that follow."""

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mogilefs.node.catalog import Catalog
from mogilefs.node.syncs import Durability, Syncs


@pytest.fixture
def catalog(tmp_path):
    catalog = Catalog(tmp_path / "db")
    catalog.open()
    yield catalog
    catalog.close()


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def syncs(tmp_path, catalog, executor):
    return Syncs(Durability(tmp_path, durable=True), catalog.apply, executor)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    return path


def setting(name):
    def change(db):
        db.execute("INSERT INTO server_settings (field, value) VALUES (?, '1')", (name,))
        return name

    return change


def settings(catalog):
    return {name for (name,) in catalog.read("SELECT field FROM server_settings")}


async def test_who_comes_while_the_disk_works_has_his_change_made_in_the_same_trip(
    syncs, executor, catalog, file
):
    working = threading.Event()
    executor.submit(working.wait)
    job = syncs.begin(file)
    asyncio.get_running_loop().call_soon(working.set)  # not before finish() waits
    assert await syncs.finish(job, setting("mine")) == "mine"
    assert job.result == "mine"
    assert "mine" in settings(catalog)


async def test_who_comes_after_the_disk_has_his_change_made_by_itself(syncs, catalog, file):
    job = syncs.begin(file)
    await job.future
    file.unlink()  # what is durable need not be looked at again
    assert await syncs.finish(job, setting("mine")) == "mine"
    assert "mine" in settings(catalog)


async def test_what_could_not_be_synced_is_tried_again(syncs, catalog, file):
    content = file.read_bytes()
    file.unlink()
    job = syncs.begin(file)
    await job.future
    with pytest.raises(FileNotFoundError):
        await syncs.finish(job, setting("mine"))
    assert "mine" not in settings(catalog)
    file.write_bytes(content)
    assert await syncs.finish(job, setting("mine")) == "mine"


async def test_a_change_that_fails_is_told(syncs, file):
    job = syncs.begin(file)
    await syncs.finish(job, setting("mine"))
    with pytest.raises(sqlite3.IntegrityError):
        await syncs.finish(job, setting("mine"))


async def test_at_the_stop_nothing_more_is_begun(syncs, executor, file):
    working = threading.Event()
    executor.submit(working.wait)
    jobs = [syncs.begin(file) for _ in range(100)]
    working.set()
    await syncs.stop()
    assert all(job.future.done() for job in jobs)
    assert jobs[-1].future.cancelled()
