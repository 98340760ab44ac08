"""A song becomes stems: the network runs over the chunk plan, in memory or from file to file."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from .audio import ForwardReader, stream_audio, without_warnings
from .cache import key_of, recall
from .chunks import Plan, chunk_weights, plan_in_seconds, shift_offsets
from .fast import can_be_fast, fast_network
from .runtime import autocast, keep_memory, lend, pick_device, pick_precision
from .saving import stem_writer

_SHORTEST = 2048  # samples; Hybrid Demucs rejects some shorter inputs, so they are padded
Result = TypeVar("Result")


def separate_sources(
    model: nn.Module,
    mixture: Tensor,
    *,
    sample_rate: int = 44_100,
    segment_s: float = 10.0,
    overlap_s: float = 1.0,
    device: str | None = None,
    precision: str = "float32",
    batch_size: int = 1,
    shifts: int = 1,
    exact: bool = False,
    cache: bool = False,
    progress: bool = True,
) -> dict[str, Tensor]:
    """Separate a mixture into its stems, chunk by chunk.

    Args:
        model: has `sources` and maps (batch, 2, time) to (batch, sources, 2, time), as
            torchaudio's HDemucs does. It is left as it was found.
        mixture: (2, time) waveform at the rate on which the model was trained.
        sample_rate: of the mixture, in hertz.
        segment_s: length of a chunk in seconds, above 0; at most, for all are equally long.
        overlap_s: crossfade between neighbouring chunks in seconds, from 0 to below segment_s.
        device: "cpu", "cuda", ...; None takes a GPU if there is one. The song stays on the CPU.
        precision: "float32"; "bfloat16", which is faster and adds an error of about −40 dB; or
            "auto", the faster one on this hardware.
        batch_size: chunks that run at once, at least 1; more helps on a GPU only.
        shifts: runs of each chunk, each later by another part of the network's hop, from 1 to
            1024. Their mean is a better estimate, and takes as many times as long.
        exact: run the model as it is, for the same bits. Otherwise a CPU runs torchaudio's
            network as `fast_network`, whose float32 differs by rounding, below −110 dB.
        cache: keep the result under out/cache, and take it from there when all is the same.
        progress: show a bar with the time left.

    Returns:
        {source: (2, time) float32 waveform} in the order of `model.sources`.

    Raises:
        ValueError: the mixture is not a finite (2, time) waveform, or an option is out of range.

    Lesson: 04_first_separation
    """
    _check_mixture(mixture)
    samples, length, offsets = mixture.detach(), mixture.shape[-1], shift_offsets(shifts)

    def attempt(network: nn.Module, segment_s: float, batch_size: int) -> dict[str, Tensor]:
        plan = plan_in_seconds(length, sample_rate, segment_s, overlap_s, even=True)
        estimates = torch.empty(len(model.sources), *mixture.shape)
        blocks = _finished_blocks(network, lambda a, b: samples[:, a:b], plan, batch_size, offsets)
        done = 0
        with _bar(length / sample_rate, progress) as bar:
            for block in blocks:
                estimates[..., done : done + block.shape[-1]] = block
                done += block.shape[-1]
                bar.update(block.shape[-1] / sample_rate)
        return dict(zip(model.sources, estimates, strict=True))

    def separate() -> dict[str, Tensor]:
        with _prepared(model, device, precision, exact) as network:
            return _with_less_memory(partial(attempt, network), segment_s, overlap_s, batch_size)

    if not cache:
        return separate()
    settings = {"segment_s": segment_s, "overlap_s": overlap_s, "sample_rate": sample_rate}
    chosen = pick_precision(pick_device(device), precision)
    key = key_of(model, mixture, **settings, shifts=shifts, exact=exact, precision=chosen)
    return recall(key, separate)


def separate_file(
    model: nn.Module,
    path: str | Path,
    out_dir: str | Path,
    *,
    stem: str | None = None,
    format: str = "wav",
    sample_rate: int = 44_100,
    segment_s: float = 10.0,
    overlap_s: float = 1.0,
    device: str | None = None,
    precision: str = "float32",
    batch_size: int = 1,
    shifts: int = 1,
    exact: bool = False,
    progress: bool = True,
) -> dict[str, Path]:
    """Separate a file into files, block by block: an hour needs no more memory than a minute.

    The file is read twice, first to learn its length and that every sample is finite. The
    stems appear in `out_dir` together, when all of them are complete.

    Args:
        model: as for `separate_sources`.
        path: any file that `load_audio` reads.
        out_dir: folder for the stems, made if it is missing; other files in it stay.
        stem: write only this stem and, as `no_<stem>`, the mixture without it; None writes all.
        format: one of `audio.FORMATS`; "wav" is float32.
        sample_rate: of the model, in hertz; the file is resampled to it.
        segment_s: this and what follows as for `separate_sources`.
        overlap_s: crossfade in seconds.
        device: "cpu", "cuda", ... or None.
        precision: "float32", "bfloat16" or "auto".
        batch_size: chunks that run at once.
        shifts: runs of each chunk, of which the mean is taken.
        exact: run the model as it is instead of as `fast_network`.
        progress: show a bar with the time left.

    Returns:
        {name: path} of what was written.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file or an option cannot be used; the message says why.
        OSError: the folder cannot be written.

    Lesson: 06_whole_song
    """
    if stem is not None and stem not in model.sources:
        raise ValueError(f"stem is {stem!r}, expected one of {', '.join(model.sources)}")
    names = list(model.sources) if stem is None else [stem, f"no_{stem}"]
    offsets = shift_offsets(shifts)
    length = sum(block.shape[-1] for block in stream_audio(path, sample_rate=sample_rate))

    def attempt(segment_s: float, batch_size: int) -> dict[str, Path]:
        plan = plan_in_seconds(length, sample_rate, segment_s, overlap_s, even=True)
        song = ForwardReader(without_warnings(stream_audio(path, sample_rate=sample_rate)))
        done = 0
        with (
            stem_writer(out_dir, names, sample_rate, format=format) as writer,
            _bar(length / sample_rate, progress) as bar,
        ):
            for block in _finished_blocks(network, song.read, plan, batch_size, offsets):
                stems = dict(zip(model.sources, block, strict=True))
                if stem is not None:
                    mixture = song.read(done, done + block.shape[-1])
                    stems = {stem: stems[stem], f"no_{stem}": mixture - stems[stem]}
                writer.write(stems)
                done += block.shape[-1]
                song.forget(done)
                bar.update(block.shape[-1] / sample_rate)
        return writer.paths

    with _prepared(model, device, precision, exact) as network:
        return _with_less_memory(attempt, segment_s, overlap_s, batch_size)


def _finished_blocks(
    model: nn.Module,
    read: Callable[[int, int], Tensor],
    plan: Plan,
    batch_size: int,
    offsets: list[int],
) -> Iterator[Tensor]:
    """Yield (sources, 2, n) blocks that join to the song; no later chunk reaches back into one."""
    finished_at = [start for start, _ in plan.chunks[1:]] + [plan.chunks[-1][1]]
    pending = torch.zeros(len(model.sources), 2, 0)
    for first in range(0, len(plan.chunks), batch_size):
        batch = plan.chunks[first : first + batch_size]
        mixtures = torch.stack([read(start, stop).float() for start, stop in batch])
        for index, estimate in enumerate(_run(model, mixtures, offsets), start=first):
            finished, shared = finished_at[index] - plan.chunks[index][0], pending.shape[-1]
            weights = chunk_weights(plan, index)
            joined = pending + weights[:shared] * estimate[..., :shared]
            alone = estimate[..., shared:finished]  # in no other chunk, so its weight is 1
            yield from (block for block in (joined[..., :finished], alone) if block.shape[-1])
            rest = max(shared, finished)
            pending = torch.cat([joined[..., finished:], weights[rest:] * estimate[..., rest:]], -1)


def _run(model: nn.Module, mixtures: Tensor, offsets: list[int]) -> Tensor:
    """Separate a batch (batch, 2, time) of chunks; a silent chunk is silence without the network.

    Returns:
        (batch, sources, 2, time) float32 on the CPU, the mean of the estimates at all offsets.
    """
    batch, _, time = mixtures.shape
    silence = torch.zeros(batch, len(model.sources), 2, time)
    sounding = mixtures.flatten(1).any(dim=1)
    if not sounding.any():
        return silence
    chunks = mixtures[sounding]
    estimates = _estimate(model, chunks, offsets[0])
    for offset in offsets[1:]:
        estimates = estimates + _estimate(model, chunks, offset)
    if len(offsets) > 1:
        estimates = estimates / len(offsets)
    return estimates if sounding.all() else silence.index_put((sounding,), estimates)


def _estimate(model: nn.Module, chunks: Tensor, offset: int) -> Tensor:
    """Run the network on chunks (batch, 2, time) that come `offset` samples later."""
    time = chunks.shape[-1]
    late = nn.functional.pad(chunks, (offset, max(0, _SHORTEST - offset - time)))
    parameter = next(iter(model.parameters()), None) if isinstance(model, nn.Module) else None
    with torch.inference_mode():
        output = model(late if parameter is None else late.to(parameter.device))
    expected = (len(late), len(model.sources), *late.shape[1:])
    if tuple(output.shape) != expected:
        raise ValueError(
            f"the model made {tuple(output.shape)} of {tuple(late.shape)}, expected {expected}: "
            "(batch, sources, channels, time)"
        )
    estimates = output[..., offset : offset + time].float().cpu()
    if not estimates.sum(dtype=torch.float64).isfinite():  # in a tenth of the time of all()
        raise ValueError("the model returned NaN or infinite samples: check its weights")
    return estimates


@contextlib.contextmanager
def _prepared(model: nn.Module, device, precision: str, exact: bool) -> Iterator[nn.Module]:
    """Yield the network to run, on its device; afterwards the model is as it was found."""
    target = pick_device(device)
    precision = pick_precision(target, precision)
    with keep_memory():
        if target.type == "cpu" and not exact and can_be_fast(model):
            yield fast_network(model, precision=precision).to(target)
            return
        with autocast(target, precision), lend(model, target):
            yield model


def _with_less_memory(
    attempt: Callable[[float, int], Result], segment_s: float, overlap_s: float, batch_size: int
) -> Result:
    """Try, and when the GPU's memory is too small try again: half the batch, then the segment."""
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    asked = (segment_s, batch_size)
    while True:
        try:
            result = attempt(segment_s, batch_size)
            break
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            if batch_size > 1:
                batch_size //= 2
            elif segment_s / 2 > max(overlap_s, 1.0):
                segment_s /= 2
            else:
                raise
    if (segment_s, batch_size) != asked:
        warnings.warn(
            f"the memory of the GPU was too small: went on with segment_s={segment_s:g} and "
            f"batch_size={batch_size}; pass these next time",
            stacklevel=3,
        )
    return result


def _check_mixture(mixture: Tensor) -> None:
    if not isinstance(mixture, Tensor) or mixture.ndim != 2 or not mixture.is_floating_point():
        kind = f"{mixture.dtype} {tuple(mixture.shape)}" if isinstance(mixture, Tensor) else ""
        raise ValueError(
            f"mixture is {type(mixture).__name__} {kind}, expected a float tensor (2, time): "
            "load_audio returns one"
        )
    if mixture.shape[0] != 2:
        raise ValueError(
            f"mixture has {mixture.shape[0]} channel{'s' * (mixture.shape[0] != 1)}, expected 2: "
            "load_audio makes mono files stereo"
        )
    if not mixture.sum(dtype=torch.float64).isfinite():
        raise ValueError("mixture holds NaN or infinite samples: replace them, e.g. by 0")


def _bar(total_s: float, progress: bool):
    """Return a bar that counts separated seconds; in a notebook it is a widget."""
    from tqdm.auto import tqdm

    return tqdm(
        total=round(total_s, 1),
        disable=not progress,
        desc="separating",
        unit="s",
        bar_format="{desc} {percentage:3.0f} %|{bar}| {n:.0f} of {total:.0f} s, {remaining} left",
    )
