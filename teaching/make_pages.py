"""Make the question bank and the marking guide from the lessons and from what the checks say.

    python teaching/make_pages.py

A test compares what this writes with what is there.
"""

import ast
import importlib
import re
import sys
from pathlib import Path

import nbformat
import torch

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "notebooks"), str(ROOT / "tests")]

from copies import exercises  # noqa: E402
from execute import lessons  # noqa: E402

import hdsep_tutorial as hd  # noqa: E402
from hdsep_tutorial.exercises.wording import in_language  # noqa: E402

QUESTION = re.compile(r"<details>\s*<summary>\d\. (.*?)</summary>\s*(.*?)\s*</details>", re.S)
WORDS = {
    "en": ("Question bank", "Marking guide", "The answer", "The check says", "A solution",
           "Every answer below is run by the check itself; other correct methods pass too."),
    "zh": ("题库", "评分指南", "学生的答案", "检查的回答", "一种答案",
           "下面每个答案都由检查程序实际运行过；其他正确的做法同样通过。"),
}  # fmt: skip
COLON = {"en": ": ", "zh": "："}


def question_bank(language: str) -> str:
    """Return all questions with their answers, lesson by lesson."""
    parts = [f"# {WORDS[language][0]}\n"]
    for path in _lessons_of(language):
        notebook = nbformat.read(path, as_version=4)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        found = QUESTION.findall(text)
        if found:
            parts.append(f"## {_title(notebook)}\n")
            parts += [f"{n}. {q}\n\n   > {_joined(a)}\n" for n, (q, a) in enumerate(found, 1)]
    return "\n".join(parts)


def marking_guide(language: str) -> str:
    """Return each exercise with a solution, and what the check says to typical wrong answers."""
    _, title, answer, says, solution, note = WORDS[language]
    colon = COLON[language]
    end = colon.rstrip()
    parts = [f"# {title}\n\n{note}\n"]
    for path in _lessons_of(language):
        notebook = nbformat.read(path, as_version=4)
        for task in exercises(notebook):
            parts.append(f"## {_title(notebook)}{colon}`{task.name}`\n")
            parts.append(f"{solution}{end}\n\n```python\n{task.solution.rstrip()}\n```\n")
            wrong = importlib.import_module(f"wrong_answers.lesson_{path.stem[:2]}").WRONG
            for source, _ in wrong[task.name]:
                verdict = verdict_on(source, notebook.cells[task.check].source)
                said = in_language(verdict.sentence, language)
                given = f"{answer}{end}\n\n```python\n{source.strip()}\n```"
                parts.append(f"{given}\n\n{says}{colon}{said}\n")
    return "\n".join(parts)


def verdict_on(source: str, check: str) -> object:
    """Run an answer and then the lesson's check cell; return what the check says."""
    room = {"torch": torch, "hd": hd}
    exec(source, room)
    *before, last = ast.parse(check).body
    exec(compile(ast.Module(before, []), "check", "exec"), room)
    return eval(compile(ast.Expression(last.value), "check", "eval"), room)


def _lessons_of(language: str) -> list[Path]:
    return [path for path in lessons() if path.parent.name == language]


def _title(notebook: nbformat.NotebookNode) -> str:
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def _joined(text: str) -> str:
    return " ".join(text.split())


def pages() -> dict[Path, str]:
    """Return every page that this writes, with its text."""
    kinds = {"questions": question_bank, "marking": marking_guide}
    return {
        HERE / f"{kind}_{language}.md": make(language)
        for kind, make in kinds.items()
        for language in WORDS
    }


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8", newline="\n")
        print(page.relative_to(ROOT))
