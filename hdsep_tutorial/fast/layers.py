"""The outer layers of Hybrid Demucs with the channels side by side in memory.

Each function is an identity, held to rounding errors by a test; each layer is built from one of
torchaudio's and takes (batch, rows, columns, channel). The rows of a spectrogram are its frames
and its columns are frequencies; a waveform is one row.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor, *, operation: Callable = F.conv2d, **steps
) -> Tensor:
    """Convolve (batch, rows, columns, channel) by (out, in, rows, columns), without a copy.

    Two views tell torch that it holds torch's own layout, channels last in memory.
    """
    return operation(x.permute(0, 3, 1, 2), weight, bias, **steps).permute(0, 2, 3, 1)


def normalise(x: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Normalise each column of (batch, rows, columns, channel) over rows and channels.

    The columns become groups of neighbouring channels: a view, and one pass.
    """
    batch, rows, columns, channels = x.shape
    y = x.reshape(batch, rows, 1, columns * channels).permute(0, 3, 1, 2)
    weight, bias = norm.weight.repeat(columns), norm.bias.repeat(columns)
    y = F.group_norm(y, columns, weight, bias, norm.eps)
    return y.permute(0, 2, 3, 1).reshape(x.shape)


def energy_weight(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Find a smaller layer whose outputs have the same sum of squares, for any input.

    [W b] = QR, and Q changes no length, so |W h + b| = |R [h 1]|. With it the variance of a wide
    layer's output is known without the output. (Saves 5 % of a chunk's time.)

    Args:
        weight: W, (out, in) with out > in.
        bias: b, (out,).

    Returns:
        weight (in + 1, in) and bias (in + 1,), float64.

    Example:
        >>> weight, bias = energy_weight(torch.tensor([[3.0], [4.0]]), torch.zeros(2))
        >>> round(abs(weight[0, 0].item()), 6)
        5.0

    Lesson: 12_making_it_fast
    """
    r = torch.linalg.qr(torch.cat([weight, bias[:, None]], 1).double()).R
    return r[:, :-1], r[:, -1]


class Kept(nn.Module):
    """A layer's tensors in one precision; they move to a device with it."""

    def __init__(self, dtype: torch.dtype, **tensors: Tensor):
        super().__init__()
        for name, tensor in tensors.items():
            kept = tensor.detach().to(dtype, copy=True)
            order = torch.channels_last if kept.ndim == 4 else torch.contiguous_format
            self.register_buffer(name, kept.contiguous(memory_format=order))


