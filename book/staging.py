"""Turn lessons and teaching pages into what Sphinx reads: one folder of pages per language."""

import base64
import hashlib
import re
from pathlib import Path

import nbformat
from outputs import ROOT, code_cells, shown

CITATION = re.compile(r"\[@(\w+)\]")
SOUND = re.compile(r'src="data:audio/(\w+);base64,([^"]+)"')
TITLE = re.compile(r'(?<!\w)title="([^"{]+)"')
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
LONGEST_ALT = 600  # characters; the text is below the picture too


def lesson_page(
    lesson: nbformat.NotebookNode, ran: nbformat.NotebookNode, sounds: Path
) -> nbformat.NotebookNode:
    """Give a lesson, in any language, what its code showed when it ran, and links to its sources.

    Args:
        lesson: the notebook in the language of the page. Is changed.
        ran: the same code, executed.
        sounds: folder beside that of the page, which gets the sounds of its players.

    Raises:
        ValueError: the two do not have the same code cells.
    """
    cells, twins = code_cells(lesson), code_cells(ran)
    if len(cells) != len(twins):
        raise ValueError(
            f"{lesson.cells[0].source.splitlines()[0]} has {len(cells)} code cells, "
            f"expected {len(twins)} as in the other language: make them equal"
        )
    for number, (cell, twin) in enumerate(zip(cells, twins, strict=True)):
        cell.id = f"code-{number:02}"
        cell.outputs, cell.execution_count = shown(twin.outputs), twin.execution_count
        cell.metadata["mystnb"] = {"image": {"alt": description(cell)}}
        for output in cell.outputs:
            page = output.get("data", {}).get("text/html", "")
            if "<audio" in page and "stem-player-page" not in page:
                output.data["text/html"] = with_files(page, sounds)
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            cell.source = cited(cell.source)
    return lesson


def description(cell: nbformat.NotebookNode) -> str:
    """Say in words what the picture of a cell shows: its title, and what is printed beside it."""
    printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    results = [output.get("data", {}) for output in cell.outputs]
    said = [data.get("text/plain", "") for data in results if "image/png" in data]
    said = [text for text in said if not text.startswith("<Figure")]
    words = " ".join([*TITLE.findall(cell.source), *said, printed]).split()
    text = " ".join(words)
    return text if len(text) <= LONGEST_ALT else text[:LONGEST_ALT].rpartition(" ")[0] + " …"


def with_files(page: str, sounds: Path) -> str:
    """Move the sounds of <audio> rows into files, so that a page stays small and opens at once."""

    def moved(match: re.Match[str]) -> str:
        sound = base64.b64decode(match.group(2))
        name = f"{hashlib.sha256(sound).hexdigest()[:16]}.{match.group(1)}"
        sounds.mkdir(parents=True, exist_ok=True)
        (sounds / name).write_bytes(sound)
        return f'src="../{sounds.name}/{name}"'

    return SOUND.sub(moved, page)


def cited(text: str) -> str:
    """Link citations to the list of references, which is the last cell of a lesson.

    >>> cited("as Kim writes [@Kim]")
    'as Kim writes <a class="citation" href="#ref-Kim">[Kim]</a>'
    >>> cited("- [@Kim] Kim, S.")
    '- <span class="citation" id="ref-Kim">[Kim]</span> Kim, S.'
    """
    entry = r'- <span class="citation" id="ref-\1">[\1]</span>'
    text = re.sub(f"^- {CITATION.pattern}", entry, text, flags=re.M)
    return CITATION.sub(r'<a class="citation" href="#ref-\1">[\1]</a>', text)


def teaching_pages(language: str) -> dict[str, Path]:
    """Return name → path of the teaching pages of a language, teaching/NAME_en.md or _zh.md."""
    ending = f"_{language}"
    found = sorted((ROOT / "teaching").glob(f"*{ending}.md"))
    return {path.stem.removesuffix(ending): path for path in found}


def linked(text: str, path: Path, language: str) -> str:
    """Rewrite the links of a repository's page for the book: to its pages, or to plain text.

    Args:
        text: Markdown.
        path: the file that it is from.
        language: of the page.
    """
    known = {page: f"/teaching/{name}.md" for name, page in teaching_pages(language).items()}

    def rewritten(match: re.Match[str]) -> str:
        label, target, anchor = match.groups()
        place = (path.parent / target).resolve()
        if place.parent.parent == ROOT / "notebooks" and place.suffix == ".ipynb":
            return f"[{label}](/{place.name})"
        return f"[{label}]({known[place]}{anchor or ''})" if place in known else label

    return LINK.sub(rewritten, text)


def question(lesson: nbformat.NotebookNode) -> tuple[str, str]:
    """Return the title of a lesson and its question, which is the first bold sentence."""
    first = lesson.cells[0].source
    title = first.splitlines()[0].removeprefix("# ")
    found = re.search(r"\*\*(.+?)\*\*", first, re.S)
    return title, found.group(1) if found else ""
