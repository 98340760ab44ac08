"""How the demo model was trained: the band's songs, remixed without end, and a plain loop.

    python -m hdsep_tutorial.training songs    out/training
    python -m hdsep_tutorial.training train    out/training --processes 2
    python -m hdsep_tutorial.training export   out/training
    python -m hdsep_tutorial.training evaluate out/training/best/model.safetensors

The clock of a run is the audio that the network has heard, in hours, never the time of day: a
run that is interrupted and resumed ends where an uninterrupted one does.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchaudio.models import HDemucs

from ..assets import shipped
from ..runtime import autocast
from ..synthesis import SAMPLE_RATE, make_song
from .steps import Matrices, share_gradients

SOURCES = ("drums", "bass", "other", "vocals")
TRAINING_SEEDS = range(1, 100_000)  # seeds from 100,000 on are never trained on
VALIDATION_SEEDS = range(800_001, 800_009)  # for the curve during training
HELD_OUT_SEEDS = range(900_001, 900_021)  # for `evaluate`, and nothing else


@dataclass(frozen=True)
class Recipe:
    """What decides the result of a run, apart from the songs.

    Attributes:
        channels: width of the network's first layer; the paper has 48, the demo model 16.
        segment_s: length of a training example in seconds.
        batch: examples per step, over all processes together.
        learning_rate: of Adam, on the plateau.
        matrix_rate: of Muon, which then moves the large weights; 0 leaves them to Adam.
        hours: audio to be heard; the learning rate falls to zero over the last `cool_down` of it.
        ema: how slowly the averaged weights, which are the ones that are used, follow.
        stft_weight: share of the spectral loss, against the haze.
        n_ffts: window lengths of its spectrograms; the steps take turns with them.
        emphasis: how much the error of each source counts; bass is learnt with the least.
        together: share of examples that are a piece of one song, as the band mixed it.
        seed: of the first weights and of the remix.

    Lesson: 13_train_your_own
    """

    channels: int = 16
    segment_s: float = 4.0
    batch: int = 4
    learning_rate: float = 6e-4
    matrix_rate: float = 0.0
    warm_up_steps: int = 100
    hours: float = 100.0
    cool_down: float = 0.3
    ema: float = 0.999
    stft_weight: float = 0.3
    n_ffts: tuple[int, ...] = (512, 2048)
    emphasis: tuple[float, ...] = (1.2, 0.4, 1.2, 1.4)
    together: float = 0.4
    seed: int = 0


def demo_card() -> dict:
    """Return the card of the shipped model: recipe, seeds, validation curve, scores, limits.

    Lesson: 13_train_your_own
    """
    return json.loads(shipped("demo_model/hdemucs_mini16.json").read_text(encoding="utf-8"))


def render_songs(folder: Path, seeds: range, *, duration_s: float = 22.0) -> None:
    """Write one file of int16 (source, channel, time) per seed; what is there already stays.

    Raises:
        ValueError: a seed is kept for validation or for the last test.
    """
    reserved = set(seeds) - set(TRAINING_SEEDS) - set(VALIDATION_SEEDS)
    if reserved or (set(seeds) & set(VALIDATION_SEEDS) and folder.name != "validation"):
        raise ValueError(f"seeds {seeds} reach beyond {TRAINING_SEEDS}, the seeds for training")
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed:06d}.npy"
        if not path.exists():
            stems = torch.stack(list(make_song(seed, duration_s=duration_s).stems.values()))
            partial = path.with_suffix(f".{os.getpid()}")
            with partial.open("wb") as file:
                np.save(file, (stems * 32_768).to(torch.int16).numpy())
            partial.replace(path)


def open_songs(folder: Path) -> list[np.ndarray]:
    """Open all songs of a folder without reading them: pages come in when they are used."""
    songs = [np.load(path, mmap_mode="r") for path in sorted(Path(folder).glob("*.npy"))]
    if not songs:
        raise FileNotFoundError(f"no songs in {folder}: make some with the command `songs`")
    return songs


def remix(songs: list[np.ndarray], rng: np.random.Generator, recipe: Recipe) -> np.ndarray:
    """Make one training example, (4, 2, time): stems that may never have met before.

    The network must learn what drums are, not what these songs are. So often each stem comes
    from another song, and each is played faster or slower, louder or softer, flipped, swapped
    or silent. The mixture is their sum, whatever was done to them. The other examples are what
    the network will meet: pieces of songs as they are.

    Lesson: 13_train_your_own
    """
    length = int(recipe.segment_s * SAMPLE_RATE)
    if rng.random() < recipe.together:
        number, position, _ = _place(songs, rng)
        as_played = (number, position, 1.0)
        return np.stack([_cut(songs, n, as_played, length) for n in range(len(SOURCES))])
    pieces = []
    for source in range(len(SOURCES)):
        for _ in range(3):  # silence teaches little
            piece = _cut(songs, source, _place(songs, rng), length)
            if np.abs(piece).max() > 1e-3:
                break
        pieces.append(_vary(piece, rng) * (1.0, 1.0, 1.15, 1.25)[source])
    return np.stack(pieces)


def _place(songs, rng) -> tuple[int, float, float]:
    """Draw a song, a position from 0 to 1, and a speed (1: as it was played)."""
    speed = 1.0 if rng.random() < 0.5 else float(rng.uniform(0.84, 1.19))
    return int(rng.integers(len(songs))), float(rng.random()), speed


def _cut(songs, source, place, length) -> np.ndarray:
    number, position, speed = place
    wanted = math.ceil(length * speed) + 1
    start = int(position * (songs[number].shape[-1] - wanted))
    piece = songs[number][source, :, start : start + wanted].astype(np.float32) / 32_768
    if speed == 1.0:
        return piece[:, :length]
    times = np.arange(length) * speed
    return np.stack([np.interp(times, np.arange(wanted), channel) for channel in piece])


def _vary(piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change loudness, sign and sides; leave the stem out in 6 of 100 cases."""
    if rng.random() < 0.06:
        return np.zeros_like(piece)
    sides = piece[::-1] if rng.random() < 0.5 else piece
    return sides * rng.choice([-1, 1]) * rng.uniform(0.35, 1.35)


