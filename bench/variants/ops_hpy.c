/* The operations in HPy: one source for the universal ABI, the CPython ABI, and HPy 0.9.0's universal ABI. */
#include <hpy.h>

static HPyGlobal Point_type, name_value, name_take;

/* ---- Calls ---- */

HPyDef_METH(noargs, "noargs", HPyFunc_NOARGS)
static HPy noargs_impl(HPyContext *ctx, HPy self)
{
    (void)self;
    return HPy_Dup(ctx, ctx->h_None);
}

HPyDef_METH(onearg, "onearg", HPyFunc_O)
static HPy onearg_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    return HPy_Dup(ctx, arg);
}

static int check_count(HPyContext *ctx, size_t nargs, size_t expected)
{
    if (nargs == expected)
        return 1;
    HPyErr_Format(ctx, ctx->h_TypeError, "expected %zu arguments, got %zu", expected, nargs);
    return 0;
}

HPyDef_METH(threeargs, "threeargs", HPyFunc_VARARGS)
static HPy threeargs_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    (void)self;
    return check_count(ctx, nargs, 3) ? HPy_Dup(ctx, args[2]) : HPy_NULL;
}

HPyDef_METH(anykeywords, "anykeywords", HPyFunc_KEYWORDS)
static HPy anykeywords_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)self;
    (void)kwnames;
    return check_count(ctx, nargs, 1) ? HPy_Dup(ctx, args[0]) : HPy_NULL;
}

static HPy parse_keywords(HPyContext *ctx, const HPy *args, size_t nargs, HPy kwnames)
{
    static const char *names[] = { "a", "b", "c", NULL };
    HPyTracker tracker;
    HPy a, b, c;
    if (!HPyArg_ParseKeywords(ctx, &tracker, args, nargs, kwnames, "OOO", names, &a, &b, &c))
        return HPy_NULL;
    HPy result = HPy_Dup(ctx, c);
    HPyTracker_Close(ctx, tracker);
    return result;
}

/* HPyArg_ParseKeywords is what authors use, whether in C they would take the names apart by hand or use a format string. */
HPyDef_METH(keywords, "keywords", HPyFunc_KEYWORDS)
static HPy keywords_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)self;
    return parse_keywords(ctx, args, nargs, kwnames);
}

HPyDef_METH(format_keywords, "format_keywords", HPyFunc_KEYWORDS)
static HPy format_keywords_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)self;
    return parse_keywords(ctx, args, nargs, kwnames);
}

/* ---- Values ---- */

HPyDef_METH(add_int, "add_int", HPyFunc_O)
static HPy add_int_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    long value = HPyLong_AsLong(ctx, arg);
    if (value == -1 && HPyErr_Occurred(ctx))
        return HPy_NULL;
    return HPyLong_FromLong(ctx, value + 1);
}

HPyDef_METH(add_float, "add_float", HPyFunc_O)
static HPy add_float_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    double value = HPyFloat_AsDouble(ctx, arg);
    if (value == -1.0 && HPyErr_Occurred(ctx))
        return HPy_NULL;
    return HPyFloat_FromDouble(ctx, value + 1.0);
}

HPyDef_METH(copy_str, "copy_str", HPyFunc_O)
static HPy copy_str_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    const char *text = HPyUnicode_AsUTF8AndSize(ctx, arg, NULL);
    return text ? HPyUnicode_FromString(ctx, text) : HPy_NULL;
}

/* ---- Containers ---- */

HPyDef_METH(list_index, "list_index", HPyFunc_O)
static HPy list_index_impl(HPyContext *ctx, HPy self, HPy list)
{
    (void)self;
    long sum = 0;
    HPy_ssize_t size = HPy_Length(ctx, list);
    if (size < 0)
        return HPy_NULL;
    for (HPy_ssize_t i = 0; i < size; i++) {
        HPy item = HPy_GetItem_i(ctx, list, i);
        if (HPy_IsNull(item))
            return HPy_NULL;
        long value = HPyLong_AsLong(ctx, item);
        HPy_Close(ctx, item);
        if (value == -1 && HPyErr_Occurred(ctx))
            return HPy_NULL;
        sum += value;
    }
    return HPyLong_FromLong(ctx, sum);
}

