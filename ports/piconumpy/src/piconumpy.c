/* A minimal numpy: one-dimensional arrays of doubles.

   twin/piconumpy_capi.c does the same with the C API of CPython, function by function. doubles.h has what is the same in both. */

/* Without a GIL: memory and size of an array stay as they were made. Threads that write to one place of it leave one of their
   numbers there. */
#define HPY_MOD_GIL_NOT_USED
#include <hpy.h>
#include "doubles.h"
#include <math.h>
#include <stdlib.h>

typedef struct {
    Doubles items;
} Array;
HPyType_HELPERS(Array)

static HPyGlobal array_type;

/* A new array whose items have no values yet. */
static HPy make(HPyContext *ctx, HPy type, HPy_ssize_t size, Array **array)
{
    HPy h = HPy_New(ctx, type, array);
    if (HPy_IsNull(h))
        return HPy_NULL;
    if (!doubles_allocate(&(*array)->items, size)) {
        HPy_Close(ctx, h);
        return HPyErr_NoMemory(ctx);
    }
    return h;
}

static HPy make_of_global_type(HPyContext *ctx, HPy_ssize_t size, Array **array)
{
    HPy type = HPyGlobal_Load(ctx, array_type);
    HPy h = make(ctx, type, size, array);
    HPy_Close(ctx, type);
    return h;
}

static int to_double(HPyContext *ctx, HPy h, double *value)
{
    *value = HPyFloat_AsDouble(ctx, h);
    return *value == -1.0 && HPyErr_Occurred(ctx) ? -1 : 0;
}

/* ---- Making arrays ---- */

HPyDef_SLOT(Array_new, HPy_tp_new)
static HPy Array_new_impl(HPyContext *ctx, HPy cls, const HPy *args, HPy_ssize_t nargs, HPy kw)
{
    if (nargs != 1 || (!HPy_IsNull(kw) && HPy_Length(ctx, kw) > 0))
        return HPyErr_SetString(ctx, ctx->h_TypeError, "array() takes a sequence and nothing else");
    HPy_ssize_t size = HPy_Length(ctx, args[0]);
    if (size < 0)
        return HPy_NULL;
    Array *array;
    HPy h = make(ctx, cls, size, &array);
    if (HPy_IsNull(h))
        return HPy_NULL;
    for (HPy_ssize_t i = 0; i < size; i++) {
        HPy item = HPy_GetItem_i(ctx, args[0], i);
        int failed = HPy_IsNull(item) || to_double(ctx, item, &array->items.data[i]) < 0;
        HPy_Close(ctx, item);
        if (failed) {
            HPy_Close(ctx, h);
            return HPy_NULL;
        }
    }
    return h;
}

HPyDef_SLOT(Array_destroy, HPy_tp_destroy)
static void Array_destroy_impl(void *data)
{
    free(((Array *)data)->items.data);
}

static HPy make_of_size(HPyContext *ctx, HPy arg, Array **array)
{
    HPy_ssize_t size = HPyLong_AsSsize_t(ctx, arg);
    if (size < 0) {
        if (!HPyErr_Occurred(ctx))
            HPyErr_SetString(ctx, ctx->h_ValueError, "the size of an array can not be negative");
        return HPy_NULL;
    }
    return make_of_global_type(ctx, size, array);
}

HPyDef_METH(empty, "empty", HPyFunc_O, .doc = "empty(size, /)\n--\n\nReturn an array whose items have any values.")
static HPy empty_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    Array *array;
    return make_of_size(ctx, arg, &array);
}

HPyDef_METH(zeros, "zeros", HPyFunc_O, .doc = "zeros(size, /)\n--\n\nReturn an array of zeros.")
static HPy zeros_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    Array *array;
    HPy h = make_of_size(ctx, arg, &array);
    if (!HPy_IsNull(h))
        doubles_set_zero(&array->items);
    return h;
}

/* ---- Arithmetic ---- */

