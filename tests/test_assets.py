import contextlib
import encodings.idna  # noqa: F401 - these four are loaded before a test gives up its rights
import errno
import os
import re
import shutil
from pathlib import Path

import fetching
import filelock  # noqa: F401
import numpy as np
import platformdirs  # noqa: F401
import pytest
import seal_assets
import soundfile
import torchaudio.pipelines
import tqdm.auto  # noqa: F401
from fetching import (
    IS_ROOT,
    NOBODY,
    PATH,
    assert_one_sentence,
    flip_a_byte,
    is_good,
    left_in_cache,
    run_child,
    until,
)

from hdsep_tutorial import assets
from hdsep_tutorial.assets import OFFICIAL, assets_folder, fetch, mirror, shipped

asset, server, unpinned = fetching.asset, fetching.server, fetching.unpinned  # fixtures
impatient, place = fetching.impatient, fetching.place


# What ships


def test_the_lists_of_what_ships_are_true():
    assert (seal_assets.ASSETS / "SHA256SUMS").read_text("utf-8") == seal_assets.sums_text()
    assert (seal_assets.ASSETS / "LICENSES.md").read_text("utf-8") == seal_assets.licences_text()
    sizes = [path.stat().st_size for path in seal_assets.ASSETS.rglob("*")]
    assert sum(sizes) <= 70_000_000


def test_the_shipped_segment_is_150_to_155_s_of_the_shipped_song_bit_by_bit():
    stems = {}
    for name in ("drums", "bass", "other", "vocals"):
        path, cut = shipped(f"demo_song/{name}.flac"), shipped(f"demo_song/segment/{name}.flac")
        rate = soundfile.info(path).samplerate
        whole, _ = soundfile.read(path, start=150 * rate, frames=220_500, dtype="int16")
        stems[name], _ = soundfile.read(cut, dtype="int16")
        assert rate == 44_100 and stems[name].shape == (220_500, 2)
        assert np.array_equal(stems[name], whole)
        assert stems[name].any()
    mixture, _ = soundfile.read(shipped("demo_song/segment/mixture.flac"), dtype="int16")
    assert np.array_equal(mixture, sum(stem.astype("int32") for stem in stems.values()))


@pytest.mark.parametrize("layout", ["assets", "hdsep_tutorial/assets"])
def test_shipped_files_are_found_in_a_clone_and_in_a_wheel_and_checked(
    tmp_path, monkeypatch, layout
):
    folder = tmp_path / layout
    folder.mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"abc")
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    (folder / "SHA256SUMS").write_text(f"{abc}  a.bin\n")
    monkeypatch.setattr(assets, "__file__", str(tmp_path / "hdsep_tutorial" / "assets.py"))
    assert shipped("a.bin") == folder / "a.bin"
    with pytest.raises(FileNotFoundError, match=r"b\.bin does not ship"):
        shipped("b.bin")
    (folder / "a.bin").write_bytes(b"abd")
    with pytest.raises(ValueError, match=r"a\.bin is damaged"):
        shipped("a.bin")


# What is official


def test_the_table_names_the_files_of_torchaudio_and_the_known_facts():
    bundles = torchaudio.pipelines
    paths = {asset.url_path for asset in OFFICIAL.values()}
    assert bundles.HDEMUCS_HIGH_MUSDB_PLUS._model_path in paths
    assert bundles.HDEMUCS_HIGH_MUSDB._model_path in paths
    plus = OFFICIAL["hdemucs_high_trained.pt"]
    assert plus.size == 334_697_255 and plus.sha256.startswith("a004b2790d73ffea")
    assert "research" in plus.licence
    assert OFFICIAL["hdemucs_mix.wav"].frames == 7_560_512
    segments = [asset for name, asset in OFFICIAL.items() if name.endswith("_segment.wav")]
    assert [segment.frames for segment in segments] == [220_500] * 4
    assert all("BY-NC-SA" in segment.licence for segment in segments)
    assert all(re.fullmatch("[0-9a-f]{64}", a.sha256) for a in OFFICIAL.values() if a.sha256)