#ifndef WITHOUT_ITERATORS /* HPy 0.9.0 has no function for them. */
HPyDef_METH(list_iterate, "list_iterate", HPyFunc_O)
static HPy list_iterate_impl(HPyContext *ctx, HPy self, HPy list)
{
    (void)self;
    long sum = 0;
    HPy iterator = HPy_GetIter(ctx, list);
    if (HPy_IsNull(iterator))
        return HPy_NULL;
    for (;;) {
        HPy item = HPyIter_Next(ctx, iterator);
        if (HPy_IsNull(item))
            break;
        long value = HPyLong_AsLong(ctx, item);
        HPy_Close(ctx, item);
        if (value == -1 && HPyErr_Occurred(ctx))
            break;
        sum += value;
    }
    HPy_Close(ctx, iterator);
    return HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromLong(ctx, sum);
}
#endif

HPyDef_METH(list_build, "list_build", HPyFunc_O)
static HPy list_build_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    HPyListBuilder builder = HPyListBuilder_New(ctx, 10);
    for (HPy_ssize_t i = 0; i < 10; i++)
        HPyListBuilder_Set(ctx, builder, i, arg);
    return HPyListBuilder_Build(ctx, builder);
}

HPyDef_METH(tuple_build, "tuple_build", HPyFunc_O)
static HPy tuple_build_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    return HPyTuple_Pack(ctx, 3, arg, arg, arg);
}

HPyDef_METH(dict_build, "dict_build", HPyFunc_O)
static HPy dict_build_impl(HPyContext *ctx, HPy self, HPy keys)
{
    (void)self;
    HPy dict = HPyDict_New(ctx);
    if (HPy_IsNull(dict))
        return HPy_NULL;
    HPy_ssize_t size = HPy_Length(ctx, keys);
    for (HPy_ssize_t i = 0; i < size; i++) {
        HPy key = HPy_GetItem_i(ctx, keys, i);
        int failed = HPy_IsNull(key) || HPy_SetItem(ctx, dict, key, key) < 0;
        HPy_Close(ctx, key);
        if (failed) {
            HPy_Close(ctx, dict);
            return HPy_NULL;
        }
    }
    return dict;
}

HPyDef_METH(dict_lookup, "dict_lookup", HPyFunc_VARARGS)
static HPy dict_lookup_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    (void)self;
    return check_count(ctx, nargs, 2) ? HPy_GetItem(ctx, args[0], args[1]) : HPy_NULL;
}

/* ---- Attributes of Python objects, and calls of Python functions ---- */

HPyDef_METH(attr_get, "attr_get", HPyFunc_O)
static HPy attr_get_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    HPy name = HPyGlobal_Load(ctx, name_value);
    HPy value = HPy_GetAttr(ctx, arg, name);
    HPy_Close(ctx, name);
    return value;
}

HPyDef_METH(attr_get_string, "attr_get_string", HPyFunc_O)
static HPy attr_get_string_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    return HPy_GetAttr_s(ctx, arg, "value");
}

HPyDef_METH(attr_set, "attr_set", HPyFunc_VARARGS)
static HPy attr_set_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    (void)self;
    if (!check_count(ctx, nargs, 2))
        return HPy_NULL;
    HPy name = HPyGlobal_Load(ctx, name_value);
    int failed = HPy_SetAttr(ctx, args[0], name, args[1]);
    HPy_Close(ctx, name);
    return failed ? HPy_NULL : HPy_Dup(ctx, ctx->h_None);
}

HPyDef_METH(call_back, "call_back", HPyFunc_VARARGS)
static HPy call_back_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    (void)self;
    return check_count(ctx, nargs, 2) ? HPy_Call(ctx, args[0], args + 1, 1, HPy_NULL) : HPy_NULL;
}

