"""The chunker returns its input for the identity, for every length, in memory and on disk."""

import math
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import soundfile
import torch
from conftest import IdentityModel, RecordingModel
from hypothesis import given, settings
from hypothesis import strategies as st

from hdsep_tutorial.audio import load_audio
from hdsep_tutorial.saving import save_audio
from hdsep_tutorial.separation import separate_file, separate_sources

RATE = 44_100


def _noise(length, seed=0):
    return torch.randn(2, length, generator=torch.Generator().manual_seed(seed))


def _separate(model, mixture, **options):
    return separate_sources(model, mixture, **{"progress": False, **options})


@settings(max_examples=100, deadline=None)
@given(
    length=st.integers(1, 9000),
    segment=st.integers(20, 4000),
    ratio=st.floats(0, 0.95),
    batch_size=st.integers(1, 5),
    shifts=st.sampled_from([1, 1, 2, 3]),
)
def test_identity_returns_its_input(length, segment, ratio, batch_size, shifts):
    mixture = _noise(length)
    # one "second" is one sample, so that the options count samples
    overlap = int(ratio * segment)
    estimates = _separate(
        IdentityModel(),
        mixture,
        sample_rate=1,
        segment_s=segment,
        overlap_s=overlap,
        batch_size=batch_size,
        shifts=shifts,
    )
    assert list(estimates) == IdentityModel.sources
    for estimate in estimates.values():
        assert (estimate - mixture).abs().max() <= 1e-6 * max(1, mixture.abs().max())


@pytest.mark.parametrize("seconds", [1 / RATE, 100 / RATE, 0.01, 3, 5, 10, 11, 11.1, 35])
@pytest.mark.parametrize("overlap_s", [0, 0.1, 1.0, 4.9])
def test_identity_returns_its_input_at_the_default_settings(identity, noise, seconds, overlap_s):
    mixture = noise(round(seconds * RATE))
    for estimate in _separate(identity, mixture, overlap_s=overlap_s).values():
        assert (estimate - mixture).abs().max() <= 1e-6 * mixture.abs().max()


def test_chunks_are_equal_and_batched(recording, noise):
    _separate(recording, noise(25 * RATE), batch_size=2)
    assert recording.shapes == [(2, 2, 9 * RATE), (1, 2, 9 * RATE)]  # 3 · 9 − 2 · 1 s are 25 s


@pytest.mark.parametrize("length", [1, 500, 1025, 1100, 1280, 1281, 22_050, 44_101])
def test_hybrid_demucs_takes_every_length(tiny_hdemucs, noise, length):
    estimates = _separate(tiny_hdemucs, 0.1 * noise(length), segment_s=0.4, overlap_s=0.1)
    for estimate in estimates.values():
        assert estimate.shape == (2, length)
        assert estimate.isfinite().all()
        assert estimate.abs().max() > 0


def test_one_chunk_equals_the_network_itself(tiny_hdemucs, noise, tmp_path):
    mixture = 0.1 * noise(RATE)
    with torch.inference_mode():
        expected = tiny_hdemucs(mixture[None])[0]
    exact = _separate(tiny_hdemucs, mixture, exact=True)
    assert torch.equal(torch.stack(list(exact.values())), expected)
    found = _separate(tiny_hdemucs, mixture)  # the same but for rounding
    found = torch.stack(list(found.values()))
    assert not torch.equal(found, expected)
    error = 10 * math.log10((found - expected).square().sum() / expected.square().sum())
    assert error < -110
    save_audio(tmp_path / "song.wav", mixture, RATE)
    paths = separate_file(
        tiny_hdemucs, tmp_path / "song.wav", tmp_path, exact=True, device="cpu", progress=False
    )
    assert torch.equal(load_audio(paths["bass"])[0], expected[1])


def test_chunks_agree_with_one_shot_away_from_the_seams(tiny_hdemucs, noise):
    mixture = 0.1 * noise(2 * RATE)
    at_once = _separate(tiny_hdemucs, mixture, segment_s=2)["drums"]
    chunked = _separate(tiny_hdemucs, mixture, segment_s=1.2, overlap_s=0.4)["drums"]
    error = 10 * math.log10((at_once - chunked).square().sum() / at_once.square().sum())
    assert error < -20  # the network standardises each chunk, so equality is not expected


@pytest.mark.parametrize("length", [1, RATE, 12 * RATE])
def test_silence_is_silence_without_asking_the_network(recording, length):
    estimates = _separate(recording, torch.zeros(2, length))
    assert recording.shapes == []
    assert all(not estimate.any() for estimate in estimates.values())


def test_a_silent_chunk_in_a_batch_stays_silent_beside_the_others(recording, noise):
    mixture = noise(25 * RATE)
    mixture[:, : 10 * RATE] = 0
    estimates = _separate(recording, mixture, batch_size=3)
    assert recording.shapes == [(2, 2, 9 * RATE)]
    for estimate in estimates.values():
        assert not estimate[:, : 8 * RATE].any()
        assert (estimate - mixture).abs().max() <= 1e-6 * mixture.abs().max()


