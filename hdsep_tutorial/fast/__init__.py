"""Hybrid Demucs laid out for a CPU: the same weights and the same sum, fewer trips to memory.

torchaudio keeps a spectrogram as (batch, channel, frequency, time), and copies it into another
order and back around each residual branch. Here the channels lie side by side in memory,
(batch, time, frequency, channel), from the first layer to the last. Nearly all of the work is in
the outer layers; the innermost ones, with their LSTM and attention, run as they are.

    fast = fast_network(model, precision="bfloat16")
    stems = separate_sources(fast, mixture)
"""

import copy

import torch
from torch import Tensor, nn
from torchaudio.models import HDemucs

from .convolution import Convolution
from .frames import spectrogram, waveform
from .layers import Decoder, Encoder

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def fast_network(model: HDemucs, *, precision: str = "float32") -> nn.Module:
    """Build the same network from the weights of `model`, in the layout that suits a CPU.

    Args:
        model: torchaudio's Hybrid Demucs of any width, as a bundle's `get_model()` returns it.
            It is read once and left as it is: after more training, build again.
        precision: "float32" (the difference to `model` is rounding, below −110 dB) or "bfloat16"
            (about −40 dB, and twice as fast on a CPU that has it in hardware).

    Returns:
        A network for inference that maps (batch, 2, time) to (batch, sources, 2, time) float32
        and has `sources`, so `separate_sources` takes it in place of `model`. It is where the
        model was; once it has run on a CPU it stays there.

    Raises:
        ValueError: the model is not a Hybrid Demucs of the usual structure, or the precision is
            unknown.

    Lesson: 12_making_it_fast
    """
    if precision not in _DTYPES:
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(_DTYPES)}")
    if not can_be_fast(model):
        raise ValueError(
            f"model is {type(model).__name__}, expected torchaudio's HDemucs with plain outer "
            "layers: run any other network as it is"
        )
    return FastHDemucs(model, _DTYPES[precision]).eval().requires_grad_(False)


def can_be_fast(model: nn.Module) -> bool:
    """Say whether `fast_network` knows how to rewrite this model.

    Lesson: 12_making_it_fast
    """
    if type(model) is not HDemucs or len(model.time_encoder) < 2:
        return False
    if any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules()):
        return False  # somebody watches, or changes, what the layers do
    outer = len(model.time_encoder) - 1
    encoders = [*model.freq_encoder[:outer], *model.time_encoder[:outer]]
    decoders = [*model.freq_decoder[-outer:], *model.time_decoder[-outer:]]
    return (
        all(isinstance(layer.norm2, nn.Identity) for layer in encoders + decoders)
        and all(len(residual) == 7 for layer in encoders for residual in layer.dconv.layers)
        and all(layer.rewrite.kernel_size[0] == 1 for layer in encoders)
        and all(2 * layer.pad == layer.stride for layer in encoders + decoders)
    )


class FastHDemucs(nn.Module):
    """Hybrid Demucs with the channels last; `fast_network` makes it."""

    def __init__(self, model: HDemucs, dtype: torch.dtype):
        super().__init__()
        self.sources, self.channels, self.dtype = model.sources, model.channels, dtype
        outer = len(model.time_encoder) - 1
        parts = {
            "freq_encoder": (Encoder, model.freq_encoder[:outer]),
            "time_encoder": (Encoder, model.time_encoder[:outer]),
            "freq_decoder": (Decoder, model.freq_decoder[-outer:]),
            "time_decoder": (Decoder, model.time_decoder[-outer:]),
        }
        for name, (kind, layers) in parts.items():
            setattr(self, name, nn.ModuleList(kind(layer, dtype) for layer in layers))
        inner = [model.freq_encoder[outer:], model.time_encoder[outer:]]
        inner += [model.freq_decoder[:-outer], model.time_decoder[:-outer]]
        self.inner = nn.ModuleList(copy_as(part, dtype) for part in inner)
        self.register_buffer("window", torch.hann_window(model.nfft))
        embedding = torch.zeros(1)
        if model.freq_emb is not None:
            embedding = model.freq_emb_scale * model.freq_emb.weight.detach()
        self.register_buffer("embedding", embedding.to(dtype))

    @torch.no_grad()
    def forward(self, mixture: Tensor) -> Tensor:
        """Separate (batch, 2, time) float32 into (batch, sources, 2, time) float32."""
        with torch.autocast(mixture.device.type, enabled=False):
            x, mean, std = standardise(spectrogram(mixture, self.window))
            xt, mean_t, std_t = standardise(mixture)
            xt = xt.transpose(1, 2)[:, None].contiguous()
            x, xt = self._network(x.to(self.dtype), xt.to(self.dtype))
            stems = (len(self.sources), mixture.shape[1])
            x = waveform(x, self.window, mixture.shape[-1], mean, std).unflatten(1, stems)
            xt = xt[:, 0].transpose(1, 2).unflatten(1, stems)
            return x + (xt * std_t[:, None] + mean_t[:, None])

    def _network(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Map spectrogram and waveform, channels last, to those of all sources."""
        saved = []
        for encode, encode_t in zip(self.freq_encoder, self.time_encoder, strict=True):
            columns = x.shape[2], xt.shape[2]
            x, xt = encode(x), encode_t(xt)
            x = x if saved else x + self.embedding
            saved.append((x, xt, *columns))
        x, xt = self._inner(x.permute(0, 3, 2, 1), xt[:, 0].transpose(1, 2))
        x, xt = x.permute(0, 3, 2, 1), xt.transpose(1, 2)[:, None]
        for decode, decode_t in zip(self.freq_decoder, self.time_decoder, strict=True):
            skip, skip_t, columns, columns_t = saved.pop()
            x, xt = decode(x, skip, columns), decode_t(xt, skip_t, columns_t)
        return x, xt

    def _inner(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Run the innermost layers, where both branches are one, in torchaudio's layout."""
        encoders, (encode_t,), decoders, (decode_t,) = self.inner
        x, inject, saved, length_t = x.contiguous(), encode_t(xt), [], xt.shape[-1]
        for encode in encoders:
            length = x.shape[-1]
            x = encode(x, inject)
            inject = None  # the time branch joins at the first of them
            saved.append((x, length))
        x = torch.zeros_like(x)
        for decode in decoders:
            x, before_last = decode(x, *saved.pop())
        return x, decode_t(before_last[:, :, 0], None, length_t)[0]


def copy_as(part: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Copy a module, each tensor straight into one precision and each convolution laid out.

    Its weights are never held twice in the old one, as they are when a copy is converted.
    """
    copies = {}
    for layer in part.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            steps = {name: getattr(layer, name) for name in ("stride", "padding", "dilation")}
            copies[id(layer)] = Convolution(layer.weight, layer.bias, dtype, **steps)
        else:
            for weight in layer.parameters(recurse=False):
                copies[id(weight)] = nn.Parameter(weight.detach().to(dtype, copy=True))
    return copy.deepcopy(part, copies)


def standardise(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return x with mean 0 and deviation 1 in each example, and what they were."""
    axes = tuple(range(1, x.ndim))
    mean, std = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    return (x - mean) / (1e-5 + std), mean, std
