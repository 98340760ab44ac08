"""Take a song apart, see it, hear it and score it: the helper package of the course.

The names below are what the lessons use. Each one is imported from its room when it is first
asked for, so that ``import hdsep_tutorial`` is instant and has no side effect.
"""

from importlib import import_module

_ROOMS = {
    "audio": ["load_audio", "clip"],
    "saving": ["save_audio", "save_stems"],
    "songs": ["load_song"],
    "bundles": ["get_bundle"],
    "chunks": ["chunk_plan", "crossfade"],
    "separation": ["separate_sources", "separate_file"],
    "spectrogram": ["stft", "level_db", "plot_spectrogram"],
    "metrics": ["sdr", "framewise_sdr", "si_sdr", "sdr_v3", "bss_eval"],
    "comparison": ["compare_stems", "plot_comparison", "output_results"],
    "listening": ["listen"],
    "lesson": ["load_profile", "show_source"],
    "player": ["StemPlayer"],
}
# Rooms that lessons enter by name, as in `hd.remix.karaoke(...)`.
_OPEN_ROOMS = ("exercises", "explorer", "fast", "remix", "report", "synthesis", "training")
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_ROOM_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the room of `name` on first use, after checking that torch and torchaudio fit."""
    if name not in _ROOM_OF and name not in _OPEN_ROOMS:
        raise AttributeError(f"hdsep_tutorial has no {name!r}; it has {', '.join(__dir__())}")
    from .startup import check_installation

    check_installation()
    room = import_module(f".{_ROOM_OF.get(name, name)}", __name__)
    value = room if name in _OPEN_ROOMS else getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *_OPEN_ROOMS, "__version__"]