def test_a_pure_side_signal_is_finite(tiny_hdemucs, noise):
    left = 0.1 * noise(RATE)[:1]
    estimates = _separate(tiny_hdemucs, torch.cat([left, -left]))
    assert all(estimate.isfinite().all() for estimate in estimates.values())


@pytest.mark.parametrize(
    ("mixture", "words"),
    [
        (torch.zeros(1, 100), r"1 channel, expected 2: load_audio makes mono files stereo"),
        (torch.zeros(6, 100), r"6 channels, expected 2"),
        (torch.zeros(100), r"\(100,\), expected a float tensor \(2, time\)"),
        (torch.zeros(1, 2, 100), r"expected a float tensor"),
        (torch.zeros(2, 100, dtype=torch.int16), r"int16"),
        ([0.0, 1.0], "mixture is list"),
        (torch.tensor([[0.0, math.nan], [0.0, 0.0]]), "NaN or infinite"),
        (torch.tensor([[0.0, math.inf], [0.0, 0.0]]), "NaN or infinite"),
        (torch.zeros(2, 0), "no samples"),
    ],
)
def test_a_mixture_that_cannot_be_separated_is_refused_in_words(identity, mixture, words):
    with pytest.raises(ValueError, match=words) as caught:
        _separate(identity, mixture)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"segment_s": 0}, "segment_s is 0"),
        ({"segment_s": -3}, "segment_s is -3"),
        ({"overlap_s": 10}, "overlap_s is 10"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"shifts": 0}, "shifts is 0, expected an integer from 1 to 1024"),
        ({"shifts": 1.5}, "shifts is 1.5"),
        ({"precision": "float8"}, "precision is 'float8'"),
        ({"device": "abacus"}, "device is 'abacus'"),
    ],
)
def test_options_out_of_range_are_refused_in_words(identity, noise, options, words):
    with pytest.raises(ValueError, match=words):
        _separate(identity, noise(100), **options)


def test_a_model_of_another_shape_or_with_nan_is_refused_in_words(noise):
    class Mono(IdentityModel):
        def forward(self, mixture):
            return mixture

    class Broken(IdentityModel):
        def forward(self, mixture):
            return super().forward(mixture) * math.nan

    with pytest.raises(ValueError, match=r"expected \(1, 4, 2, 4410\)"):
        _separate(Mono(), noise(4410))
    with pytest.raises(ValueError, match="check its weights"):
        _separate(Broken(), noise(4410))


def test_float64_comes_back_as_float32_and_the_argument_is_untouched(identity, noise):
    mixture = noise(5000).double()
    before = mixture.clone()
    estimates = _separate(identity, mixture, segment_s=0.05, overlap_s=0.01)
    assert all(estimate.dtype == torch.float32 for estimate in estimates.values())
    assert torch.equal(mixture, before)
    estimates["drums"].mul_(0.5)  # the learner may go on with it, in place and with gradients
    (estimates["bass"] * torch.ones(1, requires_grad=True)).sum().backward()


def test_the_model_is_left_as_it_was_found(recording, noise):
    recording.train()
    _separate(recording, noise(100))
    assert recording.training
    assert recording.weight.requires_grad


def test_an_interrupt_leaves_the_model_and_the_folder_as_they_were(tmp_path, noise):
    class Interrupted(RecordingModel):
        def forward(self, mixture):
            if len(self.shapes) == 2:
                raise KeyboardInterrupt
            return super().forward(mixture)

    model = Interrupted().train()
    song = save_audio(tmp_path / "song.wav", noise(4 * RATE), RATE)
    (tmp_path / "stems").mkdir()
    (tmp_path / "stems" / "drums.wav").write_text("from before")
    with pytest.raises(KeyboardInterrupt):
        separate_file(model, song, tmp_path / "stems", segment_s=1, overlap_s=0.1, progress=False)
    assert model.training
    assert [path.name for path in (tmp_path / "stems").iterdir()] == ["drums.wav"]
    assert (tmp_path / "stems" / "drums.wav").read_text() == "from before"


class SmallGpu(RecordingModel):
    """It has memory for a limited number of samples at once."""

    def __init__(self, memory):
        super().__init__()
        self.memory = memory

    def forward(self, mixture):
        if mixture.shape[0] * mixture.shape[-1] > self.memory:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(mixture)


