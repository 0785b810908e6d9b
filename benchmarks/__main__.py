"""``python -m benchmarks``: measure, and write down what was seen."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from . import machine, plots, report
from .harness import Sheet, Table
from .servers import Address
from .setting import Setting
from .targets import judge

QUESTIONS = ("clients", "tracker", "door", "storage", "serving", "growth", "healing", "soak")
ROOT = Path(__file__).parent
PEERS = ROOT.parent / ".bench" / "peers" / "bin" / "python"


def main() -> None:
    """Ask the questions named (all by default) and write JSON and, if wanted, the page."""
    args = _arguments()
    answered: dict[str, list[Table | Sheet]] = {}
    with tempfile.TemporaryDirectory(prefix="mogilefs-bench-", dir=args.directory) as directory:
        found = machine.describe(Path(directory))
        for name in args.questions or QUESTIONS:
            start = time.monotonic()
            print(f"{name} …", end=" ", file=sys.stderr, flush=True)
            setting = _setting(args, Path(directory) / name)
            answered[name] = import_module(f"benchmarks.questions.{name}").run(setting)
            print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    answers = [answer for name in QUESTIONS for answer in answered.get(name, ())]
    report.write_json(args.json, found, answers)
    pictures = plots.draw(answers, args.page.parent / args.page.stem) if args.page else {}
    page = report.markdown(found, answers, judge(answers), pictures, _remarks(args.quick))
    print(page)
    if args.page:
        args.page.write_text(page)
        report.write_json(args.page.parent / args.page.stem / "results.json", found, answers)


def _remarks(quick: bool) -> str:
    """What a person wrote about the last full run: where the time goes."""
    path = ROOT / "remarks.md"
    return "" if quick or not path.exists() else path.read_text()


def _setting(args: argparse.Namespace, directory: Path) -> Setting:
    directory.mkdir()
    peers = args.peers if args.peers.exists() else None
    return Setting(directory, args.quick, args.tracker, args.domain, peers)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="QUESTION",
                        help=f"{', '.join(QUESTIONS)} (all)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument("--tracker", type=Address.parse, metavar="HOST:PORT",
                        help="a real cluster to measure in the same run")  # fmt: skip
    parser.add_argument("--domain", default="bench", help="where it may write there (bench)")
    parser.add_argument("--peers", type=Path, default=PEERS, metavar="PYTHON",
                        help="the interpreter that has pymogilefs")  # fmt: skip
    parser.add_argument("--directory", type=Path, help="the disk to measure on (TMPDIR)")
    parser.add_argument("--json", type=Path, default=ROOT.parent / ".bench" / "results.json")
    parser.add_argument("--page", type=Path, help="write the page and its plots here")
    args = parser.parse_args()
    if args.quick or args.questions:
        args.page = None  # figures of a smoke test are no figures, and the page has them all
    args.json.parent.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()
