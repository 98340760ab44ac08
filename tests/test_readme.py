"""Every command of the README is run, here or by the whole check; every link leads somewhere."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import torch
from official import Server, official_folder, pin

from hdsep_tutorial.__main__ import main
from hdsep_tutorial.saving import save_audio

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.strip()
]
OURS = ".venv/bin/python -m hdsep_tutorial "
# Run elsewhere: `.ci/run` makes the demo, and the Makefile's set-up runs the same pip lines.
BY_THE_WHOLE_CHECK = {"make demo"}
BY_MAKE_DEMO = {OURS + "demo"}
BY_THE_MAKEFILE = {
    "python3 -m venv .venv",
    ".venv/bin/pip install -r requirements.txt",
    ".venv/bin/pip install --no-deps -e .",
}
NEEDS_A_SERVER_THAT_IS_NOT_OURS = {
    ".venv/bin/pip install torch==2.11.0 torchaudio==2.11.0 "
    "--index-url https://download.pytorch.org/whl/cpu"
}
LAB = {"make lab", ".venv/bin/jupyter lab notebooks/en/00_start_here.ipynb"}


def test_every_command_of_the_readme_is_run_somewhere():
    known = BY_THE_WHOLE_CHECK | BY_THE_MAKEFILE | NEEDS_A_SERVER_THAT_IS_NOT_OURS | LAB
    for command in COMMANDS:
        assert command in known or command.startswith(OURS), command
    whole_check = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert all(command in whole_check for command in BY_THE_WHOLE_CHECK)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(BIN)/python -m hdsep_tutorial demo" in makefile
    for words in ("-m venv $(VENV)", "-r requirements.txt", "--no-deps --editable ."):
        assert words in makefile


@pytest.mark.parametrize(
    "command", [c[len(OURS) :] for c in COMMANDS if c.startswith(OURS) and c not in BY_MAKE_DEMO]
)
def test_a_command_of_the_readme_works(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    noise = 0.1 * torch.randn(2, 22_050, generator=torch.Generator().manual_seed(0))
    for name in ("song.mp3", "a.flac", "b.flac"):
        save_audio(tmp_path / name, noise, 44_100)
    pin(monkeypatch, official_folder())
    monkeypatch.setenv("HDSEP_ASSETS", str(tmp_path / "cache"))
    monkeypatch.setenv("HDSEP_CACHE", str(tmp_path / "kept"))
    words = [
        name
        for word in shlex.split(command)
        for name in (sorted(p.name for p in tmp_path.glob(word)) if "*" in word else [word])
    ]
    with Server(official_folder()) as server:
        monkeypatch.setenv("HDSEP_MIRROR", server.url)
        assert main(words) == 0, capsys.readouterr().err
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


@pytest.mark.slow
def test_the_first_cell_for_a_hosted_notebook_brings_package_and_assets(tmp_path):
    """Run it in an environment that has the other packages, as Colab's has, but not ours."""
    (cell,) = re.findall(r"```python\n(COURSE.*?)```", README, re.S)
    address = re.search(r'COURSE = "(.*)"', cell)[1]
    assert address.startswith("git+https://")
    venv.create(tmp_path / "hosted", with_pip=True)
    python = next((tmp_path / "hosted").glob("[bS]*/python*"))
    theirs = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    others = sysconfig.get_path("purelib")  # our own package is not in it, only a pointer to it
    Path(theirs, "others.pth").write_text(others + "\n", encoding="utf-8")
    lesson = json.loads((ROOT / "notebooks/en/00_start_here.ipynb").read_text(encoding="utf-8"))
    first = next(cell for cell in lesson["cells"] if cell["cell_type"] == "code")
    check = "import json; print(json.dumps([hd.__file__, str(hd.load_song('demo').mixture.shape)]))"
    lines = [cell.replace(address, str(ROOT)), "".join(first["source"]), check]
    (tmp_path / "lesson.ipy").write_text("\n".join(lines), encoding="utf-8")
    command = [python, "-m", "IPython", "lesson.ipy"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stderr
    where, shape = json.loads(run.stdout.splitlines()[-1])
    assert Path(where).is_relative_to(theirs), "it must not need the repository"
    assert shape.startswith("torch.Size([2, ")


@pytest.mark.slow
def test_the_pip_lines_of_the_conda_environment_fit_together(tmp_path):
    """Ask pip as conda does: the lines in a file beside environment.yml, all at once."""
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    lines = re.findall(r"^      - (.*)$", text, re.M)
    assert lines == ["-r requirements.txt", "-e ."]
    for name in ("requirements.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("hdsep_tutorial", "assets"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "-r", "lines.txt"]
    run = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert "Would install hdsep_tutorial" in run.stdout.replace("hdsep-tutorial", "hdsep_tutorial")


def test_every_link_and_file_that_the_readme_names_exists():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.slow
def test_lab_opens_the_first_lesson_without_news_updates_or_extension_manager(tmp_path):
    """Start what `make lab` starts, without a browser, and ask the server for its settings."""
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", "lab"], cwd=ROOT, capture_output=True, text=True
    )
    line = next(line for line in shown.stdout.replace("\\\n", " ").splitlines() if " lab " in line)
    words = shlex.split(line)[1:]
    assert words[1] == "notebooks/en/00_start_here.ipynb"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    extra = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=t"]
    with (tmp_path / "log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", *words, *extra],
            cwd=ROOT,
            stderr=log,
            stdout=log,
            env={**os.environ, **own},
        )
        try:
            plugin = "@jupyterlab/apputils-extension:notification"
            settings = _when_up(f"http://127.0.0.1:{port}/lab/api/settings/{plugin}?token=t")
        finally:
            process.terminate()
            process.wait(20)
        log.seek(0)
        text = log.read()
    composed = settings["schema"]["properties"]
    assert composed["fetchNews"]["default"] == "false"
    assert composed["checkForUpdates"]["default"] is False
    assert "Extension Manager is 'readonly'" in text
    assert "Traceback" not in text


def _when_up(url):
    for _ in range(240):
        try:
            with urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except (URLError, ConnectionError):
            time.sleep(0.25)
    raise AssertionError("JupyterLab did not start within a minute")
