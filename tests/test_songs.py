import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from official import SEGMENT_FRAMES, SONG_FRAMES, STEMS, Server, make_sounds

from hdsep_tutorial import songs
from hdsep_tutorial.assets import shipped
from hdsep_tutorial.songs import Song, load_song

RATE = 44_100


@pytest.fixture(scope="module")
def demo():
    return load_song("demo")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    make_sounds(folder / "tutorial-assets")
    return folder


@pytest.fixture
def official(served, tmp_path, monkeypatch):
    """Serve the made-up official sounds to an empty cache."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HDSEP_ASSETS", str(tmp_path / "cache"))
    with Server(served) as server:
        monkeypatch.setenv("HDSEP_MIRROR", server.url)
        yield server


def test_the_demo_song_is_the_exact_sum_of_its_stems(demo):
    stems = [soundfile.read(shipped(f"demo_song/{name}.flac"), dtype="int16")[0] for name in STEMS]
    total = sum(stem.astype("int64") for stem in stems)
    assert np.array_equal(demo.mixture.numpy().T * 32768, total)
    assert list(demo.references) == list(STEMS)
    for name, stem in zip(STEMS, stems, strict=True):
        assert np.array_equal(demo.references[name].numpy().T * 32768, stem)
    assert demo.mixture.dtype == torch.float32 and demo.mixture.shape[0] == 2
    assert demo.sample_rate == RATE and demo.references_start_s == 0
    assert demo.duration_s == len(total) / RATE > 155


def test_the_demo_song_takes_its_facts_from_its_card(demo, monkeypatch, tmp_path):
    card = json.loads(shipped("demo_song/song.json").read_text("utf-8"))
    assert demo.title == f"{card['artist']} - {card['title']}" and demo.licence == card["licence"]
    other = tmp_path / "song.json"
    other.write_text(json.dumps({"title": "T", "artist": "A", "licence": "L"}))
    for name in STEMS:
        soundfile.write(tmp_path / f"{name}.flac", np.full((10, 2), 0.125), RATE)
    monkeypatch.setattr(songs, "shipped", lambda name: tmp_path / name.split("/")[-1])
    song = load_song()
    assert (song.title, song.licence, song.duration_s) == ("A - T", "L", 10 / RATE)
    assert torch.equal(song.mixture, torch.full((2, 10), 0.5))


def test_the_references_are_clipped_in_seconds_of_the_song(demo):
    clip = demo.reference_clip(150, 155)
    for name, stem in clip.items():
        assert torch.equal(stem, demo.references[name][:, 150 * RATE : 155 * RATE])
        cut, _ = soundfile.read(shipped(f"demo_song/segment/{name}.flac"), dtype="float32")
        assert np.array_equal(stem.numpy().T, cut)


def test_the_official_song_has_references_of_150_to_155_s(official, served):
    song = load_song("nightowl")
    assert song.mixture.shape == (2, SONG_FRAMES) and song.sample_rate == RATE
    assert song.references_start_s == 150 and list(song.references) == list(STEMS)
    assert "A Classic Education" in song.title and "NightOwl" in song.title
    assert "BY-NC-SA" in song.licence and song.name == "nightowl"
    for name, stem in song.reference_clip(150, 155).items():
        path = served / "tutorial-assets" / f"hdemucs_{name}_segment.wav"
        assert np.array_equal(stem.numpy().T, soundfile.read(path, dtype="float32")[0])
    last = song.reference_clip(154, 155)["bass"]
    assert torch.equal(last, song.references["bass"][:, -RATE:])
    # The stand-in was mixed from its stems: half a 16-bit step, and float32 rounding, between them
    residual = song.mixture[:, 150 * RATE : 155 * RATE] - sum(song.references.values())
    assert residual.abs().max() < 0.5 / 32768 + 1e-6
    load_song("nightowl")
    assert len(official.log) == 5


@pytest.mark.parametrize("frames", [SEGMENT_FRAMES - 1, SEGMENT_FRAMES + 1])
def test_an_official_sound_of_another_length_is_named(official, served, tmp_path, frames):
    cache = tmp_path / "cache"
    cache.mkdir()
    path = cache / "hdemucs_bass_segment.wav"
    soundfile.write(path, np.zeros((frames, 2)), RATE, "FLOAT")
    with pytest.raises(ValueError) as error:
        load_song("nightowl")
    for word in (str(path), f"{frames:,}", "220,500", "delete it", "fetch hdemucs_bass_segment"):
        assert word in str(error.value)


@pytest.mark.parametrize("seconds", [(149.9, 155), (150, 155.1), (0, 5), (155, 150), (151, 151)])
def test_a_range_outside_the_references_says_which_exists(seconds):
    mixture = torch.zeros(2, 160 * 10)
    song = Song("x", "Title", "-", 10, mixture, {"bass": torch.zeros(2, 50)}, 150.0)
    assert song.reference_clip(150, 155)["bass"].shape == (2, 50)
    with pytest.raises(ValueError, match=r"Title are 150 to 155 s"):
        song.reference_clip(*seconds)
    with pytest.raises(ValueError, match="Title has no references"):
        replace(song, references={}).reference_clip(150, 155)


def test_your_own_file_has_no_references(tmp_path):
    path = tmp_path / "Mein Lied ű.wav"
    sound = np.random.default_rng(0).uniform(-1, 1, (1000, 2)).astype("float32")
    soundfile.write(path, sound, RATE, "FLOAT")
    for place in (path, str(path)):
        song = load_song(place)
        assert np.array_equal(song.mixture.numpy().T, sound)
        assert (song.name, song.title, song.references) == ("Mein Lied ű", "Mein Lied ű", {})
        assert song.licence == "yours to know" and song.duration_s == 1000 / RATE


def test_a_name_that_is_no_song_and_no_file_gets_the_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nightowll is neither .* demo, nightowl"):
        load_song("nightowll")