def test_the_folder_and_the_server_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.delenv("HDSEP_ASSETS", raising=False)
    monkeypatch.delenv("HDSEP_MIRROR", raising=False)
    assert assets_folder().is_absolute() and assets_folder().name == "hdsep_tutorial"
    assert mirror() == "https://download.pytorch.org/torchaudio/"
    monkeypatch.setenv("HDSEP_ASSETS", "~/class")
    assert assets_folder() == Path.home() / "class"
    monkeypatch.setenv("HDSEP_MIRROR", "http://school.example/files")
    assert mirror() == "http://school.example/files/"
    monkeypatch.setenv("HDSEP_MIRROR", str(tmp_path))
    assert mirror() == tmp_path.as_uri() + "/"


def test_the_list_says_what_is_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("HDSEP_ASSETS", str(tmp_path))
    (tmp_path / "hdemucs_mix.wav").write_bytes(b"")
    for line in assets.describe_assets().splitlines():
        cached = "yes" if line.startswith("hdemucs_mix.wav") else "no "
        assert f"MB  cached: {cached}" in line and str(tmp_path) in line
    assert line.count(OFFICIAL["hdemucs_vocals_segment.wav"].licence) == 1


# A good day


def test_a_file_is_announced_downloaded_once_and_then_found(server, asset, capfd):
    path = fetch(asset)
    assert path == assets_folder() / "file.bin" and is_good(path)
    told = capfd.readouterr()
    assert told.out == ""
    for fact in ("file.bin", "0.3 MB", "CC0, a test", f"{server.url}/{PATH}", str(path.parent)):
        assert fact in told.err
    assert fetch(asset) == path
    assert server.statuses(PATH) == [200]
    assert capfd.readouterr().err == ""
    assert left_in_cache() == [".bin", ".lock"]


def test_it_can_be_silent(server, asset, capfd):
    fetch(asset, progress=False)
    assert capfd.readouterr() == ("", "")


def test_a_folder_can_be_the_server(server, asset, monkeypatch):
    monkeypatch.setenv("HDSEP_MIRROR", str(server.folder))
    assert is_good(fetch(asset)) and not server.log
    assets_folder().joinpath("file.bin").unlink()
    (server.folder / PATH).unlink()
    with pytest.raises(FileNotFoundError) as error:
        fetch(asset)
    assert_one_sentence(error, asset, "no file at file://")


# A bad cache


@pytest.mark.parametrize("pinned", [True, False])
def test_a_damaged_file_is_named_and_replaced_on_demand(server, asset, unpinned, pinned):
    wanted = asset if pinned else unpinned
    path = fetch(wanted)
    flip_a_byte(path)
    for _ in range(2):
        with pytest.raises(ValueError) as error:
            fetch(wanted)
        for word in (str(path), "damaged", "python -m hdsep_tutorial fetch --renew", "by hand"):
            assert word in str(error.value)
    assert len(server.log) == 1
    assert is_good(fetch(wanted, renew=True)) and is_good(fetch(wanted))
    assert fetch(wanted, renew=True) and server.statuses(PATH) == [200, 200]


def test_a_failed_renewal_leaves_nothing_broken(server, asset):
    flip_a_byte(fetch(asset))
    server.faults[PATH] = ["corrupt"]
    with pytest.raises(ValueError):
        fetch(asset, renew=True)
    assert left_in_cache() == [".lock"]
    assert is_good(fetch(asset))


def test_the_first_download_is_written_down_where_no_hash_is_known(server, unpinned):
    path = fetch(unpinned)
    record = path.with_name("file.bin.sha256")
    assert record.read_text() == f"{assets.sha256_of(path)}  file.bin\n"
    record.write_bytes(b"\xff garbage")
    with pytest.raises(ValueError, match="damaged"):
        fetch(unpinned)


def test_a_file_put_there_by_hand_is_checked_and_kept(server, asset, unpinned):
    assets_folder().mkdir()
    path = assets_folder() / "file.bin"
    shutil.copy(server.folder / PATH, path)
    assert fetch(asset) == path and fetch(unpinned) == path
    flip_a_byte(path)
    with pytest.raises(ValueError, match="damaged"):
        fetch(unpinned)
    path.with_name("file.bin.sha256").unlink()
    path.write_bytes(b"<html>log in</html>")
    with pytest.raises(ValueError, match="has 19 bytes"):
        fetch(unpinned)
    assert not server.log


# Many at once