/* 1 if it can be used, 0 if others may know better, -1 after an exception. `type` is that of arrays. */
static int get_operand(HPyContext *ctx, HPy type, HPy h, Operand *operand)
{
    *operand = (Operand){ NULL, 0, 0.0 };
    if (HPy_TypeCheck(ctx, h, type)) {
        Array *array = Array_AsStruct(ctx, h);
        operand->data = array->items.data;
        operand->size = array->items.size;
        return 1;
    }
    if (!HPyNumber_Check(ctx, h))
        return 0;
    return to_double(ctx, h, &operand->number) < 0 ? -1 : 1;
}

static HPy calculate_with_type(HPyContext *ctx, HPy type, HPy h_left, HPy h_right, char what)
{
    Operand left, right;
    int usable = get_operand(ctx, type, h_left, &left);
    if (usable > 0)
        usable = get_operand(ctx, type, h_right, &right);
    if (usable <= 0)
        return usable < 0 ? HPy_NULL : HPy_Dup(ctx, ctx->h_NotImplemented);
    if (left.data && !operand_fits(&right, left.size))
        return HPyErr_Format(ctx, ctx->h_ValueError, "arrays of different sizes: %zd and %zd", left.size, right.size);
    HPy_ssize_t size = left.data ? left.size : right.size;
    Array *result;
    HPy h = make(ctx, type, size, &result);
    if (HPy_IsNull(h))
        return HPy_NULL;
    doubles_calculate(&result->items, &left, &right, what);
    return h;
}

static HPy calculate(HPyContext *ctx, HPy left, HPy right, char what)
{
    HPy type = HPyGlobal_Load(ctx, array_type);
    HPy result = calculate_with_type(ctx, type, left, right, what);
    HPy_Close(ctx, type);
    return result;
}

HPyDef_SLOT(Array_add, HPy_nb_add)
static HPy Array_add_impl(HPyContext *ctx, HPy left, HPy right)
{
    return calculate(ctx, left, right, '+');
}

HPyDef_SLOT(Array_subtract, HPy_nb_subtract)
static HPy Array_subtract_impl(HPyContext *ctx, HPy left, HPy right)
{
    return calculate(ctx, left, right, '-');
}

HPyDef_SLOT(Array_multiply, HPy_nb_multiply)
static HPy Array_multiply_impl(HPyContext *ctx, HPy left, HPy right)
{
    return calculate(ctx, left, right, '*');
}

HPyDef_SLOT(Array_divide, HPy_nb_true_divide)
static HPy Array_divide_impl(HPyContext *ctx, HPy left, HPy right)
{
    return calculate(ctx, left, right, '/');
}

/* ---- Functions of each item ---- */

static HPy map(HPyContext *ctx, HPy arg, double (*function)(double))
{
    /* Numbers first: their types are at hand. */
    if (HPy_TypeCheck(ctx, arg, ctx->h_FloatType))
        return HPyFloat_FromDouble(ctx, function(HPyFloat_AsDouble(ctx, arg)));
    HPy type = HPyGlobal_Load(ctx, array_type), h;
    Operand operand;
    Array *to;
    int usable = get_operand(ctx, type, arg, &operand);
    if (usable == 0)
        HPyErr_SetString(ctx, ctx->h_TypeError, "a number or an array is wanted here");
    if (usable <= 0)
        h = HPy_NULL;
    else if (operand.data == NULL)
        h = HPyFloat_FromDouble(ctx, function(operand.number));
    else if (!HPy_IsNull(h = make(ctx, type, operand.size, &to)))
        doubles_map(to->items.data, operand.data, operand.size, function);
    HPy_Close(ctx, type);
    return h;
}

HPyDef_SLOT(Array_negative, HPy_nb_negative)
static HPy Array_negative_impl(HPyContext *ctx, HPy self)
{
    return map(ctx, self, negated);
}

HPyDef_METH(py_cos, "cos", HPyFunc_O, .doc = "cos(x, /)\n--\n\nReturn the cosine of a number, or of each item of an array.")
static HPy py_cos_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    return map(ctx, arg, cos);
}

HPyDef_METH(py_sin, "sin", HPyFunc_O, .doc = "sin(x, /)\n--\n\nReturn the sine of a number, or of each item of an array.")
static HPy py_sin_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    return map(ctx, arg, sin);
}

HPyDef_METH(py_exp, "exp", HPyFunc_O, .doc = "exp(x, /)\n--\n\nReturn e to the power of a number, or of each item of an array.")
static HPy py_exp_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    return map(ctx, arg, exp);
}

