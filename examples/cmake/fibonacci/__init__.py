"""The numbers of Fibonacci, by a module of the universal ABI."""

from fibonacci._universal import fibonacci

__all__ = ["fibonacci"]