HPyDef_METH(call_method, "call_method", HPyFunc_VARARGS)
static HPy call_method_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    (void)self;
    if (!check_count(ctx, nargs, 2))
        return HPy_NULL;
    HPy name = HPyGlobal_Load(ctx, name_take);
    /* The receiver is the first argument. */
    HPy result = HPy_CallMethod(ctx, name, args, 2, HPy_NULL);
    HPy_Close(ctx, name);
    return result;
}

/* ---- Exceptions ---- */

HPyDef_METH(raise_error, "raise_error", HPyFunc_NOARGS)
static HPy raise_error_impl(HPyContext *ctx, HPy self)
{
    (void)self;
    HPyErr_SetString(ctx, ctx->h_ValueError, "no");
    return HPy_NULL;
}

HPyDef_METH(clear_error, "clear_error", HPyFunc_O)
static HPy clear_error_impl(HPyContext *ctx, HPy self, HPy function)
{
    (void)self;
    HPy result = HPy_Call(ctx, function, NULL, 0, HPy_NULL);
    if (!HPy_IsNull(result) || !HPyErr_ExceptionMatches(ctx, ctx->h_ValueError))
        return result;
    HPyErr_Clear(ctx);
    return HPy_Dup(ctx, ctx->h_None);
}

/* ---- Small: a struct, made without arguments ---- */

typedef struct {
    double x;
    double y;
} Small;
HPyType_HELPERS(Small)

HPyDef_SLOT(Small_new, HPy_tp_new)
static HPy Small_new_impl(HPyContext *ctx, HPy type, const HPy *args, HPy_ssize_t nargs, HPy kwargs)
{
    Small *data;
    (void)args;
    (void)nargs;
    (void)kwargs;
    HPy self = HPy_New(ctx, type, &data);
    if (!HPy_IsNull(self))
        data->x = data->y = 1.0;
    return self;
}

static HPyDef *Small_defines[] = { &Small_new, NULL };
static HPyType_Spec Small_spec = {
    .name = "ops.Small",
    .basicsize = sizeof(Small),
    .builtin_shape = SHAPE(Small),
    .flags = HPy_TPFLAGS_DEFAULT,
    .defines = Small_defines,
};

/* ---- Point: methods, attributes and slots ---- */

typedef struct {
    double x;
    double y;
} Point;
HPyType_HELPERS(Point)

static HPy make_point(HPyContext *ctx, HPy type, double x, double y)
{
    Point *data;
    HPy self = HPy_New(ctx, type, &data);
    if (!HPy_IsNull(self)) {
        data->x = x;
        data->y = y;
    }
    return self;
}

HPyDef_SLOT(Point_new, HPy_tp_new)
static HPy Point_new_impl(HPyContext *ctx, HPy type, const HPy *args, HPy_ssize_t nargs, HPy kwargs)
{
    double x, y;
    (void)kwargs;
    if (!HPyArg_Parse(ctx, NULL, args, (size_t)nargs, "dd", &x, &y))
        return HPy_NULL;
    return make_point(ctx, type, x, y);
}

HPyDef_METH(Point_norm, "norm", HPyFunc_NOARGS)
static HPy Point_norm_impl(HPyContext *ctx, HPy self)
{
    Point *data = Point_AsStruct(ctx, self);
    return HPyFloat_FromDouble(ctx, data->x * data->x + data->y * data->y);
}

HPyDef_METH(Point_scale, "scale", HPyFunc_O)
static HPy Point_scale_impl(HPyContext *ctx, HPy self, HPy arg)
{
    Point *data = Point_AsStruct(ctx, self);
    double factor = HPyFloat_AsDouble(ctx, arg);
    if (factor == -1.0 && HPyErr_Occurred(ctx))
        return HPy_NULL;
    data->x *= factor;
    data->y *= factor;
    return HPy_Dup(ctx, ctx->h_None);
}

