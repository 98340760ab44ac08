"""The training room: what a remix keeps, what a step does, and that a pause changes nothing."""

import itertools
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torchaudio.models import HDemucs

from hdsep_tutorial import training
from hdsep_tutorial.synthesis import make_song
from hdsep_tutorial.training import Recipe, Remixes, Run, commands
from hdsep_tutorial.training.steps import Matrices, blocks

TINY = Recipe(channels=4, segment_s=0.5, batch=2, warm_up_steps=1, learning_rate=1e-3)
STEP_HOURS = TINY.batch * TINY.segment_s / 3600
CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two "songs" of 2 s in which every source has a level of its own."""
    folder = tmp_path_factory.mktemp("songs")
    rng = np.random.default_rng(0)
    for number in range(2):
        noise = rng.uniform(-1, 1, (4, 2, 88_200)) * 1000 * 2.0 ** np.arange(4)[:, None, None]
        np.save(folder / f"{number}.npy", noise.astype(np.int16))
    return folder


def a_batch(folder, recipe=TINY):
    album = Remixes(training.open_songs(folder), recipe)
    return torch.stack([album[index] for index in range(recipe.batch)])


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_no_song_is_both_learned_and_asked():
    kept = (training.TRAINING_SEEDS, training.VALIDATION_SEEDS, training.HELD_OUT_SEEDS)
    for one, two in itertools.combinations(kept, 2):
        assert not set(one) & set(two)


@pytest.mark.parametrize("seed", [900_001, 900_020, 800_001, 100_000, 0])
def test_kept_seeds_are_not_rendered_for_training(tmp_path, seed):
    with pytest.raises(ValueError, match="seeds for training"):
        training.render_songs(tmp_path / "songs", range(seed, seed + 1), duration_s=10.0)
    assert not (tmp_path / "songs").exists()


def test_rendered_songs_are_the_bands(tmp_path):
    training.render_songs(tmp_path, range(3, 4), duration_s=10.0)
    (song,) = training.open_songs(tmp_path)
    stems = torch.stack(list(make_song(3, duration_s=10.0).stems.values()))
    assert np.array_equal(song, (stems * 32_768).numpy())
    assert [path.name for path in tmp_path.iterdir()] == ["000003.npy"]


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="command `songs`"):
        training.open_songs(tmp_path)


def test_a_remix_keeps_every_source_in_its_place(folder):
    """The source's level is 1000 · 2^number, so its peak tells which gain was applied."""
    songs = training.open_songs(folder)
    gains = []
    for index in range(60):
        stems = training.remix(songs, np.random.default_rng(index), TINY)
        assert stems.shape == (4, 2, int(TINY.segment_s * 44_100))
        gains.append(np.abs(stems).max(axis=(1, 2)) / (1000 * 2.0 ** np.arange(4) / 32_768))
    gains = np.array(gains)
    most = 1.35 * np.array([1.0, 1.0, 1.15, 1.25])
    assert np.all(gains <= most * 1.001)
    heard = gains[gains > 0]
    assert heard.min() > 0.35 * 0.98  # noise may just miss its peak, slower speeds average it
    assert 0.01 < (gains == 0).mean() < 0.15  # left out in 6 of 100 cases; 240 were drawn
    assert gains.std(axis=1).max() > 0.1  # each stem has its own gain


def test_a_piece_of_one_song_stays_as_the_band_mixed_it():
    ramp = np.arange(4 * 2 * 88_200, dtype=np.float32).reshape(4, 2, 88_200) % 30_000
    song, length = ramp.astype(np.int16), int(TINY.segment_s * 44_100)
    starts = set()
    for index in range(20):
        piece = training.remix([song], np.random.default_rng(index), replace(TINY, together=1.0))
        (start,) = np.flatnonzero(song[0, 0, : 1 - length] == piece[0, 0, 0] * 32_768)[:1]
        starts.add(int(start))
        assert np.array_equal(piece * 32_768, song[..., start : start + length])
    assert len(starts) > 15


def test_the_mixture_is_the_sum_of_the_stems(folder):
    class Listener(nn.Module):
        def forward(self, mixture):
            self.heard = mixture
            return mixture[:, None].expand(-1, 4, -1, -1) / 4

    listener, stems = Listener(), a_batch(folder)
    loss = training.loss_of(listener, stems)
    assert torch.equal(listener.heard, stems.sum(dim=1))
    assert torch.isclose(loss, (stems.sum(dim=1, keepdim=True) / 4 - stems).abs().mean())
    assert training.loss_of(listener, stems, stft_weight=1.0) > loss
    assert training.loss_of(lambda mixture: stems, stems, stft_weight=1.0) == 0


def test_the_emphasis_says_whose_error_counts(folder):
    stems = a_batch(folder)

    def without(source):
        return lambda mixture: stems * (torch.arange(4) != source)[:, None, None]

    even = [training.loss_of(without(source), stems) for source in range(4)]
    weighted = [training.loss_of(without(s), stems, emphasis=(1, 0, 2, 3)) for s in range(4)]
    assert min(even) > 0
    assert torch.allclose(torch.stack(weighted), torch.stack(even) * torch.tensor([1, 0, 2, 3]))


