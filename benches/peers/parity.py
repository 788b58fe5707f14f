"""Runs exported inputs through onnxruntime and compares with the exported outputs. Called by run.py.

Limits: features agree to cosine >= 0.9999; every number of the other networks' outputs within 0.001.
"""

import json
import pathlib
import sys

import numpy
import onnxruntime

from peers import session

COSINE_MIN = 0.9999
DIFFERENCE_MAX = 1e-3


def main(folder: pathlib.Path) -> int:
    index = json.loads((folder / "index.json").read_text())
    sessions = {m["role"]: (session(m["path"], threads=0), m["input"]) for m in index["models"]}
    runs, cosine_min, difference_max = {}, 1.0, {}
    for trace in index["traces"]:
        role = trace["role"]
        network, name = sessions[role]
        values = numpy.fromfile(folder / trace["input"], "<f4").reshape(trace["shape"])
        theirs = network.run([output for output, _ in trace["outputs"]], {name: values})
        runs[role] = runs.get(role, 0) + 1
        for (_, file), expected in zip(trace["outputs"], theirs, strict=True):
            ours = numpy.fromfile(folder / file, "<f4").astype("f8")
            expected = expected.reshape(-1).astype("f8")
            if ours.shape != expected.shape:
                print(f"{trace['picture']}: {role}: {ours.shape} numbers against {expected.shape}")
                return 1
            difference_max[role] = max(difference_max.get(role, 0.0), float(numpy.abs(ours - expected).max()))
            if role == "features":
                cosine = ours @ expected / numpy.sqrt((ours @ ours) * (expected @ expected))
                cosine_min = min(cosine_min, float(cosine))
    print(f"against onnxruntime {onnxruntime.__version__}:")
    for role, count in runs.items():
        print(f"  {role:9} {count:3} runs, largest difference of a number {difference_max[role]:.2e}")
    print(f"  features: lowest cosine {cosine_min:.9f} (limit {COSINE_MIN})")
    others = max(value for role, value in difference_max.items() if role != "features")
    return 0 if cosine_min >= COSINE_MIN and others <= DIFFERENCE_MAX and "features" in runs else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
