"""From a decoded frame to features and attack score with another engine, as a Python programmer would write it
on OpenCV: the same steps and the same models as the pipeline's, resampling by OpenCV."""

import cv2
import numpy

POINTS = numpy.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], "f4")
SIDE = 320
BOX_FACTOR = 2.7


def chain(engine, frame: numpy.ndarray, shape: list[int]) -> tuple[numpy.ndarray, float]:
    """`frame` is height x width x RGB; `shape` the detector's input. Returns unit features and the live score."""
    box, points = detect(engine, frame, shape)
    matrix, _ = cv2.estimateAffinePartial2D(points, POINTS, method=cv2.LMEDS)
    face = cv2.warpAffine(frame, matrix, (112, 112), flags=cv2.INTER_AREA)
    features = engine.run("features", cv2.dnn.blobFromImage(face, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True))[0].reshape(-1)
    around = cv2.resize(crop(frame, box), (128, 128), interpolation=cv2.INTER_LINEAR)
    logits = engine.run("attack", cv2.dnn.blobFromImage(around, swapRB=True))[0].reshape(-1).astype("f8")
    exponents = numpy.exp(logits - logits.max())
    return features / numpy.linalg.norm(features), float(exponents[0] / exponents.sum())


def detect(engine, frame: numpy.ndarray, shape: list[int]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Box (left, top, right, bottom) and five points of the best face."""
    scale = SIDE / max(frame.shape[:2])
    small = cv2.resize(frame, (round(frame.shape[1] * scale), round(frame.shape[0] * scale)), interpolation=cv2.INTER_LINEAR)
    laid = numpy.zeros((shape[2], shape[3], 3), "u1")
    laid[: small.shape[0], : small.shape[1]] = small
    heat, size, offset, points = engine.run("detector", cv2.dnn.blobFromImage(laid))
    row, column = numpy.unravel_index(heat[0, 0].argmax(), heat[0, 0].shape)
    height, width = numpy.exp(size[0, :, row, column]) * 4 / scale
    top = (row + offset[0, 0, row, column] + 0.5) * 4 / scale - height / 2
    left = (column + offset[0, 1, row, column] + 0.5) * 4 / scale - width / 2
    pairs = points[0, :, row, column].reshape(5, 2)
    box = numpy.array([left, top, left + width, top + height])
    return box, numpy.stack([left + pairs[:, 1] * width, top + pairs[:, 0] * height], axis=1).astype("f4")


def crop(frame: numpy.ndarray, box: numpy.ndarray) -> numpy.ndarray:
    """The box enlarged and moved inside the frame."""
    rows, columns = frame.shape[:2]
    factor = min(BOX_FACTOR, columns / (box[2] - box[0]), rows / (box[3] - box[1]))
    width, height = (box[2] - box[0]) * factor, (box[3] - box[1]) * factor
    left = min(max((box[0] + box[2] - width) / 2, 0), columns - width)
    top = min(max((box[1] + box[3] - height) / 2, 0), rows - height)
    return frame[round(top) : max(round(top + height), round(top) + 1), round(left) : max(round(left + width), round(left) + 1)]
