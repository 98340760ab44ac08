"""What was separated once is not separated twice: stems kept by what they were made from.

The key is a hash of the mixture, of the weights and of every setting. A file is checked when it
is read; a damaged one is made anew. The folder is out/cache, or HDSEP_CACHE.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

MAX_BYTES = 2_000_000_000  # about eight songs of three minutes; the oldest go first
Stems = dict[str, Tensor]


def cache_folder() -> Path:
    """Return where the results are kept: HDSEP_CACHE, else out/cache of the clone or folder."""
    clone = Path(__file__).parents[1]
    home = clone if (clone / "notebooks").is_dir() else Path.cwd()
    return Path(os.environ.get("HDSEP_CACHE") or home / "out" / "cache")


def key_of(model: nn.Module, mixture: Tensor, **settings: object) -> str | None:
    """Name a separation by all that decides its result.

    Args:
        model: the network, of which the class, the weights and the sources count.
        mixture: (2, time) waveform.
        settings: numbers and words such as `segment_s`.

    Returns:
        A key of 40 letters, or None for a network that cannot be told by its weights: one with
        hooks, or without any.

    Lesson: 06_whole_song
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    weights = model.state_dict() if modules else {}
    if not weights or any(m._forward_hooks or m._forward_pre_hooks for m in modules):
        return None
    facts = [type(model).__qualname__, list(model.sources), torch.__version__, settings]
    sha = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for path in _how_it_is_done():
        sha.update(path.read_bytes())
    for name, tensor in [*weights.items(), ("mixture", mixture)]:
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(_bytes(tensor))
    return sha.hexdigest()[:40]


def recall(key: str | None, make: Callable[[], Stems]) -> Stems:
    """Return the stems that are kept under a key, or make and keep them.

    Where nothing can be written, nothing is kept, and nobody is bothered.

    Lesson: 06_whole_song
    """
    if key is None:
        return make()
    path = cache_folder() / f"{key}.safetensors"
    stems = _read(path)
    if stems is None:
        stems = make()
        with contextlib.suppress(OSError):
            _write(path, stems)
    return stems


def clear() -> int:
    """Delete all that is kept, and return how many bytes that frees."""
    freed = 0
    for path in cache_folder().glob("*.safetensors*"):
        freed += path.stat().st_size
        path.unlink()
    return freed


def _how_it_is_done() -> list[Path]:
    """Return the rooms that decide a result: after a change there, old results do not count."""
    here = Path(__file__).parent
    return [
        here / "chunks.py",
        here / "separation.py",
        here / "runtime.py",
        *sorted(here.glob("fast/*.py")),
    ]


def _read(path: Path) -> Stems | None:
    """Load the stems of a file whose samples are those that were written; else None."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
            stems = {name: file.get_tensor(name) for name in json.loads(facts["order"])}
        if _sum_of(stems) != facts["sha256"]:
            raise ValueError("other samples than were written")
        path.touch()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, SafetensorError):
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return stems


def _write(path: Path, stems: Stems) -> None:
    """Keep stems, whole or not at all, and drop the oldest files where there are too many."""
    from safetensors.torch import save_file

    size = sum(stem.numel() * stem.element_size() for stem in stems.values())
    if size > MAX_BYTES:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = sorted(path.parent.glob("*.safetensors"), key=lambda p: p.stat().st_mtime)
    total = sum(p.stat().st_size for p in kept)
    while kept and total + size > MAX_BYTES:
        total -= kept[0].stat().st_size
        kept.pop(0).unlink()
    partial = path.with_suffix(f".safetensors.{os.getpid()}")
    try:
        metadata = {"order": json.dumps(list(stems)), "sha256": _sum_of(stems)}
        save_file({name: stem.contiguous() for name, stem in stems.items()}, partial, metadata)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sum_of(stems: Stems) -> str:
    sha = hashlib.sha256()
    for stem in stems.values():
        sha.update(_bytes(stem))
    return sha.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
