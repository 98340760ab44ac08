"""The command line: python -m hdsep_tutorial demo | separate | report | fetch | ..."""

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from .startup import check_installation

INTERRUPTED, BAD_INPUT = 130, 2
SEGMENT_S = (150.0, 155.0)
# What the official torchaudio tutorial prints for this segment (its own v3 definition, in dB).
PUBLISHED_DB = {"drums": 4.964, "bass": 18.906, "other": 8.867, "vocals": 8.792}
RUN = {"segment_s": 10.0, "overlap_s": 1.0, "precision": "float32"}
FORMATS = ("wav", "wav24", "wav16", "flac", "mp3", "ogg")


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: what follows the program's name; None takes them from the command line.

    Returns:
        Exit status: 0, 2 for bad input (one line on stderr), 130 when interrupted.
    """
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            check_installation()
            return options.command(options) or 0
        except KeyboardInterrupt:
            _say("interrupted: finished files are kept, nothing half-written is left")
            return INTERRUPTED
        except (ValueError, OSError, ImportError) as error:
            _say(f"error: {error}")
            return BAD_INPUT


def demo(options: argparse.Namespace) -> None:
    """Separate the profile's song, score it, and write stems and pictures to a folder."""
    from .lesson import load_profile
    from .report import write_report
    from .saving import save_audio, save_stems
    from .separation import separate_sources

    profile = load_profile(options.profile)
    song, model = profile.song, profile.bundle.get_model()
    print(f"{song.title}\n{song.licence}\n{song.duration_s:.0f} s, model {profile.bundle.title}\n")
    began = perf_counter()
    estimates = separate_sources(model, song.mixture, **RUN, progress=_wants_progress())
    print(f"separated in {perf_counter() - began:.0f} s\n")
    save_audio(options.out / "mixture.wav", song.mixture, song.sample_rate)
    save_stems(options.out, estimates, song.sample_rate)
    pictures = _score_and_draw(song, estimates, options.out)
    page = options.out / "report.html"
    write_report(page, song, estimates, bundle=profile.bundle, settings=RUN)
    print(f"Open:   {page} in a browser: player, pictures and scores on one page")
    print(f"Listen: {options.out / 'mixture.wav'}, then {options.out / 'vocals.wav'}")
    print(f"Look:   {pictures[-1]} (estimate, reference and error of the vocals)")
    print("Next:   `make lab`, or `jupyter lab notebooks/en/00_start_here.ipynb`")


def _score_and_draw(song, estimates: dict, out: Path) -> list[Path]:
    """Print the score tables of the segment and of the whole song, and draw one picture a stem."""
    from .comparison import compare_stems, plot_comparison

    start_s, stop_s = SEGMENT_S
    segment = compare_stems(
        estimates,
        song.reference_clip(start_s, stop_s),
        sample_rate=song.sample_rate,
        start_s=start_s,
        stop_s=stop_s,
        mixture=song.mixture,
    )
    print(f"{start_s:.0f}–{stop_s:.0f} s, in dB\n{segment.scores}\n")
    if {reference.shape for reference in song.references.values()} == {song.mixture.shape}:
        whole = compare_stems(
            estimates,
            song.references,
            sample_rate=song.sample_rate,
            start_s=0.0,
            stop_s=song.duration_s,
            mixture=song.mixture,
        )
        print(f"whole song, in dB\n{whole.scores}\n")
    pictures = []
    for stem in estimates:
        figure, _ = plot_comparison(segment, stem)
        pictures.append(out / f"{stem}.png")
        figure.savefig(pictures[-1], dpi=100)
    return pictures


def separate(options: argparse.Namespace) -> int:
    """Separate each file into its own folder; one bad file does not stop the others."""
    from .lesson import load_profile
    from .separation import separate_file

    _check_distinct(options.files)
    profile = load_profile(options.profile)
    model, failed = profile.bundle.get_model(), 0
    tenth_s = min(1.0, options.segment_s / 10)
    overlap_s = tenth_s if options.overlap_s is None else options.overlap_s
    if profile.name == "demo":
        _say("note: the demo model knows synthetic songs only; for real music --profile official")
    for path in options.files:
        try:
            written = separate_file(
                model,
                path,
                options.out / path.stem,
                stem=options.stem,
                format=options.format,
                sample_rate=profile.bundle.sample_rate,
                segment_s=options.segment_s,
                overlap_s=overlap_s,
                device=options.device,
                precision=options.precision,
                shifts=options.shifts,
                progress=_wants_progress(),
            )
        except (ValueError, OSError) as error:
            _say(f"error: {error}")
            failed = BAD_INPUT
        else:
            print("\n".join(map(str, written.values())))
    return failed


def _check_distinct(files: list[Path]) -> None:
    """Refuse two songs whose stems would land in the same folder."""
    names = [path.stem for path in files]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two files are named {twice.pop()!r}: give each its own run and --out")


