"""What was separated once comes back bit by bit, and only if nothing that decides it changed."""

import copy
import os

import pytest
import torch

from hdsep_tutorial import cache
from hdsep_tutorial.__main__ import main
from hdsep_tutorial.separation import separate_sources


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HDSEP_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def stems():
    return {name: torch.randn(2, 300) for name in ("vocals", "drums", "bass")}


def never():
    raise AssertionError("it was made again")


def test_what_was_made_once_comes_back_bit_by_bit_in_its_order(stems):
    cache.recall("a" * 40, lambda: stems)
    again = cache.recall("a" * 40, never)
    assert list(again) == list(stems)
    assert all(again[name].equal(stem) for name, stem in stems.items())


@pytest.mark.parametrize("harm", ["flip a bit", "cut", "empty", "no container"])
def test_a_damaged_file_is_made_anew(folder, stems, harm):
    cache.recall("a" * 40, lambda: stems)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    flipped = content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]
    harmed = {"flip a bit": flipped, "cut": content[:-40], "empty": b""}
    path.write_bytes(harmed.get(harm, b"\xff" * len(content)))
    again = cache.recall("a" * 40, lambda: {"made": torch.ones(2, 2)})
    assert list(again) == ["made"]
    assert list(cache.recall("a" * 40, never)) == ["made"]


def test_everything_that_decides_the_result_is_in_the_key(tiny_hdemucs):
    model, mixture = copy.deepcopy(tiny_hdemucs), torch.randn(2, 100)
    settings = {"segment_s": 10.0, "precision": "float32"}
    key = cache.key_of(model, mixture, **settings)
    assert key == cache.key_of(model, mixture.clone(), **settings)
    others = {
        cache.key_of(model, mixture * 1.0001, **settings),
        cache.key_of(model, mixture.flip(0), **settings),
        cache.key_of(model, mixture, **{**settings, "segment_s": 9.0}),
        cache.key_of(model, mixture, **{**settings, "precision": "bfloat16"}),
        cache.key_of(model, mixture, **{**settings, "shifts": 2}),
    }
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-3
    others.add(cache.key_of(model, mixture, **settings))
    assert len(others | {key}) == 7


def test_a_network_that_is_tampered_with_is_never_cached(tiny_hdemucs):
    model, mixture = copy.deepcopy(tiny_hdemucs), torch.randn(2, 100)
    hook = model.freq_decoder[0].register_forward_hook(lambda *_: None)
    assert cache.key_of(model, mixture) is None
    hook.remove()
    assert cache.key_of(model, mixture) is not None
    assert cache.key_of(torch.nn.Identity(), mixture) is None
    made = [cache.recall(None, lambda: {"x": torch.ones(1)}) for _ in range(2)]
    assert made[0] is not made[1]


def test_the_oldest_go_when_there_are_too_many(folder, stems, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 18_000)  # two results of 7.2 kB
    for age_s, key in enumerate("ab"):
        cache.recall(key * 40, lambda: stems)
        os.utime(folder / f"{key * 40}.safetensors", (age_s, age_s))
    cache.recall("a" * 40, never)  # used again, so it is younger than b
    cache.recall("c" * 40, lambda: stems)
    assert {path.name[0] for path in folder.iterdir()} == {"a", "c"}


def test_a_result_above_the_limit_is_not_kept(folder, stems, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 7_000)
    assert cache.recall("a" * 40, lambda: stems) is stems
    assert not folder.exists()


def test_where_nothing_can_be_written_the_result_comes_all_the_same(tmp_path, monkeypatch, stems):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("HDSEP_CACHE", str(tmp_path / "file"))
    assert cache.recall("a" * 40, lambda: stems) is stems


def test_nothing_half_written_stays(folder, stems, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    cache.recall("a" * 40, lambda: stems)
    monkeypatch.setattr(cache.Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.recall("b" * 40, lambda: stems)
    assert [path.name[0] for path in folder.iterdir()] == ["a"]


def test_clear_says_what_it_freed(folder, stems):
    assert cache.clear() == 0
    cache.recall("a" * 40, lambda: stems)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert cache.clear() == size > 7_200
    assert not list(folder.iterdir())


def test_a_song_is_separated_once(tiny_hdemucs, folder):
    calls, mixture = [], torch.randn(2, 30_000)

    class Counting(torch.nn.Module):
        sources = ("all",)

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, chunks):
            calls.append(chunks.shape)
            return self.weight * chunks[:, None]

    model, options = Counting(), {"segment_s": 0.3, "overlap_s": 0.1, "progress": False}
    first = separate_sources(model, mixture, **options, cache=True)
    ran = len(calls)
    again = separate_sources(model, mixture, **options, cache=True)
    assert ran > 0
    assert len(calls) == ran
    assert again["all"].equal(first["all"])
    separate_sources(model, mixture, **{**options, "overlap_s": 0.2}, cache=True)
    separate_sources(model, mixture, **options, shifts=2, cache=True)
    separate_sources(model, mixture, **options)
    assert len(calls) > 4 * ran
    assert len(list(folder.iterdir())) == 3


def test_the_command_line_shows_and_clears(stems, capsys):
    cache.recall("a" * 40, lambda: stems)
    assert main(["cache"]) == 0
    assert "1 results, 0 MB" in capsys.readouterr().out
    assert main(["cache", "--clear"]) == 0
    assert "deleted" in capsys.readouterr().out
    assert cache.recall("a" * 40, lambda: {"new": torch.ones(1)}).keys() == {"new"}
