"""Builds the C gate where there is a compiler; without one, plain Python does the same."""

import sysconfig
import zlib
from pathlib import Path

from setuptools import Extension, setup

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
SOURCE = Path(__file__).parent / "breakers" / "_hot.c"
HOT = Extension(
    "breakers._hot",
    ["breakers/_hot.c"],
    optional=True,
    extra_compile_args=["-O3"],
    define_macros=[("SOURCE", f"{zlib.crc32(SOURCE.read_bytes())}UL")],
)

setup(ext_modules=[] if FREE_THREADED else [HOT])
