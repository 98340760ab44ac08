"""Gather the course in one folder, for a room without a network: out/stick.

    python book/stick.py [--out out/stick]

It holds the files of the repository, the book where it was built, the official files where they
were fetched, and a text that says what to do. What was there before stays until all is copied.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[1]
FIRST = "READ-ME-FIRST.txt"
PARTS = ("index.html", "en", "zh", "sounds")  # of the book


def gather(out: Path, *, root: Path = ROOT) -> Path:
    """Copy everything into `out`, which appears when it is complete; its wheels/ is kept.

    Args:
        out: the folder to make, or to make anew.
        root: of the repository.

    Raises:
        ValueError: `out` is a folder of another kind.
        OSError: git does not know the repository, a file cannot be copied, or one is damaged.
    """
    if out.exists() and not (out / FIRST).is_file():
        raise ValueError(f"{out} exists and is no stick of this course: name another folder")
    part, old = (out.with_name(f"{out.name}.{state}") for state in ("part", "old"))
    shutil.rmtree(part, ignore_errors=True)
    try:
        for name in repository_files(root):
            _copy(root / name, part / "course" / name)
        if (root / "out" / "book" / "index.html").is_file():
            for name in PARTS:
                _copy(root / "out" / "book" / name, part / "book" / name)
        for path in official_files():
            _copy(path, part / "official" / path.name)
        text = (HERE / FIRST).read_text(encoding="utf-8")
        # The mark at the start lets old Windows editors see UTF-8.
        (part / FIRST).write_text(text, encoding="utf-8-sig", newline="\r\n")
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if out.exists():
        shutil.rmtree(old, ignore_errors=True)
        out.rename(old)
        if (old / "wheels").is_dir():
            (old / "wheels").rename(part / "wheels")
    part.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    return out


def repository_files(root: Path) -> list[str]:
    """Return the files that git tracks and that are there, relative to `root`.

    Raises:
        OSError: git is missing, or `root` is no repository.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if (root / name).is_file()]
    if listed.returncode or not names:
        raise OSError(f"git lists no files in {root}: run this in a clone of the repository")
    return names


def book_is_old(root: Path) -> bool:
    """Say whether a lesson was changed after the book was built; no book is not an old one."""
    book = root / "out" / "book" / "index.html"
    lessons = (path.stat().st_mtime for path in root.glob("notebooks/*/*.ipynb"))
    return book.is_file() and max(lessons, default=0.0) > book.stat().st_mtime


def official_files() -> list[Path]:
    """Return the official files that were fetched, each compared with its checksum."""
    from hdsep_tutorial.assets import OFFICIAL, assets_folder, fetch

    known = [asset for asset in OFFICIAL.values() if (assets_folder() / asset.name).is_file()]
    found = [fetch(asset, progress=False) for asset in known]
    records = [path.with_name(f"{path.name}.sha256") for path in found]
    return [*found, *(path for path in records if path.is_file())]


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder; a folder that is not there is left out."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copy2(source, target)


def main() -> None:
    """Read the command line, gather, and say how much it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "stick")
    try:
        out = gather(parser.parse_args().out.resolve())
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from None
    for folder in sorted(path for path in out.iterdir() if path.is_dir()):
        files = [path for path in folder.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        print(f"{folder.name:9} {len(files):5} files, {size:7.1f} MB")
    missing = [name for name in ("book", "official", "wheels") if not (out / name).is_dir()]
    print(f"{out} is ready" + (f"; not in it: {', '.join(missing)}" if missing else ""))
    if book_is_old(ROOT):
        print("its book is older than the lessons: run `make book`, then `make stick` again")


if __name__ == "__main__":
    main()
