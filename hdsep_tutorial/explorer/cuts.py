"""Explore the chunk plan: windows, weights, and the error that the cuts make."""

import ipywidgets as widgets
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from ..chunks import chunk_weights, crossfade, plan_in_seconds
from ..scores import written
from ..separation import separate_sources
from ..spectrogram import level_db
from .view import BLUE, LATER, ORANGE, RED, View

POINTS = 2000  # of a curve
MOST_CHUNKS, LONGEST_S = 200, 60.0  # that are drawn; that are separated in one piece
JOINT_S, STEP_S = 0.005, 0.05  # how near is near an end of a chunk; step of the error's curve


class ChunkView(View):
    """The chunk plan, its windows and weights, and what the cuts cost."""

    def __init__(
        self, length: int, sample_rate: int, model: nn.Module | None, mixture: Tensor | None
    ) -> None:
        self._length, self._rate, self._model, self._mixture = length, sample_rate, model, mixture
        self._whole, self._errors, self._length_s = None, {}, length / sample_rate
        span_s = {"min": 0.5, "max": max(0.5, min(30.0, self._length_s)), "step": 0.5, **LATER}
        controls = {
            "segment_s": widgets.FloatSlider(value=min(10, span_s["max"]), **span_s),
            "overlap_s": widgets.FloatSlider(value=1, min=0, max=5, step=0.1, **LATER),
        }
        super().__init__(controls, height=3.6 if model is None else 4.8)
        if model is not None:
            button = widgets.Button(description="Measure the error")
            self._progress = widgets.FloatProgress(0)
            button.on_click(lambda _: self.measure())
            self.children += (widgets.HBox([button, self._progress]),)

    def draw(self) -> str:
        """Draw windows, weights and, where it was measured, the error over the same seconds."""
        cuts = {"segment_s": self.segment_s, "overlap_s": self.overlap_s}
        chunks = plan_in_seconds(self._length, self._rate, **cuts, even=True).chunks
        if len(chunks) > MOST_CHUNKS:
            raise ValueError(f"{len(chunks)} chunks are too many to see: move their starts apart")
        measured = self._model is not None
        panels = self.figure.axes or self.figure.subplots(2 + measured, sharex=True)
        self.figure.subplots_adjust(0.07, 0.14, 0.98, 0.92, hspace=0.4)
        for ax in panels:
            ax.clear()
        weights = _draw_plan(panels, self._length_s, **cuts)
        panels[-1].set(xlabel="time (s)", xlim=(0, self._length_s))
        more = 100 * (sum(stop - start for start, stop in chunks) / self._length - 1)
        sentence = (
            f"{len(chunks)} chunks for {self._length_s:.1f} s: {more:.0f} % more to compute than "
            f"without overlap; the weights sum to {weights.min():.6f} to {weights.max():.6f}."
        )
        return sentence + (self._draw_error(panels[2], chunks) if measured else "")

    def _draw_error(self, ax: Axes, chunks: list[tuple[int, int]]) -> str:
        """Draw the error of the present cuts, if it is known, and return what it says."""
        ax.set(title="error against one piece", ylabel="dB", ylim=(-50, 10))
        if (self.segment_s, self.overlap_s) not in self._errors:
            ax.text(0.5, 0.5, "not measured: press the button", transform=ax.transAxes, ha="center")
            return " The error of these cuts is not measured yet."
        ax.vlines([end / self._rate for chunk in chunks for end in chunk], -50, 10, "0.8")
        curve, joint, elsewhere = self._errors[self.segment_s, self.overlap_s]
        ax.plot(STEP_S * torch.arange(len(curve)) + STEP_S / 2, curve, color=RED)
        near = f"{1000 * JOINT_S:.0f} ms of an end of a chunk"
        return f" Error within {near} {written(joint)} dB, elsewhere {written(elsewhere)} dB."

    def measure(self) -> None:
        """Separate once in one piece and once in the present chunks, and keep the error."""
        cuts = {"segment_s": self.segment_s, "overlap_s": self.overlap_s}
        hook = self._model.register_forward_hook(self._advance)
        try:
            chunks = plan_in_seconds(self._length, self._rate, **cuts, even=True).chunks
            todo = sum(stop - start for start, stop in chunks)
            todo += 0 if self._whole else self._length
            self._progress.value, self._progress.max = 0, todo
            self._whole = self._whole or self._separate(segment_s=self._length_s, overlap_s=0.0)
            found = _error_of_cuts(self._whole, self._separate(**cuts), chunks, self._rate)
            self._errors[tuple(cuts.values())] = found
            self.refresh()
        except ValueError as error:
            self.say(f"Not measured: {error}.")
        finally:
            hook.remove()

    def _separate(self, **cuts: float) -> dict[str, Tensor]:
        rest = {"sample_rate": self._rate, "progress": False}
        return separate_sources(self._model, self._mixture, **cuts, **rest)

    def _advance(self, _model: nn.Module, given: tuple[Tensor], _output: Tensor) -> None:
        self._progress.value += given[0].shape[-1]


def _draw_plan(panels: list, length_s: float, segment_s: float, overlap_s: float) -> Tensor:
    """Draw windows above weights, each with their sum, and return the sum of the weights."""
    plan = plan_in_seconds(POINTS, POINTS / length_s, segment_s, overlap_s, even=True)
    seconds = torch.arange(POINTS) * (length_s / POINTS)
    sums = torch.zeros(2, POINTS)
    for index, (start, stop) in enumerate(plan.chunks):
        shapes = crossfade(stop - start, plan.overlap), chunk_weights(plan, index)
        for ax, total, shape in zip(panels[:2], sums, shapes, strict=True):
            colour = (BLUE, ORANGE)[index % 2]
            ax.fill_between(seconds[start:stop], shape, color=colour, alpha=0.4, linewidth=0)
            total[start:stop] += shape
    titles = ("windows of the chunks, and their sum", "weights = window / sum, and their sum")
    for ax, total, title in zip(panels[:2], sums, titles, strict=True):
        ax.plot(seconds, total, "k--", linewidth=1)
        ax.set(title=title, ylim=(0, None))
    return sums[1]


def _error_of_cuts(
    whole: dict[str, Tensor], cut: dict[str, Tensor], chunks: list[tuple[int, int]], rate: int
) -> tuple[Tensor, float, float]:
    """Return error over signal in dB: in steps of time, near the ends of chunks, and elsewhere."""
    signal = sum(stem.square().sum(dim=0) for stem in whole.values())
    error = sum((cut[name] - stem).square().sum(dim=0) for name, stem in whole.items())
    near, reach = torch.zeros(len(error), dtype=torch.bool), round(JOINT_S * rate)
    for end in {end for chunk in chunks for end in chunk} - {0, len(error)}:
        near[max(0, end - reach) : end + reach] = True
    steps = [energy.split(round(STEP_S * rate)) for energy in (error, signal)]
    pairs = [*zip(*steps, strict=True), (error[near], signal[near]), (error[~near], signal[~near])]
    ratios = torch.stack([wrong.sum() / right.sum().clamp_min(1e-9) for wrong, right in pairs])
    *curve, joint, elsewhere = level_db(ratios.sqrt())
    return torch.stack(curve), joint.item(), elsewhere.item()
