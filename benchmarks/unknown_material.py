"""Score the demo model on sound that it does not know: a soundfont band with a speaking voice.

    apt-get install fluidsynth fluid-soundfont-gm flite     (Debian, Ubuntu)
    python benchmarks/unknown_material.py [--songs 6]

The demo model was trained on the synthetic band alone. Here FluidSynth plays the same kind of
songs with samples of real instruments (FluidR3), and a speech synthesiser speaks instead of
singing. The compositions come from the band's own songwriter, so only the *sound* is unknown.
Nothing of it ships. Prints the same table as `training evaluate`.
"""

import argparse
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

from hdsep_tutorial import load_audio
from hdsep_tutorial.bundles import get_bundle
from hdsep_tutorial.synthesis import LEVELS_DB, SAMPLE_RATE
from hdsep_tutorial.synthesis.bass import write_riffs
from hdsep_tutorial.synthesis.drums import write_hits
from hdsep_tutorial.synthesis.other import write_part
from hdsep_tutorial.synthesis.score import Note, compose
from hdsep_tutorial.training import SOURCES
from hdsep_tutorial.training.commands import as_text, judge

SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SEEDS = range(950_001, 950_021)  # trained on by nobody
DURATION_S = 30.0
PIECES = {"kick": 36, "snare": 38, "clap": 39, "hat": 42, "open": 46, "ride": 51, "crash": 49,
          "tom1": 48, "tom2": 45, "tom3": 41, "shaker": 70}  # fmt: skip
BASSES, OTHERS = (32, 33, 34, 35, 36, 38), (0, 4, 11, 16, 24, 25, 26, 48, 61, 73, 81)
LINES = ("the moon is made of silver bells", "we follow every river to the sea",
         "tell me what you hear tonight", "a song is a sum of all its parts")  # fmt: skip
TICKS = 480  # per second: at 120 bpm, 240 per beat


def midi(notes: list[Note], *, program: int, channel: int) -> bytes:
    """Write notes as a MIDI file of one track."""
    events = [(0.0, bytes([0xC0 | channel, program]))]
    for note in notes:
        velocity, pitch = int(np.clip(40 + 80 * note.velocity, 1, 127)), int(note.pitch)
        start_s = max(0.0, note.start_s)
        events.append((start_s, bytes([0x90 | channel, pitch, velocity])))
        events.append((start_s + note.length_s, bytes([0x80 | channel, pitch, 0])))
    track, now = b"", 0
    for time_s, message in sorted(events, key=lambda event: event[0]):
        tick = round(time_s * TICKS)
        track += _variable(tick - now) + message
        now = tick
    track += b"\x00\xff\x2f\x00"
    head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS // 2)  # default tempo: 2 beats a second
    return head + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable(number: int) -> bytes:
    """Write a number seven bits at a time, as MIDI does."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def play(notes: list[Note], folder: Path, *, program: int, channel: int = 0) -> np.ndarray:
    """Play notes with the soundfont: (2, time)."""
    file, sound = folder / "notes.mid", folder / "notes.wav"
    file.write_bytes(midi(notes, program=program, channel=channel))
    options = ["-ni", "-q", "-R", "0", "-C", "0", "-r", str(SAMPLE_RATE), "-g", "0.5", "-T", "wav"]
    command = ["fluidsynth", *options, "-F", str(sound), str(SOUNDFONT), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return _fitted(soundfile.read(sound, dtype="float32")[0].T)


def speak(score, rng: np.random.Generator, folder: Path) -> np.ndarray:
    """Speak a line at every second bar that has vocals: (2, time)."""
    track = np.zeros((2, int(DURATION_S * SAMPLE_RATE)), np.float32)
    voice = str(rng.choice(["slt", "rms", "awb", "kal16"]))
    for bar in [bar for bar in score.bars if "v" in bar.players][::2]:
        path = folder / "line.wav"
        line = str(rng.choice(LINES))
        subprocess.run(["flite", "-voice", voice, "-t", line, "-o", str(path)], check=True)
        sound = load_audio(path)[0].numpy()
        start = int(bar.start_s * SAMPLE_RATE)
        piece = sound[:, : track.shape[1] - start]
        track[:, start : start + piece.shape[1]] += piece
    return track


def make_stems(seed: int, folder: Path) -> dict[str, torch.Tensor]:
    """Play one song: the four stems, levelled as the band's songs are."""
    rng = np.random.default_rng(seed)
    score = compose(rng, DURATION_S)
    hits = [Note(t, 0.2, PIECES[piece], velocity) for t, piece, velocity in write_hits(score, rng)]
    roles = rng.choice(["pad", "comp", "arp", "strum"], size=2, replace=False)
    tracks = {
        "drums": play(hits, folder, program=0, channel=9),
        "bass": play(write_riffs(score, rng), folder, program=int(rng.choice(BASSES))),
        "other": sum(
            play(write_part(score, str(role), [], rng), folder, program=int(rng.choice(OTHERS)))
            for role in roles
        ),
        "vocals": speak(score, rng, folder),
    }
    levelled = {name: tracks[name] * _gain(tracks[name], LEVELS_DB[name]) for name in SOURCES}
    peak = np.abs(sum(levelled.values())).max()
    return {name: torch.from_numpy(0.9 / peak * stem).float() for name, stem in levelled.items()}


def _gain(track: np.ndarray, level_db: float) -> float:
    """Return the gain that brings the sounding parts of a track to a level."""
    frames = np.square(track[:, : track.shape[1] // 4096 * 4096]).reshape(2, -1, 4096).mean((0, 2))
    loud = frames[frames > 1e-4 * frames.max()]
    return 10 ** (level_db / 20) / np.sqrt(loud.mean())


def _fitted(sound: np.ndarray) -> np.ndarray:
    length = int(DURATION_S * SAMPLE_RATE)
    return np.pad(sound[:, :length], ((0, 0), (0, max(0, length - sound.shape[1]))))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=6)
    songs = parser.parse_args().songs
    missing = [name for name in ("fluidsynth", "flite") if not shutil.which(name)]
    if missing or not SOUNDFONT.exists():
        sys.exit(
            "install fluidsynth, fluid-soundfont-gm and flite first (see the top of this file)"
        )
    torch.set_num_threads(1)
    model = get_bundle("demo").get_model()
    with tempfile.TemporaryDirectory() as folder:
        band = (make_stems(seed, Path(folder)) for seed in SEEDS[:songs])
        table = judge(model, ((stems, sum(stems.values())) for stems in band))
    print(f"{songs} songs of {DURATION_S:.0f} s, seeds from {SEEDS[0]}")
    print(as_text(table))


if __name__ == "__main__":
    main()
