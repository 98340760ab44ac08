"""Separate the same signal with the same weights in every way that we compare, turn by turn.

    python benchmarks/separation.py [--seconds 60 180] [--threads 2 1] [--rounds 3]
    python benchmarks/separation.py --device cuda     the ways to run on a GPU
    python benchmarks/separation.py --song            what bfloat16 does to the demo song's SDR

Each way lives in a process of its own, which runs once; then all are told to run in turn, round
after round, so that a busy minute harms all alike. The figures are medians of these rounds. The
first run, which loads libraries and pages, stands in a column of its own: who separates one song
waits for that, and glibc learns from it to keep more of (a)'s memory. Weights are read, and the
network of (d) is built, before the clock starts. The weights of the full-size network are random,
with residual branches that are not scaled away; speed does not depend on them. demucs 4.1.0 is
installed into out/bench/peers, beside this environment.
"""

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from statistics import median

from record import forget_peak, machine, peak_mb, record, table, usage

PEERS, RATE = Path("out/bench/peers"), 44_100
SOURCES = ["drums", "bass", "other", "vocals"]
WAYS = {
    "a": "(a) the source tutorial's loop",
    "b": "(b) demucs 4.1.0",
    "b10": "(b) demucs 4.1.0, overlap 0.1",
    "bm": "(b′) demucs 4.1.0, memory kept",
    "x": "(c) the same bits, chunks as in (a): `exact=True`",
    "c": "(c) ours by default",
    "c11": "(c) ours, chunks as in (a)",
    "d": "(d) ours in bfloat16, chunks as in (a)",
    "d22": "(d) ours at its fastest, chunks of 22 s",
}
CHUNKS_OF_A = {"segment_s": 11.0, "overlap_s": 0.1}
CHUNKS_OF_22 = {"segment_s": 22.0, "overlap_s": 0.1}  # an LSTM reads its weights half as often
KEPT = contextlib.ExitStack()  # a context without a name would end at once
CHANNELS = int(os.environ.get("BENCH_CHANNELS", 48))  # a small network tests this file


def make_model(channels: int = CHANNELS):
    """Build the full-size network with seeded random weights whose branches all matter."""
    import torch
    from torchaudio.models import HDemucs

    torch.manual_seed(0)
    model = HDemucs(SOURCES, channels=channels, nfft=4096, depth=6).eval()
    for name, weight in model.named_parameters():
        if name.endswith(".scale"):
            weight.data = 0.3 * torch.randn_like(weight)
    return model


def make_signal(seconds: float):
    """Make stereo noise under beats of a tone."""
    import torch

    generator = torch.Generator().manual_seed(1)
    t = torch.arange(round(seconds * RATE)) / RATE
    tone = 0.3 * torch.sin(2 * math.pi * 220 * t) * (torch.sin(3 * math.pi * t) > 0)
    return 0.05 * torch.randn(2, len(t), generator=generator) + tone


def source_loop(model, mixture, segment_s=10.0, overlap_s=0.1):
    """Follow the source tutorial: chunks of 11 s, fades of 0.1 s, no allocator setting."""
    import torch
    from torchaudio.transforms import Fade

    length, fade = mixture.shape[-1], int(overlap_s * RATE)
    step = int(RATE * segment_s * (1 + overlap_s))
    start, stop, total = 0, step, torch.zeros(1, len(model.sources), 2, length)
    while start < length - fade:
        with torch.no_grad():
            out = model(mixture[None, :, start:stop])
        ramps = Fade(fade if start else 0, 0 if stop >= length else fade, fade_shape="linear")
        total[..., start:stop] += ramps(out)
        start += step if start else step - fade
        stop += step
    return total[0]


