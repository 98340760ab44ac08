"""The four commands of the training room: songs, train, export, evaluate."""

import argparse
import json
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.distributed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchaudio.models import HDemucs

from ..metrics import sdr
from ..remix import soft_masks
from ..runtime import pick_device
from ..separation import separate_sources
from ..synthesis import SAMPLE_RATE, make_song
from . import (
    HELD_OUT_SEEDS,
    SOURCES,
    VALIDATION_SEEDS,
    Recipe,
    Run,
    new_model,
    open_songs,
    render_songs,
    train,
)


def validate(run: Run, folder: Path) -> dict[str, float]:
    """Return the mean SDR in dB of the averaged weights, over 8 s from the middle of each song."""
    model = new_model(run.recipe).to(run.device).eval()
    model.load_state_dict(run.average)
    scores = {source: [] for source in SOURCES}
    for song in open_songs(folder):
        start = max(0, song.shape[-1] // 2 - 4 * SAMPLE_RATE)
        excerpt = song[..., start : start + 8 * SAMPLE_RATE]
        stems = torch.from_numpy(excerpt.astype(np.float32) / 32_768)
        with torch.inference_mode():
            estimates = model(stems.sum(dim=0)[None].to(run.device))[0].cpu()
        for source, stem, estimate in zip(SOURCES, stems, estimates, strict=True):
            scores[source].append(sdr(stem, estimate))
    known = {source: [x for x in all_ if x is not None] for source, all_ in scores.items()}
    return {source: round(sum(some) / len(some), 2) for source, some in known.items() if some}


def export(run: Run, path: Path, **facts: object) -> None:
    """Write the averaged weights in half precision, and a card of `facts` that says what they are.

    Lesson: 13_train_your_own
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.half().contiguous().cpu() for name, weight in run.average.items()}
    partial = path.with_suffix(".safetensors.partial")
    save_file(weights, partial)
    partial.chmod(0o644)  # save_file lets nobody else read it
    partial.replace(path.with_suffix(".safetensors"))
    shape = {"sources": list(SOURCES), "audio_channels": 2, "channels": run.recipe.channels}
    millions = sum(weight.numel() for weight in weights.values()) / 1e6
    card = {
        "title": f"Small Hybrid Demucs ({run.recipe.channels} channels, {millions:.1f} million "
        "parameters)",
        "hdemucs": shape | {"nfft": 4096, "depth": 6},
        "sample_rate": SAMPLE_RATE,
        "dtype": "float16",
        "steps": run.step,
        "audio_hours": round(run.hours, 2),
        "recipe": asdict(run.recipe),
        "licence": "CC BY 4.0",
        "trained_on": "synthetic songs made by a program, no recording, and not the demo song",
        "cannot": "It never heard a real instrument or voice: use the official model for those.",
        **facts,
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def evaluate(
    model: nn.Module, seeds: range = HELD_OUT_SEEDS, *, duration_s=60.0
) -> dict[str, dict[str, list[float | None]]]:
    """Score whole songs of the band: {way: {source: SDR in dB per song}}, ways as in `judge`."""
    songs = (make_song(seed, duration_s=duration_s) for seed in seeds)
    return judge(model, ((song.stems, song.mixture) for song in songs))


def judge(
    model: nn.Module, songs: Iterable[tuple[dict[str, Tensor], Tensor]]
) -> dict[str, dict[str, list[float | None]]]:
    """Score songs, given as (stems, mixture), in five ways: {way: {source: SDR in dB per song}}.

    "model" is the network as it is, "model, 4 shifts" the mean of four runs over each chunk, and
    "model, masked" the first's estimates made into soft masks of the mixture. "mixture" is doing
    nothing, and "ideal mask" is |S|² / Σ |S|² of the true stems: what no mask can surpass by much.
    """
    table = {}
    for stems, mixture in songs:
        estimates = separate_sources(model, mixture, progress=False)
        ways = {"model": estimates,
                "model, 4 shifts": separate_sources(model, mixture, shifts=4, progress=False),
                "model, masked": soft_masks(estimates, mixture),
                "mixture": dict.fromkeys(SOURCES, mixture),
                "ideal mask": soft_masks(stems, mixture)}  # fmt: skip
        for way, found in ways.items():
            scores = table.setdefault(way, {source: [] for source in SOURCES})
            for source in SOURCES:
                scores[source].append(sdr(stems[source], found[source]))
    return table


def as_text(table: dict[str, dict[str, list[float | None]]]) -> str:
    """Return the median and the worst song of each row of `evaluate`, aligned."""
    lines = [f"SDR in dB, median (worst){'':8}" + "".join(f"{source:>16}" for source in SOURCES)]
    for way, scores in table.items():
        known = [[x for x in scores[source] if x is not None] for source in SOURCES]
        cells = [f"{median(some):.1f} ({min(some):.1f})" for some in known]
        lines.append(f"{way:<33}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run one of the four commands at the top of this file."""
    parser = argparse.ArgumentParser(prog="python -m hdsep_tutorial.training")
    parser.add_argument("command", choices=("songs", "train", "export", "evaluate"))
    parser.add_argument("path", type=Path, help="folder of the run, or weights to evaluate")
    parser.add_argument("--first", type=int, default=1, help="first seed of the songs")
    parser.add_argument("--songs", type=int, default=None, help="how many songs")
    parser.add_argument("--duration-s", type=float, default=None, help="length of a song")
    parser.add_argument("--processes", type=int, default=1, help="that share every batch")
    parser.add_argument("--workers", type=int, default=0, help="that prepare examples")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start-from", type=Path, help="weights (.safetensors) to begin with")
    for field in fields(Recipe):
        name = "--" + field.name.replace("_", "-")
        several = isinstance(field.default, tuple)
        kind = type(field.default[0] if several else field.default)
        how = {"nargs": "+"} if several else {}
        parser.add_argument(name, type=kind, default=field.default, **how)
    options = parser.parse_args(arguments)
    if len(options.emphasis) != len(SOURCES):
        parser.error(f"--emphasis has {len(options.emphasis)} numbers, expected one for each of "
                     f"{', '.join(SOURCES)}")  # fmt: skip
    {"songs": _songs, "train": _train, "export": _export, "evaluate": _evaluate}[options.command](
        options
    )


def _songs(options) -> None:
    duration_s = options.duration_s or 22.0
    render_songs(options.path / "validation", VALIDATION_SEEDS, duration_s=duration_s)
    seeds = range(options.first, options.first + (options.songs or 800))
    render_songs(options.path / "songs", seeds, duration_s=duration_s)


def _train(options) -> None:
    options.path.mkdir(parents=True, exist_ok=True)
    if options.processes == 1:
        return _worker(0, options)
    torch.multiprocessing.spawn(_worker, (options,), nprocs=options.processes)


def _worker(rank: int, options) -> None:
    """Be one of the processes that train; the first one also saves, validates and exports."""
    recipe = Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})
    run, folder, device = Run(recipe, pick_device(options.device)), options.path, options.device
    if (folder / "run.pt").exists():
        run.resume(folder / "run.pt")
    elif options.start_from:
        run.start_from(load_file(options.start_from))
    if device == "cpu":
        torch.set_num_threads(1)
    if options.processes > 1:
        meeting = f"file://{folder.resolve()}/meeting-{os.getppid()}"
        torch.distributed.init_process_group(
            "gloo", meeting, rank=rank, world_size=options.processes
        )
    fast = device != "cpu" or torch.cpu.get_capabilities().get("avx512_bf16")
    how = {"precision": "bfloat16" if fast else "float32", "workers": options.workers}
    if rank == 0 and run.step == 0:
        _report(run, folder, options.processes)
    for loss in train(run, folder / "songs", rank=rank, processes=options.processes, **how):
        if rank == 0:
            run.save(folder / "run.pt")
            if run.step % 200 == 0:
                _report(run, folder, options.processes, loss)
    if rank == 0 and run.step % 200:
        _report(run, folder, options.processes)


