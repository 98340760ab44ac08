import json
import shutil

import pytest
import soundfile
import torch
import torchaudio.pipelines
from official import STEMS, Server, official_folder, pin
from safetensors.torch import load_file, save_file

from hdsep_tutorial import bundles
from hdsep_tutorial.assets import OFFICIAL, shipped
from hdsep_tutorial.bundles import get_bundle

MODEL = "demo_model/hdemucs_mini16"
PLUS = "models/hdemucs_high_trained.pt"


@pytest.fixture
def official(tmp_path, monkeypatch):
    """Serve the full-size stand-ins to an empty cache, which is cleared afterwards."""
    pin(monkeypatch, official_folder())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HDSEP_ASSETS", str(tmp_path / "cache"))
    with Server(official_folder()) as server:
        monkeypatch.setenv("HDSEP_MIRROR", server.url)
        yield server
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_the_demo_model_is_the_shipped_network_and_its_facts_are_its_cards():
    card = json.loads(shipped(f"{MODEL}.json").read_text("utf-8"))
    demo = get_bundle()
    assert list(demo.sources) == card["hdemucs"]["sources"] == list(STEMS)
    for fact in ("sample_rate", "licence", "trained_on"):
        assert getattr(demo, fact) == card[fact]
    state = torch.random.get_rng_state()
    model = demo.get_model()
    assert torch.equal(state, torch.random.get_rng_state())
    assert model.sources == list(STEMS) and not model.training
    weights = load_file(shipped(f"{MODEL}.safetensors"))
    loaded = model.state_dict()
    assert loaded.keys() == weights.keys()
    for name, weight in weights.items():
        assert loaded[name].dtype == torch.float32 and torch.equal(loaded[name], weight.float())


def test_the_demo_model_is_trained(one_thread):
    stems, frames = {}, 2 * 44_100
    for name in STEMS:
        path = shipped(f"demo_song/segment/{name}.flac")
        stems[name] = torch.from_numpy(soundfile.read(path, frames, dtype="float32")[0].T)
    mixture = sum(stems.values())
    model = get_bundle("demo").get_model()
    with torch.inference_mode():
        estimates = dict(zip(model.sources, model(mixture[None])[0], strict=True))
    for name, reference in stems.items():
        error, before = (reference - sound for sound in (estimates[name], mixture))
        gain_db = 10 * torch.log10(before.square().sum() / error.square().sum())
        assert gain_db > 6  # untrained weights and swapped stems gain nothing


def test_the_official_model_comes_through_the_server(official):
    bundle = get_bundle("HDEMUCS_HIGH_MUSDB_PLUS")
    model = bundle.get_model()
    assert official.log == [(PLUS, 200, 0)]
    assert model.sources == list(bundle.sources) and not model.training
    weights = torch.load(official_folder() / PLUS, weights_only=True, mmap=True)
    loaded = model.state_dict()
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], weight) for name, weight in weights.items())
    assert sum(weight.numel() for weight in model.parameters()) > 83_000_000
    flip_a_byte(OFFICIAL["hdemucs_high_trained.pt"])
    with pytest.raises(ValueError, match=r"hdemucs_high_trained\.pt is damaged .*fetch --renew"):
        bundle.get_model()


def flip_a_byte(asset):
    """Change what torch.load would load without a word."""
    with bundles.fetch(asset).open("r+b") as file:
        file.seek(asset.size // 2)
        byte = file.read(1)[0]
        file.seek(asset.size // 2)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("name", ["HDEMUCS_HIGH_MUSDB_PLUS", "HDEMUCS_HIGH_MUSDB"])
def test_official_bundles_are_those_of_torchaudio(name, monkeypatch):
    def refuse(asset):
        raise OSError(asset.url_path)

    ours, theirs = get_bundle(name), getattr(torchaudio.pipelines, name)
    assert ours.sample_rate == theirs.sample_rate
    assert theirs._model_factory_func.func is torchaudio.models.hdemucs_high
    assert theirs._model_factory_func.keywords == {"sources": list(ours.sources)}
    monkeypatch.setattr(bundles, "fetch", refuse)
    with pytest.raises(OSError, match=theirs._model_path):
        ours.get_model()


def test_the_bundles_tell_what_their_models_heard():
    plus, plain = get_bundle("HDEMUCS_HIGH_MUSDB_PLUS"), get_bundle("HDEMUCS_HIGH_MUSDB")
    assert "train and test" in plus.trained_on and "150" in plus.trained_on
    assert "train only" in plain.trained_on and "150" not in plain.trained_on
    assert "research" in plus.licence and "research" in plain.licence


@pytest.mark.parametrize("content", ["other keys", "no dict", "html", "empty", "half"])
def test_weights_of_another_kind_are_one_sentence(content, tmp_path, monkeypatch):
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(1000)} if content == "other keys" else [1] * 1000, path)
    whole = path.read_bytes()
    broken = {"html": b"<html>log in</html>", "empty": b"", "half": whole[: len(whole) // 2]}
    path.write_bytes(broken.get(content, whole))
    monkeypatch.setattr(bundles, "fetch", lambda _: path)
    small = torch.nn.Linear(1, 1)
    monkeypatch.setattr(torchaudio.models, "hdemucs_high", lambda sources: small)
    with pytest.raises(ValueError) as error:
        get_bundle("HDEMUCS_HIGH_MUSDB").get_model()
    assert str(error.value).startswith(f"{path} does not hold the weights")
    assert "\n" not in str(error.value)


def test_weights_never_run_code(tmp_path, monkeypatch):
    path = tmp_path / "weights.pt"
    torch.save(Trap(tmp_path / "sprung"), path)
    monkeypatch.setattr(bundles, "fetch", lambda _: path)
    with pytest.raises(ValueError, match="does not hold the weights"):
        get_bundle("HDEMUCS_HIGH_MUSDB").get_model()
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Pickled, it makes a file where it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_shipped_weights_of_another_network_are_named(tmp_path, monkeypatch):
    save_file({"a": torch.zeros(1)}, tmp_path / "hdemucs_mini16.safetensors")
    shutil.copy(shipped(f"{MODEL}.json"), tmp_path)
    monkeypatch.setattr(bundles, "shipped", lambda name: tmp_path / name.split("/")[-1])
    with pytest.raises(ValueError, match=r"safetensors does not hold the weights"):
        get_bundle("demo").get_model()


def test_an_unknown_bundle_gets_the_names():
    with pytest.raises(ValueError, match="'htdemucs', expected one of demo, HDEMUCS_HIGH_MUSDB_P"):
        get_bundle("htdemucs")
