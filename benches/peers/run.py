#!/usr/bin/env python3
"""Holds our networks against onnxruntime number by number, and the speed of the pipeline against onnxruntime and OpenCV.

Run it from anywhere, with the models and pictures fetched (`models fetch`, `datasets fetch registry-mini`):

    python3 benches/peers/run.py          (needs Python 3.11 or later)

It makes a virtual environment in the cache folder on first use (pip, versions pinned in requirements.txt). For
parity our own program writes each network's exact inputs and outputs on all of registry-mini to a temporary
folder, and parity.py runs the same inputs through onnxruntime. For speed, speed.py runs all three in turns, one
thread each, on the same inputs. The folders are removed. Exits non-zero when an engine disagrees or a limit is broken.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def environment() -> pathlib.Path:
    """The interpreter of a virtual environment that has exactly what requirements.txt says."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "countersign" / "peers"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = (HERE / "requirements.txt").read_text()
    stamp = folder / "requirements.txt"
    if not stamp.is_file() or stamp.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", HERE / "requirements.txt"]
        subprocess.run(pip, check=True, timeout=900)
        stamp.write_text(wanted)
    return python


def programs() -> pathlib.Path:
    """The folder of our own programs; built with the rest of the workspace, so that nothing is built twice."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--workspace", "--bins"], cwd=ROOT, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, help="folder of export_traces and stage_times as built already, instead of building them")
    parser.add_argument("--only", choices=["parity", "speed"])
    parser.add_argument("--rounds", type=int, default=20, help="of the comparison of speed")
    parser.add_argument("--json", type=pathlib.Path, help="writes the comparison of speed to a file")
    parser.add_argument("--picture", action="append", default=[], help="id of a picture for the comparison of speed; again for more")
    arguments = parser.parse_args()
    folder, python, failed = arguments.programs or programs(), environment(), 0
    suffix = ".exe" if os.name == "nt" else ""
    with tempfile.TemporaryDirectory(prefix="countersign-traces-") as traces:
        if arguments.only != "speed":
            subprocess.run([folder / f"export_traces{suffix}", traces], check=True)
            failed |= subprocess.run([python, HERE / "parity.py", traces], check=False).returncode
        if arguments.only != "parity":
            speed = [python, HERE / "speed.py", folder / f"stage_times{suffix}", traces, *arguments.picture, "--rounds", str(arguments.rounds)]
            speed += ["--json", arguments.json] if arguments.json else []
            failed |= subprocess.run(speed, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
