"""Writing: the right samples, all of them or none, and never at the cost of what was there."""

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf
import torch

from hdsep_tutorial import saving
from hdsep_tutorial.saving import FORMATS, save_audio, save_stems, stem_writer

RATE = 44_100
STEP_16, STEP_24 = 2.0**-15, 2.0**-23


pytestmark = pytest.mark.usefixtures("one_thread")


def tones(seconds=1.0, peak=0.5):
    """Return (2, time): 440 Hz left, 660 Hz right."""
    t = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return (peak * torch.stack([(2 * torch.pi * f * t).sin() for f in (440, 660)])).float()


def read(path):
    """Return what soundfile finds in a file, as (2, time)."""
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    assert rate == RATE
    return torch.from_numpy(samples.T.copy())


def contents(folder):
    """Return {name: bytes} of every file in a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextlib.contextmanager
def as_nobody():
    """Give up the administrator's rights for a while, so that permissions count."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def folder(tmp_path):
    """Return a folder that holds older files."""
    for name in ("drums.wav", "drums.mp3", "drums.flac", "notes.txt"):
        (tmp_path / name).write_text(f"older {name}")
    return tmp_path


@pytest.mark.parametrize(
    ("format", "coding", "tolerance"),
    [
        ("wav", "FLOAT", 0),
        ("wav24", "PCM_24", 0.5 * STEP_24),
        ("wav16", "PCM_16", 0.5 * STEP_16),
        ("flac", "PCM_24", 0.5 * STEP_24),
        ("mp3", "MPEG_LAYER_III", 0.01),
        ("ogg", "VORBIS", 0.01),
    ],
)
def test_every_format_gives_the_samples_back(tmp_path, format, coding, tolerance):
    song = tones()
    path = save_audio(tmp_path / f"a{FORMATS[format][0]}", song, RATE, format=format)
    assert sf.info(path).subtype == coding
    assert read(path).shape == song.shape
    inner = slice(None) if tolerance < 0.001 else slice(2000, -2000)  # codecs smear the edges
    assert (read(path) - song)[:, inner].abs().max() <= tolerance


def test_the_suffix_is_the_format_unless_one_is_named(tmp_path):
    for suffix, coding in ((".wav", "FLOAT"), (".WAV", "FLOAT"), (".flac", "PCM_24")):
        path = save_audio(str(tmp_path / f"a{suffix}"), tones(), RATE)
        assert path == tmp_path / f"a{suffix}" and sf.info(path).subtype == coding


def test_24_bits_are_rounded_to_the_nearest_and_reach_full_scale(tmp_path):
    steps = torch.tensor([[0.6, 1.4, -0.6, -1.4, 2**23 - 1, -(2.0**23)]]).repeat(2, 1)
    for format in ("wav24", "flac"):
        path = save_audio(tmp_path / f"a{FORMATS[format][0]}", steps * STEP_24, RATE, format=format)
        assert (read(path)[0] / STEP_24).tolist() == [1, 1, -1, -1, 2**23 - 1, -(2**23)]


def test_16_bits_survive_the_way_through_float(tmp_path):
    every = torch.arange(-(2**15), 2**15) * STEP_16
    song = torch.stack([every, every.flip(0)])
    assert torch.equal(read(save_audio(tmp_path / "a.wav", song, RATE, format="wav16")), song)


def test_float_wav_keeps_what_is_beyond_full_scale(tmp_path, recwarn):
    loud = tones(peak=3.0)
    assert torch.equal(read(save_audio(tmp_path / "a.wav", loud, RATE)), loud)
    assert not recwarn


@pytest.mark.parametrize("format", ["wav24", "wav16", "flac", "mp3", "ogg"])
def test_one_gain_for_all_stems_where_one_would_clip(tmp_path, format):
    stems = {"drums": tones(peak=2.0), "bass": tones(peak=0.5)}
    with pytest.warns(UserWarning, match=r"turned down by 6\.03 dB") as caught:
        paths = save_stems(tmp_path, stems, RATE, format=format)
    assert len(caught) == 1  # 20 log10(2.0 / 0.999)
    for name, stem in stems.items():
        inner = slice(2000, -2000)
        error = read(paths[name])[:, inner] - stem[:, inner] * 0.999 / 2.0
        assert error.abs().max() < (0.02 if format in ("mp3", "ogg") else STEP_16)


def test_full_scale_is_no_clipping(tmp_path, recwarn):
    save_audio(tmp_path / "a.wav", torch.tensor([[1.0, -1.0]] * 2), RATE, format="wav16")
    assert not recwarn


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_sample_that_is_no_number_is_never_written(folder, format, bad):
    before = contents(folder)
    drums, vocals = tones(), tones()
    vocals[1, 22_050] = bad
    with pytest.raises(ValueError, match=r"vocals has a NaN or infinite sample at 0\.500 s"):
        save_stems(folder, {"drums": drums, "vocals": vocals}, RATE, format=format)
    with (
        pytest.raises(ValueError, match=r"vocals .* at 1\.500 s"),
        stem_writer(folder, ["drums", "vocals"], RATE, format=format) as writer,
    ):
        writer.write({"drums": drums, "vocals": drums})
        writer.write({"drums": drums, "vocals": vocals})
    assert contents(folder) == before


