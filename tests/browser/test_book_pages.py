"""The book in a real browser, from disk, with the network off: it sounds, finds, turns dark.

A book of two lessons is built for it; HDSEP_BOOK=out/book takes one that is there.
"""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from laboratory import ROOT
from nbformat.v4 import new_output

sys.path.insert(0, str(ROOT / "book"))

import bind

from hdsep_tutorial.listening import listen
from hdsep_tutorial.player import StemPlayer

pytestmark = pytest.mark.slow

AXE = "axe-core@4.14.1"
LESSONS = ["05_chunks", "07_against_the_truth"]
RATE = 8000
PAGES = ["index", *LESSONS]  # for axe; figures, formulas, players
FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\\$\w])\$[^$\n]+\$(?![$\d])", re.S)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.S)
BROKEN = """() => {
  const shown = (element) => getComputedStyle(element).display !== "none";
  const tex = /\\\\\\(|\\\\\\[|\\$\\$/;
  return [...document.querySelectorAll(".math")].filter(shown)
    .filter((math) => !math.querySelector("mjx-container svg") || tex.test(math.innerText))
    .map((math) => math.textContent);
}"""


def with_sound(path, cache):
    """Return a stored lesson with players of tones, as if it had been run."""
    notebook = nbformat.read(path, as_version=4)
    tones = {f"tone {hertz}": _tone(hertz) for hertz in (220, 330)}
    cells = [cell for cell in notebook.cells if "hd.listen(" in cell.source]
    for number, cell in enumerate(cells):
        rows, desk = listen(tones, RATE), StemPlayer(tones, RATE, references=tones, start_s=150)
        html = desk.page_html() if number else rows._repr_html_()
        cell.outputs = [new_output("execute_result", {"text/html": html, "text/plain": repr(rows)})]
    return notebook


def _tone(hertz):
    return 0.1 * torch.sin(2 * torch.pi * hertz * torch.arange(3 * RATE) / RATE).repeat(2, 1)


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    """Return the folder of a book; building it fails where Sphinx warns or a link is broken."""
    if os.environ.get("HDSEP_BOOK"):
        return Path(os.environ["HDSEP_BOOK"]).resolve()
    folder = tmp_path_factory.mktemp("book")
    bind.build(folder, LESSONS, with_sound)
    return folder


def _without_axe(advice):
    """Skip, or fail where a browser is required."""
    give_up = pytest.fail if os.environ.get("HDSEP_BROWSER") == "required" else pytest.skip
    give_up(f"axe-core is not installed: {advice}")


@pytest.fixture(scope="module")
def axe():
    """Return axe-core, which npm installs once under out/."""
    folder = ROOT / "out" / "browser"
    program = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not program.is_file():
        npm = shutil.which("npm")
        command = f"npm install --prefix {folder} {AXE}"
        if npm is None:
            _without_axe(f"install npm and run `{command}`")
        folder.mkdir(parents=True, exist_ok=True)
        ran = subprocess.run([npm, *command.split()[1:]], capture_output=True, text=True)
        if ran.returncode:
            _without_axe(f"run `{command}`")
    return program


def show(page, book, name):
    page.goto((book / f"{name}.html").as_uri())
    page.wait_for_load_state()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_formulas_are_drawn_without_a_network(page, book, language):
    show(page, book, f"{language}/07_against_the_truth")
    page.locator(".math mjx-container svg").first.wait_for(state="attached")
    page.wait_for_timeout(300)
    assert page.evaluate(BROKEN) == []
    assert page.locator(".math mjx-assistive-mml math").count() >= 1, "for screen readers"


