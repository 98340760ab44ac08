"""The command line: right exit status, one line for bad input, nothing half-written."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
import torch

from hdsep_tutorial.__main__ import main
from hdsep_tutorial.audio import load_audio
from hdsep_tutorial.saving import save_audio

RATE = 44_100


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HDSEP_PROFILE", raising=False)


def _song(path, seconds=1.0):
    noise = torch.randn(2, int(seconds * RATE), generator=torch.Generator().manual_seed(0))
    return save_audio(path, 0.1 * noise, RATE)


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _one_error_line(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_separate_writes_four_stems_and_prints_their_paths(tmp_path, capsys):
    assert main(["separate", str(_song(tmp_path / "歌曲 'Ø'.wav")), "--out", "stems"]) == 0
    folder = tmp_path / "stems" / "歌曲 'Ø'"
    assert _files(folder) == ["bass.wav", "drums.wav", "other.wav", "vocals.wav"]
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 4
    assert "synthetic songs only" in printed.err
    for path in folder.iterdir():
        assert soundfile.info(path).subtype == "FLOAT"
        assert load_audio(path)[0].shape == (2, RATE)


def test_one_stem_comes_with_its_complement_in_the_format_asked_for(tmp_path):
    song = _song(tmp_path / "song.flac")
    assert main(["separate", str(song), "--stem", "bass", "--format", "flac", "--out", "o"]) == 0
    assert _files(tmp_path / "o") == ["song/bass.flac", "song/no_bass.flac"]


def test_a_bad_file_is_one_line_and_the_others_are_separated(tmp_path, capsys):
    good = _song(tmp_path / "good.wav")
    (tmp_path / "bad.mp3").write_text("<html>please log in</html>")
    assert main(["separate", str(tmp_path / "bad.mp3"), str(good), "--out", "o"]) == 2
    assert "bad.mp3" in _one_error_line(capsys)
    assert _files(tmp_path / "o") == [f"good/{s}.wav" for s in ("bass", "drums", "other", "vocals")]


def test_other_files_in_the_folder_stay(tmp_path):
    (tmp_path / "o" / "song").mkdir(parents=True)
    (tmp_path / "o" / "song" / "notes.txt").write_text("mine")
    assert main(["separate", str(_song(tmp_path / "song.wav")), "--out", "o"]) == 0
    assert (tmp_path / "o" / "song" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.wav"], "missing.wav"),
        (["."], "is a folder"),
        (["song.wav", "--stem", "guitar"], "stem is 'guitar', expected one of drums, bass"),
        (["song.wav", "--profile", "studio"], "profile is 'studio', expected one of demo"),
        (["song.wav", "--device", "abacus"], "device is 'abacus'"),
        (["song.wav", "--format", "aac"], "aac"),
        (["song.wav", "--precision", "int8"], "precision is 'int8'"),
        (["song.wav", "--segment-s", "0"], "segment_s is 0.0, expected more than 0"),
        (["song.wav", "--segment-s", "-5"], "segment_s is -5.0, expected more than 0"),
        (["song.wav", "--overlap-s", "10"], "overlap_s is 10.0"),
        (["song.wav", "--shifts", "0"], "shifts is 0, expected an integer from 1 to 1024"),
        (["song.wav", "sub/song.wav"], "two files are named 'song'"),
    ],
)
def test_bad_arguments_are_one_line_and_write_nothing(tmp_path, capsys, arguments, words):
    _song(tmp_path / "song.wav", seconds=0.1)
    before = _files(tmp_path)
    assert main(["separate", *arguments, "--out", "o"]) == 2
    assert words in _one_error_line(capsys)
    assert _files(tmp_path) == before


@pytest.mark.parametrize("segment_s", ["0.01", "1000"])
def test_a_segment_may_be_tiny_or_larger_than_the_song(tmp_path, segment_s):
    song = _song(tmp_path / "song.wav", seconds=0.05)
    assert main(["separate", str(song), "--segment-s", segment_s, "--out", "o"]) == 0
    assert load_audio(tmp_path / "o" / "song" / "drums.wav")[0].shape == (2, round(0.05 * RATE))


def test_a_truncated_file_is_separated_with_one_warning_line(tmp_path, capsys):
    song = _song(tmp_path / "song.wav", seconds=4)
    song.write_bytes(song.read_bytes()[: song.stat().st_size // 2])
    assert main(["separate", str(song), "--out", "o"]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warned) == 1
    assert "2.0" in warned[0]
    assert "4.0" in warned[0]


def test_doctor_tests_itself_and_says_what_is_there(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "torch 2." in printed
    assert "self-test passed" in printed
    assert "hdemucs_high_trained.pt" in printed


def test_an_installation_that_does_not_fit_is_one_line(monkeypatch, capsys):
    def misfit():
        raise ImportError("torchaudio does not fit torch 2.15.0: run `pip install ...`")

    monkeypatch.setattr("hdsep_tutorial.__main__.check_installation", misfit)
    assert main(["doctor"]) == 2
    assert "torchaudio does not fit" in _one_error_line(capsys)


@pytest.mark.slow
def test_demo_writes_stems_pictures_and_both_score_tables(tmp_path, capsys):
    assert main(["demo"]) == 0
    stems = ("bass", "drums", "other", "vocals")
    expected = ["mixture.wav", *(f"{stem}.{kind}" for stem in stems for kind in ("wav", "png"))]
    assert _files(tmp_path / "out" / "demo") == sorted([*expected, "report.html"])
    page = tmp_path / "out" / "demo" / "report.html"
    assert 1e6 < page.stat().st_size < 12e6
    assert "stem-player" in page.read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "150–155 s" in printed
    assert "whole song" in printed
    assert "Listen: " in printed
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    quoted = re.search(r"\| the demo model \|(.*)\|", readme)[1].split("|")
    segment = printed.split("150–155 s")[1].splitlines()[2:6]
    assert [score.strip() for score in quoted] == [row.split()[1] for row in segment]
    mixture = load_audio(tmp_path / "out" / "demo" / "mixture.wav")[0]
    assert mixture.shape[-1] > 155 * RATE


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupt_exits_with_130_and_leaves_nothing(tmp_path):
    song = _song(tmp_path / "song.wav", seconds=120)
    command = [sys.executable, "-m", "hdsep_tutorial", "separate", str(song), "--out", "o"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # a test that runs in the background inherits "ignore", and would never be interrupted
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("o/song/.*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted" in errors
    assert _files(tmp_path / "o") == []
