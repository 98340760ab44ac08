"""The stored lessons are clean, executed, equal in both languages, and a wrong number fails."""

import ast
import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from execute import lessons

ROOT = Path(__file__).parents[1]

LESSONS = lessons()
NAMES = sorted({path.name for path in LESSONS})
IGNORED = "# NBVAL_IGNORE_OUTPUT"
MAX_PNG_BYTES, MAX_NOTEBOOK_BYTES, MAX_WORDS, MAX_CODE_LINES = 120_000, 1_000_000, 120, 10
ASIDE = r"\$\$.*?\$\$|<details>.*?</details>|```.*?```|^\|[^\n]*"  # formulas, answers, tables
NBVAL = [
    *[sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
    *["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "60"],
    *["--nbval-sanitize-with", str(ROOT / "tests" / "sanitize.cfg"), "--rootdir"],
]


def _read(path):
    return nbformat.read(path, as_version=4)


def _code_cells(path):
    return [cell for cell in _read(path).cells if cell.cell_type == "code"]


def _label(path):
    return f"{path.parent.name}/{path.stem}"


each_lesson = pytest.mark.parametrize("path", LESSONS, ids=_label)


def test_there_are_lessons_in_both_languages():
    assert len(NAMES) == 14
    for language in ("en", "zh"):
        assert [path.name for path in LESSONS if path.parent.name == language] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_run_the_same_code(name):
    english, chinese = (_code_cells(ROOT / "notebooks" / lang / name) for lang in ("en", "zh"))
    for number, (one, other) in enumerate(zip(english, chinese, strict=True)):
        trees = [ast.dump(ast.parse(cell.source)) for cell in (one, other)]  # without comments
        assert trees[0] == trees[1], f"{name}: code cell {number} differs"
        assert (IGNORED in one.source) == (IGNORED in other.source), f"{name}: code cell {number}"


SYNONYMS = {
    "掩码": ("掩膜", "掩模"),
    "语谱图": ("频谱图", "声谱图"),
    "抵消测试": ("归零测试", "零点测试"),
    "采样点": ("取样点", "样点"),
    "盲测": ("盲听",),
    "支路": ("分支",),
    "音轨": ("声轨", "轨道"),
}


@pytest.mark.parametrize("term", SYNONYMS)
def test_chinese_has_one_word_for_a_thing(term):
    checks = ROOT / "hdsep_tutorial" / "exercises" / "chinese.json"
    texts = [checks.read_text(encoding="utf-8")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "teaching").glob("*_zh.md")]
    for path in (ROOT / "notebooks" / "zh").glob("*.ipynb"):
        texts += [c.source for c in _read(path).cells if c.cell_type == "markdown"]
    whole = "\n".join(texts)
    assert term in whole
    for synonym in SYNONYMS[term]:
        found = re.search(f".{{0,20}}{synonym}.{{0,20}}", whole.replace("采样点", ""))
        assert not found, f"{found.group()}: say {term}"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_teachers_plan_names_every_lesson(language):
    plan = (ROOT / "teaching" / f"guide_{language}.md").read_text(encoding="utf-8")
    named = re.findall(r"\| \d\d \| ((?:0|1)\d [^|]*) \|", plan)
    titles = [_read(path).cells[0].source.splitlines()[0] for path in LESSONS
              if path.parent.name == language]  # fmt: skip
    assert len(named) == len(titles)
    for name, title in zip(named, titles, strict=True):
        assert title.removeprefix("# ").startswith(name), f"the plan says {name}, not {title}"


@pytest.mark.parametrize("name", NAMES)
def test_the_prose_is_written_for_each_language(name):
    texts = {
        lang: "".join(
            cell.source
            for cell in _read(ROOT / "notebooks" / lang / name).cells
            if cell.cell_type == "markdown"
        )
        for lang in ("en", "zh")
    }
    share = {lang: len(re.findall("[一-鿿]", text)) / len(text) for lang, text in texts.items()}
    assert share["en"] < 0.01
    assert share["zh"] > 0.3


@each_lesson
def test_a_stored_lesson_is_executed_and_clean(path):
    notebook = _read(path)
    assert path.stat().st_size <= MAX_NOTEBOOK_BYTES
    assert "widgets" not in notebook.metadata
    text = path.read_text(encoding="utf-8")
    assert "data:audio" not in text
    assert "<audio" not in json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    for number, cell in enumerate(_code_cells(path)):
        assert cell.execution_count is not None, f"code cell {number} was never run"
        for output in cell.outputs:
            assert output.output_type != "error", f"code cell {number} failed"
            assert output.get("name") != "stderr", f"code cell {number} wrote to stderr"
            picture = output.get("data", {}).get("image/png")
            if picture:
                assert len(base64.b64decode(picture)) <= MAX_PNG_BYTES, f"code cell {number}"


@each_lesson
def test_every_picture_has_a_printed_number_beside_it(path):
    for number, cell in enumerate(_code_cells(path)):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            widget = "hd.explorer." in cell.source or "hd.StemPlayer(" in cell.source
            printed = "".join(
                o.text if o.output_type == "stream" else o.get("data", {}).get("text/plain", "")
                for o in cell.outputs
            )
            assert re.search(r"\d", printed), f"code cell {number}: a picture, but no number"
            compared = IGNORED not in cell.source
            assert compared != widget, f"code cell {number}: its number is not compared"


@each_lesson
def test_lessons_keep_to_the_rhythm(path):
    notebook = _read(path)
    first = notebook.cells[0].source
    assert first.startswith("# ")
    assert 20 <= len(notebook.cells) <= 60
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert 1 <= len(lines) <= MAX_CODE_LINES, f"cell {number} has {len(lines)} lines"
            assert not re.search(r"^\s*[!%]", cell.source, re.M), f"cell {number} uses a magic"
        elif path.parent.name == "en" and not cell.source.startswith("## References"):
            words = len(re.sub(ASIDE, " ", cell.source, flags=re.S | re.M).split())
            assert words <= MAX_WORDS, f"cell {number} has {words} words"


def test_the_first_code_cell_is_the_same_everywhere():
    assert len({_code_cells(path)[0].source for path in LESSONS}) == 1


@each_lesson
def test_results_that_are_compared_hold_no_path_time_or_address(path):
    for cell in _code_cells(path):
        printed = "".join(
            output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            for output in cell.outputs
        )
        if IGNORED not in cell.source:
            assert not re.search(r"0x[0-9a-f]{6,}|(?<!\w)/(home|tmp|usr|root)/", printed), printed


def _bibliography():
    text = (ROOT / "notebooks" / "references.bib").read_text(encoding="utf-8")
    return dict(re.findall(r"@\w+\{(\w+),(.*?)\n\}", text, re.S))


def test_every_reference_can_be_followed():
    entries = _bibliography()
    assert len(entries) >= 14
    for key, entry in entries.items():
        assert re.search(r"^\s*(doi|eprint|url)\s*=\s*\{\S+\}", entry, re.M), key


@each_lesson
def test_every_citation_is_in_the_bibliography(path):
    text = "".join(cell.source for cell in _read(path).cells)
    cited = set(re.findall(r"\[@(\w+)", text))
    assert cited, "a lesson cites nothing"
    assert cited <= set(_bibliography())


def _nbval(folder):
    return subprocess.run([*NBVAL, str(folder), str(folder)], capture_output=True, text=True)


@pytest.mark.slow
def test_one_changed_number_in_a_stored_lesson_fails(tmp_path):
    """A test of the test: nbval must see a digit that is not what the cell prints."""
    notebook = _read(ROOT / "notebooks" / "en" / NAMES[0])
    numbered = next(
        i
        for i, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
        and IGNORED not in cell.source
        and any(o.output_type == "stream" and re.search(r"\d", o.text) for o in cell.outputs)
        and i > 3
    )
    notebook.cells = notebook.cells[: numbered + 1]
    path = tmp_path / "lesson.ipynb"
    nbformat.write(notebook, path)
    assert _nbval(tmp_path).returncode == 0
    output = next(o for o in notebook.cells[numbered].outputs if o.output_type == "stream")
    output.text = re.sub(
        r"\d", lambda digit: str((int(digit.group()) + 1) % 10), output.text, count=1
    )
    nbformat.write(notebook, path)
    broken = _nbval(tmp_path)
    assert broken.returncode == 1, broken.stdout
    assert "1 failed" in broken.stdout
