"""Reading: every file gives the right samples at the right place, or one sentence says why not.

The signal is a sweep with another phase on each side: a shift of one sample, a swap of the sides
or a wrong rate all leave far less of it than the tolerances allow.
"""

import contextlib
import os
import re
import shutil
import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf
import torch

from hdsep_tutorial import decoding
from hdsep_tutorial.audio import clip, load_audio, stream_audio

RATE = 44_100
STEP_16, STEP_24 = 2.0**-15, 2.0**-23


pytestmark = pytest.mark.usefixtures("one_thread")


def sweep(seconds, rate=RATE, start_s=0.0):
    """Return (2, time): 1000 Hz rising by 600 Hz a second, sine left, cosine right, peak 0.5."""
    t = start_s + torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    phase = 2 * torch.pi * (1000 * t + 300 * t * t)
    return (0.5 * torch.stack([phase.sin(), phase.cos()])).float()


def write(path, waveform, rate=RATE, subtype=None, format=None):
    """Write by soundfile in short blocks (libsndfile crashes on a long write of OGG)."""
    samples = np.ascontiguousarray(waveform.T)
    with sf.SoundFile(path, "w", rate, samples.shape[1], subtype, format=format) as file:
        for at in range(0, len(samples), 65_536):
            file.write(samples[at : at + 65_536])
    return path


def encode(path, codec, waveform=None, rate=RATE, layout="stereo", video=False, **options):
    """Write by PyAV, with a grey picture if `video`."""
    with av.open(str(path), "w", options=options) as container:
        if video:
            picture = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
        if waveform is not None:
            sound = container.add_stream(codec, rate=rate, layout=layout)
            sound.bit_rate = 192_000
        if video:
            grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
            for packet in [*picture.encode(grey), *picture.encode()]:
                container.mux(packet)
        if waveform is not None:
            fit = av.AudioResampler(sound.format, layout, rate)
            for index, block in enumerate(waveform.split(4096, dim=1)):
                frame = av.AudioFrame.from_ndarray(block.contiguous().numpy(), "fltp", layout)
                frame.sample_rate, frame.pts = rate, 4096 * index
                for piece in fit.resample(frame):
                    container.mux(sound.encode(piece))
            container.mux(sound.encode())
    return path


def snr_db(reference, estimate):
    """Return the ratio of the reference to what differs from it."""
    error = (reference - estimate).double().pow(2).sum()
    return float(10 * torch.log10(reference.double().pow(2).sum() / error))


def lag(reference, estimate):
    """Return by how many samples `estimate` is late, from the peak of the cross-correlation."""
    size = 2 * reference.shape[1]
    spectrum = torch.fft.rfft(estimate, size) * torch.fft.rfft(reference, size).conj()
    peak = int(torch.fft.irfft(spectrum, size).sum(0).argmax())
    return peak if peak < size // 2 else peak - size


def cut(path, part):
    """Return a copy of a file that ends after `part` of its bytes."""
    short = path.with_name(f"cut_{path.name}")
    data = path.read_bytes()
    short.write_bytes(data[: int(len(data) * part)])
    return short


def one_warning(path, **window):
    """Return what is read, and the text of the one warning."""
    with pytest.warns(UserWarning) as caught:
        waveform, _ = load_audio(path, **window)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "\n" not in text and str(path) in text
    return waveform, text


def refusal(path, error=ValueError, **window):
    """Return the sentence with which a file is refused."""
    with pytest.raises(error) as caught:
        load_audio(path, **window)
    text = str(caught.value)
    assert "\n" not in text and str(path) in text
    return text


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


@pytest.mark.parametrize(
    ("name", "subtype", "format", "tolerance"),
    [
        ("a.wav", "PCM_16", None, STEP_16),
        ("a.wav", "PCM_U8", None, 2.0**-7),
        ("a.wav", "PCM_24", None, STEP_24),
        ("a.wav", "FLOAT", None, 0),
        ("a.wav", "FLOAT", "RF64", 0),
        ("a.w64", "FLOAT", None, 0),
        ("a.aiff", "PCM_24", None, STEP_24),
        ("a.caf", "PCM_16", None, STEP_16),
        ("a.flac", "PCM_24", None, STEP_24),
        ("a.flac", "PCM_16", None, STEP_16),
    ],
)
def test_uncompressed_and_lossless_files_are_read_to_the_sample(
    tmp_path, name, subtype, format, tolerance
):
    song = sweep(1.0)[:, :-7]
    waveform, rate = load_audio(write(tmp_path / name, song, subtype=subtype, format=format))
    assert rate == RATE and waveform.dtype == torch.float32 and waveform.shape == song.shape
    assert (waveform - song).abs().max() <= tolerance


