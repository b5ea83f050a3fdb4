"""Every misuse of the API that debug mode tells apart, committed on purpose, and next to it the same thing done right.

    case("D006 argument", '''
        FUNC_O(f)
        {
            HPy h = HPy_Dup(ctx, arg); /* OPENED */
          - HPy_Close(ctx, h); /* CLOSED */
            HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
          + HPy_Close(ctx, h);
            return HPyLong_FromSsize_t(ctx, size);
        }
    ''', "mod.f('text')", "HPy_Length")

is two snippets: the misuse has the lines marked with `-`, its clean twin those marked with `+`; they can also be given one by
one. The Python code that runs them, by attempting.py, is marked in the same way. Comments mark the places that the report has to
name. Which misuse it is stands in spec/misuses.toml, under the number. After the code comes the API function that the report
has to name, or several, of which it has to name one.
"""

from misuses import contract, data, identity, lifetime, structs
from misuses.case import CASES, FATAL, LEFT, PRINTED, RAISED

__all__ = ["CASES", "FATAL", "LEFT", "PRINTED", "RAISED", "contract", "data", "identity", "lifetime", "structs"]
