/* Shortcuts: what a binary does itself where a handle is the address of an object.

   Each call of the API goes through the context's table. For the smallest functions that costs more than what they do. So a runtime
   tells a binary how objects look in the Python that runs it, and some functions, marked in their spec, begin by doing on the spot
   what the runtime would do. They do so only with the one context for which it holds: in debug mode, in trace mode, and with
   runtimes that don't tell, everything goes through the table. What is not the frequent case is left to the table as well: the last
   reference to an object, an object of a derived type, null where null is allowed or raises.

   No version of Python is known here. Whatever differs between versions is in the struct, and where something is not as these
   functions take it to be, the runtime does not offer it. */
#ifndef HPY_SHORTCUTS_H
#define HPY_SHORTCUTS_H

/* Objects are read as other types than those that they are written as, which compilers have to be told. */
#if _HPy_HAS_ATTRIBUTE(may_alias)
#  define _HPy_MAY_ALIAS __attribute__((may_alias))
#  define _HPy_HAS_SHORTCUTS 1
#elif defined(_MSC_VER) && !defined(__clang__)
#  define _HPy_MAY_ALIAS
#  define _HPy_HAS_SHORTCUTS 1
#else
#  define _HPy_MAY_ALIAS
#  define _HPy_HAS_SHORTCUTS 0
#endif
typedef intptr_t _HPy_MAY_ALIAS _HPyWord;
typedef int32_t _HPy_MAY_ALIAS _HPyCount;
typedef uint32_t _HPy_MAY_ALIAS _HPyDigit;
typedef double _HPy_MAY_ALIAS _HPyDouble;

#if defined(__GNUC__) || defined(__clang__)
#  define _HPy_LIKELY(x) __builtin_expect((x) != 0, 1)
#else
#  define _HPy_LIKELY(x) (x)
#endif

/* Where things lie in an object, in bytes, wherever there are shortcuts at all; a runtime makes sure of it. */
enum {
    _HPy_TYPE = sizeof(void *),
    /* In an object with items, their number; and in a list, the pointer to them. */
    _HPy_LENGTH = 2 * sizeof(void *),
    _HPy_LIST_ITEMS = 3 * sizeof(void *),
    /* In an int, its sign and number of digits, and the lowest digit. */
    _HPy_INT_HEAD = 2 * sizeof(void *),
    _HPy_INT_DIGIT = 3 * sizeof(void *),
    _HPy_FLOAT_VALUE = 2 * sizeof(void *),
    /* The struct of an instance of a type with the shape Object. */
    _HPy_PAYLOAD = 16
};

/* What differs. Whatever is new comes last, with a higher `size`. */
typedef struct {
    uint32_t size;
    /* Ints of up to one digit have a head of -1, 0 or 1, by which the digit is multiplied; or, if they are tagged, one below 16, of which
       the two lowest bits are 0, 1 or 2 for a positive number, zero, or a negative one. */
    uint32_t has_tagged_ints;
    /* The context whose handles are addresses of objects. */
    HPyContext *objects;
    /* One of these is the same context, and the other null. An object starts with its reference count, which only the thread that holds
       the interpreter reads and writes: an int32_t that is negative in immortal objects, or a word. (Half of the word would often do, but
       a processor waits where more is read than was written just before.) */
    HPyContext *half_counts, *word_counts;
    intptr_t list_type, tuple_type, float_type, int_type;
    /* Where a tuple's items lie, and a type's flags. */
    intptr_t tuple_items, type_flags;
    /* What HPyArg_ParseKeywords does at once: finds the values of parameters, and keeps a reference to each of them. */
    int (*match_names)(HPy kwnames, const HPy *given, const char *const *names, size_t count, HPy *values);
    HPyTracker (*track)(const HPy *objects, size_t count);
    /* HPyArg_ParseKeywords for parameters that are all objects: so many, of which the first ones are required. 0 if it can't, and
       nothing but outputs has been written. */
    int (*parse_objects)(HPyTracker *ht, const HPy *args, size_t nargs, HPy kwnames, const char *const *keywords,
                         void *const *outputs, size_t count, size_t required);
} _HPyShortcuts;

/* Zero until the runtime tells. */
_HPy_ONE_PER_BINARY _HPyShortcuts _HPy_shortcuts = { 0, 0, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL };

#if _HPy_HAS_SHORTCUTS
#  define _HPy_OBJECTS(ctx) _HPy_LIKELY((ctx) == _HPy_shortcuts.objects)
#else
#  define _HPy_OBJECTS(ctx) ((void)(ctx), 0)
#endif
#define _HPy_SHORTCUTS(ctx) (_HPy_OBJECTS(ctx) ? &_HPy_shortcuts : NULL)
#define _HPy_CAN_PARSE_OBJECTS(ctx) (_HPy_OBJECTS(ctx) && _HPy_shortcuts.parse_objects != NULL)
#define _HPy_PARSE_OBJECTS _HPy_shortcuts.parse_objects

/* A word of an object. */
HPyAPI_FUNC intptr_t _HPy_WordAt(intptr_t object, intptr_t place) { return *(const _HPyWord *)(object + place); }

/* The functions below return whether they have done it. If not, nothing has happened, and it has to go through the table. */

/* Takes another reference to an object. */
HPyAPI_FUNC bool _HPy_Take(HPyContext *ctx, intptr_t object)
{
    if (object == 0)
        return false;
    if (_HPy_LIKELY(ctx == _HPy_shortcuts.word_counts)) {
        ++*(_HPyWord *)object;
        return true;
    }
    if (_HPy_LIKELY(ctx == _HPy_shortcuts.half_counts)) {
        int32_t count = *(const _HPyCount *)object;
        if (count > 0)
            *(_HPyCount *)object = (int32_t)((uint32_t)count + 1);
        return count != 0;
    }
    return false;
}

