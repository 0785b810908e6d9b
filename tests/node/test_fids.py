"""No file number is handed out twice, whoever asks for which beside whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mogilefs.node.catalog import Catalog
from mogilefs.node.fids import BLOCK, Fids


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "catalogue", fsync=False)
    catalog.open()
    yield catalog
    catalog.close()


@pytest.mark.parametrize("chosen", [5, BLOCK, BLOCK + 1, 3 * BLOCK])
async def test_a_number_chosen_while_a_block_is_reserved_is_not_handed_out_again(
    catalog: Catalog, chosen: int
) -> None:
    fids = Fids(catalog)
    fids.open()
    taking = asyncio.create_task(fids.take())
    await asyncio.sleep(0)  # it waits for the catalogue now
    assert fids.choose(chosen)
    taken = [await taking, *[await fids.take() for _ in range(2 * BLOCK)]]
    assert chosen not in taken
    assert len(set(taken)) == len(taken)