/* ---- Items ---- */

static HPy item(HPyContext *ctx, const Array *array, HPy_ssize_t index)
{
    if (!doubles_has_index(&array->items, index))
        return HPyErr_SetString(ctx, ctx->h_IndexError, "array index out of range");
    return HPyFloat_FromDouble(ctx, array->items.data[index]);
}

/* Counts from the end if it is negative. 1 for an index, 0 for a slice, -1 after an exception. */
static int get_index(HPyContext *ctx, const Array *array, HPy key, HPy_ssize_t *index)
{
    if (HPy_TypeCheck(ctx, key, ctx->h_LongType)) {
        *index = HPyLong_AsSsize_t(ctx, key);
    } else if (HPy_TypeCheck(ctx, key, ctx->h_SliceType)) {
        return 0;
    } else {
        HPy number = HPy_Index(ctx, key);
        if (HPy_IsNull(number))
            return -1;
        *index = HPyLong_AsSsize_t(ctx, number);
        HPy_Close(ctx, number);
    }
    if (*index == -1 && HPyErr_Occurred(ctx))
        return -1;
    if (*index < 0)
        *index += array->items.size;
    return 1;
}

HPyDef_SLOT(Array_length, HPy_sq_length)
static HPy_ssize_t Array_length_impl(HPyContext *ctx, HPy self)
{
    return Array_AsStruct(ctx, self)->items.size;
}

HPyDef_SLOT(Array_item, HPy_sq_item)
static HPy Array_item_impl(HPyContext *ctx, HPy self, HPy_ssize_t index)
{
    return item(ctx, Array_AsStruct(ctx, self), index);
}

HPyDef_SLOT(Array_subscript, HPy_mp_subscript)
static HPy Array_subscript_impl(HPyContext *ctx, HPy self, HPy key)
{
    Array *array = Array_AsStruct(ctx, self), *part;
    HPy_ssize_t start, stop, step, index;
    int is_index = get_index(ctx, array, key, &index);
    if (is_index != 0)
        return is_index < 0 ? HPy_NULL : item(ctx, array, index);
    if (HPySlice_Unpack(ctx, key, &start, &stop, &step) < 0)
        return HPy_NULL;
    HPy_ssize_t size = HPySlice_AdjustIndices(ctx, array->items.size, &start, &stop, step);
    HPy h = make_of_global_type(ctx, size, &part);
    if (!HPy_IsNull(h))
        doubles_get_slice(&array->items, start, step, size, part->items.data);
    return h;
}

HPyDef_SLOT(Array_ass_subscript, HPy_mp_ass_subscript)
static int Array_ass_subscript_impl(HPyContext *ctx, HPy self, HPy key, HPy value)
{
    Array *array = Array_AsStruct(ctx, self);
    HPy_ssize_t start, stop, step, index;
    if (HPy_IsNull(value)) {
        HPyErr_SetString(ctx, ctx->h_TypeError, "items of an array can not be deleted");
        return -1;
    }
    int is_index = get_index(ctx, array, key, &index);
    if (is_index != 0) {
        double number;
        if (is_index < 0 || to_double(ctx, value, &number) < 0)
            return -1;
        if (!doubles_has_index(&array->items, index)) {
            HPyErr_SetString(ctx, ctx->h_IndexError, "array index out of range");
            return -1;
        }
        array->items.data[index] = number;
        return 0;
    }
    Operand operand;
    if (HPySlice_Unpack(ctx, key, &start, &stop, &step) < 0)
        return -1;
    HPy_ssize_t size = HPySlice_AdjustIndices(ctx, array->items.size, &start, &stop, step);
    HPy type = HPyGlobal_Load(ctx, array_type);
    int usable = get_operand(ctx, type, value, &operand);
    HPy_Close(ctx, type);
    if (usable == 0)
        HPyErr_SetString(ctx, ctx->h_TypeError, "a slice is assigned an array or a number");
    if (usable <= 0)
        return -1;
    if (!operand_fits(&operand, size)) {
        HPyErr_Format(ctx, ctx->h_ValueError, "%zd items can not be assigned to a slice of %zd", operand.size, size);
        return -1;
    }
    if (!doubles_set_slice(&array->items, start, step, size, &operand)) {
        HPyErr_NoMemory(ctx);
        return -1;
    }
    return 0;
}