@pytest.mark.parametrize(
    ("name", "codec", "options", "least_db"),
    [
        ("a.m4a", "alac", {}, 85),  # encoded from 16 bits or more
        ("a.mka", "flac", {}, 85),
        ("a.m4a", "aac", {}, 25),
        ("a.mp4", "aac", {"video": True}, 25),
        ("a.mp3", "libmp3lame", {}, 25),
        ("a.webm", "libopus", {"rate": 48_000}, 25),
    ],
)
def test_what_ffmpeg_decodes_keeps_its_place_and_length(tmp_path, name, codec, options, least_db):
    rate = options.get("rate", RATE)
    path = encode(tmp_path / name, codec, sweep(3, rate), **options)
    waveform, _ = load_audio(path)
    assert waveform.shape == (2, 3 * RATE)
    assert snr_db(sweep(3), waveform) > least_db
    assert snr_db(sweep(3)[:, 1:], waveform[:, :-1]) < 15  # so one sample would have been seen


def test_ogg_and_wma_hold_the_song(tmp_path):
    ogg, _ = load_audio(write(tmp_path / "a.ogg", sweep(3), format="OGG", subtype="VORBIS"))
    assert ogg.shape == (2, 3 * RATE) and snr_db(sweep(3), ogg) > 25
    wma, _ = load_audio(encode(tmp_path / "a.wma", "wmav2", sweep(3)))
    assert -2048 <= lag(sweep(3), torch.nn.functional.pad(wma, (0, 3 * RATE))[:, : 3 * RATE]) <= 0


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_window_is_the_same_samples_as_the_whole(tmp_path, name):
    path = write(tmp_path / name, sweep(4))
    whole, _ = load_audio(path)
    assert snr_db(sweep(4), whole) > 25
    for start_s, stop_s in [(0, 0.5), (0.013, 0.6), (1.234567, 2.5), (3.5, 4.0), (3.9, 9.0)]:
        part, _ = load_audio(path, start_s=start_s, stop_s=stop_s)
        start, stop = round(start_s * RATE), round(stop_s * RATE)
        assert torch.equal(part, whole[:, start:stop])


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp3", None, {}),
        ("a.m4a", "alac", {}),
        ("a.mka", "flac", {}),
        ("a.webm", "libopus", {"rate": 48_000}),
        ("a.mp3", "libmp3lame", {"write_xing": "0"}),
        ("a.m4a", "aac", {}),
    ],
)
def test_a_window_by_ffmpeg_is_at_its_place(tmp_path, name, codec, options):
    song = sweep(4, options.get("rate", RATE))
    path = tmp_path / name
    path = encode(path, codec, song, **options) if codec else write(path, song)
    whole, _ = load_audio(path)
    for start_s, stop_s in [(0.0, 0.5), (0.51, 0.6), (1.234567, 2.5), (3.5, 4), (3.9, 9)]:
        part, _ = load_audio(path, start_s=start_s, stop_s=stop_s)
        wanted = whole[:, round(start_s * RATE) : round(stop_s * RATE)]
        assert part.shape == wanted.shape
        if codec == "aac":  # its noise substitution is drawn anew
            assert snr_db(wanted, part) > 40
        else:
            assert (part - wanted).abs().max() < 1e-5