class Gated(Kept):
    """A layer and the gated linear unit behind it, as two layers of half the size.

    `F.glu` of the last axis goes number by number. Halves that lie apart are gated by whole
    vectors, in place. (Saves 3 % of a chunk's time.) A matrix is applied as a convolution of one
    sample, which adds the bias on its way; `F.linear` copies it to all outputs first. (3 % in
    bfloat16, 9 % in float32.)
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype):
        weight = weight if weight.ndim == 4 else weight[:, :, None, None]
        (value, gate), (value_bias, gate_bias) = weight.chunk(2), bias.chunk(2)
        super().__init__(dtype, value=value, gate=gate, value_bias=value_bias, gate_bias=gate_bias)

    def forward(self, x: Tensor, **steps) -> Tensor:
        """Apply the matrix or the convolution to (batch, rows, columns, channel), and gate it."""
        value = convolve(x, self.value, self.value_bias, **steps)
        return value.mul_(convolve(x, self.gate, self.gate_bias, **steps).sigmoid_())


class Residual(nn.Module):
    """One dilated layer of a residual branch, which reaches along the frames or the samples."""

    def __init__(self, layer: nn.Sequential, along_rows: bool, dtype: torch.dtype):
        super().__init__()
        narrow, norm, _, widen, norm2, _, scale = layer
        self.along_rows, self.norm, self.eps = along_rows, copy.deepcopy(norm).to(dtype), norm2.eps
        reach = narrow.dilation[0]
        self.steps = {
            "padding": (reach, 0) if along_rows else (0, reach),
            "dilation": (reach, 1) if along_rows else (1, reach),
        }
        kernel = narrow.weight[..., None] if along_rows else narrow.weight[:, :, None]
        self.narrow = Kept(dtype, weight=kernel, bias=narrow.bias)
        weight, bias = widen.weight.detach()[..., 0], widen.bias.detach()
        self.mean = Kept(torch.float32, weight=weight.mean(0), bias=bias.mean())
        energy, energy_bias = energy_weight(weight, bias)
        self.energy = Kept(dtype, weight=energy, bias=energy_bias)
        # norm2(W h + b) = [γW, γb, −γ] · [r h, r, r μ] + β with mean μ and r = 1 / deviation;
        # the layer scale goes into the rows that make values.
        gamma = norm2.weight[:, None]
        scales = torch.cat([scale.scale, torch.ones_like(scale.scale)])
        whole = torch.cat([gamma * weight, gamma * bias[:, None], -gamma], 1)
        self.widen = Gated(scales[:, None] * whole, scales * norm2.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to (batch, rows, columns, channel)."""
        h = convolve(x, self.narrow.weight, self.narrow.bias, **self.steps)
        h = h if self.along_rows else h.transpose(1, 2)  # one column of samples
        h = F.gelu(normalise(h, self.norm))
        mean, variance = self.output_moments(h)
        r = (variance + self.eps).rsqrt()
        columns = h.new_empty(*h.shape[:3], h.shape[3] + 2)
        torch.mul(h, r.to(h.dtype), out=columns[..., :-2])
        columns[..., -2:] = torch.cat([r, r * mean], -1)
        return self.widen(columns).view(x.shape).add_(x)

    def output_moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance that each column of W h + b has, (batch, 1, columns, 1)."""
        rows, outputs = h.shape[1], 2 * len(self.widen.value)
        mean = h.mean(1, keepdim=True, dtype=torch.float32) @ self.mean.weight + self.mean.bias
        energy = F.linear(h, self.energy.weight, self.energy.bias).square()
        square = energy.sum((1, 3), keepdim=True, dtype=torch.float32) / (rows * outputs)
        mean = mean[..., None]
        return mean, (square - mean.square()).clamp_min(0)


class Encoder(nn.Module):
    """An outer encoder, along frequency or along time: one column remains of each `stride`."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.steps = {"stride": (1, layer.stride), "padding": (0, layer.pad)}
        weight = layer.conv.weight.flatten(2)[:, :, None]
        self.conv = Kept(dtype, weight=weight, bias=layer.conv.bias)
        residuals = (Residual(part, bool(layer.freq), dtype) for part in layer.dconv.layers)
        self.residuals = nn.Sequential(*residuals)
        self.rewrite = Gated(layer.rewrite.weight.flatten(1), layer.rewrite.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, rows, columns, in) to (batch, rows, ⌈columns / stride⌉, out)."""
        missing = -x.shape[2] % self.steps["stride"][1]
        x = F.pad(x, (0, 0, 0, missing)) if missing else x
        x = F.gelu(convolve(x, self.conv.weight, self.conv.bias, **self.steps))
        return self.rewrite(self.residuals(x))


class Decoder(nn.Module):
    """An outer decoder, along frequency or along time: `stride` columns come out of each."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.last, self.around = layer.last, (layer.rewrite.padding[0], layer.rewrite.padding[-1])
        self.steps = {"stride": (1, layer.stride), "padding": (0, layer.pad)}
        kernel = layer.rewrite.weight  # (out, in, frequency, time) or (out, in, time)
        kernel = kernel.transpose(2, 3) if layer.freq else kernel[:, :, None]
        self.around = self.around if layer.freq else (0, self.around[1])
        self.rewrite = Gated(kernel, layer.rewrite.bias, dtype)
        weight = layer.conv_tr.weight.flatten(2)[:, :, None]
        self.conv = Kept(dtype, weight=weight, bias=layer.conv_tr.bias)

    def forward(self, x: Tensor, skip: Tensor, columns: int) -> Tensor:
        """Map (batch, rows, n, in) and its skip connection to (batch, rows, columns, out)."""
        x = self.rewrite(x + skip, padding=self.around)
        conv = self.conv
        x = convolve(x, conv.weight, conv.bias, operation=F.conv_transpose2d, **self.steps)
        x = x if self.last else F.gelu(x)
        return x[:, :, :columns]
