"""The other engines, set to their best: denormal numbers flushed, and as many threads as asked for."""

import cv2
import numpy
import onnx
import onnxruntime


def session(path: str, threads: int) -> onnxruntime.InferenceSession:
    """Loads a network; a declared input size is made free, since one of them declares a size it does not need."""
    model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in [v for v in model.graph.input if v.name not in weights] + list(model.graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            dim.dim_param = f"{value.name}_{axis}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Onnxruntime:
    """onnxruntime on one thread."""

    name = f"onnxruntime {onnxruntime.__version__}"

    def __init__(self, models: list[dict]) -> None:
        self.networks = {m["role"]: (session(m["path"], threads=1), m["input"], m["outputs"]) for m in models}

    def run(self, role: str, values: numpy.ndarray) -> list[numpy.ndarray]:
        network, name, outputs = self.networks[role]
        return network.run(outputs, {name: values})


class OpenCv:
    """OpenCV's DNN module on one thread."""

    name = f"OpenCV {cv2.__version__}"

    def __init__(self, models: list[dict]) -> None:
        cv2.setNumThreads(1)
        self.networks = {m["role"]: (cv2.dnn.readNetFromONNX(m["path"]), m["outputs"]) for m in models}

    def run(self, role: str, values: numpy.ndarray) -> list[numpy.ndarray]:
        network, outputs = self.networks[role]
        network.setInput(values)
        return list(network.forward(outputs))
