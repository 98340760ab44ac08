"""The player in JupyterLab: run, play, listen to Python, reload, save, reopen."""

import json

import nbformat
import pytest
from laboratory import run_lesson, wait_for_kernel
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = pytest.mark.slow

SETUP = """import math, json, torch
from hdsep_tutorial.player import StemPlayer
time = torch.arange(20 * 22_050) / 22_050
stems = {name: 0.2 * torch.sin(2 * math.pi * hertz * time).repeat(2, 1)
         for name, hertz in {"drums": 200, "bass": 400, "vocals": 600}.items()}
truth = {name: 0.5 * sound for name, sound in stems.items()}"""
FIRST = """player = StemPlayer(stems, 22_050, references=truth, start_s=150, title="First")
player"""
SECOND = 'StemPlayer(stems, 22_050, title="Second")'
ASK = """print(json.dumps([player.gains_db, player.muted, player.on_reference, player.loop_s,
                  player.position_s]))"""
TELL = """player.gains_db = {"vocals": -20}
player.soloed, player.loop_s, player.position_s = ["bass"], [151, 152], 151.5
print("told")"""
STATE = """(which) => {
  const desk = document.querySelectorAll(".jp-NotebookPanel .stem-player")[which];
  const { mixer, state } = desk.player;
  return {
    clock: mixer.context.currentTime, context: mixer.context.state, position: mixer.position,
    shared: state, gains: mixer.faders.map((sides) => sides.map((fader) => fader.gain.value)),
  };
}"""
LIGHTNESS = """() => {
  const style = getComputedStyle(document.querySelector(".stem-player"));
  return [style.color, style.backgroundColor].map((colour) =>
    colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0) / 765);
}"""
READY = ".jp-NotebookPanel .stem-player[data-ready=yes]"


@pytest.fixture
def notebook(lab, request):
    """Write a notebook for one test, which so has a kernel of its own; return its name."""
    cells = [new_markdown_cell("# Player"), *map(new_code_cell, (SETUP, FIRST, SECOND, ASK, TELL))]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    name = f"{request.function.__name__}.ipynb"
    nbformat.write(book, lab.folder / name)
    return name


@pytest.fixture
def opened(lab, lab_page, notebook):
    """Return a page with the notebook open, all cells run and both players ready."""
    lab.open(lab_page, notebook)
    run_lesson(lab_page, timeout_s=120)
    lab_page.locator(READY).nth(1).wait_for(timeout=60_000)
    return lab_page


def settled(page, which=0):
    page.wait_for_timeout(200)
    return page.evaluate(STATE, which)


def heard(page, which=0):
    return [[round(gain, 2) for gain in sides] for sides in settled(page, which)["gains"]]


def run_cell(page, number):
    """Run one code cell again and return what it printed."""
    cell = page.locator(".jp-NotebookPanel .jp-CodeCell").nth(number)
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.text_content()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    for _ in range(300):
        page.wait_for_timeout(100)
        now = prompt.text_content()
        if now != before and "*" not in now:
            return cell.locator(".jp-OutputArea-output").first.text_content()
    raise AssertionError("the cell did not run")


def test_a_learner_uses_the_players(opened):
    page = opened
    first = page.locator(READY).nth(0)
    # Python's settings of the last cell have arrived.
    assert first.locator("[data-stem=bass] .solo").get_attribute("aria-pressed") == "true"
    assert first.locator(".clock").text_content() == "151.50 s"
    assert first.locator("[data-stem=vocals] .decibel").text_content() == "−20.0 dB"
    first.locator("[data-stem=bass] .solo").click()
    first.locator(".play").click()
    before = settled(page)
    page.wait_for_timeout(600)
    after = settled(page)
    assert after["context"] == "running"
    assert after["clock"] > before["clock"] + 0.4
    assert 1 <= after["position"] < 2, "it loops where Python said"
    # Seek on the picture, outside the loop, which ends it; then the rest of the desk.
    box = first.locator(".lane.picture").bounding_box()
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 50)
    assert 12 <= settled(page)["position"] < 18
    first.locator("[data-stem=drums] .mute").click()
    assert heard(page) == [[0, 0], [1, 0], [0.1, 0]]
    page.keyboard.press("x")  # the keys reach the player, not the notebook's cut command
    assert heard(page) == [[0, 0], [0, 1], [0, 0.1]]
    page.keyboard.press("l")
    page.keyboard.press("Shift+Digit2")
    assert heard(page) == [[0, 0], [0, 1], [0, 0]]
    # The second player pauses the first.
    page.locator(READY).nth(1).locator(".play").click()
    assert settled(page, 1)["shared"]["playing"]
    assert not settled(page)["shared"]["playing"]
    page.keyboard.press(" ")
    assert not settled(page, 1)["shared"]["playing"]
    # Python knows what was done.
    gains, muted, on_reference, loop, position = json.loads(run_cell(page, 3))
    assert gains == {"drums": 0, "bass": 0, "vocals": -20}
    assert (muted, on_reference) == (["drums"], ["drums", "bass", "vocals"])
    assert loop[1] - loop[0] == pytest.approx(2, abs=0.5)
    assert position == pytest.approx(150 + settled(page)["position"], abs=0.01)
    assert page.locator(".jp-NotebookPanel .jp-Cell").count() == 6, "no key reached the notebook"


def test_saved_reloaded_and_reopened_it_still_plays(opened, lab, notebook, browser):
    page = opened
    page.locator(".jp-NotebookPanel .jp-MarkdownCell").click()
    page.keyboard.press("Control+s")
    path = lab.folder / notebook
    for _ in range(100):
        page.wait_for_timeout(100)
        text = path.read_text(encoding="utf-8")
        if text.count("stem-player-page") >= 2:
            break
    assert "widget-view" not in text
    assert "widget-state" not in text
    page.reload()
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=90_000)
    wait_for_kernel(page)
    page.locator(READY).nth(1).wait_for(timeout=60_000)
    assert "run the cell to connect it" in page.locator(READY).nth(0).text_content()
    page.locator(READY).nth(0).locator(".play").click()
    before = settled(page)["clock"]
    assert settled(page)["clock"] > before
    # Somebody else's notebook is not trusted: no script runs, the rows play.
    (lab.folder / "foreign.ipynb").write_text(text.replace("Second", "Zweiter"), encoding="utf-8")
    lab.open(page, "foreign.ipynb")
    rows = page.locator(".jp-NotebookPanel:visible audio[controls]")
    rows.nth(8).wait_for()
    assert rows.count() == 9
    assert not page.locator(".jp-NotebookPanel:visible .stem-player").count()
    assert page.locator(".jp-NotebookPanel:visible .jp-OutputArea img").first.is_visible()
    page.evaluate("""async () => {
      const [audio] = document.querySelectorAll(".jp-NotebookPanel audio");
      audio.muted = true;
      await audio.play();
    }""")


def test_it_follows_the_theme(opened, tmp_path):
    page = opened
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.get_by_role("menuitem", name="Settings", exact=True).click()
        page.locator(".lm-Menu-item", has_text="Theme").first.hover()
        page.locator(".lm-Menu-item", has_text=theme).first.click()
        name = json.dumps(theme)
        page.wait_for_function(f"() => document.body.dataset.jpThemeName === {name}")
        page.wait_for_timeout(500)
        page.screenshot(path=tmp_path / f"{theme}.png")
        ink, paper = page.evaluate(LIGHTNESS)
        assert (ink < paper) == (theme == "JupyterLab Light")
        assert abs(ink - paper) > 0.6
