import errno
import os
import shutil
import subprocess
import time

import fetching
import numpy as np
import pytest
from fetching import (
    IS_ROOT,
    PATH,
    assert_one_sentence,
    flip_a_byte,
    is_good,
    left_in_cache,
    run_child,
)

from hdsep_tutorial import download
from hdsep_tutorial.assets import assets_folder, fetch

asset, server, unpinned = fetching.asset, fetching.server, fetching.unpinned  # fixtures
impatient, place = fetching.impatient, fetching.place


@pytest.mark.parametrize("fault", ["cut", "reset", "stall"])
def test_a_broken_transfer_goes_on_where_it_stopped(server, asset, fault):
    server.faults[PATH] = [fault, fault]
    began = time.monotonic()
    assert is_good(fetch(asset))
    assert time.monotonic() - began < 30  # two time-outs of 0.5 s; the server would wait 60
    assert server.statuses(PATH) == [200, 206, 206]
    starts = [start for _, _, start in server.log]
    assert 0 < starts[1] <= 150_000 and starts[1] < starts[2] <= 225_000
    assert left_in_cache() == [".bin", ".lock"]


def test_a_reset_is_a_reset(server, asset, monkeypatch):
    server.faults[PATH] = ["reset"]
    monkeypatch.setattr(download, "TRIES", 1)
    with pytest.raises(OSError, match=r"reset by peer|forcibly closed"):
        fetch(asset)


def test_a_busy_server_is_asked_again(server, asset):
    server.faults[PATH] = ["503", "503"]
    assert is_good(fetch(asset))


def test_a_server_that_never_works_is_left_in_peace(server, asset, monkeypatch):
    server.faults[PATH] = ["503"] * 100
    pauses = []
    monkeypatch.setattr(download, "PAUSE_S", 1.0)
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    with pytest.raises(OSError) as error:
        fetch(asset)
    assert_one_sentence(error, asset, "failed 5 times", "503")
    assert pauses == [1, 2, 4, 8]


def test_no_server_at_all(server, asset, monkeypatch):
    monkeypatch.setenv("HDSEP_MIRROR", "http://127.0.0.1:9")  # the discard port is closed
    with pytest.raises(OSError) as error:
        fetch(asset)
    assert_one_sentence(error, asset, "failed 5 times", "refused")


@pytest.mark.parametrize("fault", ["login", "disguised login"])
@pytest.mark.parametrize("half_there", [False, True])
def test_a_login_page_is_named_and_not_kept(server, asset, fault, half_there):
    server.faults[PATH] = ["cut", fault] if half_there else [fault]
    with pytest.raises(ValueError) as error:
        fetch(asset)
    assert_one_sentence(error, asset, "web page", "log in", f"{server.url}/{PATH}")
    assert not (assets_folder() / "file.bin").exists()
    assert is_good(fetch(asset))
    assert server.statuses(PATH)[-1] == (206 if half_there else 200)


def test_a_missing_file_is_named_after_its_licence_was_told(server, asset, capfd):
    server.faults[PATH] = ["404"]
    with pytest.raises(FileNotFoundError) as error:
        fetch(asset)
    assert_one_sentence(error, asset, f"no file at {server.url}/{PATH}", "HDSEP_MIRROR")
    assert asset.licence in capfd.readouterr().err
    assert server.statuses(PATH) == [404]


def test_a_server_that_knows_no_ranges_sends_all_again(server, asset):
    server.faults[PATH] = ["cut", "no range"]
    assert is_good(fetch(asset))
    assert server.statuses(PATH) == [200, 200]


def test_a_piece_that_was_not_asked_for_is_not_taken(server, asset):
    server.faults[PATH] = ["cut", "other piece"]
    assert is_good(fetch(asset))
    assert server.log == [(PATH, 200, 0), (PATH, 206, 150_001), (PATH, 200, 0)]


def test_pieces_of_two_versions_are_not_joined(server, asset, unpinned):
    server.faults[PATH] = ["cut"] + ["503"] * 4
    with pytest.raises(OSError):
        fetch(unpinned)
    renewed = np.random.default_rng(1).bytes(300_000)
    (server.folder / PATH).write_bytes(renewed)
    assert fetch(unpinned).read_bytes() == renewed
    assert server.statuses(PATH)[-1] == 200


def test_a_part_that_went_bad_is_thrown_away(server, asset):
    server.faults[PATH] = ["cut"] + ["503"] * 4
    with pytest.raises(OSError):
        fetch(asset)
    (part,) = assets_folder().glob("*.part")
    flip_a_byte(part)
    assert is_good(fetch(asset))
    assert server.statuses(PATH)[-2:] == [206, 200]


def test_a_part_longer_than_the_file_is_thrown_away(server, asset):
    server.faults[PATH] = ["cut"] + ["503"] * 4
    with pytest.raises(OSError):
        fetch(asset)
    (part,) = assets_folder().glob("*.part")
    part.write_bytes(bytes(400_000))
    assert is_good(fetch(asset))
    assert server.statuses(PATH)[-2:] == [416, 200]


def test_a_wrong_file_is_refused_and_not_kept(server, asset):
    server.faults[PATH] = ["corrupt"]
    with pytest.raises(ValueError) as error:
        fetch(asset)
    assert_one_sentence(error, asset, "not the expected file", asset.sha256[:12])
    assert left_in_cache() == [".lock"]
    assert is_good(fetch(asset))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_is_not_left_full(server, asset, monkeypatch, code):
    def fill_up(url, part, *_):
        part.write_bytes(bytes(1000))
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(download, "_transfer", fill_up)
        with pytest.raises(OSError) as error:
            fetch(asset)
    assert_one_sentence(error, asset, "disk", "full", str(assets_folder()))
    assert left_in_cache() == [".lock"]
    assert is_good(fetch(asset))


@pytest.mark.parametrize("limit", ["disk", "quota"])
def test_a_small_disk_that_fills_up(server, asset, limit):
    assets_folder().mkdir()
    rights = ["unshare", "-m"] if IS_ROOT else ["unshare", "-rm"]
    small = f'mount -t tmpfs -o size=100k none "{assets_folder()}"'
    if limit == "quota" or not works([*rights, "sh", "-c", small]):
        rights, small = [], "ulimit -f 100"
    child = run_child(asset, prefix=[*rights, "sh", "-c", f'{small} && exec "$@"', "sh"])
    text = child.communicate(timeout=60)[1]
    assert child.returncode == 1 and text.startswith("OSError: ")
    assert_one_sentence(text, asset, "disk", "full")
    assert server.statuses(PATH) == [200]
    assert not list(assets_folder().glob("*.part"))


def works(command):
    """Say whether this machine lets us run a command."""
    there = shutil.which(command[0]) is not None
    return there and subprocess.run(command, capture_output=True).returncode == 0
