"""The harness tells contestants apart, and noise from a difference."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import load
from benchmarks.harness import Batch, compete, paired, quantile, spread, timed
from benchmarks.targets import TARGETS, Target, judge


def steady(milliseconds: float, cpu: float | None = None) -> Callable[[], Batch]:
    """A contestant that always takes the same."""
    return lambda: Batch([milliseconds / 1e3] * 10, milliseconds / 100, cpu, moved=1000)


def test_a_contest_gives_medians_and_ratios_to_the_baseline():
    table = compete("q", "t", {"slow": steady(4, cpu=0.02), "fast": steady(1)}, rounds=3)
    slow, fast = table.figures
    assert (slow.p50_ms, slow.p99_ms, slow.ratio) == (4, 4, 1)
    assert slow.per_second == pytest.approx(250)
    assert slow.cpu_ms == pytest.approx(2)
    assert fast.ratio == pytest.approx(4)
    assert fast.cpu_ms is None
    assert not fast.noisy
    assert paired(slow, fast, "p50_ms") == pytest.approx(4)
    assert paired(slow, fast, "cpu_ms") is None


def test_everybody_has_a_turn_in_each_round_in_changing_order():
    turns: list[str] = []

    def contestant(name: str) -> Callable[[], Batch]:
        def turn() -> Batch:
            turns.append(name)
            return Batch([0.001], 0.001)

        return turn

    compete("q", "t", {name: contestant(name) for name in "abc"}, rounds=8)
    rounds = ["".join(turns[at : at + 3]) for at in range(0, len(turns), 3)]
    assert len(rounds) == 9  # one that does not count comes first
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(rounds)) > 2


def test_a_machine_that_is_busy_in_some_rounds_hits_all_alike():
    rng = random.Random(1)
    busy = iter([factor for _ in range(20) for factor in [rng.choice([1, 1, 10])] * 2])
    turns = {name: (lambda: steady(next(busy))()) for name in ("a", "b")}
    table = compete("q", "t", turns, rounds=9)
    assert table.figures[1].ratio == pytest.approx(1)
    assert not table.figures[1].noisy


def test_a_noisy_contestant_is_told():
    times = iter([1, 1, 9, 1, 9, 1, 9, 1, 9, 1, 9])
    table = compete("q", "t", {"a": steady(1), "b": lambda: steady(next(times))()}, rounds=9)
    assert table.figures[1].noisy


def test_quantiles_and_spread():
    assert quantile([], 0.5) == 0
    assert quantile(list(range(100)), 0.99) == 99
    assert spread([5]) == 0
    assert spread([1, 1, 1]) == 0
    assert spread([8, 9, 10, 11, 12]) == pytest.approx(0.1)


def test_timed_counts_what_was_moved():
    batch = timed(lambda: None, 5, moved=10)
    assert (batch.operations, batch.moved) == (5, 50)


def test_the_load_s_answers_are_measured():
    assert load.line(b"OK a=") is None
    assert load.line(b"OK a=1\r\n") == 8
    with pytest.raises(RuntimeError, match="unknown_key"):
        load.line(b"ERR unknown_key x\r\n")
    assert load.http(b"HTTP/1.1 200 OK\r\nContent-Le") is None
    assert load.http(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab") == 43
    with pytest.raises(RuntimeError, match="404"):
        load.http(b"HTTP/1.1 404 Not Found\r\n\r\n")


def test_a_target_is_reached_missed_or_was_not_asked():
    assert Target("x", "t", lambda _: None, at_least=2).reached(2)
    assert not Target("x", "t", lambda _: None, at_least=2).reached(1.9)
    assert not Target("x", "t", lambda _: None, at_most=2).reached(2.1)
    assert {verdict.told for verdict in judge([])} == {"not measured"}
    assert len(judge([])) == len(TARGETS) > 30


def test_only_a_full_run_writes_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    told = [f"--page={tmp_path / 'page.md'}", f"--json={tmp_path / 'results.json'}"]
    for more, page in ([], tmp_path / "page.md"), (["--quick"], None), (["door"], None):
        monkeypatch.setattr(sys, "argv", ["benchmarks", *told, *more])
        assert command._arguments().page == page
