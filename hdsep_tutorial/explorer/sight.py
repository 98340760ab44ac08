"""Explore spectrograms: of one sound, and of estimate, reference and error."""

from functools import lru_cache

import ipywidgets as widgets
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from torch import Tensor

from ..audio import clip
from ..metrics import sdr
from ..scores import written
from ..spectrogram import (
    COLOUR_STEP_DB,
    LOWEST_HZ,
    column_power,
    label_axes,
    level_db,
    name_strongest,
    select_channel,
    to_rows,
)
from .view import COLUMNS, LATER, View

ROWS = 200
SHOWN_S, LEAST_S = 5.0, 0.05  # seconds of the song that are shown first, and at least


class SpectrogramView(View):
    """Spectrograms of sounds by part and stem; what is computed once is kept."""

    def __init__(self, parts: dict[str, dict[str, Tensor]], sample_rate: int, start_s: float):
        self._parts, self._rate, self._start_s = parts, sample_rate, start_s
        self._power = lru_cache(maxsize=16)(self._compute_power)
        stems = next(iter(parts.values()))
        if not stems:
            raise ValueError("got no stems, expected a dict of name → (2, time)")
        stop_s = start_s + min(stem.shape[-1] for stem in stems.values()) / sample_rate
        limits = {"min": start_s, "max": stop_s, "step": 0.1, "readout": False, **LATER}
        shown = (start_s, min(stop_s, start_s + SHOWN_S))
        sizes = [2**power for power in range(7, 14)]
        controls = {
            "part": widgets.ToggleButtons(options=list(parts), style={"button_width": "auto"}),
            "stem": widgets.Dropdown(options=list(stems)),
            "range_s": widgets.FloatRangeSlider(value=shown, **limits),
            "n_fft": widgets.SelectionSlider(options=sizes[1:], value=4096, **LATER),
            "hop_length": widgets.SelectionSlider(options=sizes[:-1], value=1024, **LATER),
            "scale": widgets.Dropdown(options=list(LOWEST_HZ), value="mel"),
            "floor_db": widgets.IntSlider(value=-90, min=-120, max=-30, step=6, **LATER),
        }
        if len(parts) == 1:
            controls["part"].layout.display = "none"
        super().__init__(controls)

    def refresh(self) -> None:
        """Keep the hop within half a window: wider ones would skip samples."""
        if self.hop_length > self.n_fft // 2:
            self.hop_length = self.n_fft // 2  # which calls this again
        else:
            super().refresh()

    def cut(self, part: str) -> Tensor:
        """Return the seconds that are shown of the chosen stem in `part`."""
        start_s, stop_s = (second - self._start_s for second in self.range_s)
        if stop_s - start_s < LEAST_S:
            raise ValueError("the range of seconds is empty: move its two ends apart")
        return clip(self._parts[part][self.stem], start_s, stop_s, sample_rate=self._rate)

    def _compute_power(self, part: str, stem: str, range_s: tuple, n_fft: int, hop: int) -> Tensor:
        mono = select_channel(self.cut(part), "mid")
        return column_power(mono, columns=COLUMNS, n_fft=n_fft, hop_length=hop)

    def draw(self) -> str:
        """Put new levels and axes on the one image."""
        rate, n_fft, hop = self._rate, self.n_fft, self.hop_length
        power = self._power(self.part, self.stem, self.range_s, n_fft, hop)
        level, bin_hz = level_db(power.sqrt(), floor_db=self.floor_db), rate / n_fft
        ax, image = self._axes()
        image.set_data(to_rows(level, self.scale, bin_hz, rate / 2, ROWS).numpy())
        image.set_extent((*self.range_s, 0, 1))
        image.set_cmap(colormaps["viridis"].resampled(-self.floor_db // COLOUR_STEP_DB))
        image.set_clim(self.floor_db, 0)
        ax.set_yscale("linear")  # a logarithmic axis would refuse the next one's 0 Hz
        label_axes(ax, self.scale, rate / 2)
        title = self.stem if len(self._parts) == 1 else f"{self.stem}, {self.part}"
        ax.set(title=title, xlim=self.range_s)
        seconds = "{:g} to {:g} s".format(*self.range_s)
        return (
            f"{title}, {seconds}: {name_strongest(level, bin_hz, self.floor_db)}. A window lasts "
            f"{1000 * n_fft / rate:.0f} ms, bins are {bin_hz:.1f} Hz apart, "
            f"frames {1000 * hop / rate:.0f} ms."
        )

    def _axes(self) -> tuple[Axes, AxesImage]:
        """Return the axes and their image, made when they are first asked for."""
        if not self.figure.axes:
            ax = self.figure.add_axes((0.07, 0.17, 0.83, 0.73))
            place = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
            image = ax.imshow([[0.0]], transform=ax.get_xaxis_transform(), **place)
            scale = self.figure.add_axes((0.915, 0.17, 0.015, 0.73))
            self.figure.colorbar(image, cax=scale, label="level (dBFS)")
        ax = self.figure.axes[0]
        return ax, ax.images[0]


class ComparisonView(SpectrogramView):
    """A spectrogram of estimate, reference or error, and the score of the seconds shown."""

    def draw(self) -> str:
        """Add the score to the sentence."""
        sentence, score = super().draw(), sdr(self.cut("reference"), self.cut("estimate"))
        return f"{sentence} SDR of these seconds: {written(score)} dB."
