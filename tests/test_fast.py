"""Each rewrite equals what it replaces, and the whole network equals torchaudio's."""

import copy
import math

import pytest
import torch
from conftest import SOURCES
from torch import nn
from torch.nn import functional as F
from torchaudio.models import HDemucs, hdemucs_high, hdemucs_low

from hdsep_tutorial import fast
from hdsep_tutorial.bundles import get_bundle
from hdsep_tutorial.fast import convolution, frames, layers
from hdsep_tutorial.fast.convolution import Convolution
from hdsep_tutorial.separation import separate_sources

# float32 rounds to 2^-24 of a number, −144 dB. Some 10^3 roundings in a row, each as likely up
# as down, add up to −114 dB.
ROUNDING_DB = -110
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def _error_db(estimate, truth):
    estimate, truth = estimate.detach().double(), truth.detach().double()
    error = (estimate - truth).square().sum() / truth.square().sum()
    return 10 * math.log10(error + 1e-30)


def _awake(model):
    """Give every branch and every norm a say: as built, residuals are scaled by 1e-4."""
    rng = torch.Generator().manual_seed(1)
    for module in model.modules():
        if type(module).__name__ == "_LayerScale":
            module.scale.data = 0.3 * torch.randn(module.scale.shape, generator=rng)
        if isinstance(module, nn.GroupNorm):
            module.weight.data = 1 + 0.2 * torch.randn(module.weight.shape, generator=rng)
            module.bias.data = 0.1 * torch.randn(module.bias.shape, generator=rng)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _awake(HDemucs(SOURCES, channels=16, nfft=4096, depth=6))


def _last(x):
    """Put the channels of (batch, channel, row, column) last."""
    return x.permute(0, 2, 3, 1)


@pytest.fixture(params=["packed", "plain"])
def packing(request, monkeypatch):
    """Convolutions as on x86, and as everywhere else."""
    if request.param == "plain":
        monkeypatch.setattr(convolution, "can_be_packed", lambda weight: False)
    elif not convolution.can_be_packed(torch.zeros(1)):
        pytest.skip("oneDNN lays nothing out on this processor")
    return request.param


@pytest.mark.parametrize("rows_first", [True, False])
@pytest.mark.parametrize("sigmoid", [False, True])
def test_a_convolution_of_channels_last_is_the_convolution(rng, packing, rows_first, sigmoid):
    x = torch.randn(2, 5, 3, 16, generator=rng)
    weight, bias = torch.randn(7, 5, 1, 8, generator=rng), torch.randn(7, generator=rng)
    steps = {"stride": (1, 4), "padding": (0, 2), "dilation": (1, 1)}
    if rows_first:
        x, weight = x.transpose(2, 3), weight.transpose(2, 3)
        steps = {name: step[::-1] for name, step in steps.items()}
    expected = F.conv2d(x, weight, bias, **steps)
    expected = expected.sigmoid() if sigmoid else expected
    layer = Convolution(weight, bias, torch.float32, sigmoid=sigmoid, **steps)
    for _ in range(2):  # the first run lays the weights out
        found = layers.convolve(_last(x).contiguous(), layer)
        assert layer.packed == (packing == "packed")
        assert found.is_contiguous()
        assert _error_db(found, _last(expected)) < ROUNDING_DB
    longer = torch.randn(1, 5, 40, 40, generator=rng)  # another shape than the weights lie for
    expected = F.conv2d(longer, weight, bias, **steps)
    expected = expected.sigmoid() if sigmoid else expected
    assert _error_db(layer(longer), expected) < ROUNDING_DB


def test_a_convolution_along_one_axis_is_that_of_torch(rng, packing):
    layer = nn.Conv1d(5, 6, 3, stride=2, padding=2, dilation=2)
    x = torch.randn(2, 5, 30, generator=rng)
    steps = {name: getattr(layer, name) for name in ("stride", "padding", "dilation")}
    found = Convolution(layer.weight, layer.bias, torch.float32, **steps)(x)
    assert _error_db(found, layer(x)) < ROUNDING_DB


def test_the_weights_are_told_however_they_lie(rng, packing):
    weight, bias = torch.randn(7, 5, 3, 3, generator=rng), torch.randn(7, generator=rng)
    layer = Convolution(weight, bias, torch.float32)
    before = layer.state_dict()
    layer(torch.randn(1, 5, 9, 9, generator=rng))
    after = layer.state_dict()
    assert set(before) == set(after) == {"weight", "bias"}
    assert torch.equal(before["weight"], weight) and torch.equal(after["weight"], weight)
    weight.zero_()  # the layer has its own
    assert layer.state_dict()["weight"].abs().sum() > 0


