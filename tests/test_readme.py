"""Every command of the README is run, here or by the whole check; every link leads somewhere."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
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
