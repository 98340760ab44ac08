"""Stems put together again: exact sums, true peak against an oracle, masks that share all."""

import math

import pytest
import torch

from hdsep_tutorial.remix import karaoke, mixture_consistency, remix, soft_masks, true_peak_db

RATE = 48_000
NAMES = ("drums", "bass", "other", "vocals")


@pytest.fixture
def stems(noise):
    return {name: 0.1 * noise(9_000, seed) for seed, name in enumerate(NAMES)}


@pytest.fixture
def mixture(stems):
    return sum(stems.values())


def energy(sound):
    return sound.double().square().sum().item()


# Gains


def test_without_gains_the_sum_is_the_mixture(stems, mixture):
    assert torch.equal(remix(stems), mixture)


def test_each_gain_acts_on_its_stem_alone(stems):
    expected = 2 * stems["bass"] + stems["drums"] / 10 + stems["other"]
    gains_db = {"bass": 20 * math.log10(2), "drums": -20, "vocals": -math.inf}
    assert torch.allclose(remix(stems, gains_db), expected, atol=1e-6)


def test_stems_are_not_changed(stems):
    before = {name: stem.clone() for name, stem in stems.items()}
    remix(stems, {"bass": 3})
    soft_masks(stems, sum(stems.values()))
    mixture_consistency(stems, 2 * stems["bass"])
    assert all(torch.equal(stems[name], before[name]) for name in stems)


@pytest.mark.parametrize(
    ("stems", "gains_db", "message"),
    [
        ({}, {}, "no stems"),
        ({"a": torch.ones(2, 3), "b": torch.ones(2, 4)}, {}, r"b \(2, 4\)"),
        ({"a": torch.ones(2, 3)}, {"b": 1}, "no stem 'b'"),
        ({"a": torch.ones(2, 3)}, {"a": math.nan}, "nan dB"),
        ({"a": torch.ones(2, 3)}, {"a": math.inf}, "inf dB"),
    ],
)
def test_what_cannot_be_mixed_is_said_in_a_sentence(stems, gains_db, message):
    with pytest.raises(ValueError, match=message):
        remix(stems, gains_db)


# Karaoke


@pytest.mark.parametrize("remove", NAMES)
def test_both_ways_agree_for_true_stems(stems, mixture, remove):
    ways = [karaoke(mixture, stems, remove=remove, method=way) for way in ("subtract", "sum")]
    assert torch.allclose(*ways, atol=1e-6)  # a few roundings of samples below 1


def test_only_subtracting_keeps_what_no_stem_has(stems, mixture):
    extra = mixture + 0.5
    kept = karaoke(extra, stems) - karaoke(mixture, stems)
    assert torch.allclose(kept, torch.full_like(kept, 0.5), atol=1e-6)
    assert torch.equal(karaoke(extra, stems, method="sum"), karaoke(mixture, stems, method="sum"))


@pytest.mark.parametrize("options", [{"remove": "kazoo"}, {"method": "divide"}])
def test_karaoke_names_what_it_knows(stems, mixture, options):
    with pytest.raises(ValueError, match="vocals, and one of subtract, sum"):
        karaoke(mixture, stems, **options)
    with pytest.raises(ValueError, match=r"mixture \(2, 5\)"):
        karaoke(mixture[:, :5], stems)


# True peak


def faded_sine(part_of_rate, phase_degrees, amplitude=1.0, length=9_600):
    """A sine whose ends are faded: a sudden start would have a peak of its own."""
    angle = 2 * math.pi * part_of_rate * torch.arange(length).double()
    fade = torch.hann_window(2_400, periodic=False).double()
    envelope = torch.ones(length).double()
    envelope[:1_200], envelope[-1_200:] = fade[:1_200], fade[1_200:]
    return (amplitude * envelope * torch.sin(angle + math.radians(phase_degrees))).float()


@pytest.mark.parametrize(
    ("part_of_rate", "phase", "amplitude", "expected_db"),
    [
        (1 / 4, 0, 0.5, -6.0),
        (1 / 4, 45, 0.5, -6.0),
        (1 / 6, 60, 0.5, -6.0),
        (1 / 8, 67.5, 0.5, -6.0),
        (1 / 4, 45, 1.41, 3.0),
    ],
)
def test_the_signals_of_ebu_tech_3341_read_as_they_must(
    part_of_rate, phase, amplitude, expected_db
):
    found = true_peak_db(faded_sine(part_of_rate, phase, amplitude), RATE)
    assert expected_db - 0.4 <= found <= expected_db + 0.2  # the document's own tolerance