def report(options: argparse.Namespace) -> None:
    """Separate a song and write one page of it: player, pictures, levels, scores."""
    from .lesson import load_profile
    from .report import write_report
    from .separation import separate_sources
    from .songs import load_song

    profile, song = load_profile(options.profile), load_song(options.song)
    model = profile.bundle.get_model()
    estimates = separate_sources(model, song.mixture, **RUN, progress=_wants_progress())
    page = options.out / f"{song.name}.html"
    print(write_report(page, song, estimates, bundle=profile.bundle, settings=RUN))


def fetch(options: argparse.Namespace) -> None:
    """Fetch the official model and song ahead of a class, or list what is there."""
    from .assets import OFFICIAL, describe_assets, fetch

    if options.list:
        print(describe_assets())
        return
    of_the_profile = [name for name in OFFICIAL if name != "hdemucs_high_musdbhq_only.pt"]
    for name in options.names:
        if name not in OFFICIAL:
            raise ValueError(f"asset is {name!r}, expected one of {', '.join(OFFICIAL)}")
    for name in options.names or of_the_profile:
        print(fetch(OFFICIAL[name], renew=options.renew))


def verify(options: argparse.Namespace) -> None:
    """Print the scores of 150–155 s in the official tutorial's definition beside its figures."""
    from .audio import clip
    from .lesson import load_profile
    from .metrics import sdr_v3
    from .separation import separate_sources

    profile = load_profile(options.profile)
    song, start_s, stop_s = profile.song, *SEGMENT_S
    model = profile.bundle.get_model()
    estimates = separate_sources(model, song.mixture, progress=_wants_progress())
    estimates = clip(estimates, start_s, stop_s, sample_rate=song.sample_rate)
    references = song.reference_clip(start_s, stop_s)
    print("SDR of 150–155 s, BSS Eval v3, mean of left and right, in dB")
    print(f"{'stem':8}{'measured':>10}{'published':>11}")
    for stem, reference in references.items():
        score = sdr_v3(reference, estimates[stem])
        measured = "n/a" if score is None else f"{score:.3f}"
        published = f"{PUBLISHED_DB[stem]:.3f}" if profile.name == "official" else "n/a"
        print(f"{stem:8}{measured:>10}{published:>11}")


def doctor(options: argparse.Namespace) -> None:
    """Print versions, device, memory and what is cached, and separate two seconds as a test."""
    from .doctor import describe_machine, self_test

    print(describe_machine())
    began = perf_counter()
    gain_db = self_test()
    print(f"self-test passed in {perf_counter() - began:.1f} s: the drums gained {gain_db:.0f} dB")


def cache(options: argparse.Namespace) -> None:
    """Say how much the kept results of separations take, or delete them."""
    from .cache import cache_folder, clear

    if options.clear:
        print(f"deleted {clear() / 1e6:.0f} MB")
        return
    files = list(cache_folder().glob("*.safetensors"))
    size = sum(path.stat().st_size for path in files)
    print(f"{cache_folder()}: {len(files)} results, {size / 1e6:.0f} MB")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hdsep", description="Take a song apart.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command: Callable, *, profile: bool = True) -> argparse.ArgumentParser:
        name, text = command.__name__, command.__doc__.splitlines()[0]
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        if profile:
            added.add_argument("--profile", help="demo (default, offline) or official")
        return added

    add(demo).add_argument("--out", type=Path, default=Path("out/demo"), help="folder")
    command = add(separate)
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument("--out", type=Path, default=Path("out"), help="folder of folders")
    command.add_argument("--stem", help="only this stem, and the mixture without it")
    command.add_argument("--format", default="wav", help=", ".join(FORMATS))
    command.add_argument("--segment-s", type=float, default=10.0, help="chunk, in seconds")
    command.add_argument(
        "--overlap-s",
        type=float,
        help="crossfade, in seconds (default: a tenth of the chunk, at most 1)",
    )
    command.add_argument("--device", help="cpu, cuda, ...")
    command.add_argument("--precision", default="float32", help="float32, bfloat16 or auto")
    command.add_argument("--shifts", type=int, default=1, help="runs to average (default 1)")
    command = add(fetch, profile=False)
    command.add_argument("names", nargs="*", metavar="NAME", help="only these assets")
    command.add_argument("--list", action="store_true", help="show size, licence and place")
    command.add_argument("--renew", action="store_true", help="replace a damaged file")
    add(verify)
    command = add(report)
    command.add_argument("song", metavar="SONG", help="demo, nightowl or a file")
    command.add_argument("--out", type=Path, default=Path("out/report"), help="folder")
    add(doctor, profile=False)
    add(cache, profile=False).add_argument("--clear", action="store_true", help="delete them")
    return parser


def _wants_progress() -> bool:
    return sys.stderr.isatty()


def _show_warning(message, *_ignored) -> None:
    _say(f"warning: {message}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
