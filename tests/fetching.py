"""What the tests of fetching share: a server of one small file, and other processes."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from official import Server

from hdsep_tutorial import assets, download
from hdsep_tutorial.assets import Asset, assets_folder

ROOT = Path(__file__).parents[1]
PATH = "models/file.bin"
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
NOBODY = 65534

CHILD = """
import os, sys
import encodings.idna, filelock, platformdirs, tqdm.auto
from hdsep_tutorial import assets, download
url_path, size, sha256, user = sys.argv[1:]
if user:
    os.umask(0o077), os.setgroups([]), os.setgid(int(user)), os.setuid(int(user))
asset = assets.Asset(url_path, int(size), sha256 or None, "test", "test")
try:
    print(assets.fetch(asset, progress=False))
except (OSError, ValueError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def impatient(monkeypatch):
    """No proxies, no pauses and short time-outs."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    monkeypatch.setattr(download, "READ_TIMEOUT_S", 0.5)


@pytest.fixture
def place():
    """An empty folder that other users can reach; pytest's own is closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="hdsep-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(place, impatient, monkeypatch):
    """Serve a file of 300,000 random bytes; the cache is `place`/cache."""
    (place / "served" / "models").mkdir(parents=True)
    content = np.random.default_rng(0).bytes(300_000)
    (place / "served" / PATH).write_bytes(content)
    monkeypatch.setenv("HDSEP_ASSETS", str(place / "cache"))
    with Server(place / "served") as server:
        monkeypatch.setenv("HDSEP_MIRROR", server.url)
        yield server


@pytest.fixture
def asset(server):
    """The file as a pinned asset."""
    sha256 = assets.sha256_of(server.folder / PATH)
    return Asset(PATH, 300_000, sha256, "CC0, a test", "random bytes")


@pytest.fixture
def unpinned(asset):
    """The same, as if its publisher had given no hash and a rounded size."""
    return replace(asset, sha256=None, size=298_000)


def run_child(asset, *, user="", prefix=()):
    """Start fetching in another process."""
    facts = [asset.url_path, str(asset.size), asset.sha256 or "", str(user)]
    command = [*prefix, sys.executable, "-c", CHILD, *facts]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def assert_one_sentence(error, asset, *words):
    """Check that an error is one line with these words and with the way out by hand."""
    text = str(error.value if hasattr(error, "value") else error)
    facts = ["by hand", asset.url_path, str(assets_folder() / asset.name), f"{asset.size:,} bytes"]
    for word in [*words, *facts, asset.sha256]:
        assert word in text, text
    assert "\n" not in text.strip()


def is_good(path):
    return path.read_bytes() == np.random.default_rng(0).bytes(300_000)


def left_in_cache():
    return sorted(path.suffix for path in assets_folder().iterdir())


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def until(condition, limit_s=30):
    """Wait for another process."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
