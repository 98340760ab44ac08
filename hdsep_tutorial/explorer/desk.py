"""A small mixing desk: a gain per stem, level and true peak of the sum."""

import math

import ipywidgets as widgets
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ..remix import remix, true_peak_db
from ..spectrogram import level_db
from .view import BLUE, COLUMNS, LATER, ORANGE, RED, View

OFF_DB, SAFE_DB = -40.0, -1.0  # a gain that switches off; the true peak of a careful master


class RemixView(View):
    """A gain per stem, the waveform of the sum and its meters; `mixture` is the sum itself."""

    def __init__(self, stems: dict[str, Tensor], sample_rate: int, start_s: float) -> None:
        self._stems, self._rate, self._start_s = stems, sample_rate, start_s
        span = {"min": OFF_DB, "max": 12, "step": 0.5, **LATER}
        super().__init__({f"{name} (dB)": widgets.FloatSlider(value=0, **span) for name in stems})

    @property
    def gains_db(self) -> dict[str, float]:
        """Stem → gain in dB; the lowest position of a slider is minus infinity, off."""
        gains = {name: self.controls[f"{name} (dB)"].value for name in self._stems}
        return {name: gain if gain > OFF_DB else -math.inf for name, gain in gains.items()}

    @gains_db.setter
    def gains_db(self, gains_db: dict[str, float]) -> None:
        for name, gain_db in gains_db.items():
            self.controls[f"{name} (dB)"].value = max(OFF_DB, gain_db)

    def draw(self) -> str:
        """Draw the sum and its meters."""
        self.mixture = remix(self._stems, self.gains_db)
        rms_db = level_db(self.mixture.square().mean(dim=1).sqrt()).tolist()
        peak_db, clips = true_peak_db(self.mixture, self._rate), (self.mixture.abs() > 1).sum()
        wave, meter = self.figure.axes or self.figure.subplots(1, 2, width_ratios=(5, 1))
        self.figure.subplots_adjust(0.07, 0.17, 0.99, 0.9, wspace=0.18)
        _draw_wave(wave, self.mixture, self._start_s, self._rate)
        _draw_meter(meter, dict(zip(["left", "right", "peak"], [*rms_db, peak_db], strict=True)))
        say = f"RMS {max(rms_db):.1f} dBFS, true peak {peak_db:.1f} dBTP, {clips} samples clip: "
        if peak_db > SAFE_DB:
            return f"{say}turn all down by {peak_db - SAFE_DB:.1f} dB to stay below {SAFE_DB:g}."
        return f"{say}safe."


def _draw_wave(ax: Axes, waveform: Tensor, start_s: float, rate: int) -> None:
    """Draw the range of the samples in each column, and mark where it is beyond full scale."""
    columns = min(COLUMNS, waveform.shape[-1])
    ranges = torch.tensor([part.aminmax() for part in waveform.tensor_split(columns, dim=1)])
    length_s, top = waveform.shape[-1] / rate, max(1.1, 1.1 * ranges.abs().max().item())
    seconds = start_s + torch.arange(columns) * (length_s / columns)
    ax.clear()
    ax.fill_between(seconds, *ranges.T, color=BLUE, linewidth=0)
    clipped = ranges.abs().amax(dim=1) > 1
    ax.plot(seconds[clipped], torch.ones(columns)[clipped], "v", color=RED)
    ax.axhline(1, color="0.5", linewidth=0.5)
    ax.axhline(-1, color="0.5", linewidth=0.5)
    ax.set(
        xlabel="time in the song (s)",
        ylabel="sum",
        xlim=(start_s, start_s + length_s),
        ylim=(-top, top),
    )


def _draw_meter(ax: Axes, levels_db: dict[str, float]) -> None:
    """Draw a bar per level, in the colour of what it means."""
    ax.clear()
    for name, level in levels_db.items():
        colour = RED if level > 0 else ORANGE if level > SAFE_DB else BLUE
        ax.text(name, 7, f"{level:.1f}", ha="center")
        ax.bar(name, max(level, -60) + 60, bottom=-60, color=colour)
    ax.axhline(0, color="black", linewidth=1)
    ax.set(ylim=(-60, 12), ylabel="dBFS")
