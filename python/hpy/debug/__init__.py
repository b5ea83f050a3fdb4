"""The Python half of debug mode. The runtime has no debug mode yet: these names can be imported, and using one says so."""

from .leakdetector import HPyDebugError, HPyLeakError, LeakDetector

__all__ = ["HPyDebugError", "HPyLeakError", "LeakDetector", "disable_handle_stack_traces", "set_handle_stack_trace_limit"]


def set_handle_stack_trace_limit(limit):
    """Sets how many frames are remembered of where a handle was opened."""
    raise NotImplementedError("this version of hpy has no debug mode yet")


def disable_handle_stack_traces():
    """Stops remembering where handles are opened."""
    raise NotImplementedError("this version of hpy has no debug mode yet")