def test_two_processes_download_once(server, asset):
    server.faults[PATH] = ["slow"]
    children = [run_child(asset), run_child(asset)]
    answers = [child.communicate(timeout=60) for child in children]
    assert answers == [(f"{assets_folder() / 'file.bin'}\n", "")] * 2
    assert server.statuses(PATH) == [200]


@pytest.mark.slow
def test_a_class_of_thirty_downloads_once(server, unpinned):
    server.faults[PATH] = ["slow"]
    children = [run_child(unpinned) for _ in range(30)]
    answers = [child.communicate(timeout=120) for child in children]
    assert answers == [(f"{assets_folder() / 'file.bin'}\n", "")] * 30
    assert server.statuses(PATH) == [200]
    assert left_in_cache() == [".bin", ".lock", ".sha256"]


@pytest.mark.slow
def test_different_users_share_a_folder_like_tmp(server, asset, unpinned):
    users = [NOBODY, NOBODY - 1] if IS_ROOT else ["", ""]
    assets_folder().mkdir()
    assets_folder().chmod(0o1777)
    for wanted in (asset, unpinned):
        server.faults[PATH], server.log = ["slow"], []
        first = run_child(wanted, user=users[0])
        until(lambda: list(assets_folder().glob("*.part")))
        second = run_child(wanted, user=users[1])
        answers = [child.communicate(timeout=60) for child in (first, second)]
        assert answers == [(f"{assets_folder() / 'file.bin'}\n", "")] * 2
        assert server.statuses(PATH) == [200]
        (assets_folder() / "file.bin").unlink()


def test_what_another_user_left_unfinished_is_no_hindrance(server, asset):
    assets_folder().mkdir()
    assets_folder().chmod(0o1777)
    server.faults[PATH] = ["slow"]
    first = run_child(asset, user=NOBODY if IS_ROOT else "")
    until(lambda: list(assets_folder().glob("*.part")))
    first.kill()
    first.communicate(timeout=60)
    second = run_child(asset, user=NOBODY - 1 if IS_ROOT else "")
    assert second.communicate(timeout=60) == (f"{assets_folder() / 'file.bin'}\n", "")


def test_who_waits_is_told_so(server, asset, capfd):
    server.faults[PATH] = ["slow"]
    child = run_child(asset)
    until(lambda: list(assets_folder().glob("*.part")))
    assert is_good(fetch(asset))
    assert "another process is downloading it" in capfd.readouterr().err
    assert child.communicate(timeout=60) == (f"{assets_folder() / 'file.bin'}\n", "")
    assert server.statuses(PATH) == [200]


def test_a_killed_download_is_resumed_by_the_next(server, asset):
    server.faults[PATH] = ["slow"]
    child = run_child(asset)
    until(lambda: any(p.stat().st_size > 50_000 for p in assets_folder().glob("*.part")))
    child.kill()
    child.communicate(timeout=60)
    assert not (assets_folder() / "file.bin").exists()
    assert is_good(fetch(asset))
    assert server.statuses(PATH) == [200, 206] and server.log[1][2] > 50_000
    assert left_in_cache() == [".bin", ".lock"]


# Folders that cannot be written


@contextlib.contextmanager
def read_only(folder):
    """Take away the right to write, from root, too."""
    folder.chmod(0o555)
    if IS_ROOT:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if IS_ROOT:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_cannot_be_written_is_named(server, asset, place, there):
    if there:
        assets_folder().mkdir()
    with read_only(assets_folder() if there else place):
        with pytest.raises(PermissionError) as error:
            fetch(asset)
        assert_one_sentence(error, asset, "cannot be written", "HDSEP_ASSETS")
    assert not server.log


@pytest.mark.parametrize("recorded", [True, False])
def test_a_read_only_folder_with_the_files_works(server, asset, unpinned, recorded):
    path = fetch(unpinned if recorded else asset)
    (assets_folder() / "file.bin.lock").unlink()
    with read_only(assets_folder()):
        assert fetch(asset) == path
        assert fetch(unpinned) == path
    assert len(server.log) == 1


def test_a_read_only_file_system_is_named(server, asset, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OSError) as error:
        fetch(asset)
    assert_one_sentence(error, asset, "cannot be written", "HDSEP_ASSETS")
