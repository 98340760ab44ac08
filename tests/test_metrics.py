"""The scores: frozen figures of two libraries, slow oracles, invariances and edges."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles.make_oracles import SAMPLE_RATE, SILENT_FRAME, STEMS, fingerprint, make_stems

from hdsep_tutorial import bss_eval, framewise_sdr, metrics, sdr, sdr_v3, si_sdr
from hdsep_tutorial.metrics import median_db

ORACLES = json.loads((Path(__file__).parent / "oracles/oracles.json").read_text("utf-8"))
# The figures are stored to 1e-9 dB, that is ± 5e-10. Both sides sum in float64: 56,000 products
# with a relative error of 1e-16 each stay below 6e-12, or 3e-11 dB; solving a system of condition
# 1e4 (full-band noise) loses 4 of 16 digits. 1e-8 dB leaves a factor of ten.
EXACT_DB = 1e-8
SHORT = 64  # samples, for oracles that build every delayed copy


@pytest.fixture(scope="module")
def stems() -> tuple[dict, dict]:
    arrays = make_stems()
    assert fingerprint(*arrays) == ORACLES["sha256"], "numpy made other arrays than the oracles saw"
    return tuple({name: torch.from_numpy(part[name]) for name in STEMS} for part in arrays)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# What the libraries say


@pytest.mark.parametrize("stem", STEMS)
def test_sdr_is_that_of_museval_over_the_whole_clip(stems, stem):
    expected = ORACLES["museval_whole"][stem]["SDR"][0]
    assert sdr(stems[0][stem], stems[1][stem]) == pytest.approx(expected, abs=EXACT_DB)


@pytest.mark.parametrize("stem", STEMS)
def test_framewise_sdr_is_that_of_museval_and_drops_the_half_frame(stems, stem):
    expected = ORACLES["museval_frames"][stem]["SDR"]
    found = framewise_sdr(stems[0][stem], stems[1][stem], SAMPLE_RATE)
    assert len(found) == 3
    assert found == pytest.approx(expected, abs=EXACT_DB)


@pytest.mark.parametrize("stem", STEMS)
def test_sdr_v3_is_that_of_mir_eval(stems, stem):
    expected = ORACLES["mir_eval_v3"][stem]
    assert sdr_v3(stems[0][stem], stems[1][stem]) == pytest.approx(expected, abs=EXACT_DB)


@pytest.mark.parametrize("case", ["museval_frames", "museval_frames_with_gap"])
def test_bss_eval_is_that_of_museval(stems, case, monkeypatch):
    monkeypatch.setattr(metrics, "DITHER_DBFS", -math.inf)
    references = {name: stem.clone() for name, stem in stems[0].items()}
    if case.endswith("gap"):  # a frame in which one stem is silent counts for none
        references["vocals"][:, SILENT_FRAME] = 0
    found = bss_eval(references, stems[1], SAMPLE_RATE)
    for stem in STEMS:
        expected = {key: median_db(frames) for key, frames in ORACLES[case][stem].items()}
        assert found[stem] == pytest.approx(expected, abs=EXACT_DB), stem


# What slow but plain code says


def delayed(signal: torch.Tensor, taps: int) -> np.ndarray:
    """Every delayed copy of every channel as a column: (channels, time) → (time + taps - 1, …)."""
    length = signal.shape[-1] + taps - 1
    columns = np.zeros((length, len(signal) * taps))
    for channel, samples in enumerate(signal.double().numpy()):
        for delay in range(taps):
            columns[delay : delay + len(samples), channel * taps + delay] = samples
    return columns


def projected(signal: torch.Tensor, basis: torch.Tensor, taps: int) -> np.ndarray:
    """Least squares by SVD, where the package solves normal equations by FFT and LU."""
    columns = delayed(basis, taps)
    target = np.pad(signal.double().numpy(), ((0, 0), (0, taps - 1))).T
    return (columns @ np.linalg.lstsq(columns, target, rcond=None)[0]).T


def ratio_db(signal: np.ndarray, error: np.ndarray) -> float:
    return 10 * math.log10((signal**2).sum() / (error**2).sum())


def test_bss_eval_splits_as_least_squares_does(monkeypatch):
    taps = 5
    monkeypatch.setattr(metrics, "TAPS", taps)
    monkeypatch.setattr(metrics, "DITHER_DBFS", -math.inf)
    true = {name: noise(2, SHORT, seed=seed) for seed, name in enumerate(("a", "b"))}
    guess = {name: true[name] + 0.3 * noise(2, SHORT, seed=9) + 0.2 * true["a"] for name in true}
    found = bss_eval(true, guess, SHORT)
    everything = torch.cat([*true.values()])
    for name in true:
        s, estimate = (
            np.pad(part[name].double(), ((0, 0), (0, taps - 1))) for part in (true, guess)
        )
        own = projected(guess[name], true[name], taps)
        explained = projected(guess[name], everything, taps)
        expected = {
            "SDR": ratio_db(s, estimate - s),
            "ISR": ratio_db(s, own - s),
            "SIR": ratio_db(own, explained - own),
            "SAR": ratio_db(explained, estimate - explained),
        }
        assert found[name] == pytest.approx(expected, abs=EXACT_DB)


def test_sdr_v3_projects_each_channel_as_least_squares_does(monkeypatch):
    monkeypatch.setattr(metrics, "TAPS", 7)
    true = noise(2, SHORT)
    guess = true + 0.5 * noise(2, SHORT, seed=1)
    expected = []
    for channel in range(2):
        one = slice(channel, channel + 1)
        target = projected(guess[one], true[one], 7)
        estimate = np.pad(guess[one].double(), ((0, 0), (0, 6)))
        expected.append(ratio_db(target, estimate - target))
    assert sdr_v3(true, guess) == pytest.approx(np.mean(expected), abs=EXACT_DB)


def test_si_sdr_finds_the_best_gain():
    true = noise(2, SHORT)
    guess = 0.7 * true + 0.5 * noise(2, SHORT, seed=1)
    best = max(sdr(true, gain * guess) for gain in np.linspace(0.5, 2, 3001))
    # At the best gain g of the estimate, SDR = 1 / (1 - r²) and SI-SDR = r² / (1 - r²).
    explained = 1 - 10 ** (-best / 10)
    expected = 10 * math.log10(explained / (1 - explained))
    assert si_sdr(true, guess) == pytest.approx(expected, abs=1e-4)  # steps of 5e-4, squared


# What must not matter, and what must


def test_twice_as_loud_moves_sdr_but_neither_si_sdr_nor_v3(stems):
    true, guess = stems[0]["bass"], stems[1]["bass"]
    assert si_sdr(true, 2 * guess) == pytest.approx(si_sdr(true, guess), abs=EXACT_DB)
    assert sdr_v3(true, 2 * guess) == pytest.approx(sdr_v3(true, guess), abs=EXACT_DB)
    assert sdr(true, 2 * guess) < sdr(true, guess) - 10
    assert sdr(true, 2 * true) == pytest.approx(0.0, abs=EXACT_DB)  # error as loud as the signal


@pytest.mark.parametrize("score", [sdr, si_sdr, sdr_v3])
def test_one_gain_or_channel_swap_on_both_changes_nothing(stems, score):
    true, guess = stems[0]["drums"], stems[1]["drums"]
    expected = pytest.approx(score(true, guess), abs=EXACT_DB)
    assert score(-0.25 * true, -0.25 * guess) == expected  # powers of two round nothing
    assert score(true.flip(0), guess.flip(0)) == expected


def test_known_distances():
    true = torch.ones(2, 100)
    for level_db in (0, 20, 60):
        assert sdr(true, true * (1 + 10 ** (-level_db / 20))) == pytest.approx(level_db, abs=1e-3)


def test_dither_makes_sir_a_property_of_the_sound_not_of_the_rounding():
    def low_pass(stem: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(stem)
        spectrum[:, spectrum.shape[-1] * 6 // 10 :] = 0
        return torch.fft.irfft(spectrum, stem.shape[-1])

    true = {name: low_pass(0.1 * noise(2, 16_000, seed=i)) for i, name in enumerate("ab")}
    guess = {name: true[name] + 0.1 * (true["a"] + true["b"]) for name in true}
    guess = {
        name: low_pass(stem + 0.003 * noise(2, 16_000, seed=5)) for name, stem in guess.items()
    }
    rounded = {name: torch.round(stem * 32768) / 32768 for name, stem in true.items()}
    scores, of_rounded = (bss_eval(part, guess, 8_000) for part in (true, rounded))
    for name in true:
        # 16-bit rounding is noise at -101 dBFS, 11 dB below the dither: 8 % more power, 0.34 dB.
        assert of_rounded[name] == pytest.approx(scores[name], abs=0.34)
        assert scores[name]["SDR"] == median_db(framewise_sdr(true[name], guess[name], 8_000))


# Edges


@pytest.mark.parametrize("score", [sdr, si_sdr, sdr_v3])
def test_silence(score):
    sound, silence = noise(2, 1000), torch.zeros(2, 1000)
    assert score(silence, sound) is None
    assert score(silence, silence) is None
    assert score(sound, silence) == (0.0 if score is sdr else None)


def test_silent_frames_have_no_score():
    true, guess = noise(2, 40), noise(2, 40, seed=1)
    true[:, :10] = 0
    guess[:, 10:20] = 0
    found = framewise_sdr(true, guess, 10)
    assert found[:2] == [None, None]
    assert None not in found[2:]
    assert framewise_sdr(true, guess, 1000) == [sdr(true, guess)]  # shorter than a frame


def test_median_leaves_out_what_does_not_exist():
    assert median_db([None, 3.0, math.inf, 1.0]) == 3.0
    assert median_db([None, None]) is None
    assert median_db([]) is None
    assert median_db([-math.inf, math.inf]) is None


@pytest.mark.parametrize("score", [sdr, si_sdr, sdr_v3])
@pytest.mark.parametrize("sound", [noise(2, 5000), torch.ones(2, 1), torch.ones(2, 3000)])
def test_the_reference_itself_is_perfect(score, sound):
    assert score(sound, sound) == math.inf


def test_v3_forgives_a_filter_and_sdr_does_not():
    true = torch.nn.functional.pad(noise(2, 5000), (0, 100))
    late = true.roll(100, dims=1)
    assert sdr_v3(true, late) == math.inf
    assert sdr(true, late) < 0


def test_a_silent_stem_spoils_no_other(stems):
    true, guess = ({name: part[name] for name in ("drums", "bass")} for part in stems)
    alone = bss_eval(true, guess, SAMPLE_RATE)
    silence = torch.zeros_like(true["bass"])
    found = bss_eval(true | {"vocals": silence}, guess | {"vocals": guess["bass"]}, SAMPLE_RATE)
    assert found["vocals"] == {"SDR": None, "ISR": None, "SIR": None, "SAR": None}
    assert {name: found[name] for name in alone} == alone
    found = bss_eval(true, guess | {"bass": silence}, SAMPLE_RATE)
    assert set(found["bass"].values()) == {None}
    assert found["drums"] == pytest.approx(alone["drums"], abs=EXACT_DB)
    assert bss_eval({"bass": silence}, {"bass": silence}, SAMPLE_RATE)["bass"]["SDR"] is None


def test_mono_stems_with_equal_channels_have_scores():
    true = {name: noise(1, 8_000, seed=i).repeat(2, 1) for i, name in enumerate("ab")}
    guess = {name: stem + 0.1 * noise(2, 8_000, seed=5) for name, stem in true.items()}
    for row in bss_eval(true, guess, 8_000).values():
        assert all(math.isfinite(value) for value in row.values())


@pytest.mark.parametrize("score", [sdr, si_sdr, sdr_v3])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_is_named(score, value):
    good, bad = noise(2, 100), noise(2, 100)
    bad[1, 50] = value
    with pytest.raises(ValueError, match=r"^estimate holds NaN or inf"):
        score(good, bad)
    with pytest.raises(ValueError, match=r"^reference holds NaN or inf"):
        score(bad, good)
    with pytest.raises(ValueError, match=r"^estimate of bass holds NaN or inf"):
        bss_eval({"bass": good}, {"bass": bad}, 50)


@pytest.mark.parametrize("score", [sdr, si_sdr, sdr_v3])
def test_shapes_must_agree(score):
    with pytest.raises(ValueError, match=r"\(2, 100\) and \(2, 99\): clip both alike"):
        score(noise(2, 100), noise(2, 99))
    with pytest.raises(ValueError, match=r"\(2, 0\) and \(2, 0\)"):
        score(torch.zeros(2, 0), torch.zeros(2, 0))


def test_bad_stems_and_frames():
    sound = noise(2, 100)
    with pytest.raises(ValueError, match="name both alike"):
        bss_eval({"bass": sound}, {"drums": sound}, 50)
    with pytest.raises(ValueError, match="expected one"):
        bss_eval({"a": sound, "b": sound[:, :9]}, {"a": sound, "b": sound[:, :9]}, 50)
    with pytest.raises(ValueError, match=r"frame_s=1\.0"):
        framewise_sdr(sound, sound, 50, frame_s=0)


def test_arguments_stay_as_they_are():
    true, guess = {"a": noise(2, 100)}, {"a": noise(2, 100, seed=1)}
    before = true["a"].clone(), guess["a"].clone()
    bss_eval(true, guess, 50)
    assert torch.equal(true["a"], before[0])
    assert torch.equal(guess["a"], before[1])
