"""Measure how long each lesson runs from its first to its last cell, and how much memory it takes.

    python benchmarks/course.py [notebook ...]

The notebooks are run in a folder of their own and stay as they are.
"""

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from record import machine, record, table

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))  # for `execute`


def measure(path: Path) -> tuple[float, float]:
    """Run one lesson in a fresh kernel; return seconds, and the peak memory of the kernel in MB.

    To be called once in a process: the system tells the peak of the largest child so far.
    """
    from execute import execute

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        execute(notebook, Path(folder))
        seconds = time.perf_counter() - began
    try:
        import resource
    except ImportError:  # Windows does not say
        return seconds, float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6


def main(names: list[str]) -> None:
    """Print one row for each lesson."""
    paths = [Path(name) for name in names] or sorted(NOTEBOOKS.glob("en/[0-9][0-9]_*.ipynb"))
    rows = []
    for path in paths:
        with multiprocessing.get_context("spawn").Pool(1) as process:
            seconds, peak_mb = process.apply(measure, (path,))
        rows.append([path.stem, f"{seconds:.0f}", f"{peak_mb:.0f}"])
        print(*rows[-1], flush=True)
    text = table(["lesson", "from first to last cell (s)", "peak memory (MB)"], rows)
    record("`python benchmarks/course.py`: the lessons", f"{text}\n\n{machine()}")


if __name__ == "__main__":
    main(sys.argv[1:])
