"""Exceptions as values that compare."""

import pytest


def failure(function, *args, **kwargs):
    """The class and the text of the exception that a call raises."""
    with pytest.raises(Exception) as info:
        function(*args, **kwargs)
    return type(info.value), str(info.value)
