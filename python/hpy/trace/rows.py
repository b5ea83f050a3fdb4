"""Recordings by function and by where it is called from, whatever the way there: the rows of tables."""

#: What calls the API where no function of an extension does.
OUTSIDE = "outside of functions"


class Row:
    """Calls of one function from one place."""

    def __init__(self, entry):
        self.kind = entry.kind
        self.name = entry.name
        #: for a function of the API: that of the extension, or None, and the line of C
        self.caller = entry.caller.name if entry.caller and entry.kind == "api" else None
        self.place = entry.place
        #: for one of an extension
        self.python_line = entry.python_line
        #: the name that a function of the API was given in C first
        self.text = entry.text
        self.calls = self.self_time = self.total_time = self.raised = self.left_open = 0

    @property
    def key(self):
        return self.kind, self.name, self.caller, self.place, self.python_line

    @property
    def called_from(self):
        if self.kind == "function":
            return self.python_line or "outside of Python code"
        caller = self.caller or OUTSIDE
        return f"{caller} ({self.place})" if self.place else caller

    def add(self, entry, is_outermost):
        self.calls += entry.calls
        self.self_time += entry.self_time
        # What is below itself is in that one's total.
        self.total_time += entry.total_time if is_outermost else 0
        self.raised += entry.raised
        self.left_open += entry.opened - entry.closed


def rows(recording, kind):
    """The rows of functions of extensions by the line that calls them, or of the API by the function and the line of C that do."""
    found = {}
    for entry in recording.walk():
        if entry.kind == kind:
            row = Row(entry)
            is_outermost = all(Row(outer).key != row.key for outer in entry.outer)
            found.setdefault(row.key, row).add(entry, is_outermost)
    return list(found.values())
