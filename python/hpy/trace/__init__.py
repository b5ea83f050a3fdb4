"""Trace mode: counts and times what an extension does with the API.

A module that is loaded with the environment variable HPY=trace is traced. `python -m hpy.trace script.py` traces all modules of a
program and shows where the time went; see docs/trace-mode.md.

`get_call_counts` and `get_durations` have the numbers of each function of the API, by the name of its member of the context
('ctx_Add'), times in nanoseconds. `set_trace_functions` has Python functions called before and after each call. `recording` has
everything: which function of which extension called what, from which line.
"""

from hpy.universal import _trace

from .recording import Recording, recording

__all__ = [
    "Recording",
    "get_call_counts",
    "get_durations",
    "get_frequency",
    "recording",
    "set_trace_functions",
]

get_call_counts = _trace.get_call_counts
get_durations = _trace.get_durations
set_trace_functions = _trace.set_trace_functions
get_frequency = _trace.get_frequency
