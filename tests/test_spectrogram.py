"""The spectrogram: calibrated, the same at every hop, drawn where it belongs, in little memory."""

import io
import math
import subprocess
import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
import torch

from hdsep_tutorial import level_db, plot_spectrogram, spectrogram, stft
from hdsep_tutorial.spectrogram import column_power, select_channel

matplotlib.use("agg")
RATE = 44_100


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def sine(hz: float, seconds: float = 1.0, amplitude: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return (amplitude * torch.sin(2 * math.pi * hz * time)).float().repeat(2, 1)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


# The transform


@pytest.mark.parametrize("n_fft", [256, 1024, 4096, 8192])
def test_a_full_scale_sine_at_a_bin_centre_reads_0_dbfs(n_fft):
    peak_bin = n_fft // 8 + 1
    level = level_db(stft(sine(peak_bin * RATE / n_fft), n_fft=n_fft, hop_length=n_fft // 4))
    inner = level[:, :, 4:-4]  # frames that no mirrored end reaches
    assert (inner.argmax(dim=1) == peak_bin).all()
    assert inner[:, peak_bin].abs().max() < 0.1
    half = sine(peak_bin * RATE / n_fft, amplitude=0.5)
    half = level_db(stft(half, n_fft=n_fft, hop_length=n_fft // 4))
    assert half[0, peak_bin, 4].item() == pytest.approx(-6.02, abs=0.01)


def test_every_frame_is_a_fourier_sum_around_its_sample():
    n_fft, hop = 64, 16
    sound = noise(2, 500)
    spectrum = stft(sound, n_fft=n_fft, hop_length=hop)
    assert spectrum.shape == (2, n_fft // 2 + 1, 1 + 500 // hop)
    window = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2
    waves = np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) / n_fft)
    for frame in (3, 20):
        seen = sound[:, frame * hop - n_fft // 2 : frame * hop + n_fft // 2].double().numpy()
        expected = (seen * window) @ waves.T * 2 / window.sum()
        # float32: 64 products, each rounded by 6e-8 of a magnitude below 4
        np.testing.assert_allclose(spectrum[:, :, frame], expected, atol=64 * 6e-8 * 4)


@pytest.mark.parametrize("length", [1, 2, 100, 2048, 2049, 4096, 5000])
def test_every_length_has_its_frames(length):
    spectrum = stft(noise(2, length))
    assert spectrum.shape == (2, 2049, 1 + length // 1024)
    assert spectrum.isfinite().all()
    silent = stft(torch.zeros(2, length))
    assert not silent.any()
    assert (level_db(silent, floor_db=-77) == -77).all()


def test_a_cut_through_a_tone_is_no_click():
    tone = sine(1000)[:, RATE // 4000 :]  # cut where it is loudest
    level = level_db(stft(tone))
    assert level[0, 1000:, 0].max() < -80  # with zeros before the cut: -63


def test_channels():
    sound = noise(2, 50)
    left, right, mid, side = (select_channel(sound, name) for name in spectrogram.CHANNELS)
    assert torch.equal(left, sound[0])
    assert torch.equal(right, sound[1])
    torch.testing.assert_close(mid + side, left)  # a sum and a difference of the same two
    torch.testing.assert_close(mid - side, right)
    for mono in (sound[0], sound[:1]):
        assert torch.equal(select_channel(mono, "mid"), sound[0])
        assert not select_channel(mono, "side").any()


# The columns of a picture


@pytest.mark.parametrize(("hop", "columns"), [(4, 50), (7, 31), (256, 1), (1024, 3)])
def test_columns_are_means_of_the_frames_of_the_plain_transform(hop, columns):
    sound = noise(6000)
    power = stft(sound, n_fft=1024, hop_length=hop).abs().square()
    frames = power.shape[1]
    edges = pairwise(frames * column // columns for column in range(columns + 1))
    expected = torch.stack([power[:, first:last].mean(dim=1) for first, last in edges], dim=1)
    found = column_power(sound, columns=columns, n_fft=1024, hop_length=hop)
    # float32 transforms of 1024 samples differ by some 1e-6 of the strongest bin
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * expected.max().item())


def test_fewer_frames_than_columns_are_columns_of_their_own():
    sound = noise(6000)
    found = column_power(sound, columns=1000, n_fft=1024, hop_length=512)
    expected = stft(sound, n_fft=1024, hop_length=512).abs().square()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * expected.max().item())


def test_blocks_leave_no_seam(monkeypatch):
    settings = {"columns": 10, "n_fft": 256, "hop_length": 4}
    expected = column_power(noise(4000), **settings)
    monkeypatch.setattr(spectrogram, "FRAMES_AT_ONCE", 3)
    torch.testing.assert_close(column_power(noise(4000), **settings), expected)


def test_hop_4_and_hop_1024_show_the_same_level():
    sound = noise(RATE)
    fine, coarse = (
        column_power(sound, columns=10**9 if hop > 4 else 200, n_fft=4096, hop_length=hop).mean()
        for hop in (4, 1024)
    )
    # About 40 independent frames × 2049 bins of noise: the mean power is known to 0.4 %.
    assert fine.item() == pytest.approx(coarse.item(), rel=0.02)
    expected = 1.5 * 4 / 4096  # σ² Σw² · 4 / (Σw)², with 3/8 and 1/2 for the Hann window
    assert fine.item() == pytest.approx(expected, rel=0.02)


@pytest.mark.slow
def test_five_seconds_at_hop_4_stay_within_1_gb_and_import_draws_nothing():
    script = (
        "import pathlib, re, resource, sys, torch, hdsep_tutorial.spectrogram as s\n"
        "assert 'matplotlib' not in sys.modules\n"
        "s.plot_spectrogram(torch.randn(2, 220_500), 44_100, hop_length=4)\n"
        "status = pathlib.Path('/proc/self/status')\n"  # on Linux getrusage counts the parent too
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = re.search(r'VmHWM:\\s*(\\d+)', status.read_text()) if status.exists() else None\n"
        "print(found.group(1) if found else peak)\n"
    )
    environment = {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script]
    output = subprocess.run(command, check=True, capture_output=True, env=environment).stdout
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    assert int(output) * unit < 1e9  # all frames at once are 55,126 × 2049 × 8 bytes = 0.9 GB


# The picture


@pytest.mark.parametrize("scale", ["linear", "log", "mel"])
@pytest.mark.parametrize("hz", [150.0, 1000.0, 9000.0])
def test_a_tone_lies_at_its_frequency(scale, hz):
    ax, text = plot_spectrogram(sine(hz, 0.5), RATE, scale=scale, title="tone")
    image = ax.images[0].get_array()
    rows = len(image)
    row = image[:, image.shape[1] // 2].argmax()
    to_hz = (ax.transAxes + ax.transData.inverted()).transform
    low, high = (to_hz((0.5, edge / rows))[1] for edge in (row, row + 1))
    bin_hz = RATE / 4096
    assert low - bin_hz <= hz <= high + bin_hz
    assert image[row].max() > -1.5  # Hann window, half a bin off centre: -1.42 dB
    assert f"strongest at {hz:g} Hz" in text


@pytest.mark.parametrize("hop_length", [16, 1024])
def test_a_click_lies_at_its_second_of_the_song(hop_length):
    sound = torch.zeros(2, RATE)
    sound[:, 10_240] = 1  # the middle of frame 10 or 640
    ax, _ = plot_spectrogram(sound, RATE, start_s=150, n_fft=1024, hop_length=hop_length)
    column_s = np.linspace(*ax.images[0].get_extent()[:2], ax.images[0].get_array().shape[1] + 1)
    brightest = ax.images[0].get_array()[100].argmax()
    middle_s = (column_s[brightest] + column_s[brightest + 1]) / 2
    shared = 0.5 if hop_length == 16 else 0.01  # of a column: frames share one, or have their own
    assert middle_s == pytest.approx(150 + 10_240 / RATE, abs=shared * np.diff(column_s)[0])
    assert ax.get_xlim() == pytest.approx((150, 151))


def test_axes_carry_seconds_hertz_and_one_colourbar():
    ax, _ = plot_spectrogram(noise(2, RATE), RATE, title="noise", floor_db=-80)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time in the song (s)", "frequency (Hz)")
    assert ax.get_title() == "noise"
    assert ax.get_ylim() == (0, RATE / 2)
    assert [other.get_ylabel() for other in ax.figure.axes[1:]] == ["level (dBFS)"]
    assert ax.images[0].get_clim() == (-80, 0)
    assert ax.images[0].get_cmap().name == "viridis"
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == ["0", "5k"]
    small = [label for label in ax.figure.findobj(matplotlib.text.Text) if label.get_fontsize() < 9]
    assert not small


def test_rows_and_columns_are_those_asked_for():
    for asked, rows in (({}, 210), ({"columns": 20}, 6), ({"columns": 20, "rows": 50}, 50)):
        ax, _ = plot_spectrogram(sine(440, 0.2), RATE, hop_length=8, **asked)
        assert ax.images[0].get_array().shape == (rows, asked.get("columns", 700))


def test_an_axes_of_your_own_and_no_colourbar():
    from matplotlib.figure import Figure

    mine = Figure().subplots()
    ax, _ = plot_spectrogram(sine(440), RATE, ax=mine, colorbar=False, fmax_hz=2000, scale="log")
    assert ax is mine
    assert ax.figure.axes == [mine]
    assert ax.get_ylim() == (20, 2000)


def test_the_sentence_is_the_same_everywhere():
    _, text = plot_spectrogram(sine(1001.3, 1.26), RATE, title="beep", start_s=150)
    assert text == "beep (mid), 150 to 151.3 s: strongest at 1000 Hz with 0 dBFS."
    _, text = plot_spectrogram(torch.zeros(2, RATE), RATE, channel="side")
    assert text == "Spectrogram (side), 0 to 1 s: silent, nothing above -90 dBFS."


def test_left_minus_right_is_seen_in_side_only():
    left = sine(440)[0]
    sound = torch.stack([left, -left])
    assert "silent" in plot_spectrogram(sound, RATE, channel="mid")[1]
    assert "440 Hz with 0 dBFS" in plot_spectrogram(sound, RATE, channel="side")[1]


@pytest.mark.parametrize("length", [1, 2, 1000])
@pytest.mark.parametrize("scale", ["linear", "log", "mel"])
def test_short_sounds_can_be_drawn(length, scale):
    ax, _ = plot_spectrogram(torch.ones(2, length), RATE, start_s=150, scale=scale)
    ax.figure.canvas.draw()


@pytest.mark.parametrize("hop_length", [64, 1024])
def test_a_picture_fits_a_notebook(hop_length):
    ax, _ = plot_spectrogram(0.1 * noise(2, 5 * RATE), RATE, hop_length=hop_length)
    png = io.BytesIO()
    ax.figure.savefig(png, format="png", bbox_inches="tight")
    assert len(png.getvalue()) < 120_000
    assert ax.figure.get_figwidth() == 10


def test_nothing_of_the_caller_changes(monkeypatch):
    sound = noise(2, 5000)
    before, settings = sound.clone(), dict(matplotlib.rcParams)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    plot_spectrogram(sound, RATE)
    assert asked == [1, 7]
    assert torch.equal(sound, before)
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"n_fft": 0}, "n_fft is 0, expected an even number"),
        ({"n_fft": 4095}, "n_fft is 4095, expected an even number"),
        ({"hop_length": 0}, r"hop_length is 0, expected 1 to n_fft \(4096\)"),
        ({"hop_length": 5000}, "hop_length is 5000"),
        ({"channel": "middle"}, "channel is 'middle', expected one of left, right, mid, side"),
        ({"scale": "bark"}, "scale is 'bark', expected one of linear, log, mel"),
        ({"floor_db": 10}, "floor_db is 10, expected a level below 0"),
        ({"fmax_hz": 30_000}, "fmax_hz is 30000, expected above 0 and at most 22050 Hz"),
        ({"fmax_hz": 10, "scale": "log"}, "fmax_hz is 10, expected above 20"),
        ({"columns": 0}, "columns is 0, expected 1 or more"),
    ],
)
def test_a_wrong_setting_is_one_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        plot_spectrogram(noise(2, 5000), RATE, **wrong)
    assert "\n" not in str(error.value)


def test_wrong_sounds_are_named():
    bad = noise(2, 100)
    bad[0, 3] = math.nan
    with pytest.raises(ValueError, match="holds NaN or inf"):
        stft(bad)
    with pytest.raises(ValueError, match="has no samples"):
        stft(torch.zeros(2, 0))
    with pytest.raises(ValueError, match=r"\(6, 100\), expected \(2, time\)"):
        select_channel(noise(6, 100), "mid")
