"""Builds the C gate where there is a compiler; without one, plain Python does the same."""

import sysconfig

from setuptools import Extension, setup

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

setup(
    ext_modules=[]
    if FREE_THREADED
    else [
        Extension("breakers._hot", ["breakers/_hot.c"], optional=True, extra_compile_args=["-O3"])
    ]
)
