"""Seal assets/ after a change: cut the segment files, write SHA256SUMS and LICENSES.md anew.

    python tests/seal_assets.py          # after a change
    python tests/seal_assets.py 100000   # after rendering the demo song anew from this seed

A test compares what this writes with what is there.
"""

import json
import sys
from pathlib import Path

import soundfile
import torch

from hdsep_tutorial.assets import sha256_of
from hdsep_tutorial.synthesis import make_song

ASSETS = Path(__file__).parents[1] / "assets"
WRITTEN_HERE = ("SHA256SUMS", "LICENSES.md")
START_S, STOP_S = 150, 155

HEAD = """# What ships here, and under which licence

| folder | what | licence |
|---|---|---|
{folders}

Creative Commons Attribution 4.0 (CC BY 4.0): <https://creativecommons.org/licenses/by/4.0/>.
You may share and change these files, for any purpose, if you name where they come from.

The official song and the official weights do not ship: they are fetched on request, and have
licences of their own (`python -m hdsep_tutorial fetch --list`).

| file | bytes | SHA-256 |
|---|---|---|
{files}

`sha256sum -c SHA256SUMS` checks them all. `python tests/seal_assets.py` writes both lists anew.
"""


def write_song(seed, folder):
    """Render a song by the band: one FLAC of 16 bit per stem, and its card."""
    song = make_song(seed)
    for name, stem in song.stems.items():
        steps = (stem * 32768).to(torch.int16).T.numpy()
        soundfile.write(folder / f"{name}.flac", steps, song.sample_rate, "PCM_16")
    card = json.loads((folder / "song.json").read_text(encoding="utf-8"))
    card |= {
        "title": song.title,
        "seed": seed,
        "tempo_bpm": round(song.tempo_bpm, 1),
        "key": song.key_name,
        "sections": [{"start_s": round(start, 1), "name": name} for start, name in song.sections],
    }
    (folder / "song.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def cut_segment(folder):
    """Cut 150-155 s of each stem and of their sum, as 16-bit integers, so bit by bit."""
    mixture = 0
    (folder / "segment").mkdir(exist_ok=True)
    for path in sorted(folder.glob("*.flac")):
        rate = soundfile.info(path).samplerate
        stem, _ = soundfile.read(path, start=START_S * rate, stop=STOP_S * rate, dtype="int16")
        soundfile.write(folder / "segment" / path.name, stem, rate, "PCM_16")
        mixture = mixture + stem.astype("int32")
    if abs(mixture).max() > 32767:
        raise ValueError("the sum of the stems does not fit 16 bits: make them quieter")
    soundfile.write(folder / "segment" / "mixture.flac", mixture.astype("int16"), rate, "PCM_16")


def listed_files():
    """Return every file that ships, except for the two lists, as sorted paths below assets/."""
    files = [path for path in ASSETS.rglob("*") if path.is_file() and path.name[0] != "."]
    return sorted({path.relative_to(ASSETS).as_posix() for path in files} - {*WRITTEN_HERE})


def sums_text():
    """Return the text of SHA256SUMS."""
    return "".join(f"{sha256_of(ASSETS / name)}  {name}\n" for name in listed_files())


def licences_text():
    """Return the text of LICENSES.md, from the cards of the songs and models."""
    folders, files = [], []
    for name in listed_files():
        path = ASSETS / name
        files.append(f"| {name} | {path.stat().st_size:,} | `{sha256_of(path)}` |")
        if path.suffix == ".json":
            card = json.loads(path.read_text(encoding="utf-8"))
            what = card.get("made_by") or f"trained on {card['trained_on']}"
            name = f"{card['title']} by {card['artist']}" if "artist" in card else card["title"]
            folders.append(f"| {path.parent.name} | {name}: {what} | {card['licence']} |")
    return HEAD.format(folders="\n".join(folders), files="\n".join(files))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_song(int(sys.argv[1]), ASSETS / "demo_song")
    cut_segment(ASSETS / "demo_song")
    (ASSETS / "SHA256SUMS").write_text(sums_text(), encoding="utf-8", newline="\n")
    (ASSETS / "LICENSES.md").write_text(licences_text(), encoding="utf-8", newline="\n")
