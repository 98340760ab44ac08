"""A large file comes over an unreliable network: piece by piece, and never the same piece twice.

What has arrived stays in a part file. When the network fails, or the process is killed, the next
try asks the server for the rest only (RFC 9110, sections 13.1.5 and 14: If-Range and Range).
"""

import contextlib
import errno
import re
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

READ_TIMEOUT_S = 30.0
TRIES = 5
PAUSE_S = 1.0  # before the second try; doubled before each further one
BLOCK_BYTES = 1 << 16

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NETWORK_ERRORS = (URLError, ConnectionError, TimeoutError, HTTPException, ssl.SSLError)
WORTH_ANOTHER_TRY = (408, 416, 425, 429)  # of the 4xx answers; 5xx are all worth one


def download(
    url: str, part: Path, find_fault: Callable[[Path], str], *, label: str, progress: bool = True
) -> None:
    """Bring a file from a server into a part file, going on where an earlier try stopped.

    Args:
        url: of the file; http, https or file.
        part: where it goes. A network that fails leaves what has arrived there.
        find_fault: part file -> what is wrong with it in a few words, "" when it is complete.
        label: of the progress bar.
        progress: show the bar.

    Raises:
        FileNotFoundError: the server does not have the file.
        ValueError: something else came in its place.
        OSError: the network or the disk failed.

    Lesson: 04_first_separation
    """
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        resumed = part.exists()
        try:
            _transfer(url, part, label, progress)
        except NETWORK_ERRORS as error:
            _refuse_final(error, url)
            problem = str(error) or type(error).__name__
            continue
        except OSError as error:
            if error.errno in FULL_DISK:
                forget(part)  # a full disk stops more than this program
            raise
        if not (fault := find_fault(part)):
            return
        forget(part)
        if not resumed:
            raise ValueError(f"what came from {url} is not the expected file: it {fault}")
    raise OSError(f"{url} failed {TRIES} times ({problem or 'the pieces do not fit together'})")


def forget(part: Path) -> None:
    """Delete a part file and the note of its version."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    """Return the file that says which version of the server's file a part belongs to."""
    return part.with_name(part.name + ".version")


def _transfer(url: str, part: Path, label: str, progress: bool) -> None:
    """Ask once for what is missing and write it as it comes."""
    from tqdm.auto import tqdm

    with _open(url, part) as response:
        start, total = _place(response, part)
        block = response.read1(BLOCK_BYTES)
        _refuse_web_page(response, block, url)
        if start == 0:
            forget(part)  # before the new note: a part never stands beside another's note
            version = response.headers.get("ETag", "")
            if not version or version.startswith("W/"):  # weak tags do not promise equal bytes
                version = response.headers.get("Last-Modified", "")
            _note(part).write_text(version, encoding="utf-8")
        bar = tqdm(
            desc=label, initial=start, total=total, unit="B", unit_scale=True, disable=not progress
        )
        with bar, part.open("ab" if start else "wb") as file:
            while block:
                file.write(block)
                bar.update(len(block))
                block = response.read1(BLOCK_BYTES)
    arrived = part.stat().st_size
    if total is not None and arrived != total:
        raise ConnectionError(f"{arrived:,} of {total:,} bytes came")


def _open(url: str, part: Path) -> contextlib.AbstractContextManager:
    """Send the request; with a part whose version is known, for the rest only."""
    headers = {"User-Agent": "hdsep_tutorial"}
    with contextlib.suppress(FileNotFoundError):
        version, start = _note(part).read_text(encoding="utf-8"), part.stat().st_size
        if version and start:
            headers |= {"Range": f"bytes={start}-", "If-Range": version}
    try:
        return urlopen(Request(url, headers=headers), timeout=READ_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # the part is no piece of this file
            forget(part)
        raise


def _place(response: object, part: Path) -> tuple[int, int | None]:
    """Return where the body starts in the file, and the length of the file, both in bytes."""
    if response.status != 206:
        length = response.headers.get("Content-Length")
        return 0, int(length) if length else None
    promised = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", promised)
    if match is None or int(match[1]) != part.stat().st_size:
        forget(part)
        raise ConnectionError(f"the server sent the piece {promised!r}, which was not asked for")
    return int(match[1]), int(match[2])


def _refuse_web_page(response: object, head: bytes, url: str) -> None:
    """Raise when a web page comes instead of the file."""
    looks_like_one = head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))
    if response.headers.get_content_type() == "text/html" or looks_like_one:
        raise ValueError(
            f"a web page came from {url} instead of the file, perhaps the login page of this "
            "network: log in with a browser and try again"
        )


def _refuse_final(error: Exception, url: str) -> None:
    """Raise when another try cannot help: no such file, or the server refuses it."""
    code = getattr(error, "code", None)
    if code in (404, 410) or isinstance(getattr(error, "reason", None), FileNotFoundError):
        raise FileNotFoundError(f"there is no file at {url}: check HDSEP_MIRROR") from None
    if code is not None and code < 500 and code not in WORTH_ANOTHER_TRY:
        raise OSError(f"the server refused {url} with status {code}") from None
