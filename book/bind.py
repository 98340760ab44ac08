"""Build the book: all lessons as pages that play, in English and Chinese, offline from disk.

    python book/bind.py [--out out/book] [lesson ...]

Each lesson runs once, for both languages, and again only where its code or the package changed.
Ends with an error where Sphinx warns or a page is not as checking.py wants it.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from checking import check_book
from outputs import ROOT, executed
from staging import lesson_page, linked, question, teaching_pages

HERE = Path(__file__).parent
# language → what differs: Sphinx's name for it, its own name, the other one, title, words.
LANGUAGES = {
    "en": {
        "sphinx": "en",
        "name": "English",
        "other": "zh",
        "title": "Take a song apart",
        "teaching": "For teachers",
        "search": "Search",
    },
    "zh": {
        "sphinx": "zh_CN",
        "name": "中文",
        "other": "en",
        "title": "把一首歌拆开来听",
        "teaching": "教师用书",
        "search": "搜索",
    },
}
TOCTREE = "```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def lesson_names() -> list[str]:
    """Return the names of the lessons that there are in English."""
    return sorted(path.stem for path in ROOT.glob("notebooks/en/[0-9][0-9]_*.ipynb"))


def build(
    out: Path, lessons: list[str], run: Callable[[Path, Path], nbformat.NotebookNode] = executed
) -> None:
    """Build both languages into `out`, and check every page.

    Args:
        out: folder of the book; its index.html is where to start.
        lessons: names of the lessons.
        run: what gives a lesson its outputs, see `outputs.executed`.

    Raises:
        ValueError: a lesson is unknown, Sphinx warns, or a page is not as it should be.
    """
    unknown = sorted(set(lessons) - set(lesson_names()))
    if unknown:
        raise ValueError(f"there is no lesson {unknown[0]}, expected some of {lesson_names()}")
    (out / "index.html").unlink(missing_ok=True)  # is there when all is well
    for stale in ("en", "zh", "sounds", "source", "jupyter_execute"):
        shutil.rmtree(out / stale, ignore_errors=True)
    for name in lessons:
        print(f"outputs of {name}", flush=True)
        ran = run(ROOT / "notebooks" / "en" / f"{name}.ipynb", out / "executed")
        for language in LANGUAGES:
            path = ROOT / "notebooks" / language / f"{name}.ipynb"
            page = lesson_page(nbformat.read(path, as_version=4), ran, out / "sounds")
            target = out / "source" / language / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(page, target)
    for language in LANGUAGES:
        _stage_pages(out / "source" / language, language)
    for language in LANGUAGES:
        _sphinx(out, language)
    for leftover in ("source", "jupyter_execute"):
        shutil.rmtree(out / leftover, ignore_errors=True)
    check_book(out)
    shutil.copy(HERE / "index.html", out / "index.html")


def _stage_pages(folder: Path, language: str) -> None:
    """Write the pages that are no lessons: index, glossary, and what teachers read."""
    for name, path in teaching_pages(language).items():
        target = folder / "teaching" / f"{name}.md"
        target.parent.mkdir(exist_ok=True)
        text = linked(path.read_text(encoding="utf-8"), path, language)
        target.write_text(text, encoding="utf-8")
    shutil.copy(HERE / language / "glossary.md", folder)
    index = (HERE / language / "index.md").read_text(encoding="utf-8")
    lessons = sorted(path.stem for path in folder.glob("*.ipynb"))
    rows = [_row(folder / f"{name}.ipynb") for name in lessons]
    index = index.replace("{lessons}", "\n".join(rows)).replace("{pages}", "\n".join(lessons))
    names = [f"teaching/{name}" for name in teaching_pages(language)]
    if names:
        caption = LANGUAGES[language]["teaching"]
        index += "\n" + TOCTREE.format(caption=caption, pages="\n".join(names))
    (folder / "index.md").write_text(index, encoding="utf-8")


def _row(path: Path) -> str:
    """Return the row of a lesson in the table of the first page."""
    title, asked = question(nbformat.read(path, as_version=4))
    number, _, words = title.partition(" ")
    return f"| {number} | [{words}]({path.name}) | {asked} |"


def _sphinx(out: Path, language: str) -> None:
    """Let Sphinx make the pages of a language; any warning is an error."""
    facts, source = LANGUAGES[language], out / "source" / language
    other = facts["other"]
    pages = [path.relative_to(source).with_suffix("").as_posix() for path in source.rglob("*.*")]
    context = {
        "other_folder": other,
        "other_name": LANGUAGES[other]["name"],
        "other_language": LANGUAGES[other]["sphinx"].replace("_", "-"),
        "shared_pages": " ".join([*pages, "search"]),
    }
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-c", str(HERE), "--quiet"]
    command += ["--fail-on-warning", "--fresh-env", "-d", str(out / "source" / f"trees-{language}")]
    command += ["-D", f"language={facts['sphinx']}", "-D", f"html_title={facts['title']}"]
    command += ["-D", f"html_theme_options.search_bar_text={facts['search']}"]
    command += [f"-A{name}={value}" for name, value in context.items()]
    if subprocess.run([*command, str(source), str(out / language)]).returncode:
        raise ValueError(f"Sphinx warned about {language}: mend what it says above, build again")


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", metavar="lesson", help="as 05_chunks; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "book")
    options = parser.parse_args()
    try:
        build(options.out.resolve(), options.lessons or lesson_names())
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    print(f"open {options.out / 'index.html'} in a browser")


if __name__ == "__main__":
    main()