def test_a_column_is_normalised_by_itself(rng):
    norm = nn.GroupNorm(1, 6)
    norm.weight.data, norm.bias.data = torch.randn(2, 6, generator=rng)
    x = torch.randn(2, 7, 5, 6, generator=rng) * torch.arange(1, 6)[:, None]
    found = layers.normalise(x, norm)
    for column in range(5):
        expected = norm(x[:, :, column].transpose(1, 2)).transpose(1, 2)
        assert _error_db(found[:, :, column], expected) < ROUNDING_DB


@pytest.mark.parametrize("shape", [(2, 7, 5, 6), (2, 1000, 1, 3), (1, 63, 1, 4), (1, 128, 1, 2)])
def test_moments_are_those_of_every_column_and_channel(rng, shape):
    x = torch.randn(*shape, generator=rng) * torch.arange(1, shape[3] + 1) + 2
    mean, variance = layers.moments(x)
    assert mean.dtype == variance.dtype == torch.float32
    expected = torch.var_mean(x.double(), 1, correction=0, keepdim=True)
    assert _error_db(variance, expected[0]) < ROUNDING_DB
    assert _error_db(mean, expected[1]) < ROUNDING_DB
    rounded = x.bfloat16()  # is summed in float32 too
    exact = rounded.double().mean(1, keepdim=True)
    assert _error_db(layers.moments(rounded)[0], exact) < ROUNDING_DB


def test_the_small_layer_has_the_energy_of_the_wide_one(rng):
    weight, bias = torch.randn(48, 6, generator=rng), torch.randn(48, generator=rng)
    h = torch.randn(100, 6, generator=rng).double()
    small, small_bias = layers.energy_weight(weight, bias)
    assert small.shape == (7, 6)
    wide = F.linear(h, weight.double(), bias.double()).square().sum(1)
    assert _error_db(F.linear(h, small, small_bias).square().sum(1), wide) < -250  # float64


@pytest.mark.parametrize("kernel", [(), (1, 1), (3, 3)])
def test_two_halves_are_gated_like_the_whole(rng, packing, kernel):
    weight, bias = torch.randn(10, 6, *kernel, generator=rng), torch.randn(10, generator=rng)
    x = torch.randn(2, 4, 8, 6, generator=rng)
    around = (kernel[0] // 2,) * 2 if kernel else (0, 0)
    if kernel:
        whole = _last(F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=around))
    else:
        whole = F.linear(x, weight, bias)
    found = layers.Gated(weight, bias, torch.float32, padding=around)(x)
    assert _error_db(found, F.glu(whole, dim=-1)) < ROUNDING_DB


