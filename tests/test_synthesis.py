"""The band: what a seed decides, what each player may sound like, and what a mix must obey."""

import itertools

import numpy as np
import pytest
import torch

from hdsep_tutorial.synthesis import PEAK, PLAYERS, SAMPLE_RATE, make_song
from hdsep_tutorial.synthesis.bass import play_bass
from hdsep_tutorial.synthesis.drums import make_kit
from hdsep_tutorial.synthesis.filters import band, room, studio
from hdsep_tutorial.synthesis.instrument import KINDS, Instrument
from hdsep_tutorial.synthesis.score import Note, compose
from hdsep_tutorial.synthesis.sound import add_at, compressor, frame_rms, hertz, pan
from hdsep_tutorial.synthesis.vocals import Syllable, make_singer, sing

DURATION_S = 12
STORED = {  # seed 9, left channel, samples 50,000, 100,000 ...
    "drums": [0.11636, 0.1785, -0.02783, 0.00229, -0.0004, 0.0, 0.0],
    "bass": [-0.15881, 0.0, 0.0, -0.06897, 0.08853, -0.0, 0.0],
    "other": [0.12009, -0.00656, -0.02884, -0.01721, 0.00177, -0.00076, 0.0],
    "vocals": [-0.04172, 0.12552, -0.00668, -0.24319, -0.09311, 0.0, -0.0],
}
LETTERS = dict(zip("dbov", PLAYERS, strict=True))


@pytest.fixture(scope="module", params=[7, 9, 286])
def song(request):
    torch.set_num_threads(1)
    return make_song(request.param, duration_s=DURATION_S)


def share(sound, low_hz=0.0, high_hz=np.inf):
    """The share of the energy of (2, time) that lies between two frequencies."""
    power = (np.abs(np.fft.rfft(np.asarray(sound, dtype=float))) ** 2).sum(axis=0)
    hz = np.fft.rfftfreq(sound.shape[-1], 1 / SAMPLE_RATE)
    return power[(hz >= low_hz) & (hz < high_hz)].sum() / power.sum()


def score_of(seed, duration_s):
    return compose(np.random.default_rng([seed, 0]), duration_s)


def test_the_seed_decides_every_sample():
    """Rounded to 16 bits, another machine's FFT may move a sample by one step of 3.1e-5."""
    stems, again = make_song(9, duration_s=10.0).stems, make_song(9, duration_s=10.0).stems
    for name, samples in STORED.items():
        assert torch.equal(stems[name], again[name])
        assert np.allclose(stems[name][0, 50_000:400_000:50_000], samples, atol=1e-4), name


def test_seeds_differ():
    titles = {score_of(seed, 60.0).bars for seed in range(50)}
    assert len(titles) == 50


def test_stems_are_16_bit_and_sum_to_the_mixture(song):
    steps = {name: stem * 32_768 for name, stem in song.stems.items()}
    for stem in steps.values():
        assert stem.dtype == torch.float32
        assert stem.shape == (2, DURATION_S * SAMPLE_RATE)
        assert torch.equal(stem, stem.round())
    total = sum(stem.to(torch.int32) for stem in steps.values())
    assert torch.equal(song.mixture * 32_768, total.float())
    assert torch.equal(total.to(torch.int16).to(torch.int32), total)  # it fits into 16 bits


def test_nothing_clips_and_nothing_is_off_centre(song):
    loudest = max(
        float(song.mixture.abs().max()), *(float(s.abs().max()) for s in song.stems.values())
    )
    assert loudest <= PEAK
    for stem in song.stems.values():
        assert stem.mean(dim=1).abs().max() < 1e-3  # −60 dBFS


def test_everyone_is_heard_where_the_score_says_so(song):
    score = score_of(song.seed, DURATION_S)
    ends = [bar.start_s for bar in score.bars[1:]] + [DURATION_S]
    for letter, name in LETTERS.items():
        for bar, end_s in zip(score.bars, ends, strict=True):
            if letter in bar.players:
                start, stop = int(bar.start_s * SAMPLE_RATE), int(end_s * SAMPLE_RATE)
                assert song.stems[name][:, start:stop].square().mean().sqrt() > 1e-3, (name, bar)
        if letter not in "".join(bar.players for bar in score.bars):
            assert not song.stems[name].any()


def test_every_stem_lives_in_its_own_region(song):
    assert share(song.stems["bass"], 0, 300) > 0.8
    assert share(song.stems["vocals"], 80, 8000) > 0.95
    assert share(song.stems["other"], 80, 8000) > 0.95
    assert share(song.stems["drums"], 5000) > share(song.stems["bass"], 5000)


@pytest.mark.parametrize("seed", range(6))
def test_the_kit_has_lows_and_highs(seed):
    kit = make_kit(np.random.default_rng(seed))
    for piece in ("hat", "open", "shaker"):
        assert share(kit[piece][0], 5000) > 0.8, piece
    for piece in ("kick", "tom3"):
        assert share(kit[piece][0], 0, 300) > 0.8, piece
    assert share(kit["snare"][0], 500) > share(kit["kick"][0], 500)
    assert not np.array_equal(*kit["snare"])  # two strokes, not one twice


