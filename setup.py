"""Packaging of bert4keras; see CONTRIBUTING.md for how to set up a working copy."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def version() -> str:
    """Return `__version__` as written in the package, without importing it."""
    text = (HERE / "bert4keras" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE).group(1)


def readme() -> str:
    """Return the English README, the long description of the package."""
    path = HERE / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


setup(
    name="bert4keras",
    version=version(),
    description="BERT-family models on Keras 3: load a checkpoint, put a task on top, fine-tune.",
    long_description=readme(),
    long_description_content_type="text/markdown",
    # The code, and the weights in bert4keras/pretrained, whose model card has the reasons.
    license="Apache-2.0 AND CC-BY-SA-4.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["bert4keras", "bert4keras.*"]),
    package_data={"bert4keras": ["**/*.json", "serving/*.html", "pretrained/*/*"]},
    python_requires=">=3.10",
    # Keras runs on any one of three backends, so none of them is forced upon the user:
    # `pip install bert4keras[tensorflow]` is the default choice, [jax] and [torch] the others.
    install_requires=[
        "keras>=3.12",
        "numpy",
        "h5py",
        "tqdm",
        "tokenizers",
        "safetensors",
        "click>=8.1",
        'tomli; python_version < "3.11"',
    ],
    entry_points={"console_scripts": ["bert4keras = bert4keras.cli:main"]},
    extras_require={
        "tensorflow": ["tensorflow>=2.18"],
        "jax": ["jax"],
        "torch": ["torch"],
        # For prediction only. Keras calls operations that older versions of OpenVINO lack.
        "openvino": ["openvino>=2026.2.1", "keras>=3.15"],
        # To write exports and to run those of ONNX; "openvino" runs those of OpenVINO.
        "export": [
            'openvino>=2026.2.1; python_version >= "3.11"',
            "onnx",
            "onnxruntime",
            "onnxscript",
            "nncf",
        ],
        "litert": ["ai-edge-litert"],
        "hub": ["huggingface_hub>=0.30"],
        "sentencepiece": ["sentencepiece>=0.2.3"],
        "plot": ["matplotlib"],
        "serve": ["fastapi>=0.132", "uvicorn>=0.30", "prometheus-client>=0.20"],
        "ray": ["ray[data]>=2.40"],
        "spark": ["pyspark>=4.0", "pandas>=2.2,<3", "pyarrow>=18"],
        # The site; griffe and mkdocs need Python 3.11. jieba cuts Chinese pages for the search.
        "docs": [
            'mkdocs-material>=9.7; python_version >= "3.11"',
            'mkdocstrings[python]>=1.0; python_version >= "3.11"',
            'griffelib>=2.4; python_version >= "3.11"',
            "jieba",
        ],
        "test": [
            "huggingface_hub>=0.30",
            "sentencepiece>=0.2.3",
            "pytest",
            "pytest-xdist",
            "hypothesis",
            "httpx",
            "openai",
            "selenium",
            "fastapi>=0.132",
            "uvicorn>=0.30",
            "prometheus-client>=0.20",
            'openvino>=2026.2.1; python_version >= "3.11"',
            "ray[data]>=2.40",
            "pyspark>=4.0",
            "pandas>=2.2,<3",
            "pyarrow>=18",
            "tensorboard",
            "nbclient",
            "nbformat",
            "ipykernel",
            'onnx; python_version >= "3.11"',
            'onnxruntime; python_version >= "3.11"',
            'onnxscript; python_version >= "3.11"',
            'nncf; python_version >= "3.11"',
            'ai-edge-litert; python_version >= "3.11"',
            "ruff",
            "mypy",
        ],
    },
    keywords="bert transformer keras nlp",
    classifiers=[
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
