"""Explorers: the picture follows the settings, bad ones leave it alone, and a still remains."""

import base64
import html
import math

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn
from traitlets import TraitError

from hdsep_tutorial import compare_stems, explorer, plot_spectrogram, sdr
from hdsep_tutorial.remix import remix, true_peak_db

RATE = 8_000
WIDGET = "application/vnd.jupyter.widget-view+json"


class Muffled(nn.Module):
    """A model whose output near the edge of what it hears is wrong, as a real one's is."""

    sources = ("loud", "soft")

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, chunks):
        self.calls += 1
        edge = torch.ones(chunks.shape[-1])
        edge[:40] = edge[-40:] = 0.5
        return torch.stack([0.7 * edge * chunks, 0.3 * chunks], dim=1)


@pytest.fixture
def stems(noise):
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(6.0 * RATE) / RATE).repeat(2, 1)
    return {"tone": 0.5 * tone, "noise": 0.1 * noise(6 * RATE)}


@pytest.fixture
def view(stems):
    return explorer.spectrogram(stems, RATE, start_s=150)


def moved(view, name, value):
    """Return whether moving a control changes the picture."""
    before = view._picture.value
    setattr(view, name, value)
    return view._picture.value != before


# What every explorer does


def all_views(stems):
    pair = {"sample_rate": RATE, "start_s": 0, "stop_s": 6}
    return {
        "spectrogram": explorer.spectrogram(stems, RATE),
        "comparison": explorer.comparison(compare_stems(stems, stems, **pair)),
        "chunks": explorer.chunks(12, sample_rate=RATE),
        "remix": explorer.remix(stems, RATE),
    }


def test_each_leaves_a_picture_and_a_sentence_where_no_kernel_answers(stems):
    for name, view in all_views(stems).items():
        bundle = view._repr_mimebundle_()
        assert set(bundle) == {WIDGET, "image/png", "text/plain"}, name
        picture = base64.b64decode(bundle["image/png"])
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 120_000, name  # what a stored lesson may hold
        assert bundle["text/plain"] == view.sentence == repr(view)
        assert view.sentence.endswith(".")
        assert "Not drawn" not in view.sentence
        assert html.escape(view.sentence) in view._text.value


def test_every_control_has_a_label_and_waits_for_the_slider_to_be_let_go(stems):
    for view in all_views(stems).values():
        for name, control in view.controls.items():
            assert control.description == name
            assert getattr(control, "continuous_update", False) is False


def test_every_control_changes_the_picture_and_the_figure_is_the_same(stems):
    moves = {
        "spectrogram": [("stem", "noise"), ("n_fft", 512), ("hop_length", 128), ("scale", "log")],
        "comparison": [("part", "error"), ("stem", "noise"), ("range_s", (1, 3))],
        "chunks": [("segment_s", 4), ("overlap_s", 2)],
        "remix": [("tone (dB)", 6), ("noise (dB)", -40)],
    }
    moves["spectrogram"] += [("floor_db", -60), ("range_s", (1, 2)), ("scale", "linear")]
    for name, view in all_views(stems).items():
        figure, axes = view.figure, list(view.figure.axes)
        if name == "comparison":
            view.floor_db = -120  # the error is silent: any picture of it is dark
        for control, value in moves[name]:
            assert moved(view, control, value), f"{name}: {control} does nothing"
            assert getattr(view, control) == value
        assert view.figure is figure
        assert list(figure.axes) == axes, f"{name}: axes pile up"


def test_no_pyplot_figure_is_left_open(stems):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    all_views(stems)
    assert pyplot.get_fignums() == before


def test_an_unknown_setting_names_those_there_are(view):
    with pytest.raises(AttributeError, match=r"no setting 'nfft', expected one of .*n_fft"):
        _ = view.nfft
    with pytest.raises(TraitError):
        view.n_fft = 1000


def test_names_cannot_become_html(noise):
    view = explorer.spectrogram({"<img src=x onerror=alert(1)>": noise(RATE)}, RATE)
    assert "<img" not in view._text.value
    assert "&lt;img" in view._text.value


# Spectrogram


