"""Run all lessons and store what belongs in version control: printed text and small pictures.

Players, widgets and their state stay out: sound is made anew when a learner runs the cell.

    python notebooks/execute.py [notebook ...]
"""

import re
import sys
from pathlib import Path
from time import perf_counter

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
CELL_TIMEOUT_S = 300
WIDGET = "application/vnd.jupyter.widget-view+json"


def lessons() -> list[Path]:
    """Return the paths of all lessons, both languages."""
    return sorted(HERE.glob("[a-z][a-z]/[0-9][0-9]_*.ipynb"))


def execute(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Run a notebook from top to bottom in `folder`, in a fresh kernel, without widget state."""
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
    )
    return client.execute()


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep pictures and printed text; drop players, widgets, timings and machine metadata."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata = nbformat.from_dict(_kept_metadata(cell))
        if cell.cell_type == "code":
            kept = [_without_sound(output) for output in cell.outputs if _stays(output)]
            cell.outputs = _joined(kept)
    return notebook


def _kept_metadata(cell: nbformat.NotebookNode) -> dict:
    return {key: cell.metadata[key] for key in ("tags",) if cell.metadata.get(key)}


def _stays(output: nbformat.NotebookNode) -> bool:
    """Say whether an output is kept: of a widget its picture and its line, of a bar nothing."""
    if output.output_type == "stream":
        return output.name == "stdout"
    data = output.get("data", {})
    if data.pop(WIDGET, None):
        return "image/png" in data or "text/html" in data
    return True


def _without_sound(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave a player's line of text and its picture, without the megabytes of sound."""
    page = output.get("data", {}).get("text/html", "")
    if "<audio" in page:
        del output.data["text/html"]
        picture = re.search(r'src="data:image/png;base64,([^"]+)"', page)
        if picture:
            output.data["image/png"] = picture.group(1)
    return output


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join what was printed in several pieces: where the cuts fall depends on the clock."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        if joined and joined[-1].output_type == output.output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def main(names: list[str]) -> None:
    """Run the lessons that are named, or all."""
    for path in [Path(name) for name in names] or lessons():
        notebook = nbformat.read(path, as_version=4)
        began = perf_counter()
        execute(notebook, path.parent)
        took = perf_counter() - began
        nbformat.write(clean(notebook), path)
        print(f"{path}: {took:.0f} s, {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
