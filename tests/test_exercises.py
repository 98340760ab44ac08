"""Every solution passes, every typical wrong answer is told what is wrong, in both languages."""

import ast
import importlib
import inspect
import json
import re
import string
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from copies import copy_of, exercises
from execute import lessons

import hdsep_tutorial as hd
from hdsep_tutorial.exercises import checking, wording

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "teaching"))

import make_pages  # noqa: E402
from make_pages import verdict_on as answer  # noqa: E402


def _all():
    for path in lessons():
        notebook = nbformat.read(path, as_version=4)
        for task in exercises(notebook):
            todo, check = (notebook.cells[number].source for number in (task.todo, task.check))
            yield path, task.name, todo, check, task.solution


ALL = list(_all())
each_exercise = pytest.mark.parametrize(
    ("path", "name", "todo", "check", "solution"),
    ALL,
    ids=[f"{path.parent.name}-{path.stem[:2]}-{name}" for path, name, *_ in ALL],
)


@each_exercise
def test_the_solution_passes_and_the_empty_cell_does_not(path, name, todo, check, solution):
    verdict = answer(solution, check)
    assert verdict.passed, verdict
    assert _is_chinese(wording.in_language(verdict.sentence, "zh")), verdict
    assert "..." in todo, f"{name}: the cell to fill has no ..."
    assert not answer(todo, check).passed


@each_exercise
def test_wrong_answers_are_rejected_each_with_its_own_sentence(path, name, todo, check, solution):
    table = importlib.import_module(f"wrong_answers.lesson_{path.stem[:2]}").WRONG[name]
    assert len(table) >= 3
    said = {}
    for source, fragment in table:
        verdict = answer(source, check)
        assert not verdict.passed, source
        assert fragment in verdict.message, verdict.message
        assert verdict.message not in said, f"the same sentence for\n{source}"
        assert "\n" not in verdict.message
        assert _is_chinese(wording.in_language(verdict.sentence, "zh")), verdict
        said[verdict.message] = source


SENTENCES = json.loads((Path(wording.__file__).parent / "chinese.json").read_text(encoding="utf-8"))
SMALL_WORDS = "and|are|by|expected|for|from|in|is|it|of|that|the|to|with"
PROSE = re.compile(rf"[A-Za-z]{{2,}} [a-z]{{2,}}|\d (samples|channels)\b|\b({SMALL_WORDS})\b")
NO_PROSE = re.compile(" 中断：.*|page faults|too late|if yes else")  # Python's, code, a learner's


def _is_chinese(said: str) -> bool:
    """Say whether it has Chinese characters, and no two English words side by side."""
    said = NO_PROSE.sub("", said)
    return not PROSE.search(said) and bool(re.search("[一-鿿]", said))


