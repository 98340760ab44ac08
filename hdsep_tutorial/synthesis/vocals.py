"""The singer: a buzz and a hiss (source), shaped by vowels and consonants (filter).

Source and filter are the classical model of the voice (Fant 1960): the vocal folds give a
sawtooth, the mouth five resonances, the formants. The words mean nothing.
"""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from .filters import high_pass, low_pass, random_eq, room, studio
from .score import Score
from .sound import SAMPLE_RATE, add_at, gain, hertz, pan

HOP, WINDOW = 256, 1024
RATE = SAMPLE_RATE / HOP  # frames per second
LEAD_IN_S, TAIL_S = 0.45, 0.2  # room for a breath before a phrase, and for its last sound


def _table(text: str) -> dict[str, tuple[float, ...]]:
    rows = [row.split() for row in text.split(",")]
    return {row[0]: tuple(map(float, row[1:])) for row in rows}


VOWELS = _table(  # formants 1 to 5 of a man, Hz (after Peterson and Barney 1952)
    "a 730 1090 2440 3300 3900, e 530 1840 2480 3400 4000, i 280 2250 2990 3500 4100,"
    "o 500 880 2450 3200 3800, u 310 870 2240 3100 3700, A 660 1720 2410 3350 3950,"
    "@ 500 1400 2450 3300 3900, O 600 950 2500 3250 3850"
)
CONSONANTS = _table(  # length s, voice, hiss, hiss from and to Hz, formants if it has its own
    "m .07 .5 0 500 5000 250 1000 2100 3100 3700, n .06 .5 0 500 5000 250 1500 2400 3200 3800,"
    "l .06 .6 0 500 5000 360 1150 2600 3300 3900, r .07 .6 0 500 5000 420 1200 1600 3000 3700,"
    "w .07 .55 0 500 5000 300 650 2200 3100 3700, y .07 .6 0 500 5000 270 2200 3000 3500 4100,"
    "s .11 0 .8 4500 11000, S .11 0 .9 2200 7500, f .09 0 .35 1500 12000, h .07 0 .35 500 5000,"
    "t .05 0 1 2500 9000, k .055 0 .9 1200 4500, p .045 0 .6 400 4000, d .045 .15 .6 2200 7000,"
    "b .045 .2 .3 300 2500, z .08 .4 .5 4500 11000, v .06 .4 .2 1500 9000"
)
STOPS = "tkpdb"  # the mouth closes, then bursts open
BANDWIDTHS_HZ = (70, 90, 130, 200, 260)


class Syllable(NamedTuple):
    """One sung syllable: a step of the scale, an onset, a vowel (that may glide), a coda."""

    start_s: float
    length_s: float
    degree: int
    velocity: float
    onset: str
    vowel: str
    glide: str
    coda: str


class Curves(NamedTuple):
    """How voice, hiss, pitch and formants change, frame by frame."""

    pitch: np.ndarray
    voice: np.ndarray
    hiss: np.ndarray
    band_hz: np.ndarray
    formants_hz: np.ndarray


HABITS = {  # what makes a voice: the range of each habit
    "vibrato_hz": (4.8, 6.4), "vibrato": (0.15, 0.55), "breath": (0.01, 0.08), "tilt": (0.2, 0.9),
    "scoop": (0, 1.5), "jitter": (0.03, 0.12), "width": (0.7, 1.3), "ring_db": (0, 8),
    "glide_s": (0.02, 0.08), "diction": (0.5, 1.0),
}  # fmt: skip


def make_singer(rng: np.random.Generator, centre: float) -> SimpleNamespace:
    """Draw a singer whose range lies around the MIDI pitch `centre`: high voices, small heads."""
    size = np.interp(centre, [48, 57, 69], [1.0, 1.07, 1.2]) * rng.uniform(0.95, 1.06)
    return SimpleNamespace(size=size, **{name: rng.uniform(*of) for name, of in HABITS.items()})


