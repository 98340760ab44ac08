"""Lessons as a learner runs them: in JupyterLab, from top to bottom, in both languages."""

import importlib
import os
from pathlib import Path

import nbformat
import pytest
from copies import exercises
from laboratory import run_lesson

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
# HDSEP_LESSONS=all runs every lesson, which takes a quarter of an hour.
CHOSEN = ["en/04_first_separation", "zh/07_against_the_truth"]
if os.environ.get("HDSEP_LESSONS") == "all":
    CHOSEN = sorted(
        f"{path.parent.name}/{path.stem}" for path in ROOT.glob("notebooks/[a-z][a-z]/*.ipynb")
    )
PLAYING = """() => {
  const { mixer } = document.querySelector(".jp-NotebookPanel .stem-player").player;
  return { clock: mixer.context.currentTime, position: mixer.position };
}"""


# Write into one cell, run it and another one, and return what the other one says.
ANSWER = """async ([todo, check, source]) => {
  const { commands, shell } = window.jupyterapp, { content } = shell.currentWidget;
  content.widgets[todo].model.sharedModel.setSource(source);
  for (const number of [todo, check]) {
    content.deselectAll();
    content.activeCellIndex = number;
    await commands.execute("notebook:run-cell");
  }
  return content.widgets[check].node.querySelector(".jp-OutputArea-output").innerText;
}"""
SAYS = {"en": ("Not yet: ", "Right: "), "zh": ("还不对：", "对了：")}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_lesson_runs_and_can_be_solved_and_played(lab, lab_page, name):
    source = ROOT / "notebooks" / f"{name}.ipynb"
    notebook = f"{name}.ipynb"
    copy = nbformat.read(source, as_version=4)
    for cell in copy.cells:
        if cell.cell_type == "code":  # so that a cell with a number is one that was run here
            cell.outputs, cell.execution_count = [], None
    (lab.folder / notebook).parent.mkdir(exist_ok=True)
    nbformat.write(copy, lab.folder / notebook)
    lab.open(lab_page, notebook)
    run_lesson(lab_page, timeout_s=280)
    _solve(lab_page, exercises(copy), name)
    sounds = lab_page.locator(".jp-NotebookPanel audio, .jp-NotebookPanel .stem-player")
    sounds.first.wait_for(state="attached", timeout=30_000)
    players = lab_page.locator(".jp-NotebookPanel .stem-player")
    if "hd.StemPlayer(" not in source.read_text(encoding="utf-8"):
        return
    players.first.scroll_into_view_if_needed()
    lab_page.locator(".stem-player[data-ready=yes]").first.wait_for(timeout=60_000)
    players.first.locator("button").first.click()
    before = lab_page.evaluate(PLAYING)
    lab_page.wait_for_timeout(700)
    after = lab_page.evaluate(PLAYING)
    assert after["clock"] > before["clock"] + 0.3
    assert after["position"] > before["position"]


def _solve(page, tasks, name):
    """Leave each exercise as it is, answer it wrongly, and then rightly."""
    wrong = importlib.import_module(f"wrong_answers.lesson_{name[3:5]}").WRONG
    not_yet, right = SAYS[name[:2]]
    answers = page.locator(".jp-NotebookPanel .jp-OutputArea-output")
    assert answers.filter(has_text=not_yet).count() == len(tasks)
    for task in tasks:
        source, fragment = wrong[task.name][0]
        said = page.evaluate(ANSWER, [task.todo, task.check, source])
        assert said.startswith(not_yet)
        assert fragment in said or name[:2] != "en"
        said = page.evaluate(ANSWER, [task.todo, task.check, task.solution])
        assert said.startswith(right), said