def test_who_rests_is_silent():
    scores = (score_of(seed, 40) for seed in range(100))
    score, pause = next(
        (score, pause)
        for score in scores
        for before, pause in itertools.pairwise(score.bars)
        if "b" not in before.players + pause.players
    )
    bass = play_bass(score, np.random.default_rng(0))
    start, length = int(pause.start_s * SAMPLE_RATE), int(8 * pause.step_s * SAMPLE_RATE)
    assert np.abs(bass).max() > 0.1
    assert np.abs(bass[:, start : start + length]).max() < 1e-3 * np.abs(bass).max()


@pytest.mark.parametrize("duration_s", [10.0, 22.0, 165.0])
def test_form_and_tempo(duration_s):
    for seed in range(200):
        score = score_of(seed, duration_s)
        bar_s = 240 / score.tempo_bpm
        assert 80 <= score.tempo_bpm <= 140
        starts = np.array([bar.start_s for bar in score.bars])
        assert np.allclose(np.diff(starts), bar_s)
        assert starts[-1] + bar_s <= duration_s  # the last chord has room to ring
        assert score.bars[-1].section == "ending"
        assert all(0 <= tone < 12 for bar in score.bars for tone in bar.chord)


def test_the_long_form_has_every_section_and_a_full_band_at_150_s():
    for seed in range(300):
        score = score_of(seed, 165.0)
        sections = {bar.section for bar in score.bars}
        assert sections == {"intro", "verse", "chorus", "break", "ending"}
        bar_s = 240 / score.tempo_bpm
        heard = [bar for bar in score.bars if 150 - bar_s < bar.start_s < 155]
        assert all(bar.players == "dbov" for bar in heard)


def test_a_song_needs_some_bars():
    with pytest.raises(ValueError, match="at least 10 seconds"):
        make_song(1, duration_s=5.0)


@pytest.mark.parametrize("kind", KINDS)
def test_instruments_are_in_tune(kind):
    rng = np.random.default_rng(5)
    instrument = Instrument(rng, kind, (500, 3000))
    sound = instrument.play([Note(0.0, 1.0, 57, 0.8)], rng, 1.5)
    assert np.isfinite(sound).all() and np.abs(sound).max() > 0.01
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 18))
    strongest_hz = spectrum.argmax() * SAMPLE_RATE / (1 << 18)
    ratio = instrument.ratio if kind == "epiano" and instrument.ratio < 1 else 1.0
    harmonics = strongest_hz / (220.0 * ratio)
    # Three voices lie at most 14 cents apart: 0.8 %.
    assert abs(harmonics / round(harmonics) - 1) < 0.01


@pytest.mark.parametrize("pitch", [48, 60, 69])
def test_the_singer_holds_the_pitch_and_forms_vowels(pitch):
    rng = np.random.default_rng(3)
    singer = make_singer(rng, pitch)
    sounds = {}
    for vowel in "ai":
        phrase = [Syllable(1.0, 1.5, 0, 1.0, "", vowel, "", "")]
        sounds[vowel] = sing(phrase, [pitch], singer, rng)[
            int(0.8 * SAMPLE_RATE) : int(1.7 * SAMPLE_RATE)
        ]
    spectrum = np.fft.rfft(sounds["a"] * np.hanning(len(sounds["a"])), 1 << 18)
    period = np.fft.irfft(np.abs(spectrum) ** 2)[: SAMPLE_RATE // 60]
    shortest = SAMPLE_RATE // 1000
    lag = shortest + period[shortest:].argmax()
    assert abs(12 * np.log2(SAMPLE_RATE / lag / hertz(pitch))) % 12 < 0.7  # vibrato: 0.55 semitones
    # "a" opens the mouth at 700 to 1100 Hz, "i" does not.
    low, high = 600 * singer.size, 1300 * singer.size
    assert share(sounds["a"][None], low, high) > 2 * share(sounds["i"][None], low, high)


def test_filters_rooms_and_places():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, SAMPLE_RATE)).astype(np.float32)
    assert np.allclose(band(1000, 4000, 4)(np.array([1000, 4000])), np.sqrt(0.5), atol=1e-2)
    assert band(1000, 4000, 4)(np.array([100, 40_000])).max() < 1e-3  # 24 dB per octave
    passed = studio(noise, lambda hz: np.where(hz < 1000, 1, 0))
    assert share(passed, 0, 1100) > 0.99
    assert np.allclose(studio(noise, np.ones_like), noise, atol=1e-4)
    assert np.allclose((room(rng, 0.5, 5000) ** 2).sum(axis=1), 1)
    for place in (-1.0, 0.0, 0.3, 1.0):
        assert np.isclose((pan(noise[0], place) ** 2).sum(), 2 * (noise[0] ** 2).sum(), rtol=1e-5)
    assert np.isclose(hertz(81), 880)


def test_what_hangs_over_the_end_is_dropped():
    track = np.zeros((2, 100))
    add_at(track, 90 / SAMPLE_RATE, np.ones((2, 50)))
    add_at(track, 1.0, np.ones((2, 50)))
    assert track.sum() == 2 * 10


def test_the_compressor_narrows_loud_passages_only():
    quiet, loud = 0.01, 0.5
    tone = np.sin(2 * np.pi * 200 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    sound = np.stack([np.concatenate([quiet * tone, loud * tone])] * 2)
    levels = 20 * np.log10(frame_rms(sound * compressor(sound, -20.0, 4.0), 0.1))
    assert abs(levels[4] - 20 * np.log10(quiet / np.sqrt(2))) < 0.01
    wanted = -20 + (20 * np.log10(loud / np.sqrt(2)) + 20) / 4  # 1 dB for every 4 above
    assert abs(levels[14] - wanted) < 0.1
