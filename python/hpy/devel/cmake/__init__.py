"""Where find_package(HPy) looks. A package, so that scikit-build-core finds the folder on Python 3.9, too."""
