"""The distributions hold the whole package, nothing else, and the right metadata."""

from __future__ import annotations

import email
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import bert4keras

pytestmark = pytest.mark.spread

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bert4keras"
BUILD = """
from setuptools import build_meta as build
build.build_sdist("dist"), build.build_wheel("dist")
"""

needs_source = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="these tests run against an installed package, without its source"
)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Build the sdist and the wheel of a copy of the tree; return the paths of both."""
    tree = tmp_path_factory.mktemp("tree") / "bert4keras"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tree / "bert4keras", ignore=ignored)
    shutil.copytree(ROOT / "tests", tree / "tests", ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    (wheel,) = (tree / "dist").glob("*.whl")
    return sdist, wheel


def package_files() -> set[str]:
    kinds = (".py", ".json", ".html", ".safetensors", ".md")
    files = (path for path in PACKAGE.rglob("*") if path.suffix in kinds)
    return {path.relative_to(ROOT).as_posix() for path in files}


@needs_source
def test_wheel_holds_exactly_the_package(distributions):
    with zipfile.ZipFile(distributions[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        licences = [name for name in wheel.namelist() if name.endswith("LICENSE")]
    assert names == package_files()
    assert len(licences) == 1


@needs_source
def test_sdist_can_be_built_from(distributions):
    with tarfile.open(distributions[0]) as sdist:
        names = {
            PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in sdist.getnames()
        }
    assert package_files() | {"setup.py", "pyproject.toml", "LICENSE"} <= names


@needs_source
def test_metadata(distributions):
    with zipfile.ZipFile(distributions[1]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        metadata = email.message_from_string(wheel.read(name).decode())
    assert metadata["Name"] == "bert4keras"
    assert metadata["Version"] == bert4keras.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    licence = metadata["License-Expression"] or metadata["License"]
    assert licence == "Apache-2.0 AND CC-BY-SA-4.0"
    backends = {"tensorflow", "jax", "torch", "openvino"}
    extras = backends | {"hub", "sentencepiece", "plot", "serve", "test"}
    extras |= {"ray", "spark", "export", "litert", "docs"}
    assert set(metadata.get_all("Provides-Extra")) == extras
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    names = {re.match(r"[\w-]+", line).group() for line in required}
    assert names == {
        "keras",
        "numpy",
        "h5py",
        "tqdm",
        "tokenizers",
        "safetensors",
        "click",
        "tomli",
    }


def test_installed_version():
    assert importlib.metadata.version("bert4keras") == bert4keras.__version__


def test_licence_is_apache():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n" in text
    assert "END OF TERMS AND CONDITIONS" in text
