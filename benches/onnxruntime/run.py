#!/usr/bin/env python3
"""Holds our networks against onnxruntime, number by number, on all of registry-mini.

Run it from anywhere, with the models and pictures fetched (`models fetch`, `datasets fetch registry-mini`):

    python3 benches/onnxruntime/run.py          (needs Python 3.11 or later)

It makes a virtual environment in the cache folder on first use (pip, versions pinned in requirements.txt),
lets our own program write each network's exact inputs and outputs to a temporary folder, runs the same inputs
through onnxruntime (compare.py) and removes the folder. Exits non-zero when an engine disagrees.
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
    folder = cache / "countersign" / "onnxruntime"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = (HERE / "requirements.txt").read_text()
    stamp = folder / "requirements.txt"
    if not stamp.is_file() or stamp.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", HERE / "requirements.txt"]
        subprocess.run(pip, check=True, timeout=900)
        stamp.write_text(wanted)
    return python


def exporter() -> pathlib.Path:
    """Our program that writes inputs and outputs; built with the rest of the workspace, so that nothing is built twice."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--workspace", "--bins"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    return target / "release" / ("export_traces.exe" if os.name == "nt" else "export_traces")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exporter", type=pathlib.Path, help="export_traces as built already, instead of building it")
    program = parser.parse_args().exporter or exporter()
    python = environment()
    with tempfile.TemporaryDirectory(prefix="countersign-traces-") as traces:
        subprocess.run([program, traces], check=True)
        return subprocess.run([python, HERE / "compare.py", traces], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
