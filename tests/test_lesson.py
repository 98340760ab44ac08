"""The first cell of every lesson: a profile is chosen in words, a source shown as written."""

import inspect

import pytest

from hdsep_tutorial.chunks import crossfade
from hdsep_tutorial.lesson import PROFILES, load_profile, show_source


def test_the_demo_profile_is_the_default_and_loads_what_belongs_together(monkeypatch):
    monkeypatch.delenv("HDSEP_PROFILE", raising=False)
    profile = load_profile()
    assert profile.name == "demo"
    assert profile.bundle.name == profile.bundle_name
    assert profile.song.name == profile.song_name
    assert profile.song is profile.song  # loaded once
    assert profile.bundle.sample_rate == profile.song.sample_rate


def test_the_environment_overrides_the_default_and_an_argument_the_environment(monkeypatch):
    monkeypatch.setenv("HDSEP_PROFILE", "official")
    assert load_profile().bundle_name == "HDEMUCS_HIGH_MUSDB_PLUS"
    assert load_profile("demo").name == "demo"


def test_an_unknown_profile_is_refused_in_words(monkeypatch):
    monkeypatch.setenv("HDSEP_PROFILE", "studio")
    with pytest.raises(ValueError, match="profile is 'studio', expected one of demo, official"):
        load_profile()


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_says_its_model_song_and_versions_without_loading_them(name):
    assert f"profile {name}: model " in str(load_profile(name))
    assert "torchaudio 2." in str(load_profile(name))


def test_a_source_is_shown_as_it_is_written():
    source = show_source(crossfade)
    assert repr(source) == inspect.getsource(crossfade)
    assert source._repr_markdown_().startswith("```python\ndef crossfade(")
    with pytest.raises(ValueError, match="no Python source"):
        show_source(len)
