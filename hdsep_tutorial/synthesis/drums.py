"""The drummer: grooves, fills, and a kit built from swept sines, metal and noise."""

import numpy as np

from .filters import band, bell, high_pass, noise, random_eq, room, studio
from .score import Score
from .sound import SAMPLE_RATE, add_at, gain, pan, seconds

# One bar is sixteen steps; x is a hit.
GROOVES = (
    "kick x.......x.x..... snare ....x.......x... hat x.x.x.x.x.x.x.x.",
    "kick x.....x.x....... snare ....x.......x... hat xxxxxxxxxxxxxxxx",
    "kick x...x...x...x... clap ....x.......x... open ..x...x...x...x. hat x.x.x.x.x.x.x.x.",
    "kick x..x..x...x..... snare ....x.......x..x hat x.x.x.x.x.x.x.x.",
    "kick x.........x..... snare ........x....... hat x.x.x.x.x.x.x.x.",
    "kick x..x....x..x.... snare ....x.......x... ride x.x.x.x.x.x.x.x.",
    "kick x.....x...x..x.. snare ....x..x.x..x... hat x.x.x.x.x.x.xxx.",
    "kick x...x...x...x... snare ....x.......x... hat ..x...x...x...x. shaker xxxxxxxxxxxxxxxx",
    "kick x.x...x.x.x...x. snare ....x.......x... ride x...x...x...x...",
    "kick x......xx....... snare ....x.......x... shaker x.xxx.xxx.xxx.xx",
    "kick x............... snare ............x... hat x...x...x...x...",
    "kick x...x...x...x... tom3 ..x..x....x..x.. snare ....x.......x... shaker x.x.x.x.x.x.x.x.",
)
FILLS = (
    "............ssss", "........s.s.ssss", "............1123", "........11112233",
    "........s.1.2.3.", "..........s1s2s3",
)  # fmt: skip
FILL_PIECES = {"s": "snare", "1": "tom1", "2": "tom2", "3": "tom3"}


def play_drums(score: Score, rng: np.random.Generator) -> np.ndarray:
    """Play the drums of a score: (2, time)."""
    kit = make_kit(rng)
    hits = write_hits(score, rng)
    track = np.zeros((2, int(score.duration_s * SAMPLE_RATE)), np.float32)
    for start_s, piece, velocity in hits:
        takes = kit[piece]
        add_at(track, start_s, velocity * takes[rng.integers(len(takes))])
    hall = room(rng, rng.uniform(0.2, 0.8), 7000)
    wet = rng.choice([0, 1, 1]) * rng.uniform(0.05, 0.25)
    tone = random_eq(rng, 0.7)
    track = studio(track, lambda hz: tone(hz) * high_pass(hz, 28), hall, wet)
    drive = rng.uniform(0.5, 1.6)
    return np.tanh(drive * track) / drive


def write_hits(score: Score, rng: np.random.Generator) -> list[tuple[float, str, float]]:
    """Write what the drummer does: (time in s, piece, velocity) for every stroke."""
    verse, chorus = (_parse(GROOVES[index]) for index in rng.integers(len(GROOVES), size=2))
    fills = rng.choice(FILLS, size=3)
    push_s = rng.normal(0, 0.003)  # some drummers play ahead, some behind
    hits = []
    for bar in score.bars:
        if "d" not in bar.players:
            continue
        if bar.section == "ending":
            strokes = [(0, "kick", 1.0), (0, "crash", 1.0)]
        else:
            strokes = _strokes(bar, chorus if bar.section == "chorus" else verse, fills, rng)
        for step, piece, velocity in strokes:
            time_s = bar.time(step) + push_s + rng.normal(0, 0.003)
            hits.append((time_s, piece, velocity * bar.energy * rng.uniform(0.8, 1.0)))
    return hits


def _parse(groove: str) -> dict[str, str]:
    words = groove.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _strokes(bar, groove, fills, rng) -> list[tuple[int, str, float]]:
    """Return (step, piece, accent) for one bar: groove, ghost notes, crash and fill."""
    fill = str(rng.choice(fills)) if bar.left == 0 or bar.nth % 8 == 7 else ""
    filled = 16 - len(fill.lstrip("."))
    strokes = [(0, "crash", rng.uniform(0.6, 1.0))] * (bar.nth == 0 and rng.random() < 0.8)
    for piece, steps in groove.items():
        for step, mark in enumerate(steps):
            ghost = piece == "snare" and mark == "." and rng.random() < 0.04
            if (mark == "x" or ghost) and (step < filled or piece == "kick"):
                strokes.append((step, piece, 0.3 if ghost else 1.0 if step % 4 == 0 else 0.75))
    for step, mark in enumerate(fill):
        if mark != "." and rng.random() < 0.9:
            strokes.append((step, FILL_PIECES[mark], 0.5 + step / 32))
    return strokes