/* Gives a reference back, unless it is the last one. */
HPyAPI_FUNC bool _HPy_GiveBack(HPyContext *ctx, intptr_t object)
{
    if (object == 0)
        return false;
    if (_HPy_LIKELY(ctx == _HPy_shortcuts.word_counts)) {
        intptr_t count = *(const _HPyWord *)object - 1;
        if (count <= 0)
            return false;
        *(_HPyWord *)object = count;
        return true;
    }
    if (_HPy_LIKELY(ctx == _HPy_shortcuts.half_counts)) {
        int32_t count = *(const _HPyCount *)object;
        if (count > 1)
            *(_HPyCount *)object = count - 1;
        return count > 1 || count < 0;
    }
    return false;
}

/* Puts an object into a place that another one is in, or none. */
HPyAPI_FUNC bool _HPy_Exchange(HPyContext *ctx, intptr_t *place, intptr_t object)
{
    intptr_t old = *place;
    if (object == 0)
        return false;
    if (_HPy_LIKELY(ctx == _HPy_shortcuts.word_counts)) {
        if (old != 0) {
            if (*(const _HPyWord *)old <= 1)
                return false;
            --*(_HPyWord *)old;
        }
        ++*(_HPyWord *)object;
        *place = object;
        return true;
    }
    /* The new object's reference is given back again if the old one's is the last. */
    if (!_HPy_Take(ctx, object))
        return false;
    if (old != 0 && !_HPy_GiveBack(ctx, old)) {
        (void)_HPy_GiveBack(ctx, object);
        return false;
    }
    *place = object;
    return true;
}

/* Puts an object into a place of a list or tuple under construction. That it is an empty one is up to the caller; what is outside is
   left alone. */
HPyAPI_FUNC bool _HPy_Fill(HPyContext *ctx, intptr_t builder, bool is_list, HPy_ssize_t index, intptr_t object)
{
    if (builder == 0 || !_HPy_Take(ctx, object))
        return false;
    if (_HPy_LIKELY((size_t)index < (size_t)_HPy_WordAt(builder, _HPy_LENGTH))) {
        intptr_t items = is_list ? _HPy_WordAt(builder, _HPy_LIST_ITEMS) : builder + _HPy_shortcuts.tuple_items;
        ((_HPyWord *)items)[index] = object;
        return true;
    }
    (void)_HPy_GiveBack(ctx, object);
    return false;
}

/* Whether an object is of this type, and of none derived from it. */
HPyAPI_FUNC bool _HPy_IsExactly(intptr_t object, intptr_t type) { return _HPy_WordAt(object, _HPy_TYPE) == type; }

/* Takes a reference to an item of a list or tuple. */
HPyAPI_FUNC bool _HPy_TakeItem(HPyContext *ctx, intptr_t object, HPy_ssize_t index, intptr_t *item)
{
    intptr_t type = _HPy_WordAt(object, _HPy_TYPE);
    const _HPyWord *items;
    if (type == _HPy_shortcuts.list_type)
        items = (const _HPyWord *)_HPy_WordAt(object, _HPy_LIST_ITEMS);
    else if (type == _HPy_shortcuts.tuple_type)
        items = (const _HPyWord *)(object + _HPy_shortcuts.tuple_items);
    else
        return false;
    if ((size_t)index >= (size_t)_HPy_WordAt(object, _HPy_LENGTH))
        return false;
    *item = items[index];
    return _HPy_Take(ctx, *item);
}

/* The value of an int of up to one digit. */
HPyAPI_FUNC bool _HPy_SmallInt(intptr_t object, int64_t *value)
{
    intptr_t sign;
    if (object == 0 || !_HPy_IsExactly(object, _HPy_shortcuts.int_type))
        return false;
    sign = _HPy_WordAt(object, _HPy_INT_HEAD);
    if (_HPy_shortcuts.has_tagged_ints) {
        if ((size_t)sign >= 16)
            return false;
        sign = 1 - (sign & 3);
    } else if ((size_t)sign + 1 > 2) {
        return false;
    }
    /* Zero may be without a digit. */
    *value = sign == 0 ? 0 : (int64_t)sign * *(const _HPyDigit *)(object + _HPy_INT_DIGIT);
    return true;
}

HPyAPI_FUNC double _HPy_FloatValue(intptr_t object) { return *(const _HPyDouble *)(object + _HPy_FLOAT_VALUE); }

/* A type says by a flag whether it is one of the built-in types or derived from it; CPython documents them. */
enum {
    _HPy_LIST = 25,
    _HPy_TUPLE = 26,
    _HPy_BYTES = 27,
    _HPy_STR = 28,
    _HPy_DICT = 29
};

HPyAPI_FUNC bool _HPy_HasFlag(intptr_t object, int flag)
{
    intptr_t type = _HPy_WordAt(object, _HPy_TYPE);
    return (*(const _HPyDigit *)(type + _HPy_shortcuts.type_flags) >> flag & 1) != 0;
}

/* What the runtime tells. An older one knows less, and what it does not know stays zero. */
HPyAPI_FUNC void _HPy_SetShortcuts(const _HPyShortcuts *given)
{
#if _HPy_HAS_SHORTCUTS
    memcpy(&_HPy_shortcuts, given, given->size < sizeof(_HPyShortcuts) ? given->size : sizeof(_HPyShortcuts));
#else
    (void)given;
#endif
}

#endif /* HPY_SHORTCUTS_H */