class Remixes(Dataset):
    """An endless album: example number `index` is the same on every machine and in every run."""

    def __init__(self, songs: list[np.ndarray], recipe: Recipe):
        self.songs, self.recipe = songs, recipe

    def __getitem__(self, index: int) -> Tensor:
        """Make the stems of one example, (4, 2, time) float32."""
        rng = np.random.default_rng([self.recipe.seed, index])
        return torch.from_numpy(remix(self.songs, rng, self.recipe).astype(np.float32))


def new_model(recipe: Recipe) -> HDemucs:
    """Build Hybrid Demucs with fewer channels, its convolutions rescaled as in Demucs."""
    torch.manual_seed(recipe.seed)
    model = HDemucs(list(SOURCES), channels=recipe.channels, nfft=4096, depth=6)
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            scale = (layer.weight.detach().std() / 0.1).sqrt()
            layer.weight.data /= scale
            if layer.bias is not None:
                layer.bias.data /= scale
    return model


def loss_of(model: nn.Module, stems: Tensor, *, stft_weight=0.0, n_fft=2048,
            emphasis=(1.0, 1.0, 1.0, 1.0), precision="float32") -> Tensor:  # fmt: skip
    """Mix the stems, (batch, 4, 2, time), separate them again, and return how wrong that was.

    The loss is the mean absolute error of the samples, plus that of a spectrogram of the error
    signal, which weighs a quiet haze more than the samples do. The error of each source counts
    as much as its emphasis says.

    Lesson: 13_train_your_own
    """
    with autocast(stems.device, precision):
        estimates = model(stems.sum(dim=1))
    error = (estimates.float() - stems) * stems.new_tensor(emphasis)[:, None, None]
    loss = error.abs().mean()
    if stft_weight:
        window = torch.hann_window(n_fft, device=error.device)
        spectrum = torch.stft(error.flatten(0, 2), n_fft, n_fft // 2, window=window,
                              normalized=True, return_complex=True)  # fmt: skip
        loss = loss + stft_weight * torch.view_as_real(spectrum).abs().mean()
    return loss


