"""The benchmarks write what they measure, once, and the ways they compare do the same work."""

import sys
from pathlib import Path

import pytest
import torch
from conftest import IdentityModel

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import record
import separation


def test_a_section_takes_the_place_of_the_old_one(tmp_path, capsys):
    path = tmp_path / "RESULTS.md"
    path.write_text("# Measured\n\n## one\n\nold\n\n## two\n\nkept\n", encoding="utf-8")
    record.record("one", record.table(["way", "s"], [["slow", 2]]), path)
    text = path.read_text(encoding="utf-8")
    assert "old" not in text and "kept" in text and text.count("## one") == 1
    assert "| slow | 2 |" in text and text.startswith("# Measured\n")
    record.record("one", "again", path)
    assert path.read_text(encoding="utf-8").count("## ") == 2


@pytest.mark.parametrize("seconds", [1, 11.05, 25])
def test_the_source_loop_joins_its_chunks(seconds):
    mixture = separation.make_signal(seconds)
    for stem in separation.source_loop(IdentityModel(), mixture):
        assert (stem - mixture).abs().max() < 1e-6


def test_the_table_of_the_gpu_is_made_on_a_cpu(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(separation, "make_model", IdentityModel)
    path = tmp_path / "RESULTS.md"
    monkeypatch.setattr(separation, "record", lambda *words: record.record(*words, path))
    tf32 = torch.backends.cuda.matmul.allow_tf32
    separation.report_gpu(2, 1, "cpu")
    assert torch.backends.cuda.matmul.allow_tf32 == tf32
    text = path.read_text(encoding="utf-8")
    for words in ("float32", "tf32", "bfloat16", "channels_last", "batch 8, compiled"):
        assert f"{words}" in text


def test_the_peak_of_memory_can_be_forgotten():
    if sys.platform == "linux":
        torch.ones(60_000_000)
        high = record.peak_mb()
        record.forget_peak()
        assert record.peak_mb() < high - 100