def test_out_of_memory_halves_the_batch_then_the_segment_and_says_so_once(noise):
    mixture = noise(30 * RATE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimates = _separate(SmallGpu(6 * RATE), mixture, batch_size=4)
    messages = [str(w.message) for w in caught if "memory" in str(w.message)]
    assert len(messages) == 1
    assert "segment_s=5 and batch_size=1" in messages[0]
    assert (estimates["drums"] - mixture).abs().max() <= 1e-6 * mixture.abs().max()


def test_out_of_memory_at_the_smallest_setting_is_raised(noise):
    with pytest.raises(torch.OutOfMemoryError):
        _separate(SmallGpu(100), noise(RATE), batch_size=2)


@pytest.mark.parametrize(("name", "rate"), [("song.wav", RATE), ("歌曲 Ø ű'\".flac", 48_000)])
def test_the_files_equal_the_result_in_memory(tmp_path, tiny_hdemucs, noise, name, rate):
    song = save_audio(tmp_path / name, 0.1 * noise(3 * rate), rate)
    options = {"segment_s": 1, "overlap_s": 0.25, "progress": False}
    paths = separate_file(tiny_hdemucs, song, tmp_path / "out", format="wav24", **options)
    estimates = separate_sources(tiny_hdemucs, load_audio(song)[0], **options)
    assert list(paths) == list(estimates)
    for stem, path in paths.items():
        assert soundfile.info(path).subtype == "PCM_24"
        written = load_audio(path)[0]
        assert (written - estimates[stem]).abs().max() <= 2**-23


def test_one_stem_and_its_complement_sum_to_the_mixture(tmp_path, tiny_hdemucs, noise):
    song = save_audio(tmp_path / "song.wav", 0.1 * noise(2 * RATE), RATE)
    paths = separate_file(
        tiny_hdemucs, song, tmp_path, stem="vocals", segment_s=1, overlap_s=0.2, progress=False
    )
    assert [path.name for path in paths.values()] == ["vocals.wav", "no_vocals.wav"]
    total = sum(load_audio(path)[0] for path in paths.values())
    assert (total - load_audio(song)[0]).abs().max() < 1e-6


class OnTheGrid(IdentityModel):
    """Errs by the place of each sample on a grid of 1024, as a network with that hop does."""

    def forward(self, mixture):
        error = torch.sin(2 * math.pi / 1024 * (torch.arange(mixture.shape[-1]) % 1024))
        return super().forward(mixture) + 0.1 * error


def test_shifts_average_out_what_depends_on_the_grid_of_the_network(noise):
    mixture = 0.1 * noise(5 * RATE)
    errors = {}
    for shifts in (1, 2, 4):
        estimates = _separate(OnTheGrid(), mixture, segment_s=2, overlap_s=0.5, shifts=shifts)
        errors[shifts] = (estimates["bass"] - mixture).abs().max()
    assert errors[1] > 0.09
    assert max(errors[2], errors[4]) < 1e-6


def test_shifts_are_the_mean_of_runs_that_start_later(tiny_hdemucs, noise):
    mixture = 0.1 * noise(RATE)
    with torch.inference_mode():
        late = [
            tiny_hdemucs(torch.nn.functional.pad(mixture, (offset, 0))[None])[0, ..., offset:]
            for offset in (0, 341, 682)
        ]
    estimates = torch.stack([*_separate(tiny_hdemucs, mixture, shifts=3).values()])
    assert (estimates - sum(late) / 3).abs().max() < 1e-5
    assert (estimates - late[0]).abs().max() > 1e-3  # the runs differ, so there is a mean


def test_a_shifted_song_on_disk_equals_the_one_in_memory(tmp_path, tiny_hdemucs, noise):
    song = save_audio(tmp_path / "song.wav", 0.1 * noise(2 * RATE), RATE)
    options = {"segment_s": 1, "overlap_s": 0.25, "shifts": 2, "progress": False}
    paths = separate_file(tiny_hdemucs, song, tmp_path / "out", **options)
    for stem, estimate in separate_sources(tiny_hdemucs, load_audio(song)[0], **options).items():
        assert (load_audio(paths[stem])[0] - estimate).abs().max() < 1e-6
    with pytest.raises(ValueError, match="shifts is 2000"):
        separate_file(tiny_hdemucs, song, tmp_path / "new", shifts=2000)
    assert not (tmp_path / "new").exists()


def test_an_unknown_stem_is_refused_before_anything_is_written(tmp_path, identity, noise):
    song = save_audio(tmp_path / "song.wav", noise(100), RATE)
    with pytest.raises(ValueError, match="stem is 'guitar', expected one of drums, bass"):
        separate_file(identity, song, tmp_path / "out", stem="guitar")
    assert not (tmp_path / "out").exists()


PEAK_MEMORY = """
import sys; sys.path.insert(0, {tests!r})
import resource, torch
from conftest import IdentityModel
from hdsep_tutorial.separation import separate_file
torch.set_num_threads(1)
separate_file(IdentityModel(), {song!r}, {out!r}, progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_song(tmp_path):
    pytest.importorskip("resource", reason="Windows does not tell the peak memory this way")

    def peak_mb(minutes):
        song = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(song, "w", 8000, 1, "PCM_16") as file:
            for second in range(60 * minutes):
                file.write(_noise(8000, second)[0].numpy() * 0.1)
        code = PEAK_MEMORY.format(
            tests=str(Path(__file__).parent),
            song=str(song),
            out=str(tmp_path / "out"),
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return float(done.stdout) / (2**20 if sys.platform == "darwin" else 2**10)

    # 8 more minutes in memory would be 8 × 106 MB of stems and mixture; blocks stay flat
    assert peak_mb(9) - peak_mb(1) < 100


def test_progress_shows_seconds_and_time_left(identity, noise, capfd):
    separate_sources(identity, noise(2 * RATE), segment_s=1, overlap_s=0.1)
    shown = capfd.readouterr().err
    assert "2 of 2 s" in shown
    assert "left" in shown
