from setuptools import Extension, setup

setup(hpy_ext_modules=[Extension("wordcount", sources=["wordcount.c"])])
