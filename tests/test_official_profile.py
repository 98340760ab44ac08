"""The lessons and the command line run unchanged on a full-size model and a song of 171 s.

The weights are random and the song is noise, so that no score means anything here; what is
tested is that the way from the server to the last cell holds.
"""

import shutil
from pathlib import Path

import nbformat
import pytest
from execute import execute
from official import Server, official_folder, pin
from test_notebooks import NAMES, ROOT

from hdsep_tutorial.__main__ import PUBLISHED_DB, main

PIN_IN_THE_KERNEL = """
import operator, sys, types
sys.path.insert(0, {tests!r})
from pathlib import Path
from official import pin
pin(types.SimpleNamespace(setitem=operator.setitem), Path({folder!r}))
"""


@pytest.fixture(scope="module")
def server():
    with Server(official_folder()) as server:
        yield server


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Keep what was fetched for the other tests of this file, as a class would."""
    folder = tmp_path_factory.mktemp("cache")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _official(server, cache, tmp_path, monkeypatch):
    pin(monkeypatch, official_folder())
    for name, value in {
        "NO_PROXY": "127.0.0.1",
        "HDSEP_ASSETS": str(cache),
        "HDSEP_CACHE": str(tmp_path / "kept"),
        "HDSEP_MIRROR": server.url,
        "HDSEP_PROFILE": "official",
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    code = PIN_IN_THE_KERNEL.format(tests=str(Path(__file__).parent), folder=str(official_folder()))
    (startup / "00-pin.py").write_text(code, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_runs_unchanged_on_the_official_profile(name, tmp_path):
    notebook = nbformat.read(ROOT / "notebooks" / "en" / name, as_version=4)
    done = execute(notebook, tmp_path)  # a cell that fails raises
    first = next(cell for cell in done.cells if cell.cell_type == "code")
    assert "profile official: model HDEMUCS_HIGH_MUSDB_PLUS" in first.outputs[0].text


@pytest.mark.slow
def test_verify_prints_our_scores_beside_the_published_ones(capsys):
    assert main(["verify"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[2:]}
    assert {stem: float(published) for stem, (_, published) in rows.items()} == PUBLISHED_DB
    for measured, _ in rows.values():
        assert -60 < float(measured) < 20