def prepare(way: str):
    """Return a function of a mixture that separates it in one of the ways."""
    model = make_model()
    if way == "a":
        return lambda mixture: source_loop(model, mixture)
    if way.startswith("b"):
        return _prepare_demucs(model, way)
    from hdsep_tutorial.fast import fast_network
    from hdsep_tutorial.runtime import pick_precision
    from hdsep_tutorial.separation import separate_sources

    options = {} if way == "c" else CHUNKS_OF_22 if way.endswith("22") else CHUNKS_OF_A
    options = options | {"exact": way == "x"}
    if way.startswith("d"):  # built once, as the weights of the others are read once
        model = fast_network(model, precision=pick_precision("cpu"))
    return lambda mixture: separate_sources(model, mixture, progress=False, **options)


def _prepare_demucs(model, way: str):
    from demucs.apply import apply_model
    from demucs.hdemucs import HDemucs

    from hdsep_tutorial.runtime import keep_memory

    peer = HDemucs(SOURCES, channels=CHANNELS, norm_starts=4, dconv_lstm=4, dconv_attn=4)
    names = {"freq_": "", "time_encoder": "tencoder", "time_decoder": "tdecoder"}
    weights = {}
    for name, weight in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs) if not name.startswith("freq_emb") else name
        weights[name] = weight
    expected = peer.state_dict()
    peer.load_state_dict({k: v for k, v in weights.items() if k in expected})
    overlap = 0.1 if way == "b10" else 0.25
    if way == "bm":
        KEPT.enter_context(keep_memory())
    return lambda mixture: apply_model(peer.eval(), mixture[None], shifts=0, overlap=overlap)[0]


def work(way: str, seconds: float, threads: int) -> None:
    """Wait for lines on the standard input; run at each, and print what it cost."""
    import torch

    torch.set_num_threads(threads)
    separate, mixture = prepare(way), make_signal(seconds)
    print("ready", flush=True)
    for line in sys.stdin:
        forget_peak()
        (cpu_s, faults), wall_s = usage(), time.perf_counter()
        stems = separate(mixture)
        cost = {"wall": time.perf_counter() - wall_s, "cpu": usage()[0] - cpu_s}
        cost |= {"faults": usage()[1] - faults, "memory": peak_mb()}
        if line.strip():
            stems = torch.stack(list(stems.values())) if isinstance(stems, dict) else stems
            torch.save(stems, line.strip())
        print(json.dumps(cost), flush=True)


