from setuptools import Extension, setup

setup(
    name="piconumpy-capi",
    ext_modules=[
        Extension(
            "piconumpy_capi",
            sources=["piconumpy_capi.c"],
            depends=["../src/doubles.h"],
            extra_compile_args=["-O3"],
        )
    ],
)
