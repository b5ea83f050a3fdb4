from setuptools import Extension, setup

setup(
    name="hpy-bench",
    version="0",
    ext_modules=[Extension("calls_capi", sources=["calls_capi.c"], extra_compile_args=["-O2"])],
    hpy_ext_modules=[Extension("calls_hpy", sources=["calls_hpy.c"], extra_compile_args=["-O2"])],
)
