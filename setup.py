"""Builds the optional C kernels; all else about the package stands in pyproject.toml."""

import os
from pathlib import Path

from setuptools import Extension, setup

# What serves, and what trains.
KERNELS = (Path("tagbelt/inference/native"), Path("tagbelt/model/native"))

setup(
    ext_modules=[
        Extension(
            ".".join((*kernels.parts, "_kernels")),
            sources=sorted(map(str, kernels.glob("*.c"))),
            depends=sorted(map(str, kernels.glob("*.h"))),
            extra_compile_args=["-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math"],
            libraries=[] if os.name == "nt" else ["m"],
            optional=True,  # without a compiler Tagbelt runs on ONNX Runtime, numpy and torch alone
            py_limited_api=True,  # it uses nothing of Python: one build serves every version
        )
        for kernels in KERNELS
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