HPyDef_MEMBER(Point_x, "x", HPyMember_DOUBLE, offsetof(Point, x))

HPyDef_GETSET(Point_height, "height")
static HPy Point_height_get(HPyContext *ctx, HPy self, void *closure)
{
    (void)closure;
    return HPyFloat_FromDouble(ctx, Point_AsStruct(ctx, self)->y);
}

static int Point_height_set(HPyContext *ctx, HPy self, HPy value, void *closure)
{
    (void)closure;
    if (HPy_IsNull(value)) {
        HPyErr_SetString(ctx, ctx->h_TypeError, "can't delete it");
        return -1;
    }
    double height = HPyFloat_AsDouble(ctx, value);
    if (height == -1.0 && HPyErr_Occurred(ctx))
        return -1;
    Point_AsStruct(ctx, self)->y = height;
    return 0;
}

HPyDef_SLOT(Point_add, HPy_nb_add)
static HPy Point_add_impl(HPyContext *ctx, HPy left, HPy right)
{
    HPy result;
    HPy type = HPyGlobal_Load(ctx, Point_type);
    if (HPy_TypeCheck(ctx, left, type) && HPy_TypeCheck(ctx, right, type)) {
        Point *a = Point_AsStruct(ctx, left);
        Point *b = Point_AsStruct(ctx, right);
        result = make_point(ctx, type, a->x + b->x, a->y + b->y);
    } else {
        result = HPy_Dup(ctx, ctx->h_NotImplemented);
    }
    HPy_Close(ctx, type);
    return result;
}

HPyDef_SLOT(Point_negative, HPy_nb_negative)
static HPy Point_negative_impl(HPyContext *ctx, HPy self)
{
    Point *data = Point_AsStruct(ctx, self);
    HPy type = HPyGlobal_Load(ctx, Point_type);
    HPy result = make_point(ctx, type, -data->x, -data->y);
    HPy_Close(ctx, type);
    return result;
}

HPyDef_SLOT(Point_bool, HPy_nb_bool)
static int Point_bool_impl(HPyContext *ctx, HPy self)
{
    Point *data = Point_AsStruct(ctx, self);
    return data->x != 0.0 || data->y != 0.0;
}

HPyDef_SLOT(Point_length, HPy_sq_length)
static HPy_ssize_t Point_length_impl(HPyContext *ctx, HPy self)
{
    (void)ctx;
    (void)self;
    return 2;
}

HPyDef_SLOT(Point_item, HPy_sq_item)
static HPy Point_item_impl(HPyContext *ctx, HPy self, HPy_ssize_t index)
{
    Point *data = Point_AsStruct(ctx, self);
    if (index != 0 && index != 1) {
        HPyErr_SetString(ctx, ctx->h_IndexError, "only 0 and 1");
        return HPy_NULL;
    }
    return HPyFloat_FromDouble(ctx, index == 0 ? data->x : data->y);
}

HPyDef_SLOT(Point_contains, HPy_sq_contains)
static int Point_contains_impl(HPyContext *ctx, HPy self, HPy arg)
{
    Point *data = Point_AsStruct(ctx, self);
    double value = HPyFloat_AsDouble(ctx, arg);
    if (value == -1.0 && HPyErr_Occurred(ctx))
        return -1;
    return data->x == value || data->y == value;
}

HPyDef_SLOT(Point_hash, HPy_tp_hash)
static HPy_hash_t Point_hash_impl(HPyContext *ctx, HPy self)
{
    return (HPy_hash_t)Point_AsStruct(ctx, self)->x + 1;
}

HPyDef_SLOT(Point_repr, HPy_tp_repr)
static HPy Point_repr_impl(HPyContext *ctx, HPy self)
{
    (void)self;
    return HPyUnicode_FromString(ctx, "Point()");
}