@pytest.mark.parametrize("scale", ["linear", "log", "mel"])
def test_the_picture_is_that_of_plot_spectrogram(view, stems, scale):
    """Another way to the same picture: the function that the lessons call."""
    from matplotlib.figure import Figure

    view.scale, view.range_s, view.n_fft, view.hop_length = scale, (151, 153.5), 1024, 256
    part = stems["tone"][:, RATE : round(3.5 * RATE)]
    look = {"n_fft": 1024, "hop_length": 256, "scale": scale, "columns": 560, "rows": 200}
    ax, text = plot_spectrogram(
        part, RATE, title="tone", start_s=151, ax=Figure().subplots(), colorbar=False, **look
    )
    mine, theirs = view.figure.axes[0], ax
    assert np.array_equal(mine.images[0].get_array(), theirs.images[0].get_array())
    assert mine.get_xlim() == theirs.get_xlim()
    assert mine.get_ylim() == theirs.get_ylim()
    assert mine.get_yscale() == theirs.get_yscale()
    assert text.split("s: ")[1].rstrip(".") in view.sentence


def test_a_hop_is_kept_within_half_a_window(view):
    view.n_fft = 256
    assert view.hop_length == 128
    for hop_length in (1024, 256):
        view.hop_length = hop_length
        assert view.hop_length == 128
    assert "Not drawn" not in view.sentence


def test_an_empty_range_keeps_the_picture_and_says_so(view):
    picture = view._picture.value
    view.range_s = (152, 152)
    assert view._picture.value == picture
    assert view.sentence == "Not drawn: the range of seconds is empty: move its two ends apart."
    view.range_s = (152, 153)
    assert "strongest at 1000 Hz with -6 dBFS" in view.sentence


def test_a_transform_is_computed_once_per_stem_window_hop_and_range(view, monkeypatch):
    import hdsep_tutorial.explorer.sight as sight

    calls, compute = [], sight.column_power
    monkeypatch.setattr(sight, "column_power", lambda *a, **k: calls.append(k) or compute(*a, **k))
    for scale in ("linear", "log"):
        view.scale = scale
    view.floor_db = -60
    assert not calls
    view.n_fft, view.stem = 2048, "noise"
    assert len(calls) == 2
    view.stem, view.n_fft = "tone", 4096
    assert len(calls) == 2


def test_only_the_first_seconds_of_a_long_song_are_shown_at_first(noise):
    view = explorer.spectrogram({"noise": noise(60 * RATE)}, RATE)
    assert view.range_s == (0, 5)
    assert view.controls["range_s"].max == 60


def test_changing_rulers_in_any_order_warns_of_nothing(view, recwarn):
    for scale in ("log", "linear", "mel", "log", "mel", "linear"):
        view.scale = scale
    assert not recwarn.list


def test_bad_sounds_are_said_in_a_sentence(stems):
    with pytest.raises(ValueError, match="no stems"):
        explorer.spectrogram({}, RATE)
    nan = explorer.spectrogram({"nan": stems["tone"] * math.nan}, RATE)
    assert "NaN" in nan.sentence
    assert "image/png" not in nan._repr_mimebundle_()
    silent = explorer.spectrogram({"silence": 0 * stems["tone"]}, RATE)
    assert "silent, nothing above -90 dBFS" in silent.sentence


# Comparison


def test_the_comparison_scores_the_seconds_that_are_shown(stems, noise):
    guess = {name: stem.clone() for name, stem in stems.items()}
    guess["tone"][:, 2 * RATE :] += 0.05 * noise(4 * RATE, seed=3)
    compared = compare_stems(guess, stems, sample_rate=RATE, start_s=0, stop_s=6)
    view = explorer.comparison(compared)
    view.part, view.range_s = "error", (0, 2)
    assert "silent" in view.sentence
    assert "SDR of these seconds: >100 dB" in view.sentence
    view.range_s = (2, 4)
    cut = slice(2 * RATE, 4 * RATE)
    expected = sdr(stems["tone"][:, cut], guess["tone"][:, cut])
    assert f"SDR of these seconds: {expected:.1f} dB" in view.sentence
    assert "tone, error, 2 to 4 s" in view.sentence


# Chunks


def test_the_plan_is_counted_and_its_weights_sum_to_one():
    view = explorer.chunks(25)
    assert view.sentence == (
        "3 chunks for 25.0 s: 8 % more to compute than without overlap; "
        "the weights sum to 1.000000 to 1.000000."
    )
    total = view.figure.axes[1].lines[0].get_ydata()
    assert np.abs(total - 1).max() < 1e-6