def _report(run: Run, folder: Path, processes: int, loss: float | None = None) -> None:
    """Add a line to the curve, and write the weights as they would ship."""
    line = {"time": time.strftime("%d %H:%M"), "step": run.step, "hours": round(run.hours, 3)}
    line |= {"loss": loss and round(loss, 5), **validate(run, folder / "validation")}
    print(json.dumps(line), flush=True)
    with (folder / "curve.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    _write(run, folder, processes)


def _write(run: Run, folder: Path, processes: int) -> None:
    seeds = sorted(int(path.stem) for path in (folder / "songs").glob("*.npy"))
    curve = (folder / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    machine = torch.cpu.get_capabilities().get("cpu_name", platform.processor())
    export(
        run,
        folder / "best" / "model",
        training_seeds={"first": seeds[0], "last": seeds[-1], "songs": len(seeds)},
        machine=f"{machine}, {processes} processes on {run.device.type}",
        curve=[json.loads(line) for line in curve],
    )


def _export(options) -> None:
    """Write the weights of a saved run again, without going on with it."""
    saved = torch.load(options.path / "run.pt", map_location="cpu", weights_only=True)
    run = Run(Recipe(**saved["recipe"]), torch.device("cpu"))
    run.resume(options.path / "run.pt")
    _write(run, options.path, options.processes)


def _evaluate(options) -> None:
    """Print the table of `evaluate`, and keep it in the card beside the weights."""
    card_path = options.path.with_suffix(".json")
    card = json.loads(card_path.read_text(encoding="utf-8"))
    model = HDemucs(**card["hdemucs"]).eval()
    model.load_state_dict({k: v.float() for k, v in load_file(options.path).items()})
    seeds = HELD_OUT_SEEDS[: options.songs or len(HELD_OUT_SEEDS)]
    duration_s = options.duration_s or 60.0
    text = as_text(evaluate(model, seeds, duration_s=duration_s))
    print(text)
    card["scores"] = {"seeds": list(seeds), "duration_s": duration_s, "table": text.splitlines()}
    card_path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
