"""Stand-ins for the official server and its files: same names, shapes and sizes, other content.

`official_folder()` makes a full-size Hybrid Demucs with seeded weights and a song of noise;
`Server` serves a folder on 127.0.0.1 and breaks in the way a test asks for.
"""

import atexit
import shutil
import socket
import struct
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import soundfile
import torch

from hdsep_tutorial.assets import OFFICIAL, sha256_of

STEMS = ("drums", "bass", "other", "vocals")
RATE = 44_100
SONG_FRAMES, SEGMENT_FRAMES, SEGMENT_START_S = 7_560_512, 220_500, 150
LOGIN_PAGE = b"<!DOCTYPE html><html><body>Welcome to Campus WiFi: please log in</body></html>"


@cache
def official_folder():
    """Make the official files with other content, once per test session; deleted at its end."""
    folder = Path(tempfile.mkdtemp(prefix="official-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_sounds(folder / "tutorial-assets")
    make_checkpoint(folder / "models" / "hdemucs_high_trained.pt")
    (folder / "models" / "hdemucs_high_musdbhq_only.pt").hardlink_to(
        folder / "models" / "hdemucs_high_trained.pt"
    )
    return folder


def make_checkpoint(path, seed=0):
    """Save a full-size Hybrid Demucs with seeded weights, as the official checkpoint is saved."""
    from torchaudio.models import hdemucs_high

    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        torch.save(hdemucs_high(list(STEMS)).state_dict(), path)


def make_sounds(folder, seed=0):
    """Write four float32 segments of noise, and a 16-bit song that is their sum at 150-155 s."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    song = rng.integers(-300, 300, (SONG_FRAMES, 2), dtype="int16")
    total = np.zeros((SEGMENT_FRAMES, 2))
    for stem in STEMS:
        noise = rng.uniform(-0.1, 0.1, (SEGMENT_FRAMES, 2)).astype("float32")
        soundfile.write(folder / f"hdemucs_{stem}_segment.wav", noise, RATE, "FLOAT")
        total += noise
    start = SEGMENT_START_S * RATE
    song[start : start + SEGMENT_FRAMES] = np.round(total * 32768)
    soundfile.write(folder / "hdemucs_mix.wav", song, RATE, "PCM_16")


def pin(monkeypatch, folder):
    """Put the size and SHA-256 of the stand-ins into the table of official files."""
    for name, asset in list(OFFICIAL.items()):
        path = folder / asset.url_path
        if asset.sha256 and path.is_file():
            pinned = replace(asset, size=path.stat().st_size, sha256=sha256_of(path))
            monkeypatch.setitem(OFFICIAL, name, pinned)


class Server(ThreadingHTTPServer):
    """Serve a folder on 127.0.0.1 while a `with` block lasts.

    Attributes:
        url: address of the folder.
        faults: path -> faults of its next requests, one each: "cut", "reset" and "stall" after
            half of what was asked for, "404", "503", "login", "disguised login" (as binary data),
            "no range" (sends all), "other piece" (than asked for), "corrupt" (one other byte),
            "slow" (a second and a half).
        log: (path, status, first byte sent) of each request.
    """

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.folder, self.faults, self.log = Path(folder), {}, []
        self.closing = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        """Say nothing when a client hangs up."""

    def statuses(self, path):
        """Return the status of each request for a path, in order."""
        return [status for name, status, _ in self.log if name == path]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        planned = self.server.faults.get(name)
        fault = planned.pop(0) if planned else ""
        path = self.server.folder / name
        if fault in ("404", "503") or not path.is_file():
            return self._head(name, int(fault or 404), 0, {"Content-Length": "0"})
        if "login" in fault:
            kind = "text/html" if fault == "login" else "application/octet-stream"
            facts = {"Content-Type": kind, "Content-Length": str(len(LOGIN_PAGE))}
            self._head(name, 200, 0, facts)
            return self.wfile.write(LOGIN_PAGE)
        size, version = path.stat().st_size, f'"{path.stat().st_mtime_ns}"'
        start = self._start(version, fault)
        if start >= size:
            return self._head(name, 416, 0, {"Content-Range": f"bytes */{size}"})
        start += fault == "other piece"
        facts = {"ETag": version, "Content-Length": str(size - start)}
        if start:
            facts["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        self._head(name, 206 if start else 200, start, facts)
        self._body(path, start, size, fault)

    def _start(self, version, fault):
        """Return the first byte that is asked for; 0 when the client's part is of another file."""
        wanted = self.headers.get("Range")
        fits = self.headers.get("If-Range", version) == version
        return int(wanted[6:-1]) if wanted and fits and fault != "no range" else 0

    def _head(self, name, status, start, facts):
        self.server.log.append((name, status, start))
        self.send_response(status)
        for key, value in facts.items():
            self.send_header(key, value)
        self.end_headers()

    def _body(self, path, start, size, fault):
        """Send the file from `start` on, or what the fault leaves of it."""
        stop = start + (size - start) // 2 if fault in ("cut", "reset", "stall") else size
        step = max(1, size // 30) if fault == "slow" else 1 << 20
        with path.open("rb") as file, suppress(ConnectionError):
            file.seek(start)
            for position in range(start, stop, step):
                block = file.read(min(step, stop - position))
                if fault == "corrupt" and position == start:
                    block = bytes([block[0] ^ 1]) + block[1:]
                self.wfile.write(block)
                if fault == "slow":
                    time.sleep(0.05)
        if fault == "stall":
            self.server.closing.wait(60)
        if fault == "reset":  # closing with data unsent and no lingering sends RST
            time.sleep(0.1)
            off = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off)
            self.connection.close()

    def log_message(self, *_):
        """Keep the terminal clean."""