def test_impossible_plans_keep_the_picture():
    view = explorer.chunks(30)
    picture = view._picture.value
    view.segment_s, view.overlap_s = 2, 4
    assert "overlap_s is 4.0, expected from 0 to below segment_s = 2.0" in view.sentence
    view.overlap_s, view.segment_s = 0.4, 0.5
    assert "296 chunks are too many to see" in view.sentence
    view.segment_s, view.overlap_s = 10, 1
    assert view._picture.value == picture


def test_the_error_is_measured_on_demand_and_lies_at_the_ends(stems):
    model, mixture = Muffled(), stems["tone"] + stems["noise"]
    view = explorer.chunks(model=model, mixture=mixture, sample_rate=RATE)
    assert model.calls == 0
    view.segment_s, view.overlap_s = 2, 0
    button = view.children[-1].children[0]
    button.click()
    assert model.calls == 1 + 3
    assert view._progress.value == view._progress.max == 2 * mixture.shape[-1]
    _, joint, elsewhere = view._errors[2, 0]
    # Half of 0.7 of the mixture is missing at the ends, of a signal of 0.7 and 0.3 of it:
    assert joint == pytest.approx(20 * math.log10(0.35 / math.hypot(0.7, 0.3)), abs=0.1)
    assert elsewhere == -120
    assert (
        f"Error within 5 ms of an end of a chunk {joint:.1f} dB, elsewhere <-100" in view.sentence
    )
    view.overlap_s = 1
    assert "not measured" in view.sentence
    view.measure()
    assert view._errors[2, 1][1] < joint - 20  # the fade gives the ends little weight
    assert model.calls == 4 + 5  # the whole was kept
    view.overlap_s = 0
    assert "not measured" not in view.sentence
    assert not model._forward_hooks


def test_a_model_that_fails_is_said_in_a_sentence(stems):
    broken = Muffled()
    broken.forward = lambda chunks: chunks
    view = explorer.chunks(model=broken, mixture=stems["tone"], sample_rate=RATE)
    view.measure()
    assert view.sentence.startswith("Not measured: the model made")
    assert not broken._forward_hooks


def test_model_and_mixture_come_together_and_are_short(stems):
    with pytest.raises(ValueError, match="expected both and at most 60 s, or neither"):
        explorer.chunks(model=Muffled())
    with pytest.raises(ValueError, match="or neither"):
        explorer.chunks(mixture=stems["tone"])
    with pytest.raises(ValueError, match="a model and 61 s"):
        explorer.chunks(model=Muffled(), mixture=torch.zeros(2, 61 * RATE), sample_rate=RATE)


# Remix


def test_the_desk_holds_the_sum_and_its_gains(stems):
    desk = explorer.remix(stems, RATE, start_s=150)
    assert desk.gains_db == {"tone": 0, "noise": 0}
    desk.gains_db = {"tone": -6, "noise": -math.inf}
    assert desk.gains_db == {"tone": -6, "noise": -math.inf}
    assert torch.equal(desk.mixture, remix(stems, desk.gains_db))
    assert "0 samples clip: safe." in desk.sentence


def test_the_clip_meter_sees_what_lies_between_the_samples():
    fade = torch.hann_window(4_000)
    between = {"sine": (fade * torch.tensor([1.0, 1, -1, -1]).repeat(1000)).repeat(2, 1)}
    desk = explorer.remix(between, RATE)  # samples reach 1.0, the wave between them 1.41
    assert "true peak 3.0 dBTP, 0 samples clip: turn all down by 4.0 dB" in desk.sentence
    desk.gains_db = {"sine": -4}
    assert true_peak_db(desk.mixture, RATE) <= -0.9
    desk.gains_db = {"sine": -4.5}
    assert desk.sentence.endswith("safe.")
    desk.gains_db = {"sine": 6}
    clips = (desk.mixture.abs() > 1).sum()
    assert clips > 0
    assert f"{clips} samples clip" in desk.sentence


def test_stems_that_do_not_fit_are_said_in_a_sentence(stems):
    desk = explorer.remix({**stems, "short": torch.zeros(2, 5)}, RATE)
    assert "expected stems of one shape" in desk.sentence


def test_matplotlib_is_left_as_it_was(stems):
    before = dict(matplotlib.rcParams)
    all_views(stems)
    assert dict(matplotlib.rcParams) == before
