"""Write copies of the lessons: for learners without solutions, for teachers with them filled in.

python notebooks/copies.py blank       # out/blank: no solution, no output
python notebooks/copies.py solutions   # out/solutions: every exercise solved, no output
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from execute import lessons

OUT = Path(__file__).parents[1] / "out"
CALL = re.compile(r"hd\.exercises\.check_\d\d\((\w+)=")
SUMMARY = r"<details>\s*<summary>[^<]*</summary>\s*"
FOLDED = re.compile(SUMMARY + r"```python\n(.*?)```\s*</details>", re.S)


@dataclass(frozen=True)
class Exercise:
    """An exercise in a lesson: its name, and the numbers of its cells.

    Attributes:
        todo: the cell to fill.
        check: the cell that calls the check.
        folded: the cell with the folded solution.
        solution: the code in it.
    """

    name: str
    todo: int
    check: int
    folded: int
    solution: str


def exercises(notebook: nbformat.NotebookNode) -> list[Exercise]:
    """Find the exercises of a lesson.

    Raises:
        ValueError: one has no cell to fill, or no folded solution.
    """
    found, cells = [], notebook.cells
    for number, cell in enumerate(cells):
        call = CALL.search(cell.source) if cell.cell_type == "code" else None
        if not call:
            continue
        todo = next((n for n in reversed(range(number)) if "exercise" in _tags(cells[n])), None)
        near = range(number + 1, min(number + 5, len(cells)))
        folded = next((n for n in near if FOLDED.search(cells[n].source)), None)
        if todo is None or folded is None:
            raise ValueError(f"{call.group(1)}: no cell tagged `exercise`, or no folded solution")
        solution = FOLDED.search(cells[folded].source).group(1)
        found.append(Exercise(call.group(1), todo, number, folded, solution))
    return found


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def copy_of(notebook: nbformat.NotebookNode, kind: str) -> nbformat.NotebookNode:
    """Change a lesson into its blank or solved copy, without outputs."""
    tasks = exercises(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if kind == "solutions":
        for task in tasks:
            notebook.cells[task.todo].source = task.solution.rstrip()
    else:
        hidden = {task.folded for task in tasks}
        notebook.cells = [c for n, c in enumerate(notebook.cells) if n not in hidden]
    return notebook


def main(kind: str) -> None:
    """Write one kind of copies of all lessons, both languages."""
    if kind not in ("blank", "solutions"):
        raise SystemExit(f"the copies are called blank or solutions, not {kind!r}")
    for path in lessons():
        target = OUT / kind / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(copy_of(nbformat.read(path, as_version=4), kind), target)
    print(f"{len(lessons())} lessons in {OUT / kind}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["blank"]))