def play_vocals(score: Score, rng: np.random.Generator) -> np.ndarray:
    """Sing a score, alone in the verse, doubled and in harmony in the chorus: (2, time)."""
    centre = int(rng.choice([50, 54, 58, 62, 65]) + rng.integers(-2, 3))
    home = centre - 5 + (score.key - centre + 5) % 12 - score.key
    choir = [  # singer, steps above the melody, level, place, everywhere or in the chorus only
        (make_singer(rng, centre), 0, 1.0, rng.normal(0, 0.08), True),
        (make_singer(rng, centre), 0, 0.5, 0.6, False),
        (make_singer(rng, centre + 4), 2, 0.4, -0.6, False),
        (make_singer(rng, centre + 7), 4, 0.3, 0.7, False),
    ][: rng.choice([1, 2, 3, 4])]
    track = np.zeros((2, int(score.duration_s * SAMPLE_RATE)))
    for section, phrase in write_melody(score, rng):
        for singer, above, level, place, always in choir:
            if always or section == "chorus":
                late_s = 0 if always else abs(rng.normal(0, 0.012))
                melody = [home + score.pitch(syllable.degree + above) for syllable in phrase]
                sound = pan(sing(phrase, melody, singer, rng), place)
                add_at(track, phrase[0].start_s - LEAD_IN_S + late_s, level * sound)
    return _produce(track, score, rng)


def _produce(track: np.ndarray, score: Score, rng: np.random.Generator) -> np.ndarray:
    """Give the voice tone, a soft limit, an echo in time with the song, and a room."""
    tone = random_eq(rng, 0.7)
    track = studio(track, lambda hz: tone(hz) * high_pass(hz, 90))
    track = np.tanh(0.35 * track / (np.sqrt((track**2).mean()) + 1e-6))
    if rng.random() < 0.4:
        delay = int(60 / score.tempo_bpm * rng.choice([0.5, 0.75, 1.0]) * SAMPLE_RATE)
        track[:, delay:] += rng.uniform(0.1, 0.3) * track[::-1, :-delay].copy()
    hall = room(rng, rng.uniform(0.4, 2.0), rng.uniform(3000, 8000), predelay_s=0.02)
    return studio(track, np.ones_like, hall, rng.uniform(0.03, 0.3))


def write_melody(score: Score, rng: np.random.Generator) -> list[tuple[str, list[Syllable]]]:
    """Write the melody as phrases, (section, syllables): what is sung in one breath."""
    degree, rhythm, phrases, ended_s = 0, [], [], -1.0
    wordless = rng.random() < 0.15
    for bar in score.bars:
        if "v" not in bar.players:
            continue
        if not rhythm or rng.random() < 0.4:  # a rhythm is kept for some bars
            rhythm = _rhythm(rng)
        for step, steps in [(0, 20)] if bar.section == "ending" else rhythm:
            degree = _next_degree(score, bar, degree, step, rng)
            length_s = steps * bar.step_s * rng.uniform(0.9, 1.0)
            velocity = bar.energy * rng.uniform(0.75, 1)
            syllable = Syllable(bar.time(step), length_s, degree, velocity, *_word(rng, wordless))
            if syllable.start_s - ended_s > 0.25 or phrases[-1][0] != bar.section:
                phrases.append((bar.section, []))
            phrases[-1][1].append(syllable)
            ended_s = syllable.start_s + length_s
    return phrases


def _rhythm(rng) -> list[tuple[int, int]]:
    step, end, rhythm = int(rng.choice([0, 0, 2, 4])), int(rng.choice([12, 14, 16])), []
    while step < end:
        steps = int(rng.choice([1, 2, 2, 2, 2, 2, 3, 4, 4, 4, 6, 8]))
        rhythm.append((step, min(steps, 16 - step)))
        step += steps
    return rhythm


def _next_degree(score: Score, bar, degree: int, step: int, rng) -> int:
    """Walk on the scale between bounds; on strong beats prefer a tone of the chord."""
    degree = int(np.clip(degree + rng.choice([-3, -2, -1, -1, -1, 0, 1, 1, 1, 2, 3]), -4, 6))
    if step % 8 == 0:
        near = (degree, degree + 1, degree - 1)
        return next((one for one in near if score.pitch(one) % 12 in bar.chord), degree)
    return degree


def _word(rng, wordless: bool) -> tuple[str, str, str, str]:
    if wordless:
        return str(rng.choice(["", "", "l", "d", "n"])), str(rng.choice(list("auoO@"))), "", ""
    onset = str(rng.choice(["", *CONSONANTS]))
    vowel = str(rng.choice(list(VOWELS)))
    return onset, vowel, str(rng.choice(["", "", "i", "u"])), str(rng.choice(["", "", *"nmstlk"]))