class Worker:
    """One way of separating, in a process that stays alive between its turns."""

    def __init__(self, way: str, seconds: float, threads: int):
        python = PEERS / "bin" / "python" if way.startswith("b") else sys.executable
        command = [python, __file__, "--work", way, str(seconds), str(threads)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.ready = self.process.stdout.readline().strip() == "ready"

    def tell(self, path: str = "") -> None:
        """Start a run, whose result goes to the path if there is one."""
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()

    def cost(self) -> dict[str, float]:
        """Wait for the run, and return what it cost."""
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        """Close the input, which ends the process."""
        self.process.stdin.close()
        self.process.wait()


def install_peers() -> None:
    """Make an environment with demucs that finds this one's torch; without it, rows say so."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        venv.create(PEERS, with_pip=True)
        ours = next(path for path in sys.path if path.endswith("site-packages"))
        theirs = next((PEERS / "lib").glob("python*/site-packages"))
        (theirs / "ours.pth").write_text(f"{ours}\n{Path(__file__).resolve().parents[1]}\n")
    install = [python, "-m", "pip", "install", "--quiet", "demucs==4.1.0"]
    subprocess.run(install, check=False)


def measure(seconds: float, threads: int, rounds: int, ways: list[str]) -> dict[str, dict]:
    """Run all ways in turn, and return the median costs of each and its error in dB."""
    workers = {way: Worker(way, seconds, threads) for way in ways}
    workers = {way: worker for way, worker in workers.items() if worker.ready}
    stems = {way: str((PEERS.parent / f"{way}.pt").resolve()) for way in workers}
    costs = {way: [] for way in workers}
    for number in range(rounds + 1):
        for way, worker in workers.items():
            worker.tell(stems[way] if number == 0 else "")
            costs[way].append(worker.cost())
            print(number, way, costs[way][-1], file=sys.stderr, flush=True)
    for worker in workers.values():
        worker.end()
    found = {
        way: {key: median(cost[key] for cost in all_[1:] or all_) for key in all_[0]}
        for way, all_ in costs.items()
    }
    for way, all_ in costs.items():
        found[way]["first"] = all_[0]["wall"]
    for fast in {"c11", "d"} & set(found) if "x" in found else ():
        found[fast]["error"] = _error_db(stems[fast], stems["x"])
    return found


def _error_db(path: str, truth: str) -> float:
    import torch

    truth = torch.load(truth)
    error = (torch.load(path) - truth).square().sum() / truth.square().sum()
    return 10 * math.log10(error)


def side_by_side(seconds: float, rounds: int) -> tuple[float, float]:
    """Return the wall time of (d) with two threads, and as two processes with half a song each."""
    both, halves = Worker("d", seconds, 2), [Worker("d", seconds / 2, 1) for _ in range(2)]
    times = []
    for _ in range(rounds + 1):
        pair = []
        for team in ([both], halves):
            for worker in team:
                worker.tell()
            pair.append(max(worker.cost()["wall"] for worker in team))
        times.append(pair)
    for worker in [both, *halves]:
        worker.end()
    return tuple(median(column) for column in zip(*times[1:], strict=True))


def rates(threads: int) -> dict[str, float]:
    """Return the measured rate of matrix products in GFLOP/s, by precision."""
    import torch

    torch.set_num_threads(threads)
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(2048, 2048, dtype=dtype)
        seconds = []
        while sum(seconds) < 3:  # the machine may be busy for one of them
            began = time.perf_counter()
            a @ a
            seconds.append(time.perf_counter() - began)
        found[str(dtype)[6:]] = 2 * 2048**3 / min(seconds) / 1e9
    return found


def gflop_per_second_of_audio() -> float:
    """Count the multiplications and additions of the network for one second of a chunk."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        make_model()(make_signal(2)[None])
    return counter.get_total_flops() / 2 / 1e9


def report(seconds: float, threads: int, rounds: int, ways: list[str]) -> None:
    """Measure one length with one number of threads, and write its table."""
    from hdsep_tutorial.chunks import plan_in_seconds

    found, peak = measure(seconds, threads, rounds, ways), rates(threads)
    rows = []
    for way in ways:
        name = WAYS[way]
        if way not in found:
            rows.append([f"{name}: could not be installed or started", *["–"] * 9])
            continue
        cost = found[way]
        ratio = [f"{found[k]['wall'] / cost['wall']:.2f}" if k in found else "–" for k in "ab"]
        error = f"{cost['error']:.1f}" if "error" in cost else "0" if way == "x" else "–"
        figures = [f"{cost['cpu']:.1f}", f"{cost['wall']:.1f}", f"{cost['memory']:.0f}"]
        cpu = f"{found['a']['cpu'] / cost['cpu']:.2f}" if "a" in found else "–"
        first = f"{cost['first']:.1f}"
        again = f"{found['a']['first'] / cost['first']:.2f}" if "a" in found else "–"
        rows.append([name, *figures, cpu, *ratio, first, again, error])
    head = ["way", "CPU (s)", "wall (s)", "peak memory (MB)", "CPU × (a)", "wall × (a)"]
    text = table([*head, "wall × (b)", "first run (s)", "first × (a)", "error (dB)"], rows)
    text += f"\n\n{machine()}; medians of {rounds} rounds. Matrix products: "
    text += ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in peak.items()) + "."
    if "d" in found:
        plan = plan_in_seconds(round(seconds * RATE), RATE, **CHUNKS_OF_A, even=True)
        work_s = sum(stop - start for start, stop in plan.chunks) / RATE
        rate = gflop_per_second_of_audio() * work_s / found["d"]["wall"]
        text += f" (d) computes {rate:.0f} GFLOP/s, {rate / peak['bfloat16']:.0%} of bfloat16's."
    record(f"`python benchmarks/separation.py`: {seconds:g} s, {threads} thread(s)", text)


