/* Struct sequences: tuples whose items also have names. In the static library, not in the context. */
#ifndef HPY_RUNTIME_STRUCTSEQ_H
#define HPY_RUNTIME_STRUCTSEQ_H

/** The name of a field that is reached by index only. */
#define HPyStructSequence_UnnamedField "_"

/**
 * Makes a struct sequence type from a description. Returns a new handle, or null with an exception pending.
 *
 * The type is a `collections.namedtuple` with the attribute `n_fields`. A field whose name is not one in Python, or occurs
 * twice, is renamed to `_` and its index. The docstrings of fields are not used.
 *
 * Raises SystemError when `desc`, its name or its array of fields is NULL; UnicodeDecodeError for invalid UTF-8;
 * MemoryError.
 */
HPyAPI_HELPER HPy HPyStructSequence_NewType(HPyContext *ctx, HPyStructSequence_Desc *desc);

/**
 * Makes an instance of a type that `HPyStructSequence_NewType` made, with the `nargs` objects in `args`. They stay the
 * caller's. Missing ones at the end become `None`. Returns a new handle, or null with an exception pending.
 *
 * Raises TypeError when there are more objects than fields, and when `type` is not such a type; MemoryError.
 */
HPyAPI_HELPER HPy HPyStructSequence_New(HPyContext *ctx, HPy type, HPy_ssize_t nargs, const HPy *args);

#endif /* HPY_RUNTIME_STRUCTSEQ_H */
