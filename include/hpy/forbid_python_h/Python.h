/* Stands before CPython's Python.h on the include path of universal builds. */
#ifdef HPY_ABI_UNIVERSAL
#  error "It is forbidden to #include <Python.h> when targeting the HPy Universal ABI"
#else
#  error "The folder hpy/forbid_python_h is on the include path, but the target is not the HPy Universal ABI: a fault of the build set-up"
#endif