HPyDef_SLOT(Point_compare, HPy_tp_richcompare)
static HPy Point_compare_impl(HPyContext *ctx, HPy left, HPy right, HPy_RichCmpOp op)
{
    HPy type = HPyGlobal_Load(ctx, Point_type);
    int same = HPy_TypeCheck(ctx, right, type);
    HPy_Close(ctx, type);
    if (!same || (op != HPy_EQ && op != HPy_NE))
        return HPy_Dup(ctx, ctx->h_NotImplemented);
    Point *a = Point_AsStruct(ctx, left);
    Point *b = Point_AsStruct(ctx, right);
    int equal = a->x == b->x && a->y == b->y;
    return HPy_Dup(ctx, equal == (op == HPy_EQ) ? ctx->h_True : ctx->h_False);
}

static HPyDef *Point_defines[] = {
    &Point_new,      &Point_norm, &Point_scale,  &Point_x,    &Point_height,   &Point_add,  &Point_negative,
    &Point_bool,     &Point_hash, &Point_length, &Point_item, &Point_contains, &Point_repr, &Point_compare,
    NULL,
};
static HPyType_Spec Point_spec = {
    .name = "ops.Point",
    .basicsize = sizeof(Point),
    .builtin_shape = SHAPE(Point),
    .flags = HPy_TPFLAGS_DEFAULT,
    .defines = Point_defines,
};

/* ---- Node: holds an object, so that the collector has to know it ---- */

typedef struct {
    HPyField value;
} Node;
HPyType_HELPERS(Node)

HPyDef_SLOT(Node_new, HPy_tp_new)
static HPy Node_new_impl(HPyContext *ctx, HPy type, const HPy *args, HPy_ssize_t nargs, HPy kwargs)
{
    Node *data;
    (void)kwargs;
    if (!check_count(ctx, (size_t)nargs, 1))
        return HPy_NULL;
    HPy self = HPy_New(ctx, type, &data);
    if (!HPy_IsNull(self))
        HPyField_Store(ctx, self, &data->value, args[0]);
    return self;
}

HPyDef_SLOT(Node_traverse, HPy_tp_traverse)
static int Node_traverse_impl(void *self, HPyFunc_visitproc visit, void *arg)
{
    HPy_VISIT(&((Node *)self)->value);
    return 0;
}

HPyDef_GETSET(Node_value, "value")
static HPy Node_value_get(HPyContext *ctx, HPy self, void *closure)
{
    (void)closure;
    return HPyField_Load(ctx, self, Node_AsStruct(ctx, self)->value);
}

static int Node_value_set(HPyContext *ctx, HPy self, HPy value, void *closure)
{
    (void)closure;
    if (HPy_IsNull(value)) {
        HPyErr_SetString(ctx, ctx->h_TypeError, "can't delete it");
        return -1;
    }
    HPyField_Store(ctx, self, &Node_AsStruct(ctx, self)->value, value);
    return 0;
}

static HPyDef *Node_defines[] = { &Node_new, &Node_traverse, &Node_value, NULL };
static HPyType_Spec Node_spec = {
    .name = "ops.Node",
    .basicsize = sizeof(Node),
    .builtin_shape = SHAPE(Node),
    .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_HAVE_GC,
    .defines = Node_defines,
};

/* ---- Echo: gives back what it gets, when called or as an operand: slots with next to nothing in them ---- */

typedef struct {
    void *nothing;
} Echo;
HPyType_HELPERS(Echo)

HPyDef_SLOT(Echo_new, HPy_tp_new)
static HPy Echo_new_impl(HPyContext *ctx, HPy type, const HPy *args, HPy_ssize_t nargs, HPy kwargs)
{
    Echo *data;
    (void)args;
    (void)nargs;
    (void)kwargs;
    return HPy_New(ctx, type, &data);
}

HPyDef_SLOT(Echo_call, HPy_tp_call)
static HPy Echo_call_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)self;
    (void)kwnames;
    return check_count(ctx, nargs, 1) ? HPy_Dup(ctx, args[0]) : HPy_NULL;
}

