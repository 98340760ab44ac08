"""Run a lesson once and keep what its cells show, with sound: stored lessons leave it out."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))

from execute import WIDGET, execute  # noqa: E402

PLAYABLE = ("text/html", "image/png")  # of a widget: what can be seen without a kernel


def executed(path: Path, cache: Path) -> nbformat.NotebookNode:
    """Return a lesson with all that its cells show, run only where something changed since.

    Args:
        path: the stored lesson.
        cache: folder of what was run before.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell of the lesson fails.
    """
    notebook = nbformat.read(path, as_version=4)
    kept = cache / f"{path.stem}.{fingerprint(notebook)}.ipynb"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as scratch:  # lessons write into out/
            execute(notebook, Path(scratch))
        cache.mkdir(parents=True, exist_ok=True)
        for older in cache.glob(f"{path.stem}.*"):
            older.unlink()
        part = kept.with_suffix(".part")
        nbformat.write(notebook, part)
        part.replace(kept)
    return nbformat.read(kept, as_version=4)


def fingerprint(notebook: nbformat.NotebookNode) -> str:
    """Return 16 digits that change with the code of a lesson and all that it runs on."""
    digest = hashlib.sha256(os.environ.get("HDSEP_PROFILE", "").encode())
    package = sorted((ROOT / "hdsep_tutorial").rglob("*.*"))
    sources = [path for path in package if path.suffix in {".py", ".js", ".css", ".html"}]
    for path in (*sources, ROOT / "assets" / "SHA256SUMS", ROOT / "requirements.txt"):
        digest.update(path.read_bytes())
    for cell in code_cells(notebook):
        digest.update(cell.source.encode() + b"\0")
    return digest.hexdigest()[:16]


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the cells that hold code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return the outputs that a page can show: no progress bar, no widget without its stand-in."""
    kept = []
    for output in outputs:
        data = output.get("data", {})
        bar = WIDGET in data and not any(kind in data for kind in PLAYABLE)
        if not bar and output.get("name") != "stderr":
            data.pop(WIDGET, None)
            kept.append(output)
    return kept
