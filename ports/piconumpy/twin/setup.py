from setuptools import Extension, setup

setup(
    name="piconumpy-capi",
    ext_modules=[Extension("piconumpy_capi", sources=["piconumpy_capi.c"], extra_compile_args=["-O3"])],
)