/* ---- The whole ---- */

HPyDef_METH(Array_mean, "mean", HPyFunc_NOARGS, .doc = "mean($self, /)\n--\n\nReturn the arithmetic mean of all items.")
static HPy Array_mean_impl(HPyContext *ctx, HPy self)
{
    Array *array = Array_AsStruct(ctx, self);
    if (array->items.size == 0)
        return HPyErr_SetString(ctx, ctx->h_ValueError, "an empty array has no mean");
    return HPyFloat_FromDouble(ctx, doubles_mean(&array->items));
}

HPyDef_METH(Array_tolist, "tolist", HPyFunc_NOARGS, .doc = "tolist($self, /)\n--\n\nReturn a list of the items.")
static HPy Array_tolist_impl(HPyContext *ctx, HPy self)
{
    Array *array = Array_AsStruct(ctx, self);
    HPyListBuilder builder = HPyListBuilder_New(ctx, array->items.size);
    for (HPy_ssize_t i = 0; i < array->items.size; i++) {
        HPy number = HPyFloat_FromDouble(ctx, array->items.data[i]);
        if (HPy_IsNull(number)) {
            HPyListBuilder_Cancel(ctx, builder);
            return HPy_NULL;
        }
        HPyListBuilder_Set(ctx, builder, i, number);
        HPy_Close(ctx, number);
    }
    return HPyListBuilder_Build(ctx, builder);
}

HPyDef_SLOT(Array_repr, HPy_tp_repr)
static HPy Array_repr_impl(HPyContext *ctx, HPy self)
{
    HPy list = Array_tolist_impl(ctx, self);
    if (HPy_IsNull(list))
        return HPy_NULL;
    HPy result = HPyUnicode_FromFormat(ctx, "array(%R)", list);
    HPy_Close(ctx, list);
    return result;
}

static HPy_ssize_t strides[] = { sizeof(double) };

HPyDef_SLOT(Array_getbuffer, HPy_bf_getbuffer)
static int Array_getbuffer_impl(HPyContext *ctx, HPy self, HPy_buffer *buffer, int flags)
{
    (void)flags;
    Array *array = Array_AsStruct(ctx, self);
    *buffer = (HPy_buffer){
        .buf = array->items.data,
        .obj = HPy_Dup(ctx, self),
        .len = array->items.size * (HPy_ssize_t)sizeof(double),
        .itemsize = sizeof(double),
        .ndim = 1,
        .format = (char *)"d",
        .shape = &array->items.size,
        .strides = strides,
    };
    return 0;
}

static HPyDef *array_defines[] = {
    &Array_new,    &Array_destroy,  &Array_add,    &Array_subtract,  &Array_multiply,      &Array_divide,
    &Array_length, &Array_item,     &Array_mean,   &Array_subscript, &Array_ass_subscript, &Array_negative,
    &Array_tolist, &Array_repr,     &Array_getbuffer, NULL,
};

static HPyType_Spec array_spec = {
    .name = "piconumpy.array",
    .basicsize = sizeof(Array),
    .builtin_shape = SHAPE(Array),
    .defines = array_defines,
    .doc = "array(sequence, /)\n--\n\nA one-dimensional array of doubles.",
};

HPyDef_SLOT(exec, HPy_mod_exec)
static int exec_impl(HPyContext *ctx, HPy module)
{
    HPy type = HPyType_FromSpec(ctx, &array_spec, NULL);
    if (HPy_IsNull(type))
        return -1;
    HPyGlobal_Store(ctx, &array_type, type);
    int result = HPy_SetAttr_s(ctx, module, "array", type);
    HPy_Close(ctx, type);
    return result;
}

static HPyDef *defines[] = { &exec, &empty, &zeros, &py_cos, &py_sin, &py_exp, NULL };
static HPyGlobal *globals[] = { &array_type, NULL };
static HPyModuleDef moduledef = {
    .doc = "One-dimensional arrays of doubles.",
    .defines = defines,
    .globals = globals,
};

HPy_MODINIT(piconumpy, moduledef)