def sing(phrase: list[Syllable], melody: list[float], singer: SimpleNamespace, rng) -> np.ndarray:
    """Sing one phrase, (time,), with `LEAD_IN_S` before its first syllable for the breath."""
    origin_s = phrase[0].start_s - LEAD_IN_S
    frames = int((phrase[-1].start_s + phrase[-1].length_s - origin_s + TAIL_S) * RATE) + 4
    pitch, band_hz = np.full(frames, np.nan), np.tile([1200.0, 7000.0], (frames, 1))
    formants_hz = np.tile(VOWELS["@"], (frames, 1))
    curves = Curves(pitch, np.zeros(frames), np.zeros(frames), band_hz, formants_hz)
    for syllable, pitch in zip(phrase, melody, strict=True):
        _articulate(curves, syllable, pitch, int((syllable.start_s - origin_s) * RATE), singer, rng)
    _breathe(curves.hiss, singer)
    return _filter(_smoothed(curves, singer, rng), singer, rng)


def _articulate(
    curves: Curves, syllable: Syllable, pitch, first: int, singer: SimpleNamespace, rng
):
    """Write one syllable into the curves: scoop and vibrato, vowel, onset and coda."""
    frames = max(4, int(syllable.length_s * RATE))
    last, t = first + frames, np.arange(frames) / RATE
    scoop = singer.scoop * np.exp(-t / 0.05) * (rng.random() < 0.5)
    depth = singer.vibrato * np.clip((t - 0.18) / 0.3, 0, 1)
    angle = 2 * np.pi * singer.vibrato_hz * rng.uniform(0.95, 1.05) * t + rng.uniform(0, 6)
    curves.pitch[first:last] = pitch - scoop + depth * np.sin(angle)
    curves.voice[first:last] = syllable.velocity * np.linspace(1, 0.75, frames)
    curves.formants_hz[first:last] = VOWELS[syllable.vowel]
    if syllable.glide:
        curves.formants_hz[first + frames * 2 // 3 : last] = VOWELS[syllable.glide]
    if syllable.onset:
        length = min(int(CONSONANTS[syllable.onset][0] * RATE), frames // 3)
        _pronounce(curves, syllable.onset, slice(first, first + length), syllable.velocity)
    if syllable.coda and frames > 20:
        length = int(CONSONANTS[syllable.coda][0] * RATE)
        _pronounce(curves, syllable.coda, slice(last - length, last), 0.8 * syllable.velocity)


def _pronounce(curves: Curves, consonant: str, where: slice, velocity: float):
    _, voice, hiss, low_hz, high_hz, *formants_hz = CONSONANTS[consonant]
    curves.voice[where] = voice * velocity
    burst = (where.start + where.stop) // 2 if consonant in STOPS else where.start
    curves.hiss[burst : where.stop] = hiss * velocity
    curves.band_hz[where] = low_hz, high_hz
    if formants_hz:
        curves.formants_hz[where] = formants_hz


def _breathe(hiss: np.ndarray, singer: SimpleNamespace):
    """Draw a breath that swells and stops shortly before the first syllable."""
    start, stop = int(0.05 * RATE), int((LEAD_IN_S - 0.06) * RATE)
    hiss[start:stop] = 2.5 * singer.breath * np.linspace(0, 1, stop - start) ** 2


def _smooth(curve: np.ndarray, frames: int) -> np.ndarray:
    """Move no faster than a mouth can: a sliding Hann-weighted mean along the first axis."""
    window = np.hanning(frames + 2)[1:-1] / np.hanning(frames + 2).sum()
    if curve.ndim == 2:
        return np.stack([_smooth(column, frames) for column in curve.T], axis=1)
    padded = np.pad(curve, (frames // 2, frames - 1 - frames // 2), mode="edge")
    return np.convolve(padded, window, "valid")


def _smoothed(curves: Curves, singer: SimpleNamespace, rng) -> Curves:
    """Join the syllables: gliding pitch and formants, drift and jitter."""
    frames = len(curves.pitch)

    def drift(size, length):
        return size * _smooth(rng.standard_normal(frames), length)

    known = np.flatnonzero(~np.isnan(curves.pitch))
    pitch = np.interp(np.arange(frames), known, curves.pitch[known])
    pitch = _smooth(pitch, max(3, int(singer.glide_s * RATE)))
    pitch = pitch + drift(2 * singer.jitter, 9) + drift(0.5, 120)
    voice, hiss = _smooth(curves.voice, 7), _smooth(curves.hiss, 3) * singer.diction
    voice *= 1 + drift(0.24, 15)
    formants_hz = _smooth(curves.formants_hz, 9) * singer.size * (1 + drift(0.04, 30)[:, None])
    formants_hz[:, 0] = np.maximum(formants_hz[:, 0], 1.02 * hertz(pitch))  # as trained singers do
    return Curves(pitch, voice, hiss, curves.band_hz, formants_hz)


def _filter(curves: Curves, singer: SimpleNamespace, rng) -> np.ndarray:
    """Shape buzz and hiss frame by frame in the short-time spectrum: (time,)."""
    frames = len(curves.pitch)
    times = np.arange(frames * HOP)
    cycles = np.interp(times, np.arange(frames) * HOP, hertz(curves.pitch)) / SAMPLE_RATE
    buzz, phase = sawtooth(cycles, rng)
    hiss = 0.35 * rng.standard_normal(len(times))
    hz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE).astype(np.float32)
    mouth = _mouth(hz, curves.formants_hz, singer) * curves.voice[:, None].astype(np.float32)
    low_hz, high_hz = curves.band_hz.astype(np.float32).T[:, :, None]
    teeth = high_pass(hz, low_hz) * low_pass(hz, high_hz) * 1.5 * curves.hiss[:, None]
    air = singer.breath * np.minimum(hz / 1500, 2)
    spectra = _spectra(buzz, frames) * mouth + _spectra(hiss, frames) * teeth
    spectra += _spectra(hiss * (0.4 + 0.6 * (phase > 0.5)), frames) * (mouth * air)
    return _overlap_add(np.fft.irfft(spectra, axis=1))


def sawtooth(cycles: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    """Return a sawtooth and its phase, from the cycles that pass in each sample.

    Its jumps are rounded over two samples (polyBLEP, Välimäki 2007), which keeps aliasing low.
    """
    phase = (np.cumsum(cycles) + rng.random()) % 1.0
    after = np.clip(1 - phase / cycles, 0, None)
    before = np.clip(1 - (1 - phase) / cycles, 0, None)
    return 2 * phase - 1 + after**2 - before**2, phase


def _mouth(hz: np.ndarray, formants_hz: np.ndarray, singer: SimpleNamespace) -> np.ndarray:
    """Return the gain of the mouth, (frames, bins): a chain of five resonances."""
    power = np.ones((len(formants_hz), len(hz)), np.float32)
    for formant_hz, width_hz in zip(formants_hz.T[:, :, None], BANDWIDTHS_HZ, strict=True):
        ratio = (hz / formant_hz.astype(np.float32)) ** 2
        width = (width_hz * singer.width * np.sqrt(singer.size) / formant_hz).astype(np.float32)
        power *= (1 - ratio) ** 2 + ratio * width**2
    # A real mouth has more than five resonances: without this the voice is dull above 4 kHz.
    above = (1 + (hz / 3500) ** 2) ** 2.2 / (1 + (hz / 9000) ** 2) ** 1.6
    tilt = (1 + (hz / 1500) ** 2) ** (-singer.tilt / 2)
    ring = 1 + (gain(singer.ring_db) - 1) * np.exp(-(((hz - 2900 * singer.size) / 500) ** 2))
    return above * tilt * ring / np.sqrt(power)


def _spectra(sound: np.ndarray, frames: int) -> np.ndarray:
    """Return the short-time spectra of `sound`, (frames, bins), each frame centred on its hop."""
    padded = np.pad(sound.astype(np.float32), (WINDOW // 2, WINDOW))
    views = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames]
    return np.fft.rfft(views * np.sqrt(np.hanning(WINDOW + 1)[:-1]).astype(np.float32), axis=1)


def _overlap_add(pieces: np.ndarray) -> np.ndarray:
    """Join the frames again: windowed once more, their weights add up to one."""
    pieces = pieces * np.sqrt(np.hanning(WINDOW + 1)[:-1]) / 2
    sound = np.zeros((len(pieces) + WINDOW // HOP) * HOP)
    for part in range(WINDOW // HOP):
        block = pieces[:, part * HOP : (part + 1) * HOP].reshape(-1)
        sound[part * HOP : part * HOP + len(block)] += block
    return sound[WINDOW // 2 : WINDOW // 2 + len(pieces) * HOP]