@pytest.mark.parametrize("format", ["wav", "flac", "mp3"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_leaves_everything_as_it_was(folder, format, stop):
    before = contents(folder)
    with pytest.raises(stop), stem_writer(folder, ["drums", "bass"], RATE, format=format) as writer:
        writer.write({"drums": tones(), "bass": tones()})
        assert len(contents(folder)) == len(before) + 2
        raise stop
    assert contents(folder) == before


def test_an_interrupt_of_the_last_step_leaves_everything_as_it_was(folder, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = contents(folder)
    monkeypatch.setattr(saving, "_rounded", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_stems(folder, {"drums": tones(), "bass": tones()}, RATE, format="flac")
    assert contents(folder) == before


@pytest.mark.parametrize("format", FORMATS)
def test_stems_appear_together_at_the_end(folder, format):
    with stem_writer(folder, ["drums", "bass"], RATE, format=format) as writer:
        writer.write({"bass": tones(), "drums": -tones()})
        assert all(
            name.startswith(".")
            for name in set(contents(folder))
            - {"drums.wav", "drums.mp3", "drums.flac", "notes.txt"}
        )
        assert (folder / "drums.wav").read_text() == "older drums.wav"
    suffix = FORMATS[format][0]
    assert writer.paths == {"drums": folder / f"drums{suffix}", "bass": folder / f"bass{suffix}"}
    assert (read(writer.paths["drums"]) + tones())[:, 2000:-2000].abs().max() < 0.01
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert (folder / "notes.txt").read_text() == "older notes.txt"


@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
def test_blocks_of_any_length_make_the_same_file(tmp_path, format):
    song, edges = tones(2.0), [0, 1, 1, 7000, 72_536, 80_000, 88_200]
    whole = save_stems(tmp_path / "whole", {"bass": song}, RATE, format=format)
    with stem_writer(tmp_path / "blocks", ["bass"], RATE, format=format) as writer:
        for first, last in itertools.pairwise(edges):
            writer.write({"bass": song[:, first:last]})
    assert torch.equal(read(writer.paths["bass"]), read(whole["bass"]))


@pytest.mark.parametrize("format", ["ogg", "mp3", "flac"])
def test_a_long_file_is_encoded_in_short_writes(tmp_path, monkeypatch, format):
    """libsndfile ends the process when it gets a few million frames of OGG at once."""
    lengths, real = [], sf.SoundFile.write

    def write(file, samples):
        lengths.append(len(samples))
        real(file, samples)

    monkeypatch.setattr(sf.SoundFile, "write", write)
    save_audio(tmp_path / f"a.{format}", torch.zeros(2, 300_000), RATE)
    assert sum(lengths) == 300_000 and max(lengths) <= 65_536


@pytest.mark.parametrize("samples", [1, 100])
@pytest.mark.parametrize("format", FORMATS)
def test_very_short_sounds_are_written(tmp_path, format, samples):
    path = tmp_path / f"a{FORMATS[format][0]}"
    save_audio(path, torch.full((2, samples), 0.25), RATE, format=format)
    assert read(path).shape == (2, samples)


@pytest.mark.parametrize("format", ["wav", "wav24", "wav16"])
def test_above_4_gb_a_wav_is_rf64(tmp_path, monkeypatch, format):
    monkeypatch.setattr(saving, "_RIFF_LIMIT", 1000)
    path = save_audio(tmp_path / "a.wav", tones(), RATE, format=format)
    assert sf.info(path).format == "RF64"
    assert (read(path) - tones()).abs().max() <= STEP_16
    with av.open(str(path)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == RATE


def test_the_sizes_in_the_header_are_those_of_the_file(tmp_path):
    data = save_audio(tmp_path / "a.wav", tones(), RATE).read_bytes()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert data[86:90] == b"data" and int.from_bytes(data[90:94], "little") == len(data) - 94


def test_the_header_of_five_hours_holds_sizes_beyond_32_bits():
    hours = saving._wav_header(RATE, 5 * 3600 * RATE)
    assert hours[:4] == b"RF64" and len(hours) == len(saving._wav_header(RATE, 1)) == 94
    sizes = np.frombuffer(hours[20:44], "<u8").tolist()
    data = 5 * 3600 * RATE * 8
    assert sizes == [data + 94 - 8, data, 5 * 3600 * RATE]


class FullDisk:
    """A file that takes `room` bytes and then says what a full disk says."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        self._room -= memoryview(data).nbytes
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)


def disk_full(folder, format):
    """Save, and see that one sentence comes and nothing has changed."""
    before = contents(folder)
    with pytest.raises(OSError, match="cannot be written") as caught:
        save_stems(folder, {"drums": tones(), "bass": tones()}, RATE, format=format)
    assert "\n" not in str(caught.value) and "make room" in str(caught.value)
    assert contents(folder) == before
    return str(caught.value)


@pytest.mark.parametrize("format", FORMATS)
def test_a_disk_that_fills_up_while_blocks_come(folder, monkeypatch, format):
    real = Path.open

    def open_on_full_disk(path, mode="r", *args, **kwargs):
        file = real(path, mode, *args, **kwargs)
        return FullDisk(file, 300_000) if mode == "wb" else file  # a stem takes 352 800 bytes

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    assert "No space left on device" in disk_full(folder, format)


@pytest.mark.parametrize("fault", [sf.LibsndfileError(2), AssertionError()])
@pytest.mark.parametrize("format", ["wav16", "flac", "mp3", "ogg"])
def test_a_disk_that_fills_up_while_the_format_is_made(folder, monkeypatch, format, fault):
    def write(file, samples):
        raise fault

    monkeypatch.setattr(sf.SoundFile, "write", write)
    disk_full(folder, format)


@pytest.mark.parametrize("format", ["flac", "ogg", "wav16"])
def test_a_disk_that_fills_up_at_the_very_end(folder, monkeypatch, format):
    """libsndfile reports nothing when the last bytes, written on closing, find no room."""
    real = sf.SoundFile.close

    def close_short(file):
        was_written = file.mode == "w" and not file.closed
        real(file)
        if was_written:
            os.truncate(file.name, os.path.getsize(file.name) - 1000)

    monkeypatch.setattr(sf.SoundFile, "close", close_short)
    disk_full(folder, format)


def test_a_folder_that_may_not_be_written():
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o555)
        with as_nobody():
            for format in FORMATS:
                with pytest.raises(PermissionError, match="another folder") as caught:
                    save_stems(folder, {"bass": tones()}, RATE, format=format)
                assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
            with pytest.raises(PermissionError, match="another folder"):
                save_audio(folder / "new" / "a.wav", tones(), RATE)
        assert contents(folder) == {}
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_target_that_is_no_file(tmp_path):
    (tmp_path / "bass.wav").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="a folder has this name"):
        save_stems(tmp_path, {"drums": tones(), "bass": tones()}, RATE)
    with pytest.raises(OSError, match="cannot be written"):
        save_stems(tmp_path / "file", {"bass": tones()}, RATE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bass.wav", "file"]


@pytest.mark.parametrize("name", ["歌曲/Ø ű", 'it\'s "my" song', "50% of a:b"])
def test_any_name_is_written(tmp_path, name):
    for suffix in (".wav", ".flac"):
        path = save_audio(tmp_path / f"{name}{suffix}", tones(0.1), RATE)
        assert (read(path) - tones(0.1)).abs().max() <= STEP_24


def test_what_cannot_be_saved_is_named(tmp_path):
    for wrong in (torch.zeros(1, 9), torch.zeros(9), torch.zeros(3, 9), torch.zeros(1, 2, 9)):
        with pytest.raises(ValueError, match=r"expected \(2, time\)"):
            save_audio(tmp_path / "a.wav", wrong, RATE)
    with pytest.raises(ValueError, match="expected at least one"):
        save_audio(tmp_path / "a.wav", torch.zeros(2, 0), RATE)
    with pytest.raises(ValueError, match="equal lengths"):
        save_stems(tmp_path, {"drums": tones(1), "bass": tones(2)}, RATE)
    with (
        pytest.raises(ValueError, match="got stems drums, expected drums, bass"),
        stem_writer(tmp_path, ["drums", "bass"], RATE) as writer,
    ):
        writer.write({"drums": tones()})
    assert contents(tmp_path) == {}


def test_formats_that_do_not_exist_are_refused_before_any_work(tmp_path):
    for attempt in (
        lambda: save_audio(tmp_path / "a.xyz", tones(), RATE),
        lambda: save_audio(tmp_path / "a", tones(), RATE),
        lambda: save_stems(tmp_path, {"bass": tones()}, RATE, format="aac"),
        lambda: stem_writer(tmp_path, ["bass"], RATE, format="WAV"),
    ):
        with pytest.raises(ValueError, match="expected one of wav, wav24, wav16, flac, mp3, ogg"):
            attempt()
    with pytest.raises(ValueError, match=r"does not end in \.flac"):
        save_audio(tmp_path / "a.wav", tones(), RATE, format="flac")
    with pytest.raises(ValueError, match="MP3 cannot have 96000 Hz"):
        stem_writer(tmp_path, ["bass"], 96_000, format="mp3")
    assert contents(tmp_path) == {}


def test_nothing_is_changed_in_place(tmp_path):
    song = tones(peak=1.5).requires_grad_()
    with pytest.warns(UserWarning, match="turned down"):
        save_audio(tmp_path / "a.flac", song, RATE)
    assert torch.equal(song.detach(), tones(peak=1.5))