def test_a_large_ogg_is_the_same_by_either_decoder(tmp_path, monkeypatch):
    noise = 0.1 * torch.randn(2, 4 * RATE, generator=torch.Generator().manual_seed(0))
    path = write(tmp_path / "a.ogg", noise)
    by_soundfile, _ = load_audio(path)
    monkeypatch.setattr(decoding, "_SMALL_OGG", 0)
    for start_s, stop_s in [(0, 4), (1.234567, 2.5), (3.5, 4.0), (3.95, 4.0)]:
        part, _ = load_audio(path, start_s=start_s, stop_s=stop_s)
        wanted = by_soundfile[:, round(start_s * RATE) : round(stop_s * RATE)]
        assert part.shape == wanted.shape and (part - wanted).abs().max() < 1e-5
    path.write_bytes(2 * path.read_bytes())  # of joined files libsndfile reads the first
    assert 8 <= load_audio(path)[0].shape[1] / RATE < 8.1


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_099, 48_000, 96_000, 192_000])
def test_other_rates_are_resampled_whole_and_in_windows(tmp_path, rate):
    path = write(tmp_path / "a.wav", sweep(3, rate), rate, "FLOAT")
    whole, _ = load_audio(path)
    assert whole.shape == (2, 3 * RATE)
    inner = slice(RATE // 10, -RATE // 10)  # the file begins and ends in the middle of a wave
    assert (whole - sweep(3))[:, inner].abs().max() < 1e-4  # soxr HQ: 20 bits, -120 dB
    for start_s, stop_s in [(0, 0.2), (0.777, 1.5), (2.5, 2.9), (2.8, 3.0)]:
        part, _ = load_audio(path, start_s=start_s, stop_s=stop_s)
        wanted = whole[:, round(start_s * RATE) : round(stop_s * RATE)]
        assert part.shape == wanted.shape
        assert (part - wanted).abs().max() < 1e-5


def test_the_rate_that_is_asked_for_is_the_rate_that_comes(tmp_path):
    path = write(tmp_path / "a.wav", sweep(1), subtype="FLOAT")
    waveform, rate = load_audio(path, sample_rate=32_000)
    assert rate == 32_000 and waveform.shape == (2, 32_000)
    assert (waveform - sweep(1, 32_000))[:, 3200:-3200].abs().max() < 1e-4


@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_blocks_are_the_whole_in_pieces(tmp_path, rate):
    path = write(tmp_path / "a.flac", sweep(3, rate), rate)
    whole, _ = load_audio(path)
    for block_s in (0.01, 0.7, 10.0):
        blocks = list(stream_audio(path, block_s=block_s))
        assert torch.equal(torch.cat(blocks, dim=1), whole)
        assert all(block.shape == (2, round(block_s * RATE)) for block in blocks[:-1])
    first, second, *_ = stream_audio(path, block_s=1.0)
    first.zero_()
    assert second.abs().max() > 0.4  # no block is a view of another


def test_streaming_needs_the_memory_of_a_block(tmp_path):
    path = write(tmp_path / "a.wav", torch.zeros(2, 100 * 48_000), 48_000, "PCM_16")
    tracemalloc.start()
    seconds = sum(block.shape[1] for block in stream_audio(path, block_s=1.0)) / RATE
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds == 100
    assert peak < 5e6  # the whole song takes 35 MB


def test_five_seconds_out_of_an_hour_of_mp3_take_under_a_second(tmp_path):
    song = write(tmp_path / "a.mp3", sweep(10)).read_bytes()
    packets = song[song.find(b"\xff\xfb", song.find(b"Xing")) :]  # without the length of one song
    for copies in (2, 3, 360):
        (tmp_path / f"{copies}.mp3").write_bytes(packets * copies)
    two, three = (load_audio(tmp_path / f"{copies}.mp3")[0] for copies in (2, 3))
    start = time.process_time()  # a busy machine does not count
    part, _ = load_audio(tmp_path / "360.mp3", start_s=3000.0, stop_s=3005.0)
    assert time.process_time() - start < 1.0
    period = three.shape[1] - two.shape[1]
    first = period + 3000 * RATE % period
    wanted = three[:, first : first + 5 * RATE]
    assert part.shape == wanted.shape and (part - wanted).abs().max() < 1e-5


def test_mono_is_doubled(tmp_path):
    waveform, _ = load_audio(write(tmp_path / "a.wav", sweep(1)[:1], subtype="FLOAT"))
    assert torch.equal(waveform, sweep(1)[:1].expand(2, -1))


@pytest.mark.parametrize(
    ("format", "subtype"), [("WAV", "FLOAT"), ("WAVEX", "FLOAT"), ("FLAC", "PCM_24")]
)
def test_surround_is_mixed_down_by_the_standard_coefficients(tmp_path, format, subtype):
    six = torch.arange(1.0, 7.0)[:, None].repeat(1, 1000) / 8  # L R C LFE Ls Rs
    waveform, _ = load_audio(write(tmp_path / "a", six, RATE, subtype, format))
    left, right, centre, _, left_surround, right_surround = six
    half = 0.5**0.5
    wanted = [left + half * (centre + left_surround), right + half * (centre + right_surround)]
    assert (waveform - torch.stack(wanted)).abs().max() < 1e-6
    assert waveform.abs().max() > 1  # nothing is rescaled behind the learner's back


def test_other_layouts_are_refused_by_name(tmp_path):
    three = torch.zeros(3, 100)
    assert "3 channels (3.0)" in refusal(write(tmp_path / "a.flac", three))
    assert "has 3 channels, expected mono" in refusal(write(tmp_path / "a.wav", three))
    assert "8 channels (7.1)" in refusal(write(tmp_path / "b.flac", torch.zeros(8, 100)))


def test_samples_beyond_full_scale_are_kept(tmp_path):
    loud = 4 * sweep(1)
    waveform, _ = load_audio(write(tmp_path / "a.wav", loud, subtype="FLOAT"))
    assert torch.equal(waveform, loud)


@pytest.mark.parametrize("samples", [1, 100])
def test_very_short_files_are_read(tmp_path, samples):
    for name in ("a.wav", "a.flac", "a.mp3", "a.ogg"):
        waveform, _ = load_audio(write(tmp_path / name, torch.full((2, samples), 0.25)))
        assert waveform.shape == (2, samples)


def test_silence_is_zeros(tmp_path):
    for name in ("a.wav", "a.flac", "a.mp3", "a.ogg"):
        waveform, _ = load_audio(write(tmp_path / name, torch.zeros(2, 5000)))
        assert torch.equal(waveform, torch.zeros(2, 5000))


def test_a_file_without_samples_is_refused(tmp_path):
    assert "no samples" in refusal(write(tmp_path / "a.wav", torch.zeros(2, 0)))


def test_what_is_not_there_or_no_file_is_named(tmp_path):
    assert "cannot be read" in refusal(tmp_path / "nothing.wav", FileNotFoundError)
    assert "is a folder" in refusal(tmp_path, IsADirectoryError)
    (tmp_path / "empty.wav").touch()
    assert "is empty" in refusal(tmp_path / "empty.wav")


def test_a_file_without_permission_is_named(tmp_path):
    folder = Path(tempfile.mkdtemp())
    try:
        path = write(folder / "a.wav", sweep(0.1))
        folder.chmod(0o755)
        path.chmod(0)
        with as_nobody():
            assert "permission" in refusal(path, PermissionError)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".flac", ".m4a", ".txt", ".raw"])
