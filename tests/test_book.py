"""The book's parts: outputs are run once, pages say what they show, faults are found, the stick."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book"))

import bind  # noqa: E402
import checking  # noqa: E402
import outputs  # noqa: E402
import staging  # noqa: E402
import stick  # noqa: E402

WIDGET = "application/vnd.jupyter.widget-view+json"
SOUND = b"fLaC of the test"
ROW = f'<audio controls src="data:audio/flac;base64,{base64.b64encode(SOUND).decode()}"></audio>'


def result(**data):
    kinds = {"html": "text/html", "png": "image/png", "text": "text/plain", "widget": WIDGET}
    return new_output("display_data", {kinds[name]: value for name, value in data.items()})


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def lesson(*cells):
    return new_notebook(cells=[new_markdown_cell("# 77 Title\n\n**Why?**"), *cells])


# outputs: run once


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "77_test.ipynb"
    nbformat.write(lesson(new_code_cell("print(6 * 7)")), path)
    return path


@pytest.fixture
def runs(monkeypatch):
    """Count how often a lesson runs, and let it print 42."""
    folders = []

    def run(notebook, folder):
        folders.append(folder)
        for cell in outputs.code_cells(notebook):
            cell.outputs = [printed("42\n")]
        return notebook

    monkeypatch.setattr(outputs, "execute", run)
    return folders


def test_a_lesson_runs_once_outside_the_repository_and_again_when_its_code_changes(
    stored, runs, tmp_path
):
    cache = tmp_path / "executed"
    for _ in range(2):
        assert outputs.executed(stored, cache).cells[1].outputs[0].text == "42\n"
    assert len(runs) == 1
    assert ROOT not in runs[0].parents
    assert not runs[0].exists()
    notebook = nbformat.read(stored, as_version=4)
    notebook.cells[0].source += " More prose."
    nbformat.write(notebook, stored)
    outputs.executed(stored, cache)
    assert len(runs) == 1, "prose is no reason to run"
    notebook.cells[1].source = "print(6 * 7.0)"
    nbformat.write(notebook, stored)
    outputs.executed(stored, cache)
    assert len(runs) == 2
    assert len(list(cache.iterdir())) == 1, "only the newest is kept"


def test_a_lesson_runs_again_for_another_profile_or_package(stored, monkeypatch, tmp_path):
    notebook = nbformat.read(stored, as_version=4)
    prints = {outputs.fingerprint(notebook)}
    monkeypatch.setenv("HDSEP_PROFILE", "official")
    prints.add(outputs.fingerprint(notebook))
    root = tmp_path / "root"
    for name in ("assets/SHA256SUMS", "requirements.txt", "hdsep_tutorial/room.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1")
    monkeypatch.setattr(outputs, "ROOT", root)
    prints.add(outputs.fingerprint(notebook))
    (root / "hdsep_tutorial/room.py").write_text("2")
    prints.add(outputs.fingerprint(notebook))
    assert len(prints) == 4


def test_a_page_shows_pictures_and_players_but_no_progress_bar():
    bar, player = result(widget={}, text="100%"), result(widget={}, html=ROW, text="a player")
    picture = result(png="", text="<Figure>")
    kept = outputs.shown([bar, printed("torch warns", "stderr"), player, picture, printed("3")])
    assert [output.get("data", {}).keys() for output in kept] == [
        {"text/html", "text/plain"},
        {"image/png", "text/plain"},
        {}.keys(),
    ]


# staging: pages


def test_both_languages_get_what_the_code_showed(tmp_path):
    ran = lesson(new_code_cell("f()", outputs=[printed("1 dB\n")], execution_count=3))
    chinese = lesson(new_code_cell("f()  # 注释"))
    page = staging.lesson_page(chinese, ran, tmp_path)
    assert page.cells[1].outputs[0].text == "1 dB\n"
    assert page.cells[1].execution_count == 3
    assert page.cells[1].source == "f()  # 注释"
    with pytest.raises(ValueError, match="77 Title has 0 code cells, expected 1"):
        staging.lesson_page(lesson(), ran, tmp_path)


def test_sounds_of_rows_become_files_and_those_of_a_player_stay(tmp_path):
    desk = f'<div class="stem-player-page">{ROW}</div>'
    ran = lesson(new_code_cell("f()", outputs=[result(html=ROW), result(html=desk)]))
    page = staging.lesson_page(lesson(new_code_cell("f()")), ran, tmp_path / "sounds")
    rows, player = (output.data["text/html"] for output in page.cells[1].outputs)
    (file,) = (tmp_path / "sounds").iterdir()
    assert file.read_bytes() == SOUND
    assert rows == f'<audio controls src="../sounds/{file.name}"></audio>'
    assert player == desk


@pytest.mark.parametrize(
    ("source", "shown", "text"),
    [
        ('ax.set(title="A seam")', [printed("seam at\n142.5 s\n")], "A seam seam at 142.5 s"),
        ('f(subtitle="no", title=f"{x}")', [printed("3 dB")], "3 dB"),
        ("desk", [result(png="", text="bass: −3 dB")], "bass: −3 dB"),
        ("plot()", [result(png="", text="<Figure size 9x9>"), printed("1 Hz")], "1 Hz"),
    ],
)
def test_a_picture_is_described_by_its_title_and_what_is_printed(source, shown, text):
    assert staging.description(new_code_cell(source, outputs=shown)) == text


def test_a_long_description_ends_between_two_words():
    text = staging.description(new_code_cell("f()", outputs=[printed("decibel " * 200)]))
    assert len(text) <= staging.LONGEST_ALT + 2
    assert text.endswith("decibel …")


def test_citations_lead_to_the_references():
    text = staging.cited("see [@Kim; no] and [@Kim].\n\n- [@Kim] Kim, S.\n- [@Le_Roux] Le")
    assert text.count('href="#ref-Kim"') == 1
    assert '- <span class="citation" id="ref-Kim">[Kim]</span> Kim, S.' in text
    assert 'id="ref-Le_Roux"' in text
    assert "[@Kim; no]" in text, "what is no citation of one key stays, and checking.py finds it"


def test_links_of_teaching_pages_lead_to_pages_of_the_book_or_become_text():
    path = ROOT / "teaching" / "guide_en.md"
    assert path.is_file()
    text = "[05](../notebooks/en/05_chunks.ipynb) [me](guide_en.md#a) [R](../README.md) [w](https://x.org)"
    assert staging.linked(text, path, "en") == (
        "[05](/05_chunks.ipynb) [me](/teaching/guide.md#a) R [w](https://x.org)"
    )


def test_a_lesson_begins_with_its_title_and_question():
    assert staging.question(lesson()) == ("77 Title", "Why?")


def test_the_first_page_lists_all_lessons_with_their_questions(tmp_path):
    nbformat.write(lesson(), tmp_path / "77_test.ipynb")
    bind._stage_pages(tmp_path, "zh")
    index = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert "| 77 | [Title](77_test.ipynb) | Why? |" in index
    assert "\n77_test\n" in index
    assert "{" not in index.replace("{toctree}", "")
    assert "teaching/guide" in index


def test_a_lesson_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="there is no lesson 99_x, expected some of"):
        bind.build(tmp_path, ["99_x"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_warning_of_sphinx_is_an_error(tmp_path):
    source = tmp_path / "source" / "en"
    source.mkdir(parents=True)
    (source / "index.md").write_text("# Title\n\nA [link](gone.md) to nowhere.\n")
    with pytest.raises(ValueError, match="Sphinx warned about en: mend what it says above"):
        bind._sphinx(tmp_path, "en")


# the words


def _glossary(language):
    text = (ROOT / "book" / language / "glossary.md").read_text(encoding="utf-8")
    return re.findall(r"^(\S.*?)(?: · (.+))?\n  (.+)$", text, re.M)


def test_the_glossary_has_the_words_of_the_contributors_and_the_same_in_both_languages():
    english = {one: other for one, other, _ in _glossary("en")}
    chinese = {other or one: one for one, other, _ in _glossary("zh")}
    assert len(english) >= 25
    assert list(english) == list(chinese)
    assert {k: v or k for k, v in english.items()} == chinese
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = re.search(r"glossary for Chinese: (.*?)\.\n", contributing, re.S).group(1)
    pairs = [pair.split() for pair in listed.split(",")]
    assert len(pairs) >= 10
    assert {one: english.get(one) for one, _ in pairs} == dict(pairs)


def test_every_word_names_a_lesson():
    numbers = {name[:2] for name in bind.lesson_names()}
    for language, pattern in (("en", r"Lesson (\d\d)\.$"), ("zh", r"（第 (\d\d) 课）$")):
        for word, _, text in _glossary(language):
            found = re.search(pattern, text)
            assert found, f"{word}: no lesson"
            assert found.group(1) in numbers, word


def test_chinese_is_searched_by_pairs_of_characters():
    from conf import Pairs

    assert Pairs({}).split("the STFT 的音轨。n_fft") == [
        *("the", "STFT", "的", "音", "轨", "的音", "音轨", "n_fft"),
    ]


def test_formulas_bring_their_program_and_its_licence():
    folder = ROOT / "book" / "_static" / "mathjax"
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert (folder / "tex-svg.js").stat().st_size > 1_000_000
    assert list(folder.glob("fonts/mathjax-newcm-font/svg/dynamic/script.js")), "the letter ℓ"


# checking

PAGE = '<html><body><article><h1 id="a">T</h1>{}</article></body></html>'
FAULTS = {
    '<a href="gone.html">x</a>': "leads nowhere: gone.html",
    '<a href="other.html#b">x</a>': "leads nowhere: other.html#b",
    '<a href="#b">x</a>': "leads nowhere: #b",
    '<audio src="../sounds/1.flac"></audio>': "leads nowhere: ../sounds/1.flac",
    '<img src="a.png">': "a picture has no description",
    '<img alt=" " src="data:x">': "a picture has no description",
    '<script src="https://cdn.org/m.js"></script>': "asks the network for https://cdn.org/m.js",
    '<link rel="stylesheet" href="//cdn.org/m.css">': "asks the network",
    "<h3>skipped</h3>": "headings [1, 3] skip a level",
    "<h1>second</h1>": "expected one of level 1",
    "<p>as said [@Kim]</p>": "the citation [@Kim] is no link",
}


@pytest.fixture
def faults(tmp_path):
    """Return a function: what is in a page → the faults of a book with it."""

    def find(body):
        (tmp_path / "en").mkdir(exist_ok=True)
        (tmp_path / "en" / "page.html").write_text(PAGE.format(body), encoding="utf-8")
        (tmp_path / "en" / "other.html").write_text(PAGE.format(""), encoding="utf-8")
        return checking.faults_of(tmp_path)

    return find


def test_a_good_page_has_no_faults(faults):
    body = (
        '<h2>S</h2><h3>s</h3><a href="other.html#a">x</a> <a href="https://x.org">y</a><h2>R</h2>'
    )
    assert faults(body + '<a href="#a">z</a><img alt="a seam" src="data:image/png;base64,">') == []


@pytest.mark.parametrize("body", FAULTS)
def test_a_fault_is_found(faults, body):
    found = faults(body)
    assert any(line.startswith("en/page.html: ") and FAULTS[body] in line for line in found), found


def test_a_page_that_is_too_large_is_found(faults, monkeypatch):
    monkeypatch.setattr(checking, "MOST_BYTES", 1000)
    assert faults("x" * 2000) == ["en/page.html: 0.0 MB, expected at most 0"]


def test_an_empty_book_is_no_book(tmp_path):
    with pytest.raises(ValueError, match="there are no pages"):
        checking.check_book(tmp_path)


# the stick


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return a small repository with a built book; no official file was fetched."""
    root = tmp_path / "repository"
    for name in ("README.md", "notebooks/zh/音.ipynb", "secret.txt", "out/book/index.html"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    git = ["git", "-c", "core.excludesFile=", "-C", str(root)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "README.md", "notebooks"], check=True)
    (root / "out/book/executed").mkdir()
    (root / "out/book/en").mkdir()
    (root / "out/book/en/index.html").write_text("page")
    monkeypatch.setenv("HDSEP_ASSETS", str(tmp_path / "fetched"))
    return root


