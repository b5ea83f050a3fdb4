"""Debug mode: finds wrong uses of the API while an extension runs.

A module that is loaded with the environment variable HPY=debug is checked. `LeakDetector` finds what a block of code leaves open.
With pytest, `--hpy-debug` does all of this for each test.
"""

from .leakdetector import HPyDebugError, HPyLeakError, Leak, LeakDetector

__all__ = [
    "HPyDebugError",
    "HPyLeakError",
    "Leak",
    "LeakDetector",
    "disable_handle_stack_traces",
    "set_handle_stack_trace_limit",
]


def set_handle_stack_trace_limit(limit):
    """Sets how many C frames are remembered of where each handle is opened and closed. None: no frames.

    The function, file and line are always known.
    """
    from hpy.universal import _debug

    _debug.set_handle_stack_trace_limit(limit)


def disable_handle_stack_traces():
    """Ends what `set_handle_stack_trace_limit` began."""
    set_handle_stack_trace_limit(None)