@pytest.mark.parametrize("branch", ["freq_encoder", "time_encoder"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_residual_layer_is_that_of_torchaudio(rng, model, branch, number):
    layer = getattr(model, branch)[1].dconv.layers[number]
    along_rows = branch == "freq_encoder"
    x = torch.randn(2, 32, 9, 5, generator=rng) + 1  # channel, row, column; not centred
    if along_rows:
        expected = torch.stack([x[..., f] + layer(x[..., f]) for f in range(5)], -1)
    else:
        x = x.reshape(2, 32, 1, 45)
        expected = x + layer(x[:, :, 0])[:, :, None]
    with torch.no_grad():
        found = layers.Residual(layer, along_rows, torch.float32)(_last(x).contiguous())
    assert _error_db(found, _last(expected)) < ROUNDING_DB


@pytest.mark.parametrize("length", [2049, 4096, 44_101])
def test_spectrogram_and_waveform_are_those_of_torchaudio(rng, model, length):
    x, window = torch.randn(2, 2, length, generator=rng), torch.hann_window(4096)
    spectrum = model._spec(x)
    found = frames.spectrogram(x, window)
    assert _error_db(found, model._magnitude(spectrum).permute(0, 3, 2, 1)) < ROUNDING_DB
    mean, std = torch.tensor([0.3, -0.1]), torch.tensor([2.0, 0.5])
    mean, std = mean.view(2, 1, 1, 1), std.view(2, 1, 1, 1)
    full = torch.view_as_complex((found * std + mean).unflatten(-1, (2, 2)))
    expected = model._ispec(full.permute(0, 3, 2, 1), length)
    assert _error_db(frames.waveform(found, window, length, mean, std), expected) < ROUNDING_DB


@pytest.mark.parametrize(("batch", "length"), [(1, 2048), (3, 2049), (2, 28_644), (1, 70_001)])
def test_the_network_is_torchaudios(rng, packing, model, batch, length):
    mixture = 0.1 * torch.randn(batch, 2, length, generator=rng) + 0.01
    with torch.inference_mode():
        found, expected = fast.fast_network(model)(mixture), model(mixture)
    assert found.shape == expected.shape and found.dtype == torch.float32
    assert _error_db(found, expected) < ROUNDING_DB


@pytest.mark.parametrize("build", [hdemucs_high, hdemucs_low, get_bundle("demo").build])
def test_every_size_that_we_use_is_torchaudios(rng, build):
    model = _awake(build(SOURCES) if build in (hdemucs_high, hdemucs_low) else build())
    mixture = 0.1 * torch.randn(1, 2, 30_000, generator=rng)
    with torch.inference_mode():
        found, expected = fast.fast_network(model)(mixture), model(mixture)
    assert _error_db(found, expected) < ROUNDING_DB


def test_bfloat16_is_no_worse_than_autocast(rng, model):
    mixture = 0.1 * torch.randn(1, 2, 44_100, generator=rng)
    with torch.inference_mode():
        expected = model(mixture)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            plain_db = _error_db(model(mixture), expected)
            fast_db = _error_db(fast.fast_network(model, precision="bfloat16")(mixture), expected)
    assert fast_db < min(plain_db + 3, -30)


def test_silence_is_finite(model):
    assert fast.fast_network(model)(torch.zeros(1, 2, 5000)).isfinite().all()


def test_the_model_stays_as_it_is_and_separates_the_same_song(rng, model):
    before = copy.deepcopy(model.state_dict())
    mixture = 0.1 * torch.randn(2, 30_000, generator=rng)
    options = {"segment_s": 0.4, "overlap_s": 0.1, "device": "cpu", "progress": False}
    expected = separate_sources(model, mixture, exact=True, **options)
    found = separate_sources(model, mixture, **options)
    prebuilt = separate_sources(fast.fast_network(model), mixture, **options)
    half = separate_sources(model.train(), mixture, precision="bfloat16", **options)
    assert model.training
    model.eval()
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    for stem in SOURCES:
        assert torch.equal(found[stem], prebuilt[stem])
        assert -160 < _error_db(found[stem], expected[stem]) < ROUNDING_DB
        assert ROUNDING_DB < _error_db(half[stem], expected[stem]) < -30


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_inner_layers_are_copies_in_the_precision_asked_for(model, precision):
    ours = {weight.data_ptr() for weight in model.parameters()}
    inner = list(fast.fast_network(model, precision=precision).inner.state_dict().values())
    parts = [model.freq_encoder[4:], model.time_encoder[4:]]
    parts += [model.freq_decoder[:2], model.time_decoder[:1]]
    expected = sum(weight.numel() for part in parts for weight in part.parameters())
    assert sum(weight.numel() for weight in inner) == expected
    assert {weight.dtype for weight in inner} == {getattr(torch, precision)}
    assert ours.isdisjoint(weight.data_ptr() for weight in inner)


def test_what_cannot_be_fast_is_refused_in_words(identity, model):
    with pytest.raises(ValueError, match="model is IdentityModel, expected torchaudio's HDemucs"):
        fast.fast_network(identity)
    with pytest.raises(ValueError, match="precision is 'int3', expected one of float32, bf"):
        fast.fast_network(model, precision="int3")
    for unusual in ({"norm_starts": 1}, {"dconv_lstm": 2}, {"context_enc": 1}):
        strange = HDemucs(SOURCES, channels=4, nfft=4096, depth=6, **unusual)
        assert not fast.can_be_fast(strange), unusual


def test_a_network_that_somebody_watches_or_changes_runs_as_it_is(rng, model):
    class Changed(HDemucs):
        pass

    assert fast.can_be_fast(model)
    assert not fast.can_be_fast(Changed(SOURCES, channels=4, nfft=4096, depth=6))
    mixture, seen = 0.1 * torch.randn(2, 5000, generator=rng), []
    options = {"device": "cpu", "progress": False}
    expected = separate_sources(model, mixture, **options)
    layer = model.time_decoder[-1]
    hook = layer.register_forward_hook(
        lambda _, given, out: (seen.append(1), (0 * out[0], out[1]))[1]
    )
    try:
        found = separate_sources(model, mixture, **options)
    finally:
        hook.remove()
    assert seen and all(_error_db(found[stem], expected[stem]) > -40 for stem in SOURCES)


def test_another_network_runs_in_autocast_as_before(recording, noise):
    mixture = 0.1 * noise(3000)
    for stem in separate_sources(recording, mixture, precision="auto", progress=False).values():
        assert _error_db(stem, mixture) < -40