@pytest.mark.parametrize("text", ["<!DOCTYPE html><html>Log in</html>\n" * 99, "歌曲\n" * 999, "x"])
def test_text_is_called_text_whatever_its_name(tmp_path, capfd, suffix, text):
    path = tmp_path / f"song{suffix}"
    path.write_text(text, encoding="utf-8")
    assert "is a text or a web page" in refusal(path)
    assert capfd.readouterr().err == ""  # no chatter of a decoder beside the sentence


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".m4a"])
def test_noise_bytes_are_refused(tmp_path, suffix):
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(100_000))
    assert "expected a sound file" in refusal(path)


def test_video_without_sound_is_refused(tmp_path):
    assert "no sound track" in refusal(encode(tmp_path / "a.mp4", None, video=True))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_sample_that_is_no_number_is_named(tmp_path, bad):
    song = sweep(3)
    song[1, round(2.25 * RATE)] = song[0, -1] = bad
    path = write(tmp_path / "a.wav", song, subtype="FLOAT")
    assert "at 2.250 s" in refusal(path)
    assert "at 2.250 s" in refusal(path, start_s=2.0)
    assert load_audio(path, stop_s=2.25)[0].isfinite().all()


def test_a_window_beyond_the_end_is_refused(tmp_path):
    for path in (write(tmp_path / "a.wav", sweep(2)), encode(tmp_path / "a.m4a", "aac", sweep(2))):
        assert "lasts 2.00 s" in refusal(path, start_s=2.0)
        assert "lasts 2.00 s" in refusal(path, start_s=100, stop_s=101)
        assert "lasts 2.00 s" in refusal(path, start_s=3, sample_rate=48_000)
    for window in ({"start_s": -1}, {"start_s": 1, "stop_s": 1}, {"start_s": 1, "stop_s": 0.5}):
        with pytest.raises(ValueError, match="expected 0 <= start_s < stop_s"):
            load_audio(tmp_path / "a.wav", **window)


@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_a_cut_flac_is_refused_before_the_first_block(tmp_path, rate):
    path = cut(write(tmp_path / "a.flac", sweep(4, rate), rate), 0.6)
    text = refusal(path)
    with pytest.raises(ValueError, match="cut off"):
        next(stream_audio(path, block_s=0.1))
    seconds = float(re.search(r"first ([\d.]+) s", text)[1])
    assert 1.5 < seconds < 3.5
    readable, _ = load_audio(path, stop_s=seconds - 0.2)
    assert snr_db(sweep(4)[:, : readable.shape[1]], readable) > 60


