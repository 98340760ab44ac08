"""Measure how long each lesson runs from its first to its last cell.

    python benchmarks/course.py [notebook ...]

The notebooks are run in a folder of their own and stay as they are.
"""

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from record import machine, record, table

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))  # for `execute`


def measure(path: Path) -> float:
    """Run one lesson in a fresh kernel and return the seconds that it took."""
    from execute import execute

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        execute(notebook, Path(folder))
        return time.perf_counter() - began


def main(names: list[str]) -> None:
    """Print one row for each lesson."""
    paths = [Path(name) for name in names] or sorted(NOTEBOOKS.glob("en/[0-9][0-9]_*.ipynb"))
    rows = [[path.stem, f"{measure(path):.0f}"] for path in paths]
    text = table(["lesson", "from first to last cell (s)"], rows)
    record("`python benchmarks/course.py`: the lessons", f"{text}\n\n{machine()}")


if __name__ == "__main__":
    main(sys.argv[1:])
