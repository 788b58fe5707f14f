"""Times our pipeline against onnxruntime and OpenCV, one thread each, on the same files and inputs. Called by run.py.

Every round runs every engine once on every stage and picture, in turns, so that whatever else the machine does
hits all alike. What counts is processor time where the system tells it of another process (Linux), so that waiting
for a busy machine is no cost; elsewhere elapsed time. Figures are medians over all rounds and pictures.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
from chain import chain
from peers import Onnxruntime, OpenCv

STAGES = ["detector", "features", "attack", "chain"]
# What the whole chain and the features stage may cost, as a multiple of onnxruntime.
LIMITS = {"chain": 1.2, "features": 1.4}
# What the recipe asks for beyond the chain (closer looks, mirrored crop): ours only, for information.
WHOLE = "recipe"


class Ours:
    """Our program, which waits for the name of a stage and answers with the time it took."""

    name = "Countersign"

    def __init__(self, program: pathlib.Path, folder: pathlib.Path, pictures: list[str]) -> None:
        self.process = subprocess.Popen([program, folder, *pictures], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.answer() == "ready"

    def answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("our program ended early")
        return line.strip()

    def time(self, stage: str, picture: int) -> float:
        # Linux's clock of a process's processor time, see clock_getcpuclockid(3).
        clock = (~self.process.pid << 3) | 2 if sys.platform == "linux" else None
        begin = time.clock_gettime(clock) if clock is not None else 0.0
        self.process.stdin.write(f"{stage} {picture}\n")
        elapsed = float(self.answer())
        return (time.clock_gettime(clock) - begin) * 1e3 if clock is not None else elapsed


class Peer:
    """Another engine with the inputs that our program wrote."""

    def __init__(self, engine, folder: pathlib.Path, index: dict) -> None:
        self.name, self.engine, self.pictures = engine.name, engine, []
        for picture in index["pictures"]:
            frame = numpy.fromfile(folder / picture["frame"], "u1").reshape(picture["height"], picture["width"], 3)
            inputs = {t["role"]: numpy.fromfile(folder / t["input"], "<f4").reshape(t["shape"]) for t in picture["traces"]}
            features = numpy.fromfile(folder / picture["features"], "<f4")
            self.pictures.append((frame, inputs, features, picture["live"]))

    def time(self, stage: str, picture: int) -> float:
        frame, inputs, _, _ = self.pictures[picture]
        clock = time.process_time if sys.platform == "linux" else time.perf_counter
        begin = clock()
        if stage == "chain":
            chain(self.engine, frame, inputs["detector"].shape)
        else:
            self.engine.run(stage, inputs[stage])
        return (clock() - begin) * 1e3

    def check(self) -> None:
        """The peer's chain must do the same work: nearly the same features and score come out."""
        for frame, inputs, expected, live in self.pictures:
            features, score = chain(self.engine, frame, inputs["detector"].shape)
            cosine = float(features @ expected / numpy.linalg.norm(expected))
            if cosine < 0.9 or abs(score - live) > 0.2:
                raise RuntimeError(f"{self.name}: chain differs: cosine {cosine:.3f}, live {score:.3f} against {live:.3f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("pictures", nargs="*")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ours = Ours(arguments.program, arguments.folder, arguments.pictures)
    index = json.loads((arguments.folder / "index.json").read_text())
    peers = [Peer(Onnxruntime(index["models"]), arguments.folder, index), Peer(OpenCv(index["models"]), arguments.folder, index)]
    for peer in peers:
        peer.check()
    engines = [ours, *peers]
    times = {(engine.name, stage): [] for engine in engines for stage in STAGES}
    whole = []
    for number in range(arguments.rounds + 1):
        for picture in range(len(index["pictures"])):
            whole.append(ours.time(WHOLE, picture))
            for stage in STAGES:
                for turn in range(len(engines)):
                    engine = engines[(turn + number) % len(engines)]
                    took = engine.time(stage, picture)
                    if number > 0:
                        times[engine.name, stage].append(took)
    good = report(engines, times, index, arguments)
    print(f"  all that the recipe asks for, ours: {statistics.median(whole):.2f} ({min(whole):.2f})")
    return good


def report(engines: list, times: dict, index: dict, arguments: argparse.Namespace) -> int:
    medians = {key: statistics.median(values) for key, values in times.items()}
    fastest = {key: min(values) for key, values in times.items()}
    runs = len(next(iter(times.values())))
    print(f"one thread, median of {runs} runs each in ms (fastest), {len(index['pictures'])} pictures, engines in turns:")
    print(f"  {'':9}" + "".join(f"{engine.name:>26}" for engine in engines) + "   ours / " + ", ".join(e.name.split()[0] for e in engines[1:]))
    result, good = {"runs": runs, "pictures": len(index["pictures"]), "stages": {}}, True
    for stage in STAGES:
        ratios = [medians["Countersign", stage] / medians[engine.name, stage] for engine in engines[1:]]
        cells = "".join(f"{medians[engine.name, stage]:17.2f} ({fastest[engine.name, stage]:6.2f})" for engine in engines)
        print(f"  {stage:9}{cells}   " + ", ".join(f"{ratio:.2f}" for ratio in ratios))
        result["stages"][stage] = {
            "median_ms": {engine.name: medians[engine.name, stage] for engine in engines},
            "fastest_ms": {engine.name: fastest[engine.name, stage] for engine in engines},
            "ratio": {engine.name: ratio for engine, ratio in zip(engines[1:], ratios, strict=True)},
        }
        if ratios[0] > LIMITS.get(stage, float("inf")):
            print(f"  {stage}: expected at most {LIMITS[stage]} times onnxruntime")
            good = False
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