@pytest.mark.parametrize(
    ("name", "subtype", "format"),
    [
        ("a.wav", "PCM_16", None),
        ("a.wav", "FLOAT", None),
        ("a.wav", "FLOAT", "RF64"),
        ("a.aiff", "PCM_16", None),
        ("a.mp3", None, None),
    ],
)
def test_a_cut_file_is_read_as_far_as_it_goes(tmp_path, capfd, name, subtype, format):
    path = cut(write(tmp_path / name, sweep(5), subtype=subtype, format=format), 0.5)
    waveform, text = one_warning(path)
    seconds = waveform.shape[1] / RATE
    assert 2 < seconds < 3 and f"up to {seconds:.1f} s of the 5.0 s" in text
    assert snr_db(sweep(seconds)[:, :-3000], waveform[:, :-3000]) > 20
    assert capfd.readouterr().err == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_audio(path, stop_s=1.0)  # complete, so nothing to warn of
    assert f"lasts {seconds:.2f} s" in refusal(path, start_s=4.0)


def test_a_cut_m4a_is_refused_with_the_seconds_that_are_there(tmp_path):
    path = encode(tmp_path / "a.m4a", "aac", sweep(5), movflags="faststart")
    assert re.search(r"first [234]\.\d s can be read", refusal(cut(path, 0.6)))


def test_files_that_promise_nothing_are_read_to_their_end_without_a_warning(tmp_path):
    piped = write(tmp_path / "a.wav", sweep(2), subtype="PCM_16")
    data = bytearray(piped.read_bytes())
    for unknown in (0xFFFFFFFF, 0x7FFFF000):
        data[40:44] = unknown.to_bytes(4, "little")
        piped.write_bytes(data)
        assert load_audio(piped)[0].shape == (2, 2 * RATE)
    # A VBR file without a tag, of which libsndfile reads a fraction: quiet first, then loud.
    song = torch.cat([1e-4 * sweep(10), sweep(10)], dim=1)
    tagged = write(tmp_path / "a.mp3", song).read_bytes()
    untagged = tmp_path / "untagged.mp3"
    untagged.write_bytes(tagged[tagged.find(b"\xff\xfb", tagged.find(b"Xing")) :])
    for path in (untagged, untagged.with_name("mp3 in disguise.wav")):
        shutil.copy(untagged, tmp_path / "copy")
        (tmp_path / "copy").rename(path)
        waveform, _ = load_audio(path)
        assert 20 <= waveform.shape[1] / RATE < 20.1
        assert waveform[:, -RATE:].abs().max() > 0.4


def test_joined_mp3_files_are_read_to_the_end(tmp_path):
    data = write(tmp_path / "a.mp3", sweep(3)).read_bytes()
    joined = tmp_path / "joined.mp3"
    tag = b"ID3\x03\0\0\0\0\x0f\x76" + bytes(2038)
    joined.write_bytes(tag + data + tag + data + b"TAG" + b" " * 125)
    waveform, _ = load_audio(joined)
    assert 6 <= waveform.shape[1] / RATE < 6.2
    assert snr_db(sweep(3)[:, :-2000], waveform[:, : 3 * RATE - 2000]) > 25


@pytest.mark.parametrize("name", ["歌曲/Ø ű", 'it\'s "my" song', "50% of a", "http:x"])
def test_any_name_is_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    wav, m4a = Path(f"{name}.wav"), Path(f"{name}.m4a")
    wav.parent.mkdir(exist_ok=True)
    write(wav, sweep(0.5), subtype="FLOAT")
    shutil.move(encode(tmp_path / "plain.m4a", "aac", sweep(0.5)), m4a)
    assert torch.equal(load_audio(str(wav))[0], sweep(0.5))
    assert load_audio(m4a)[0].shape == (2, RATE // 2)


def test_an_mp3_with_another_suffix_is_read(tmp_path):
    write(tmp_path / "a.mp3", sweep(1)).rename(tmp_path / "a.wav")
    assert snr_db(sweep(1), load_audio(tmp_path / "a.wav")[0]) > 25


def test_clip_cuts_stems_in_song_time():
    song = sweep(3)
    part = clip(song, 1.5, 2.0)
    assert torch.equal(part, song[:, 66_150:88_200])
    stems = clip({"drums": song, "bass": -song}, 1.5, 2.0)
    assert list(stems) == ["drums", "bass"] and torch.equal(stems["bass"], -part)
    assert clip(song, 0, 1, sample_rate=100).shape == (2, 100)
    assert torch.equal(clip(song, 0, 3), song)
    part.zero_()
    assert torch.equal(song, sweep(3))  # a copy
    for start_s, stop_s in [(-1, 1), (2, 1), (1, 1), (0, 3.1), (5, 6), (float("nan"), 1)]:
        with pytest.raises(ValueError, match=r"lasts 3\.00 s"):
            clip(song, start_s, stop_s)
