"""The catalogue's writer: which thread makes a change, and that none is lost or held up."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from mogilefs.node.catalog import Catalog
from mogilefs.node.writer import MAX_UNFOLDED


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "mogilefs.sqlite")
    catalog.open()
    yield catalog
    catalog.close()


def setting(name: str, value: str = "x"):
    def change(db: sqlite3.Connection) -> int:
        db.execute("INSERT INTO server_settings (field, value) VALUES (?, ?)", (name, value))
        return threading.get_ident()

    return change


def broken(db: sqlite3.Connection) -> None:
    setting("half")(db)
    db.execute("INSERT INTO no_such_table VALUES (1)")


def settings(catalog: Catalog) -> set[str]:
    rows = catalog.read("SELECT field FROM server_settings WHERE field <> 'schema_version'")
    return {field for (field,) in rows}


async def test_a_quick_change_is_made_where_it_is_asked_for(catalog):
    assert await catalog.write(setting("a"), durable=False, quick=True) == threading.get_ident()
    assert await catalog.write(setting("b"), durable=False) != threading.get_ident()
    assert settings(catalog) == {"a", "b"}


async def test_what_must_be_durable_is_never_waited_for_on_the_event_loop(catalog):
    assert await catalog.write(setting("a"), quick=True) != threading.get_ident()


async def test_another_program_with_the_lock_does_not_hold_up_the_event_loop(catalog):
    with closing(sqlite3.connect(catalog.path, isolation_level=None)) as backup:
        backup.execute("BEGIN IMMEDIATE")
        write = asyncio.create_task(catalog.write(setting("a"), durable=False, quick=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not write.done()
        backup.execute("COMMIT")
        assert await write != threading.get_ident()
    assert settings(catalog) == {"a"}


@pytest.mark.parametrize("quick", [True, False])
async def test_a_change_that_fails_leaves_nothing(catalog, quick):
    with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
        await catalog.write(broken, durable=False, quick=quick)
    await catalog.write(setting("after"), durable=False, quick=quick)
    assert settings(catalog) == {"after"}


async def test_changes_together_fail_alone(catalog):
    made = catalog.apply([setting("a"), broken, setting("b")])
    assert [type(change.error) for change in made] == [
        type(None),
        sqlite3.OperationalError,
        type(None),
    ]
    assert made[0].result == made[2].result == threading.get_ident()
    assert settings(catalog) == {"a", "b"}


async def test_threads_and_the_event_loop_write_side_by_side(catalog):
    with ThreadPoolExecutor(8) as threads:
        groups = [
            threads.submit(catalog.apply, [setting(f"t{group}.{n}") for n in range(5)])
            for group in range(40)
        ]
        await asyncio.gather(
            *(
                catalog.write(setting(f"w{n}"), durable=n % 3 == 0, quick=n % 2 == 0)
                for n in range(100)
            )
        )
    assert not [c.error for group in groups for c in group.result() if c.error]
    assert len(settings(catalog)) == 300


@pytest.mark.parametrize("quick", [True, False])
async def test_the_wal_does_not_grow_for_ever(catalog, quick):
    sizes = []
    for lap in range(4):
        for n in range(MAX_UNFOLDED // 4):
            change = setting(f"{lap}.{n}", "x" * 2000)
            await catalog.write(change, durable=False, quick=quick)
        sizes.append(catalog.path.with_name("mogilefs.sqlite-wal").stat().st_size)
    assert sizes[3] < 2 * sizes[0]
