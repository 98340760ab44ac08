"""Where files come from: shipped with the package, or fetched once and shared by a class.

Every file is compared with its SHA-256 each time it is used. Environment variables:
HDSEP_ASSETS is the folder of the fetched files, HDSEP_MIRROR another server (or a folder with the
same layout) to fetch them from.
"""

import contextlib
import errno
import getpass
import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .download import FULL_DISK, download, forget

OFFICIAL_SERVER = "https://download.pytorch.org/torchaudio/"
SIZE_TOLERANCE = 0.05  # of a size that is only known from the rounded figure of a web page


@dataclass(frozen=True)
class Asset:
    """An official file: where it is on the server, and what is known about it.

    `size` is in bytes, exact where `sha256` is known and rounded otherwise; `frames` is the
    length of a sound in samples per channel.
    """

    url_path: str
    size: int
    sha256: str | None
    licence: str
    title: str
    frames: int | None = None

    @property
    def name(self) -> str:
        """The file's name, which is also its name in the cache."""
        return self.url_path.rpartition("/")[2]


_PLUS_SHA256 = "a004b2790d73ffeaa535db458a1a79b539dfdbafbccc31f275d07e632ebd7816"
_WEIGHTS = "research use only, says its author"
_SONG = "CC BY-NC-SA 4.0, A Classic Education - NightOwl, from MedleyDB"
_MIX = "mixture of the whole song"
_SEGMENT = "tutorial-assets/hdemucs_{}_segment.wav"
_ASSETS = [
    Asset("models/hdemucs_high_trained.pt", 334_697_255, _PLUS_SHA256, _WEIGHTS, "PLUS weights"),
    Asset("models/hdemucs_high_musdbhq_only.pt", 334_700_000, None, _WEIGHTS, "MUSDB weights"),
    Asset("tutorial-assets/hdemucs_mix.wav", 30_242_000, None, _SONG, _MIX, 7_560_512),
    *(
        Asset(_SEGMENT.format(stem), 1_764_000, None, _SONG, f"{stem} of 150-155 s", 220_500)
        for stem in ("drums", "bass", "other", "vocals")
    ),
]
OFFICIAL: dict[str, Asset] = {asset.name: asset for asset in _ASSETS}


def shipped(name: str) -> Path:
    """Find a file that ships with the package, after comparing it with assets/SHA256SUMS.

    Args:
        name: path below assets/, such as "demo_song/drums.flac".

    Returns:
        The file's path.

    Raises:
        FileNotFoundError: no such file ships.
        ValueError: the file is damaged.

    Lesson: 04_first_separation
    """
    installed, cloned = Path(__file__).parent / "assets", Path(__file__).parents[1] / "assets"
    folder = installed if installed.is_dir() else cloned
    path = folder / name
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {line[66:]: line[:64] for line in lines}
    if name not in sums or not path.is_file():
        raise FileNotFoundError(f"{path} does not ship with this version: install it again")
    if sha256_of(path) != sums[name]:
        raise ValueError(f"{path} is damaged: install again, or `git checkout -- assets`")
    return path


def assets_folder() -> Path:
    """Return the folder of the fetched files: HDSEP_ASSETS, else the user's cache folder.

    Lesson: 04_first_separation
    """
    from platformdirs import user_cache_path

    default = user_cache_path("hdsep_tutorial", appauthor=False)
    return Path(os.environ.get("HDSEP_ASSETS") or default).expanduser().absolute()


def mirror() -> str:
    """Return the address that files are fetched from: HDSEP_MIRROR, else the official server.

    It ends with a slash. HDSEP_MIRROR may also be a folder that is laid out like the server.

    Lesson: 04_first_separation
    """
    chosen = os.environ.get("HDSEP_MIRROR") or OFFICIAL_SERVER
    if "://" not in chosen:
        chosen = Path(chosen).expanduser().absolute().as_uri()
    return chosen.rstrip("/") + "/"


def fetch(asset: Asset, *, progress: bool = True, renew: bool = False) -> Path:
    """Return the path of an official file, which is downloaded at first use and checked at each.

    Processes that share the folder download a file once. Where the publisher gives no SHA-256, the
    one of the first download is written beside the file, and holds from then on.

    Args:
        asset: one of `OFFICIAL`.
        progress: say on stderr what is downloaded, under which licence, and how far it is.
        renew: replace a damaged file by a new download instead of refusing it.

    Returns:
        The file's path in `assets_folder()`.

    Raises:
        ValueError: the cached file is damaged, or something else came in its place.
        FileNotFoundError: the server does not have the file.
        OSError: the network failed, the disk is full, or the folder cannot be written.

    Lesson: 04_first_separation
    """
    target = assets_folder() / asset.name
    try:
        if _is_intact(target, asset, renew):  # before any lock: the folder may be read-only
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target, progress):
            if not _is_intact(target, asset, renew):
                target.unlink(missing_ok=True)
                _bring(asset, target, progress)
    except (OSError, ValueError) as error:
        raise _explained(error, asset, target) from None
    return target