def _contents(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def test_a_stick_holds_repository_book_and_what_to_do(repository, tmp_path):
    out = stick.gather(tmp_path / "stick", root=repository)
    assert _contents(out) == [
        *("READ-ME-FIRST.txt", "book/en/index.html", "book/index.html"),
        *("course/README.md", "course/notebooks/zh/音.ipynb"),
    ]
    first = (out / "READ-ME-FIRST.txt").read_bytes()
    assert first.startswith(b"\xef\xbb\xbf"), "old Windows editors need the mark"
    text = first.decode("utf-8-sig")
    assert "without a network" in text
    assert "没有网络" in text
    assert not list(tmp_path.glob("stick.*"))


def test_a_book_that_is_older_than_a_lesson_is_noticed(repository):
    book, lesson = repository / "out/book/index.html", repository / "notebooks/zh/音.ipynb"
    os.utime(lesson, (1000, 1000))
    os.utime(book, (2000, 2000))
    assert not stick.book_is_old(repository)
    os.utime(lesson, (3000, 3000))
    assert stick.book_is_old(repository)
    book.unlink()
    assert not stick.book_is_old(repository)


def test_a_stick_is_made_anew_and_keeps_its_wheels(repository, tmp_path):
    out = stick.gather(tmp_path / "stick", root=repository)
    (out / "wheels").mkdir()
    (out / "wheels" / "torch.whl").write_text("wheel")
    (out / "course" / "old.txt").write_text("old")
    (repository / "README.md").write_text("new")
    stick.gather(out, root=repository)
    assert (out / "wheels" / "torch.whl").read_text() == "wheel"
    assert (out / "course" / "README.md").read_text() == "new"
    assert not (out / "course" / "old.txt").exists()
    assert not list(tmp_path.glob("stick.*"))


def test_a_stick_that_fails_leaves_the_one_before(repository, tmp_path, monkeypatch):
    out = stick.gather(tmp_path / "stick", root=repository)
    before = _contents(out)
    copy = stick._copy

    def full(source, target):
        if target.name == "index.html":
            raise OSError(28, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(stick, "_copy", full)
    with pytest.raises(OSError, match="No space"):
        stick.gather(out, root=repository)
    assert _contents(out) == before
    assert not list(tmp_path.glob("stick.*"))


def test_official_files_come_along_with_their_records(repository, tmp_path, monkeypatch):
    weights = tmp_path / "hdemucs_mix.wav"
    weights.write_text("sound")
    monkeypatch.setattr(stick, "official_files", lambda: [weights])
    out = stick.gather(tmp_path / "stick", root=repository)
    assert (out / "official" / "hdemucs_mix.wav").read_text() == "sound"


def test_a_damaged_official_file_is_refused(repository, tmp_path):
    weights = tmp_path / "fetched" / "hdemucs_high_trained.pt"
    weights.parent.mkdir()
    weights.write_text("cut off")
    with pytest.raises((OSError, ValueError), match=r"hdemucs_high_trained\.pt"):
        stick.gather(tmp_path / "stick", root=repository)
    assert not (tmp_path / "stick").exists()
    assert not list(tmp_path.glob("stick.*"))


def test_a_folder_of_another_kind_is_left_alone(repository, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is no stick of this course: name another folder"):
        stick.gather(precious, root=repository)
    assert _contents(precious) == ["thesis.txt"]


def test_a_folder_without_git_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="run this in a clone of the repository"):
        stick.gather(tmp_path / "stick", root=tmp_path / "empty")