def formulas():
    """Return every formula of every lesson, as LaTeX between \\( and \\) or \\[ and \\]."""
    found = set()
    for path in ROOT.glob("notebooks/[a-z][a-z]/*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                found |= set(FORMULA.findall(CODE.sub(" ", cell.source)))
    wide = {f"\\[{text[2:-2]}\\]" for text in found if text.startswith("$$")}
    return sorted(wide | {f"\\({text[1:-1]}\\)" for text in found if not text.startswith("$$")})


def test_every_formula_of_every_lesson_is_drawn_with_what_ships(page, tmp_path):
    from conf import mathjax4_config

    lines = "".join(f'<div class="math">{html.escape(text)}</div>' for text in formulas())
    program = (ROOT / "book" / "_static" / "mathjax" / "tex-svg.js").as_uri()
    scripts = f"<script>window.MathJax = {json.dumps(mathjax4_config)}</script>"
    scripts += f'<script defer src="{program}"></script>'
    sheet = tmp_path / "formulas.html"
    sheet.write_text(f'<!doctype html><meta charset="utf-8">{scripts}{lines}', encoding="utf-8")
    page.goto(sheet.as_uri())
    page.wait_for_function("() => window.MathJax.startup && window.MathJax.startup.promise")
    page.evaluate("() => window.MathJax.startup.promise")
    assert lines.count("<div") > 30
    assert page.evaluate(BROKEN) == []
    assert page.locator("[data-mml-node=merror]").all_text_contents() == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_rows_of_sounds_play(page, book, language):
    show(page, book, f"{language}/07_against_the_truth")
    row = page.locator(".cell_output audio").first
    row.scroll_into_view_if_needed()
    assert row.bounding_box()["width"] >= 200
    row.evaluate("(audio) => audio.play()")
    page.wait_for_function("() => document.querySelector('audio').currentTime > 0.2")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_players_play(page, book, language):
    players = [lesson for lesson in LESSONS if _has_player(book / language / f"{lesson}.html")]
    show(page, book, f"{language}/{players[0]}")
    page.locator(".stem-player[data-ready=yes]").first.wait_for()
    page.locator(".stem-player .play").first.click()
    page.wait_for_function(
        "() => document.querySelector('.stem-player').player.mixer.position > 0.2"
    )


def _has_player(path):
    return "stem-player-page" in path.read_text(encoding="utf-8")


def test_each_page_leads_to_the_same_page_in_the_other_language(page, book):
    page.goto((book / "index.html").as_uri())
    page.get_by_role("link", name="中文").click()
    assert page.url.endswith("zh/index.html")
    assert page.evaluate("document.documentElement.lang").lower() == "zh-cn"
    page.locator(".bd-article a", has_text="分块").first.click()
    for language, other in (("zh", "English"), ("en", "中文")):
        assert page.url.endswith(f"{language}/05_chunks.html")
        page.get_by_role("link", name=other, exact=True).click()
    for name in ("glossary", "teaching/guide", "search"):
        show(page, book, f"en/{name}")
        page.get_by_role("link", name="中文", exact=True).click()
        assert page.url.endswith(f"zh/{name}.html")


@pytest.mark.parametrize(
    ("language", "query"),
    [("en", "crossfade"), ("zh", "分块"), ("zh", "交叉淡化"), ("zh", "分块 overlap")],
)
def test_search_finds_the_lesson(page, book, language, query):
    show(page, book, f"{language}/index")
    page.locator("#pst-primary-sidebar input[type=search]").fill(query)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    found = page.locator("#search-results .search a")
    found.first.wait_for()
    page.wait_for_timeout(300)
    assert any("05_chunks.html" in link.get_attribute("href") for link in found.all())


@pytest.mark.parametrize(
    ("language", "query"), [("en", "xylophone"), ("zh", "椰林"), ("zh", "轨音")]
)
def test_search_does_not_find_what_is_not_there(page, book, language, query):
    show(page, book, f"{language}/search")
    page.locator("#pst-primary-sidebar input[type=search]").fill(query)
    page.keyboard.press("Enter")
    page.locator("#search-results .search-summary").wait_for()
    page.wait_for_timeout(300)
    assert page.locator("#search-results .search a").count() == 0


def test_dark_mode_is_chosen_with_a_button_and_stays(page, book):
    show(page, book, "en/07_against_the_truth")
    theme = "() => document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "light"
    page.locator(".theme-switch-button:visible").click()
    page.locator(".theme-change-button[data-mode=dark]:visible").click()
    assert page.evaluate(theme) == "dark"
    show(page, book, "zh/05_chunks")
    assert page.evaluate(theme) == "dark"
    paper = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(page.evaluate(paper)) < 60


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_phone_shows_the_page_without_scrolling_sideways(page, book, language):
    page.set_viewport_size({"width": 390, "height": 800})
    show(page, book, f"{language}/05_chunks")
    page.wait_for_timeout(500)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    page.locator(".bd-header-article .primary-toggle").click()
    page.locator("#pst-primary-sidebar-modal").get_by_role("link").first.wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_serious_barrier(page, book, axe, name, theme):
    """Without contrast, names and order right, a page is closed to some: axe-core looks for it."""
    page.emulate_media(color_scheme=theme)
    show(page, book, f"{'zh' if name == 'index' else 'en'}/{name}")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.add_script_tag(path=axe)
    violations = page.evaluate("async () => (await axe.run({ preload: false })).violations")
    serious = [
        f"{fault['id']}: {node['html'][:150]} {node['failureSummary'][:200]}"
        for fault in violations
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert not serious, "\n".join(serious)