def describe_assets() -> str:
    """List the official files, a line each: name, size, cached or not, licence and place.

    Example:
        >>> describe_assets().splitlines()[0][:46]
        'hdemucs_high_trained.pt       334.7 MB  cached'

    Lesson: 04_first_separation
    """
    lines = []
    for asset in OFFICIAL.values():
        path = assets_folder() / asset.name
        cached = "yes" if path.is_file() else "no"
        facts = f"{asset.name:28}{asset.size / 1e6:7.1f} MB  cached: {cached:3}"
        lines.append(f"{facts}  {asset.licence}  {path}")
    return "\n".join(lines)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.

    Lesson: 04_first_separation
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def by_hand(asset: Asset) -> str:
    """Say which file to put where, for people who carry it on a stick.

    Lesson: 04_first_separation
    """
    size = f"{asset.size:,} bytes" if asset.sha256 else f"about {asset.size / 1e6:.1f} MB"
    facts = f"{size}, SHA-256 {asset.sha256}" if asset.sha256 else size
    target = assets_folder() / asset.name
    return f"put this file here by hand: {OFFICIAL_SERVER}{asset.url_path} as {target} ({facts})"


def _is_intact(target: Path, asset: Asset, renew: bool) -> bool:
    """Say whether a cached file may be used; refuse a damaged one, unless it is to be renewed."""
    if not target.is_file():
        return False
    record = _record_of(target)
    recorded = record.read_text("utf-8", "replace")[:64] if record.exists() else None
    sha256 = asset.sha256 or recorded
    if fault := _fault(target, asset, sha256):
        if renew:
            return False
        remedy = f"run `python -m hdsep_tutorial fetch --renew {asset.name}`"
        raise ValueError(f"{target} is damaged (it {fault}): {remedy}")
    if sha256 is None:  # put here by hand: what it is now holds from now on
        with contextlib.suppress(OSError):  # or not, where the folder is read-only
            _write_record(target, sha256_of(target))
    return True


def _fault(path: Path, asset: Asset, sha256: str | None) -> str:
    """Say in a few words what is wrong with a file, "" when nothing is."""
    size = path.stat().st_size
    slack = 0 if asset.sha256 else SIZE_TOLERANCE * asset.size
    if abs(size - asset.size) > slack:
        return f"has {size:,} bytes, expected {asset.size:,}"
    if sha256 and (found := sha256_of(path)) != sha256:
        return f"has the SHA-256 {found[:12]}…, expected {sha256[:12]}…"
    return ""


def _record_of(target: Path) -> Path:
    """Return the file that keeps the SHA-256 of a first download, as `sha256sum -c` reads it."""
    return target.with_name(target.name + ".sha256")


def _write_record(target: Path, sha256: str) -> None:
    """Write down what a file is, in one step: others may be reading."""
    fresh = target.with_name(f"{target.name}.{os.getpid()}.new")
    fresh.write_text(f"{sha256}  {target.name}\n", encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(_record_of(target))


@contextlib.contextmanager
def _one_at_a_time(target: Path, progress: bool) -> Iterator[None]:
    """Wait until no other process, of any user, is downloading the same file."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(target.name + ".lock"), mode=0o666)
    try:
        held = lock.acquire(timeout=0.2)
    except Timeout:
        _say(f"{target.name}: another process is downloading it, waiting", progress)
        held = lock.acquire()
    with held:
        yield


def _bring(asset: Asset, target: Path, progress: bool) -> None:
    """Download a file beside its place, check it, and move it there in one step."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    part = target.with_name(f"{target.name}.{user}.part")
    url, megabytes = mirror() + asset.url_path, asset.size / 1e6
    _say(f"{asset.name} ({asset.title}): {megabytes:.1f} MB from {url}", progress)
    _say(f"licence: {asset.licence}; kept in {target.parent}", progress)

    def find_fault(path: Path) -> str:
        return _fault(path, asset, asset.sha256)

    download(url, part, find_fault, label=asset.name, progress=progress)
    if asset.sha256 is None:
        _write_record(target, sha256_of(part))
    part.chmod(0o644)
    part.replace(target)
    forget(part)


def _say(text: str, progress: bool) -> None:
    """Write a line to stderr, above any progress bar."""
    if progress:
        from tqdm.auto import tqdm

        tqdm.write(text, file=sys.stderr)


def _explained(error: OSError | ValueError, asset: Asset, target: Path) -> OSError | ValueError:
    """Turn what failed into one sentence that ends with the way out."""
    problem = str(error)
    if getattr(error, "errno", None) in FULL_DISK:
        problem = f"the disk of {target.parent} is full: free {asset.size / 1e6:.0f} MB"
    elif getattr(error, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS):
        problem = f"{target.parent} cannot be written: set HDSEP_ASSETS to a folder of your own"
    kind = ValueError if isinstance(error, ValueError) else type(error)
    return kind(f"{problem}, or {by_hand(asset)}")
