"""Builds the optional C kernels; all else about the package stands in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("tagbelt/inference/native")

setup(
    ext_modules=[
        Extension(
            "tagbelt.inference.native._kernels",
            sources=sorted(map(str, KERNELS.glob("*.c"))),
            depends=sorted(map(str, KERNELS.glob("*.h"))),
            extra_compile_args=["-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math"],
            optional=True,  # without a compiler Tagbelt runs on ONNX Runtime and numpy alone
            py_limited_api=True,  # it uses nothing of Python: one build serves every version
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