def fourier_peak_db(sound, factor):
    """Interpolate by the definition: zeros behind the spectrum of the whole (faded) sound."""
    length = sound.shape[-1]
    finer = torch.fft.irfft(torch.fft.rfft(sound.double()), n=factor * length) * factor
    return 20 * math.log10(finer.abs().max().item())


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 192_000])
def test_the_true_peak_is_that_of_fourier_interpolation(noise, rate):
    """Noise up to 0.8 of the half rate, where the filter of 32 samples is flat to 0.05 dB."""
    spectrum = torch.fft.rfft(noise(4_096) * torch.hann_window(4_096))
    spectrum[:, 1_640:] = 0
    sound = torch.fft.irfft(spectrum)
    factor = {192_000: 1, 96_000: 2}.get(rate, 4)
    assert true_peak_db(sound, rate) == pytest.approx(fourier_peak_db(sound, factor), abs=0.05)


def test_blocks_of_the_oversampling_leave_nothing_out(noise):
    """One loud pair of samples, wherever it is, also across the seams of the blocks."""
    for at in (0, 1, *range(65_480, 65_560, 10), 199_998):
        sound = torch.zeros(200_000)
        sound[at : at + 2] = 0.9
        assert true_peak_db(sound, RATE) == pytest.approx(1.18, abs=0.1)  # 0.9 · 4 / π between them


def test_the_true_peak_is_never_below_the_samples(noise):
    for seed in range(5):
        sound = noise(1_000, seed)
        assert true_peak_db(sound, RATE) >= 20 * math.log10(sound.abs().max().item()) - 1e-4


def test_silence_and_a_single_sample_have_a_level():
    assert true_peak_db(torch.zeros(2, 100), RATE) == -120
    assert true_peak_db(torch.ones(1), RATE) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("sound", "rate"),
    [(torch.zeros(2, 0), RATE), (torch.tensor([math.nan]), RATE), (torch.ones(1), 0)],
)
def test_what_has_no_peak_is_refused(sound, rate):
    with pytest.raises(ValueError, match="expected finite samples"):
        true_peak_db(sound, rate)


# Consistency and masks


def test_consistent_stems_sum_to_the_mixture_and_move_least(stems, mixture, noise):
    target = mixture + 0.05 * noise(9_000, seed=9)
    consistent = mixture_consistency(stems, target)
    assert (sum(consistent.values()) - target).abs().max() < 1e-5
    moved = sum(energy(consistent[name] - stems[name]) for name in stems)
    assert moved == pytest.approx(energy(target - mixture) / len(stems), rel=1e-4)
    again = mixture_consistency(consistent, target)
    assert all(torch.allclose(again[name], consistent[name], atol=1e-6) for name in stems)


@pytest.mark.parametrize("power", [0.5, 1, 2, 10])
@pytest.mark.parametrize("length", [1, 100, 4_096, 9_000])
def test_masked_stems_sum_to_the_mixture_at_every_length(noise, power, length):
    estimates = {name: 0.1 * noise(length, seed) for seed, name in enumerate(NAMES)}
    mixture = 0.3 * noise(length, seed=7)
    masked = soft_masks(estimates, mixture, power=power)
    assert list(masked) == list(estimates)
    assert (sum(masked.values()) - mixture).abs().max() < 1e-5


def test_a_mask_gives_each_bin_to_its_owner():
    """Two tones a long way apart, estimates with the right tone at the wrong level and phase."""
    seconds = torch.arange(RATE).double() / RATE
    low, high = (torch.sin(2 * torch.pi * hz * seconds).float().repeat(2, 1) for hz in (440, 5000))
    masked = soft_masks({"low": -0.3 * low, "high": 0.3 * high}, low + high)
    for name, true in (("low", low), ("high", high)):
        assert energy(masked[name] - true) < 1e-4 * energy(true)  # below -40 dB


def test_the_mask_is_the_formula(noise):
    """One frame's worth of bins, computed by hand with another transform."""
    estimates, mixture = {"a": noise(4_096, 1), "b": noise(4_096, 2)}, noise(4_096, 3)
    size = {"n_fft": 512, "hop_length": 128}
    window = torch.hann_window(512)
    plain = {**size, "window": window, "return_complex": True, "pad_mode": "reflect"}
    a, b, x = (torch.stft(sound, **plain) for sound in (*estimates.values(), mixture))
    mask = a.abs() ** 2 / (a.abs() ** 2 + b.abs() ** 2)
    expected = torch.istft(mask * x, **size, window=window, length=4_096)
    assert torch.allclose(soft_masks(estimates, mixture, **size)["a"], expected, atol=1e-5)


def test_silent_estimates_share_evenly(mixture):
    silent = {name: torch.zeros_like(mixture) for name in ("a", "b")}
    masked = soft_masks(silent, mixture)
    assert torch.allclose(masked["a"], mixture / 2, atol=1e-6)
    assert not soft_masks(silent, 0 * mixture)["a"].any()


@pytest.mark.parametrize(
    "options", [{"power": 0}, {"power": 11}, {"power": math.nan}, {"hop_length": 4096}]
)
def test_masks_refuse_settings_out_of_range(stems, mixture, options):
    with pytest.raises(ValueError, match="expected a power above 0 to 10 and a hop"):
        soft_masks(stems, mixture, **options)