def report_gpu(seconds: float, rounds: int, device: str) -> None:
    """Measure precision, memory order, batch size and compilation on a device."""
    import torch

    from hdsep_tutorial.separation import separate_sources

    model, mixture, rows = make_model().to(device), make_signal(seconds), []
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    for precision in ("float32", "tf32", "bfloat16"):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = (
            precision == "tf32"
        )
        for order in (torch.contiguous_format, torch.channels_last):
            for batch, compiled in ((1, False), (8, False), (8, True)):
                network = model.to(memory_format=order)
                if compiled and device != "cpu":
                    network = torch.compile(network)
                options = {"device": device, "batch_size": batch, "progress": False}
                options["precision"] = "bfloat16" if precision == "bfloat16" else "float32"
                walls = []
                for _ in range(rounds + 1):
                    began = time.perf_counter()
                    separate_sources(network, mixture, **options)
                    wait()
                    walls.append(time.perf_counter() - began)
                wall = median(walls[1:] or walls)
                words = f"{precision}, {str(order)[6:]}, batch {batch}" + ", compiled" * compiled
                rows.append([words, f"{wall:.2f}", f"{seconds / wall:.0f}"])
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    text = table(["way", "wall (s)", "× real time"], rows) + f"\n\n{name}; {machine()}"
    record(f"`python benchmarks/separation.py --device {device}`: {seconds:g} s", text)


def report_song() -> None:
    """Write how the demo song's SDR changes from float32 to (d)."""
    import hdsep_tutorial as hd
    from hdsep_tutorial.metrics import sdr

    song, model, rows = hd.load_song("demo"), hd.get_bundle("demo").get_model(), []
    exact = hd.separate_sources(model, song.mixture, progress=False)
    fast = hd.separate_sources(model, song.mixture, precision="bfloat16", progress=False)
    for stem, reference in song.references.items():
        before, after = (sdr(reference, stems[stem]) for stems in (exact, fast))
        error = sdr(exact[stem], fast[stem])
        rows.append(
            [stem, f"{before:.3f}", f"{after:.3f}", f"{after - before:+.4f}", f"{-error:.1f}"]
        )
    head = ["stem", "SDR, float32 (dB)", "bfloat16", "change", "error against float32 (dB)"]
    text = f"{table(head, rows)}\n\n{machine()}"
    record("`python benchmarks/separation.py --song`: the demo song in bfloat16", text)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[60, 180])
    parser.add_argument("--threads", type=int, nargs="+", default=[os.cpu_count() or 1, 1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--device", help="measure the ways to run on this device instead")
    parser.add_argument("--song", action="store_true", help="the demo song's SDR instead")
    parser.add_argument("--side-by-side", action="store_true", help="two processes instead")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        way, seconds, threads = options.work
        return work(way, float(seconds), int(threads))
    if options.device:
        return report_gpu(options.seconds[0], options.rounds, options.device)
    if options.song:
        return report_song()
    if options.side_by_side:
        one, two = side_by_side(options.seconds[0], options.rounds)
        text = f"{options.seconds[0]:g} s, (d): {one:.1f} s as one process of two threads, "
        text += f"{two:.1f} s as two of one thread with half each.\n\n{machine()}"
        return record("`python benchmarks/separation.py --side-by-side`", text)
    PEERS.parent.mkdir(parents=True, exist_ok=True)
    if any(way.startswith("b") for way in options.ways):
        install_peers()
    for threads in dict.fromkeys(options.threads):
        for seconds in options.seconds:
            report(seconds, threads, options.rounds, options.ways)


if __name__ == "__main__":
    main()
