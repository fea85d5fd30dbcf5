"""Models of tasks as graphs of OpenVINO, ONNX, LiteRT or TensorFlow, which run without Keras.

task.export("exported", format="onnx")             # with Keras
task = bert4keras.export.load("exported")          # with numpy, tokenizers and the engine only
task("a text")
"""

from .errors import ExportError
from .exported_model import ExportedModel, Signature, TensorSpec
from .loading import load_exported as load

__all__ = [
    "ExportError",
    "ExportedModel",
    "Signature",
    "TensorSpec",
    "load",
]
