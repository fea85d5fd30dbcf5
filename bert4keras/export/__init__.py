"""Models of tasks as graphs of OpenVINO, ONNX, LiteRT or TensorFlow, which run without Keras.

task.export("exported", format="onnx")             # with Keras
task = bert4keras.export.load("exported")          # with numpy, tokenizers and the engine only
task("a text")
"""

from .engines import ENGINES
from .errors import ExportError
from .exported_model import ExportedModel, Signature, TensorSpec, as_inputs
from .loading import load_exported as load
from .storage import EXPORT_FILE, open_export, write_export

__all__ = [
    "ENGINES",
    "EXPORT_FILE",
    "ExportError",
    "ExportedModel",
    "Signature",
    "TensorSpec",
    "as_inputs",
    "load",
    "open_export",
    "write_export",
]