def _literals(path):
    """Yield each text in a file that is no docstring and no TypeError; holes are filled with 7."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(part)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Raise) and "TypeError" in ast.unparse(node))
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or isinstance(node, ast.FormattedValue | ast.Compare)
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield "".join(getattr(part, "value", "") if isinstance(part, ast.Constant) else "7"
                          for part in node.values)  # fmt: skip
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


CHECKS = sorted(Path(checking.__file__).parent.glob("lesson_*.py"))


@pytest.mark.parametrize("path", [Path(checking.__file__), *CHECKS], ids=lambda path: path.stem)
def test_every_sentence_of_a_check_has_a_chinese_one(path):
    found = [text for text in _literals(path) if PROSE.search(NO_PROSE.sub("", text))]
    assert found or path.stem == "checking"
    for text in found:
        assert _is_chinese(wording.in_language(text, "zh")), text


@pytest.mark.parametrize(("english", "chinese"), SENTENCES.items())
def test_a_translation_keeps_what_stands_in_the_holes(english, chinese):
    holes = [sorted(hole for _, hole, _, _ in string.Formatter().parse(text) if hole)
             for text in (english, chinese)]  # fmt: skip
    assert set(holes[0]) == set(holes[1])
    assert re.search("[一-鿿]", chinese) or english == "{said}: {why}"


def test_the_language_is_that_of_the_lessons_folder(tmp_path, monkeypatch):
    wrong = checking.Verdict(False, "f is 3, expected a function")
    monkeypatch.delenv("HDSEP_LANGUAGE", raising=False)
    for folder, said in (
        ("en", f"Not yet: {wrong.message}"),
        ("zh", "还不对：f 是 3，应当是一个函数"),
    ):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        assert repr(wrong) == said
    monkeypatch.setenv("HDSEP_LANGUAGE", "en")
    assert repr(wrong).startswith("Not yet")
    monkeypatch.setenv("HDSEP_LANGUAGE", "fr")
    with pytest.raises(ValueError, match="HDSEP_LANGUAGE is 'fr', expected one of en, zh"):
        repr(wrong)


@each_exercise
def test_a_hint_comes_before_the_solution(path, name, todo, check, solution):
    text = "".join(c.source for c in nbformat.read(path, as_version=4).cells)
    before = text.split(solution)[0]
    assert before.count("<details>") >= 2, "no folded hint before the folded solution"


def test_every_check_is_called_by_a_lesson():
    called = {re.search(r"check_\d\d", check).group() for _, _, _, check, _ in ALL}
    assert called == {name for name in hd.exercises.__all__ if name.startswith("check_")}


def test_a_check_says_how_it_is_called():
    with pytest.raises(TypeError, match=r"check_01 got nothing: call check_01\(residual=...\) or"):
        hd.exercises.check_01()
    with pytest.raises(TypeError, match="check_01 got residue"):
        hd.exercises.check_01(residue=len)


EVERY = [
    (getattr(hd.exercises, check), name)
    for check in hd.exercises.__all__
    if check.startswith("check_")
    for name in inspect.signature(getattr(hd.exercises, check)).parameters
]
NONSENSE = [None, 3, -0.5, "x" * 99, torch.zeros(3), torch.full((2, 9), torch.nan), {1: 1}, len]


@pytest.mark.parametrize(("check", "name"), EVERY, ids=[name for _, name in EVERY])
def test_nonsense_is_answered_in_a_sentence(check, name):
    for nonsense in NONSENSE:
        for given in (nonsense, lambda *_, value=nonsense: value):
            verdict = check(**{name: given})
            assert not verdict.passed
            assert len(str(verdict).splitlines()) == 1


def test_what_a_learner_wrote_is_run_on_copies():
    sound = torch.ones(3)
    with pytest.raises(checking.NotYet, match="changed its input in place"):
        checking.ask(lambda x: x.mul_(2), sound, name="double")
    assert sound.tolist() == [1, 1, 1]
    with pytest.raises(checking.NotYet, match="stopped with ZeroDivisionError for 0: division"):
        checking.ask(lambda n: 1 / n, 0, name="inverse")


@pytest.mark.parametrize("path", sorted({path for path, *_ in ALL}), ids=lambda p: p.stem)
def test_the_copies_hide_or_fill_in_the_solutions(path):
    solutions = [solution for p, _, _, _, solution in ALL if p == path]
    for kind in ("blank", "solutions"):
        copy = copy_of(nbformat.read(path, as_version=4), kind)
        assert not any(cell.get("outputs") for cell in copy.cells)
        code = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "code")
        text = "\n".join(cell.source for cell in copy.cells)
        for solution in solutions:
            assert (solution.rstrip() in code) == (kind == "solutions")
            assert (solution in text) == (kind == "solutions")
        nbformat.validate(copy)


@pytest.mark.slow
def test_the_teachers_pages_are_those_that_the_lessons_make():
    for page, text in make_pages.pages().items():
        assert page.read_text(encoding="utf-8") == text, "run python teaching/make_pages.py"
