"""Builds what is compiled where there is a compiler; without one, plain Python does the same."""

import sys
import sysconfig
import zlib
from pathlib import Path

from setuptools import Extension, setup

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def extension(name: str) -> Extension:
    """An optional extension that knows the source it was built from."""
    source = f"{name.replace('.', '/')}.c"
    build = zlib.crc32((Path(__file__).parent / source).read_bytes())
    return Extension(
        name,
        [source],
        optional=True,
        extra_compile_args=["-O3"],
        define_macros=[("SOURCE", f"{build}UL")],
    )


# The dashboard runs from a checkout; what is installed is the library.
NAMES = ["breakers.circuit._admission"] + (
    ["dashboard.bus._sketches"] if "--inplace" in sys.argv else []
)

setup(ext_modules=[] if FREE_THREADED else [extension(name) for name in NAMES])