def pace(recipe: Recipe, step: int, hours: float) -> float:
    """Return the share of the step size: a warm-up, a plateau, and a straight line to zero."""
    warm = min(1.0, (step + 1) / recipe.warm_up_steps)
    left = (recipe.hours - hours) / (recipe.cool_down * recipe.hours)
    return warm * min(1.0, max(0.0, left))


class Run:
    """A run in progress: weights, their average, the optimizers' memory, how much was heard."""

    def __init__(self, recipe: Recipe, device: torch.device):
        self.recipe, self.device = recipe, device
        self.model = new_model(recipe).to(device)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.matrices = Matrices(self.model) if recipe.matrix_rate else None
        left = self.matrices.others if self.matrices else self.model.parameters()
        self.adam = torch.optim.Adam(left, lr=recipe.learning_rate)
        self.step, self.examples, self.hours = 0, 0, 0.0

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with weights that are there already instead of random ones."""
        self.model.load_state_dict({k: v.float() for k, v in weights.items()})
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write everything that is needed to go on; the file is never half-written."""
        state = {"model": self.model.state_dict(), "average": self.average,
                 "adam": self.adam.state_dict(), "step": self.step, "examples": self.examples,
                 "hours": self.hours, "recipe": asdict(self.recipe),
                 "muon": self.matrices and self.matrices.muon.state_dict()}  # fmt: skip
        torch.save(state, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a saved state."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        if self.matrices:
            self.matrices.muon.load_state_dict(state["muon"])
        self.average = state["average"]
        self.step, self.examples, self.hours = state["step"], state["examples"], state["hours"]

    def train_step(self, stems: Tensor, precision: str = "float32") -> float:
        """Learn from this process's share of one batch, (batch, 4, 2, time)."""
        share = pace(self.recipe, self.step, self.hours)
        self.adam.param_groups[0]["lr"] = self.recipe.learning_rate * share
        how = {"stft_weight": self.recipe.stft_weight, "emphasis": self.recipe.emphasis,
               "n_fft": self.recipe.n_ffts[self.step % len(self.recipe.n_ffts)]}  # fmt: skip
        loss = loss_of(self.model, stems.to(self.device), precision=precision, **how)
        self.model.zero_grad()
        loss.backward()
        share_gradients(self.model)
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.adam.step()
        if self.matrices:
            self.matrices.step(self.recipe.matrix_rate * share)
        self.step += 1
        self.examples += self.recipe.batch
        self.hours += self.recipe.batch * self.recipe.segment_s / 3600
        follow = 1 - min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, weight in self.model.state_dict().items():
            self.average[name].lerp_(weight, follow)
        return loss.item()


def train(
    run: Run, folder: Path, *, rank=0, processes=1, precision="float32", workers=0, round_steps=50
) -> Iterator[float]:
    """Train until the recipe's hours are heard, in rounds; yield the mean loss of each round.

    Args:
        run: a new run, or one that was resumed; it is changed in place.
        folder: songs made by `render_songs`; more may come in while the training runs.
        rank: number of this process, from 0.
        processes: how many processes share every batch.
        precision: "float32" or "bfloat16".
        workers: helpers that prepare examples, per process; 0 on a CPU.
        round_steps: steps between two looks at the folder.

    Lesson: 13_train_your_own
    """
    recipe, share = run.recipe, run.recipe.batch // processes
    step_hours = recipe.batch * recipe.segment_s / 3600
    while run.hours < recipe.hours - step_hours / 2:
        steps = min(round_steps, round((recipe.hours - run.hours) / step_hours))
        first = run.examples + rank * share
        numbers = [first + s * recipe.batch + item for s in range(steps) for item in range(share)]
        album = Remixes(open_songs(folder), recipe)
        loader = DataLoader(album, share, sampler=numbers, num_workers=workers)
        losses = [run.train_step(stems, precision) for stems in loader]
        yield sum(losses) / len(losses)