def make_kit(rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Build a drum kit: for each piece two recorded strokes, (2, time), placed left to right."""
    dry = rng.uniform(0.3, 0.95)  # share of noise in the hats
    bronze = rng.uniform(3000, 9000, 6)
    hat_hz = rng.uniform(6000, 9000)
    pieces = {
        "kick": (_kick(rng), 1.0, 0.0),
        "snare": (_snare(rng), 0.85, rng.normal(0, 0.08)),
        "clap": (_clap(rng), 0.7, rng.normal(0, 0.2)),
        "hat": (_metal(rng, bronze, rng.uniform(0.02, 0.06), dry, hat_hz), 0.42, -0.4),
        "open": (_metal(rng, bronze, rng.uniform(0.15, 0.3), dry, hat_hz), 0.45, -0.4),
        "ride": (_metal(rng, rng.uniform(2500, 7000, 9), 0.35, 0.35, 4000), 0.4, 0.5),
        "crash": (_metal(rng, rng.uniform(2000, 8000, 14), 0.7, 0.8, 3000), 0.7, 0.3),
        "shaker": (_shaker(rng), 0.4, rng.uniform(-0.8, 0.8)),
        "tom1": (_tom(rng, rng.uniform(180, 220)), 0.7, -0.4),
        "tom2": (_tom(rng, rng.uniform(120, 150)), 0.7, 0.1),
        "tom3": (_tom(rng, rng.uniform(75, 100)), 0.8, 0.5),
    }
    return {
        name: [pan(take, place).astype(np.float32) * level * gain(trim_db) for take in takes]
        for (name, (takes, level, place)), trim_db in zip(
            pieces.items(), rng.normal(0, 2, len(pieces)), strict=True
        )
    }


def _sweep(t, low_hz, high_hz, fall_s):
    """A sine whose frequency falls from `high_hz` to `low_hz`: the skin of a drum."""
    hz = low_hz + (high_hz - low_hz) * np.exp(-t / fall_s)
    return np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE)


def _kick(rng):
    t = seconds(rng.uniform(0.25, 0.6))
    low_hz = rng.uniform(38, 65)
    skin = _sweep(t, low_hz, low_hz + rng.uniform(60, 320), rng.uniform(0.012, 0.05))
    skin *= np.exp(-t / rng.uniform(0.08, 0.28))
    beater, cutoff_hz, drive = rng.uniform(0.1, 0.7), rng.uniform(2000, 9000), rng.uniform(0.8, 2.5)
    clicks = [noise(rng, len(t), band(0, cutoff_hz)) for _ in range(2)]
    end = np.minimum(1, (t[-1] - t) / 0.01)
    return [np.tanh(drive * (skin + beater * click * np.exp(-t / 0.006))) * end for click in clicks]


def _snare(rng):
    t = seconds(0.5)
    hz = rng.uniform(150, 260)
    skin = _sweep(t, hz, 1.5 * hz, 0.01) + 0.6 * _sweep(t, 1.63 * hz, 2.4 * hz, 0.01)
    skin *= 0.6 * np.exp(-t / rng.uniform(0.04, 0.13))
    low_hz, high_hz = rng.uniform(800, 3000), rng.uniform(6000, 14_000)
    wires, fall_s = rng.uniform(0.6, 1.6), rng.uniform(0.06, 0.2)
    rattle = band(low_hz, high_hz, order=1)
    takes = [wires * noise(rng, len(t), rattle) * np.exp(-t / fall_s) for _ in range(2)]
    return [np.tanh(1.3 * (skin + take)) for take in takes]


def _clap(rng):
    t = seconds(0.35)
    hands = [np.where(t > at, np.exp(-(t - at) / 0.008), 0) for at in (0, 0.011, 0.023)]
    envelope = sum(hands) + 0.8 * np.where(t > 0.03, np.exp(-(t - 0.03) / 0.09), 0)
    centre_hz = rng.uniform(900, 2000)
    palms = (
        noise(rng, len(t), lambda hz: bell(hz, centre_hz, 1.2, 20) * high_pass(hz, 500))
        for _ in range(2)
    )
    return [palm * envelope for palm in palms]


def _metal(rng, partials_hz, fall_s, hiss, low_hz):
    """Hats and cymbals: squares at unrelated frequencies, and noise, without their low end."""
    t = seconds(min(6 * fall_s, 2.5))
    envelope = np.exp(-t / fall_s) * np.minimum(1, t / 0.0005) * (1 - t / t[-1])
    bright = band(low_hz, order=3)
    takes = []
    for _ in range(2):
        squares = [np.where((hz * t + rng.random()) % 1 < 0.5, 1, -1) for hz in partials_hz]
        ring = studio(sum(squares) / len(squares), bright)
        takes.append(((1 - hiss) * ring + hiss * noise(rng, len(t), bright)) * envelope)
    return takes


def _shaker(rng):
    t = seconds(0.15)
    envelope = np.exp(-t / rng.uniform(0.02, 0.05)) * np.minimum(1, t / 0.01)
    return [noise(rng, len(t), band(5500)) * envelope for _ in range(2)]


def _tom(rng, hz):
    t = seconds(0.5)
    skin = _sweep(t, hz, 1.6 * hz, 0.03) * np.exp(-t / 0.14)
    sticks = [noise(rng, len(t), band(0, 4000)) for _ in range(2)]
    return [skin + 0.25 * stick * np.exp(-t / 0.02) for stick in sticks]