def test_the_steps_take_turns_with_the_spectrograms(folder, monkeypatch):
    seen, loss_of = [], training.loss_of
    monkeypatch.setattr(
        training, "loss_of", lambda *a, **how: seen.append(how["n_fft"]) or loss_of(*a, **how)
    )
    run, stems = Run(TINY, CPU), a_batch(folder)
    losses = [run.train_step(stems) for _ in range(3)]
    assert seen == [512, 2048, 512] and losses[2] < losses[0]


def test_an_example_has_a_number(folder):
    album = Remixes(training.open_songs(folder), TINY)
    assert torch.equal(album[5], album[5])
    assert not torch.equal(album[5], album[6])


def test_a_step_lowers_the_loss(folder):
    run, stems = Run(TINY, CPU), a_batch(folder)
    run.hours = 0.0
    before = run.train_step(stems)
    how = {"stft_weight": TINY.stft_weight, "emphasis": TINY.emphasis, "n_fft": TINY.n_ffts[0]}
    after = training.loss_of(run.model, stems, **how).item()
    assert after < before
    assert run.step == 1 and run.examples == TINY.batch and run.hours == STEP_HOURS


@pytest.mark.parametrize("matrix_rate", [0.0, 1e-3])
def test_a_pause_changes_nothing(folder, tmp_path, matrix_rate):
    recipe = replace(TINY, hours=4 * STEP_HOURS, matrix_rate=matrix_rate)
    whole = Run(recipe, CPU)
    assert len(list(training.train(whole, folder, round_steps=3))) == 2
    first = Run(recipe, CPU)
    next(training.train(first, folder, round_steps=2))
    first.save(tmp_path / "run.pt")
    second = Run(replace(recipe, seed=1), CPU)  # other weights, until it resumes
    second.recipe = recipe
    second.resume(tmp_path / "run.pt")
    list(training.train(second, folder, round_steps=2))
    assert whole.step == second.step == 4
    assert same(whole.model.state_dict(), second.model.state_dict())
    assert same(whole.average, second.average)
    assert not same(first.average, second.average)


def test_two_optimizers_share_the_weights(folder):
    """Each moves its own weights of the model, and none is left out or moved twice."""
    run = Run(replace(TINY, matrix_rate=1e-3), CPU)
    start = {name: weight.clone() for name, weight in run.model.named_parameters()}
    large = run.matrices.weights
    assert 0 < len(large) < len(start) == len(large) + len(run.matrices.others)
    run.train_step(a_batch(folder))
    named = dict(run.model.named_parameters())
    moved = {name for name, weight in named.items() if not torch.equal(weight, start[name])}
    assert moved >= large.keys() and len(moved - large.keys()) > 100
    adam = {id(weight) for weight in run.adam.param_groups[0]["params"]}
    assert adam == {
        id(weight) for name, weight in run.model.named_parameters() if name not in large
    }


def test_a_step_of_muon_is_as_long_in_every_direction():
    layer = nn.Linear(128, 512)
    matrices, start = Matrices(layer), layer.weight.detach().clone()
    scales = torch.logspace(0, -2, 128)  # Adam would hardly move along the last directions
    layer.weight.grad = torch.linalg.qr(torch.randn(512, 512))[0][:, :128] * scales
    matrices.step(1e-2)
    lengths = torch.linalg.svdvals(start - layer.weight) / (1e-2 * 0.2 * 512**0.5)
    assert lengths.min() > 0.5 and lengths.max() < 1.5
    assert ((start - layer.weight) * layer.weight.grad).sum() > 0  # downhill


PARTS = {"lstm.weight_ih_l0": 4, "rewrite.weight": 2, "layers.0.5.weight": 2, "conv.weight": 1}