HPyDef_SLOT(Echo_multiply, HPy_nb_multiply)
static HPy Echo_multiply_impl(HPyContext *ctx, HPy left, HPy right)
{
    (void)left;
    return HPy_Dup(ctx, right);
}

HPyDef_SLOT(Echo_positive, HPy_nb_positive)
static HPy Echo_positive_impl(HPyContext *ctx, HPy self)
{
    return HPy_Dup(ctx, self);
}

HPyDef_SLOT(Echo_compare, HPy_tp_richcompare)
static HPy Echo_compare_impl(HPyContext *ctx, HPy left, HPy right, HPy_RichCmpOp op)
{
    (void)left;
    return HPy_Dup(ctx, op == HPy_LT ? right : ctx->h_NotImplemented);
}

static HPyDef *Echo_defines[] = { &Echo_new, &Echo_call, &Echo_multiply, &Echo_positive, &Echo_compare, NULL };
static HPyType_Spec Echo_spec = {
    .name = "ops.Echo",
    .basicsize = sizeof(Echo),
    .builtin_shape = SHAPE(Echo),
    .flags = HPy_TPFLAGS_DEFAULT,
    .defines = Echo_defines,
};

/* ---- The module ---- */

/* Names of attributes are found faster if they are interned, for which Python has a function. */
static int store_name(HPyContext *ctx, HPyGlobal *global, const char *name)
{
    HPy text = HPyUnicode_FromString(ctx, name);
    HPy sys = HPyImport_ImportModule(ctx, "sys");
    HPy intern = HPy_IsNull(sys) ? HPy_NULL : HPy_GetAttr_s(ctx, sys, "intern");
    HPy interned = HPy_NULL;
    if (!HPy_IsNull(text) && !HPy_IsNull(intern))
        interned = HPy_Call(ctx, intern, &text, 1, HPy_NULL);
    if (!HPy_IsNull(interned))
        HPyGlobal_Store(ctx, global, interned);
    int result = HPy_IsNull(interned) ? -1 : 0;
    HPy_Close(ctx, text);
    HPy_Close(ctx, sys);
    HPy_Close(ctx, intern);
    HPy_Close(ctx, interned);
    return result;
}

HPyDef_SLOT(module_exec, HPy_mod_exec)
static int module_exec_impl(HPyContext *ctx, HPy module)
{
    if (store_name(ctx, &name_value, "value") < 0 || store_name(ctx, &name_take, "take") < 0)
        return -1;
    if (!HPyHelpers_AddType(ctx, module, "Small", &Small_spec, NULL) ||
        !HPyHelpers_AddType(ctx, module, "Point", &Point_spec, NULL) ||
        !HPyHelpers_AddType(ctx, module, "Node", &Node_spec, NULL) ||
        !HPyHelpers_AddType(ctx, module, "Echo", &Echo_spec, NULL))
        return -1;
    HPy type = HPy_GetAttr_s(ctx, module, "Point");
    if (HPy_IsNull(type))
        return -1;
    HPyGlobal_Store(ctx, &Point_type, type);
    HPy_Close(ctx, type);
    return 0;
}

static HPyDef *defines[] = {
    &module_exec, &noargs,     &onearg,      &threeargs,   &anykeywords, &keywords,        &add_int,
    &add_float,   &copy_str,   &list_index,  &list_build,  &tuple_build, &dict_build,      &dict_lookup,
    &attr_get,    &attr_set,   &call_back,   &call_method, &raise_error, &attr_get_string, &clear_error,
    &format_keywords,
#ifndef WITHOUT_ITERATORS
    &list_iterate,
#endif
    NULL,
};
static HPyGlobal *globals[] = { &Point_type, &name_value, &name_take, NULL };
static HPyModuleDef moduledef = { .defines = defines, .globals = globals };

HPy_MODINIT(ops, moduledef)
