"""LeakDetector: which handles are open after a block of code that were not open before it."""


class HPyDebugError(Exception):
    """A wrong use of the debugging tools."""


class HPyLeakError(Exception):
    """Handles were left open; `leaks` lists them."""

    def __init__(self, leaks):
        super().__init__()
        self.leaks = leaks

    def __str__(self):
        return "\n".join([f"{len(self.leaks)} unclosed handle(s):", *(f"    {leak!r}" for leak in self.leaks)])


class LeakDetector:
    """A context manager that raises HPyLeakError if its block leaves handles open."""

    def start(self):
        raise NotImplementedError("this version of hpy has no debug mode yet, so leaked handles can't be found")

    def stop(self):
        raise HPyDebugError("LeakDetector not started yet")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        self.stop()