@pytest.mark.parametrize("name, number", PARTS.items())
def test_a_matrix_for_each_thing_that_a_weight_computes(name, number):
    weight = torch.randn(16, 3, 2)
    parts = blocks(name, weight)
    assert len(parts) == number and all(part.ndim == 2 for part in parts)
    parts[-1].zero_()  # views: what moves them moves the weight
    assert torch.equal(weight.abs().sum((1, 2)) > 0, torch.arange(16) < 16 - 16 // number)


def test_the_step_size_warms_up_and_falls_to_zero():
    recipe = Recipe(hours=10, cool_down=0.2, warm_up_steps=10)
    assert training.pace(recipe, 0, 0) == pytest.approx(0.1)
    assert training.pace(recipe, 10, 0.1) == training.pace(recipe, 10**6, 8) == 1
    assert training.pace(recipe, 10**6, 9) == pytest.approx(0.5)
    assert training.pace(recipe, 10**6, 10) == training.pace(recipe, 1, 11) == 0


def test_the_average_follows_slowly(folder):
    run = Run(replace(TINY, ema=0.5), CPU)
    start = {name: weight.clone() for name, weight in run.average.items()}
    run.train_step(a_batch(folder))
    now = run.model.state_dict()
    follow = 1 - 2 / 11  # the first steps count more than the recipe says
    for name, weight in run.average.items():
        assert torch.allclose(weight, start[name].lerp(now[name], follow), atol=1e-6)


@pytest.mark.slow
def test_two_processes_learn_as_one(folder, tmp_path):
    (tmp_path / "songs").symlink_to(folder)
    (tmp_path / "validation").symlink_to(folder)
    recipe = replace(TINY, hours=STEP_HOURS)
    options = [
        word
        for field, value in asdict(recipe).items()
        for word in ("--" + field.replace("_", "-"), *str(value).strip("()").split(", "))
    ]
    commands.main(["train", str(tmp_path), "--processes", "2", *options])
    lines = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1]
    alone, pair = Run(recipe, CPU), Run(recipe, CPU)
    list(training.train(alone, folder))
    pair.resume(tmp_path / "run.pt")
    one, two = (run.adam.state_dict()["state"] for run in (alone, pair))
    assert one.keys() == two.keys()
    means = [
        torch.cat([one["exp_avg"].flatten() for one in state.values()]) for state in (one, two)
    ]
    # The pair may compute in bfloat16, which has 8 bits: 0.4 % per operation.
    assert (means[0] - means[1]).norm() < 0.05 * means[0].norm()


def test_an_emphasis_for_each_source_or_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit):
        commands.main(["train", str(tmp_path), "--emphasis", "1", "2"])
    assert "2 numbers, expected one for each of drums, bass" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_exported_can_be_loaded_and_judged(tmp_path, capsys):
    run, path = Run(TINY, CPU), tmp_path / "model.safetensors"
    commands.export(run, tmp_path / "model", curve=[{"step": 1}])
    card = json.loads((tmp_path / "model.json").read_text())
    assert card["hdemucs"]["channels"] == 4 and card["curve"] == [{"step": 1}]
    model = HDemucs(**card["hdemucs"])
    model.load_state_dict({name: weight.float() for name, weight in load_file(path).items()})
    for name, weight in model.state_dict().items():
        # Half precision keeps 11 bits.
        assert torch.allclose(weight, run.average[name], rtol=2**-11, atol=1e-7), name
    commands.main(["evaluate", str(path), "--songs", "1", "--duration-s", "10"])
    printed = capsys.readouterr().out.splitlines()
    ways = ["model", "model, 4 shifts", "model, masked", "mixture", "ideal mask"]
    assert [line.split("  ")[0] for line in printed[1:]] == ways
    assert json.loads((tmp_path / "model.json").read_text())["scores"]["table"] == printed


def test_the_table_scores_model_masks_and_mixture():
    def silent(mixture):
        return torch.zeros(len(mixture), 4, *mixture.shape[1:])

    silent.sources = commands.SOURCES
    table = commands.evaluate(silent, range(900_001, 900_002), duration_s=10.0)
    for source in commands.SOURCES:
        scores = [row[source][0] for row in table.values()]
        silence, shifted, quarter, mixture, ideal = scores
        # Masks of four silences are even: a quarter of the mixture each.
        assert silence == shifted == 0 and ideal > mixture + 5 and mixture < quarter < ideal


def test_the_row_of_four_shifts_is_the_mean_of_four_runs():
    song = make_song(900_001, duration_s=10.0)
    stems, runs = torch.stack(list(song.stems.values())), []

    def erring(mixture):  # the truth, later, and an error of another sign in every second run
        late = mixture.shape[-1] - stems.shape[-1]
        runs.append(late)
        error = 0.1 * (-1) ** (late // 256) * mixture[:, None]
        return torch.nn.functional.pad(stems, (late, 0))[None] + error

    erring.sources = commands.SOURCES
    table = commands.judge(erring, [(song.stems, song.mixture)])
    assert runs == [0, 0, 256, 512, 768]
    for source in commands.SOURCES:
        assert table["model, 4 shifts"][source][0] > 100 > table["model"][source][0]


def test_masks_take_leakage_out_of_the_estimates():
    song = make_song(900_001, duration_s=10.0)
    stems = torch.stack(list(song.stems.values()))

    def leaking(mixture):  # in one piece, so that the song is what it is given, if later
        late = mixture.shape[-1] - stems.shape[-1]
        return torch.nn.functional.pad(0.7 * stems + 0.3 * song.mixture, (late, 0))[None]

    leaking.sources = commands.SOURCES
    table = commands.judge(leaking, [(song.stems, song.mixture)])
    for source in commands.SOURCES:
        plain, masked = table["model"][source][0], table["model, masked"][source][0]
        assert plain + 1 < masked < table["ideal mask"][source][0], source
