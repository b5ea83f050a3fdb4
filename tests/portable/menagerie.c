/* A menagerie: types of every kind that HPy 0.9.0 can make, in an extension that is built once for all interpreters.

   Structs are counted when they are made and destroyed, so that check_menagerie.py can tell how many are alive. */
#include <hpy.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- The census: how many structs of each kind are alive. Atomic, as tp_destroy may run on any thread. ---- */

#define KINDS(X)                                                                                           \
    X(Specimen) X(Animal) X(Bird) X(Node) X(Cage) X(Weight) X(Parrot) X(Tank) X(Tally) X(Reading) X(Label) \
    X(Pair) X(Flock) X(Genus) X(Crate)
#define AS_NUMBER(KIND) KIND##_kind,
enum { KINDS(AS_NUMBER) KIND_COUNT };
static atomic_long alive[KIND_COUNT];

/* ---- What most types need; structs, definitions and specs go by the type's name ---- */

#define PLAIN (HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE)
#define COLLECTED (PLAIN | HPy_TPFLAGS_HAVE_GC)

#define SPEC(TYPE, FLAGS, DOC, ...)                                                                          \
    static HPyDef *TYPE##_defines[] = { __VA_ARGS__, NULL };                                                 \
    static HPyType_Spec TYPE##_spec = {                                                                      \
        .name = "menagerie." #TYPE, .basicsize = sizeof(TYPE), .builtin_shape = SHAPE(TYPE), .flags = FLAGS, \
        .defines = TYPE##_defines, .doc = DOC,                                                               \
    };

#define TRAVERSE(TYPE, VISITS)                                                        \
    HPyDef_SLOT(TYPE##_traverse, HPy_tp_traverse)                                     \
    static int TYPE##_traverse_impl(void *object, HPyFunc_visitproc visit, void *arg) \
    {                                                                                 \
        TYPE *data = object;                                                          \
        VISITS                                                                        \
        return 0;                                                                     \
    }

#define DESTROY(TYPE, BODY)                       \
    HPyDef_SLOT(TYPE##_destroy, HPy_tp_destroy)   \
    static void TYPE##_destroy_impl(void *object) \
    {                                             \
        TYPE *data = object;                      \
        (void)data;                               \
        BODY                                      \
    }

/* tp_new, which ignores its arguments, and tp_destroy, given what they do besides counting. */
#define COUNTED(TYPE, BEGIN, END)                                                                     \
    HPyDef_SLOT(TYPE##_new, HPy_tp_new)                                                               \
    static HPy TYPE##_new_impl(HPyContext *ctx, HPy type, const HPy *args, HPy_ssize_t nargs, HPy kw) \
    {                                                                                                 \
        TYPE *data;                                                                                   \
        HPy self = HPy_New(ctx, type, &data);                                                         \
        if (!HPy_IsNull(self)) {                                                                      \
            alive[TYPE##_kind]++;                                                                     \
            BEGIN                                                                                     \
        }                                                                                             \
        return self;                                                                                  \
    }                                                                                                 \
    DESTROY(TYPE, END alive[TYPE##_kind]--;)

static HPyGlobal escape_class, survey_type, weight_type, keepsake;

/* ---- Specimen: a member of each kind, computed attributes, methods of each signature ---- */

typedef char Tag[16];
#define MEMBERS(X)                                                                                   \
    X(short, a_short, SHORT) X(unsigned short, a_ushort, USHORT) X(int, an_int, INT)                 \
    X(unsigned int, a_uint, UINT) X(long, a_long, LONG) X(unsigned long, a_ulong, ULONG)             \
    X(long long, a_longlong, LONGLONG) X(unsigned long long, a_ulonglong, ULONGLONG)                 \
    X(signed char, a_byte, BYTE) X(unsigned char, a_ubyte, UBYTE) X(HPy_ssize_t, a_size, HPYSSIZET)  \
    X(float, a_float, FLOAT) X(double, a_double, DOUBLE) X(char, a_bool, BOOL) X(char, a_char, CHAR) \
    X(const char *, latin, STRING) X(Tag, tag, STRING_INPLACE) X(HPyField, an_object, OBJECT)        \
    X(HPyField, an_object_ex, OBJECT_EX) X(char, nothing, NONE)
#define AS_FIELD(C_TYPE, NAME, KIND) C_TYPE NAME;
#define AS_MEMBER(C_TYPE, NAME, KIND) HPyDef_MEMBER(Specimen_##NAME, #NAME, HPyMember_##KIND, offsetof(Specimen, NAME))
#define AS_DEFINE(C_TYPE, NAME, KIND) &Specimen_##NAME,
typedef struct {
    MEMBERS(AS_FIELD)
    double sizes[3]; /* less than 0 if not known */
} Specimen;
HPyType_HELPERS(Specimen)

MEMBERS(AS_MEMBER)
HPyDef_MEMBER(Specimen_frozen, "frozen", HPyMember_LONG, offsetof(Specimen, a_long), .readonly = 1, .doc = "a_long")
TRAVERSE(Specimen, HPy_VISIT(&data->an_object); HPy_VISIT(&data->an_object_ex);)
COUNTED(Specimen, data->latin = "B\xc3\xa6stia"; strcpy(data->tag, "in place");, )

/* Three attributes with one pair of functions: the closure tells which. Macros would declare those three times. */
static const int axes[] = { 0, 1, 2 };
HPyDef_GETSET(Specimen_length, "length", .doc = "in metres", .closure = (void *)&axes[0])
#define SIZE(AXIS, NAME)                                                                                \
    { .kind = HPyDef_Kind_GetSet,                                                                       \
      .getset = { .name = NAME, .closure = (void *)&axes[AXIS],                                         \
                  .getter_impl = (HPyCFunction)Specimen_length_get,                                     \
                  .setter_impl = (HPyCFunction)Specimen_length_set,                                     \
                  .getter_cpy_trampoline = (cpy_getter)Specimen_length_get_trampoline,                  \
                  .setter_cpy_trampoline = (cpy_setter)Specimen_length_set_trampoline } }
static HPyDef Specimen_width = SIZE(1, "width"), Specimen_height = SIZE(2, "height");

static HPy Specimen_length_get(HPyContext *ctx, HPy self, void *closure)
{
    double size = Specimen_AsStruct(ctx, self)->sizes[*(const int *)closure];
    return size < 0 ? HPyErr_SetString(ctx, ctx->h_AttributeError, "not known") : HPyFloat_FromDouble(ctx, size);
}

static int Specimen_length_set(HPyContext *ctx, HPy self, HPy value, void *closure)
{
    double size = HPy_IsNull(value) ? -1 : HPyFloat_AsDouble(ctx, value);
    if (HPyErr_Occurred(ctx))
        return -1;
    Specimen_AsStruct(ctx, self)->sizes[*(const int *)closure] = size;
    return 0;
}

HPyDef_GET(Specimen_volume, "volume")
static HPy Specimen_volume_get(HPyContext *ctx, HPy self, void *closure)
{
    double *sizes = Specimen_AsStruct(ctx, self)->sizes;
    return HPyFloat_FromDouble(ctx, sizes[0] * sizes[1] * sizes[2]);
}

HPyDef_METH(Specimen_measure, "measure", HPyFunc_NOARGS, .doc = "measure($self, /)\n--\n\nReturns a list of all sizes.")
static HPy Specimen_measure_impl(HPyContext *ctx, HPy self)
{
    HPyListBuilder builder = HPyListBuilder_New(ctx, 3);
    for (int axis = 0; axis < 3; axis++) {
        HPy size = HPyFloat_FromDouble(ctx, Specimen_AsStruct(ctx, self)->sizes[axis]);
        HPyListBuilder_Set(ctx, builder, axis, size);
        HPy_Close(ctx, size);
    }
    return HPyListBuilder_Build(ctx, builder);
}

HPyDef_METH(Specimen_same, "same", HPyFunc_O)
static HPy Specimen_same_impl(HPyContext *ctx, HPy self, HPy arg)
{
    return HPyBool_FromBool(ctx, HPy_Is(ctx, self, arg));
}

HPyDef_METH(Specimen_resize, "resize", HPyFunc_VARARGS)
static HPy Specimen_resize_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    double *sizes = Specimen_AsStruct(ctx, self)->sizes;
    int done = HPyArg_Parse(ctx, NULL, args, nargs, "dd|d:resize", &sizes[0], &sizes[1], &sizes[2]);
    return done ? HPy_Dup(ctx, self) : HPy_NULL;
}

HPyDef_METH(Specimen_adjust, "adjust", HPyFunc_KEYWORDS)
static HPy Specimen_adjust_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    static const char *names[] = { "length", "width", "height", NULL };
    double *to = Specimen_AsStruct(ctx, self)->sizes;
    int done = HPyArg_ParseKeywords(ctx, NULL, args, nargs, kwnames, "|d$dd:adjust", names, &to[0], &to[1], &to[2]);
    return done ? HPy_Dup(ctx, self) : HPy_NULL;
}

SPEC(Specimen, COLLECTED, "Something to be measured.",
     MEMBERS(AS_DEFINE) &Specimen_frozen, &Specimen_new, &Specimen_traverse, &Specimen_destroy, &Specimen_length,
     &Specimen_width, &Specimen_height, &Specimen_volume, &Specimen_measure, &Specimen_same, &Specimen_resize,
     &Specimen_adjust)

/* ---- Animal, Bird, Swimmer, Penguin: types that derive from each other. A Penguin is a Bird and a Swimmer. ---- */

typedef struct {
    int legs;
    HPyField friend;
} Animal;
HPyType_HELPERS(Animal)

HPyDef_MEMBER(Animal_legs, "legs", HPyMember_INT, offsetof(Animal, legs))
HPyDef_MEMBER(Animal_friend, "friend", HPyMember_OBJECT, offsetof(Animal, friend))
TRAVERSE(Animal, HPy_VISIT(&data->friend);)
COUNTED(Animal, data->legs = 4;, )
SPEC(Animal, COLLECTED, "The base of them all.", &Animal_legs, &Animal_friend, &Animal_new, &Animal_traverse,
     &Animal_destroy)

typedef struct {
    Animal animal;
    HPyField nest;
} Bird;
HPyType_HELPERS(Bird)

HPyDef_MEMBER(Bird_nest, "nest", HPyMember_OBJECT_EX, offsetof(Bird, nest))
/* The base's field is visited as well, since the collector of 0.9.0 asks the nearest type only. */
TRAVERSE(Bird, HPy_VISIT(&data->animal.friend); HPy_VISIT(&data->nest);)
/* The base's tp_destroy is called in any case, its tp_new is not. */
COUNTED(Bird, alive[Animal_kind]++; data->animal.legs = 2;, )
SPEC(Bird, COLLECTED, NULL, &Bird_nest, &Bird_new, &Bird_traverse, &Bird_destroy)

HPyDef_METH(Swimmer_swim, "swim", HPyFunc_NOARGS)
static HPy Swimmer_swim_impl(HPyContext *ctx, HPy self)
{
    return HPy_GetAttr_s(ctx, self, "legs");
}

/* These have no struct of their own: basicsize is 0. A Hybrid has whatever bases `breed` is told. */
static HPyDef *Swimmer_defines[] = { &Swimmer_swim, NULL };
static HPyType_Spec Swimmer_spec = { .name = "menagerie.Swimmer", .flags = PLAIN, .defines = Swimmer_defines };
static HPyType_Spec Penguin_spec = { .name = "menagerie.Penguin", .flags = PLAIN };
static HPyType_Spec Hybrid_spec = { .name = "menagerie.Hybrid", .flags = PLAIN };

/* ---- Node: links of chains and cycles, with a finalizer, to be copied and pickled ---- */

typedef struct {
    HPyField value, next, on_finalize;
} Node;
HPyType_HELPERS(Node)

HPyDef_MEMBER(Node_value, "value", HPyMember_OBJECT, offsetof(Node, value))
HPyDef_MEMBER(Node_next, "next", HPyMember_OBJECT, offsetof(Node, next))
HPyDef_MEMBER(Node_on_finalize, "on_finalize", HPyMember_OBJECT, offsetof(Node, on_finalize))
TRAVERSE(Node, HPy_VISIT(&data->value); HPy_VISIT(&data->next); HPy_VISIT(&data->on_finalize);)
COUNTED(Node, , )

HPyDef_SLOT(Node_init, HPy_tp_init)
static int Node_init_impl(HPyContext *ctx, HPy self, const HPy *args, HPy_ssize_t nargs, HPy kw)
{
    static const char *names[] = { "value", "next", NULL };
    Node *data = Node_AsStruct(ctx, self);
    HPyTracker tracker;
    HPy value = HPy_NULL, next = HPy_NULL;
    if (!HPyArg_ParseKeywordsDict(ctx, &tracker, args, nargs, kw, "|OO:Node", names, &value, &next))
        return -1;
    HPyField_Store(ctx, self, &data->value, value);
    HPyField_Store(ctx, self, &data->next, next);
    HPyTracker_Close(ctx, tracker);
    return 0;
}

/* The function that is called may save the node. */
HPyDef_SLOT(Node_finalize, HPy_tp_finalize)
static void Node_finalize_impl(HPyContext *ctx, HPy self)
{
    Node *data = Node_AsStruct(ctx, self);
    if (HPyField_IsNull(data->on_finalize))
        return;
    HPy function = HPyField_Load(ctx, self, data->on_finalize);
    HPy result = HPy_Call(ctx, function, &self, 1, HPy_NULL);
    if (HPy_IsNull(result))
        HPyErr_WriteUnraisable(ctx, function);
    HPy_Close(ctx, result);
    HPy_Close(ctx, function);
}

/* The dictionary that a Python subclass has, and the members in the manner of __slots__. */
HPyDef_METH(Node_getstate, "__getstate__", HPyFunc_NOARGS)
static HPy Node_getstate_impl(HPyContext *ctx, HPy self)
{
    int has_dict = HPy_HasAttr_s(ctx, self, "__dict__");
    HPy attributes = has_dict ? HPy_GetAttr_s(ctx, self, "__dict__") : HPy_Dup(ctx, ctx->h_None);
    HPy value = HPy_GetAttr_s(ctx, self, "value"), next = HPy_GetAttr_s(ctx, self, "next");
    HPy result = HPy_BuildValue(ctx, "O{s:O,s:O}", attributes, "value", value, "next", next);
    HPy_Close(ctx, attributes);
    HPy_Close(ctx, value);
    HPy_Close(ctx, next);
    return result;
}

SPEC(Node, COLLECTED, "A link of a chain.", &Node_value, &Node_next, &Node_on_finalize, &Node_new, &Node_init,
     &Node_traverse, &Node_destroy, &Node_finalize, &Node_getstate)

/* ---- Cage: a sequence, around a list in a field. Aviary: a Cage that is a mapping as well, for slices. ---- */

typedef struct {
    HPyField content;
} Cage;
HPyType_HELPERS(Cage)

TRAVERSE(Cage, HPy_VISIT(&data->content);)
COUNTED(Cage, , )

/* A cage is made without the list, and loses it when it is cleared. */
static HPy Cage_content(HPyContext *ctx, HPy self)
{
    Cage *data = Cage_AsStruct(ctx, self);
    if (!HPyField_IsNull(data->content))
        return HPyField_Load(ctx, self, data->content);
    HPy content = HPyList_New(ctx, 0);
    HPyField_Store(ctx, self, &data->content, content);
    return content;
}

/* What an in-place operation returns, given a handle to close or, after a failure, null. */
static HPy changed(HPyContext *ctx, HPy self, HPy result)
{
    int failed = HPy_IsNull(result);
    HPy_Close(ctx, result);
    return failed ? HPy_NULL : HPy_Dup(ctx, self);
}

static HPy times(HPyContext *ctx, HPy content, HPy_ssize_t count, HPy (*multiply)(HPyContext *, HPy, HPy))
{
    HPy number = HPyLong_FromSsize_t(ctx, count);
    HPy result = HPy_IsNull(number) ? HPy_NULL : multiply(ctx, content, number);
    HPy_Close(ctx, number);
    return result;
}

/* The length has been added to a negative index already. The list must not do that again. */
static HPy_ssize_t counted_once(HPy_ssize_t index)
{
    return index < 0 ? HPY_SSIZE_T_MAX : index;
}

/* A slot that asks the list. */
#define ASK(SLOT, RESULT, PARAMETERS, ANSWER)   \
    HPyDef_SLOT(Cage_##SLOT, HPy_##SLOT)        \
    static RESULT Cage_##SLOT##_impl PARAMETERS \
    {                                           \
        HPy content = Cage_content(ctx, self);  \
        RESULT answer = ANSWER;                 \
        HPy_Close(ctx, content);                \
        return answer;                          \
    }
ASK(sq_length, HPy_ssize_t, (HPyContext *ctx, HPy self), HPy_Length(ctx, content))
ASK(sq_item, HPy, (HPyContext *ctx, HPy self, HPy_ssize_t i), HPy_GetItem_i(ctx, content, counted_once(i)))
ASK(sq_ass_item, int, (HPyContext *ctx, HPy self, HPy_ssize_t i, HPy item),
    HPy_IsNull(item) ? HPy_DelItem_i(ctx, content, counted_once(i))
                     : HPy_SetItem_i(ctx, content, counted_once(i), item))
ASK(sq_contains, int, (HPyContext *ctx, HPy self, HPy item), HPy_Contains(ctx, content, item))
ASK(sq_concat, HPy, (HPyContext *ctx, HPy self, HPy other), HPy_Add(ctx, content, other))
ASK(sq_repeat, HPy, (HPyContext *ctx, HPy self, HPy_ssize_t n), times(ctx, content, n, HPy_Multiply))
ASK(sq_inplace_concat, HPy, (HPyContext *ctx, HPy self, HPy other),
    changed(ctx, self, HPy_InPlaceAdd(ctx, content, other)))
ASK(sq_inplace_repeat, HPy, (HPyContext *ctx, HPy self, HPy_ssize_t n),
    changed(ctx, self, times(ctx, content, n, HPy_InPlaceMultiply)))
SPEC(Cage, COLLECTED, NULL, &Cage_new, &Cage_traverse, &Cage_destroy, &Cage_sq_length, &Cage_sq_item, &Cage_sq_ass_item,
     &Cage_sq_contains, &Cage_sq_concat, &Cage_sq_repeat, &Cage_sq_inplace_concat, &Cage_sq_inplace_repeat)

ASK(mp_length, HPy_ssize_t, (HPyContext *ctx, HPy self), HPy_Length(ctx, content))
ASK(mp_subscript, HPy, (HPyContext *ctx, HPy self, HPy key), HPy_GetItem(ctx, content, key))
ASK(mp_ass_subscript, int, (HPyContext *ctx, HPy self, HPy key, HPy item),
    HPy_IsNull(item) ? HPy_DelItem(ctx, content, key) : HPy_SetItem(ctx, content, key, item))
static HPyDef *Aviary_defines[] = { &Cage_mp_length, &Cage_mp_subscript, &Cage_mp_ass_subscript, NULL };
static HPyType_Spec Aviary_spec = { .name = "menagerie.Aviary", .flags = PLAIN, .defines = Aviary_defines };

/* ---- Weight: a number, which goes together with int ---- */

typedef struct {
    long long grams;
} Weight;
HPyType_HELPERS(Weight)

COUNTED(Weight, , )

HPyDef_SLOT(Weight_init, HPy_tp_init)
static int Weight_init_impl(HPyContext *ctx, HPy self, const HPy *args, HPy_ssize_t nargs, HPy kw)
{
    return HPyArg_Parse(ctx, NULL, args, nargs, "|L:Weight", &Weight_AsStruct(ctx, self)->grams) ? 0 : -1;
}

/* Computes with the ints of both operands, or returns NotImplemented. */
static HPy compute(HPyContext *ctx, HPy left, HPy right, HPy (*function)(HPyContext *, HPy, HPy))
{
    HPy x = HPy_Index(ctx, left), y = HPy_IsNull(x) ? HPy_NULL : HPy_Index(ctx, right), result = HPy_NULL;
    if (!HPy_IsNull(y))
        result = function(ctx, x, y);
    else if (HPyErr_ExceptionMatches(ctx, ctx->h_TypeError)) {
        HPyErr_Clear(ctx);
        result = HPy_Dup(ctx, ctx->h_NotImplemented);
    }
    HPy_Close(ctx, x);
    HPy_Close(ctx, y);
    return result;
}

/* Makes a Weight of an int, and leaves other results as they are. Unless `self` is null, it is changed. */
static HPy weigh(HPyContext *ctx, HPy self, HPy result)
{
    if (HPy_IsNull(result) || !HPy_TypeCheck(ctx, result, ctx->h_LongType))
        return result;
    HPy type = HPyGlobal_Load(ctx, weight_type), weight = HPy_Call(ctx, type, &result, 1, HPy_NULL);
    HPy_Close(ctx, type);
    HPy_Close(ctx, result);
    if (HPy_IsNull(weight) || HPy_IsNull(self))
        return weight;
    Weight_AsStruct(ctx, self)->grams = Weight_AsStruct(ctx, weight)->grams;
    return changed(ctx, self, weight);
}

#define OPERATIONS(X)                                                                                    \
    X(add, HPy_Add) X(subtract, HPy_Subtract) X(multiply, HPy_Multiply) X(floor_divide, HPy_FloorDivide) \
    X(true_divide, HPy_TrueDivide) X(remainder, HPy_Remainder) X(lshift, HPy_Lshift)                     \
    X(rshift, HPy_Rshift) X(and, HPy_And) X(or, HPy_Or) X(xor, HPy_Xor) X(matrix_multiply, HPy_Multiply)
#define BINARY(NAME, FUNCTION)                                                 \
    HPyDef_SLOT(Weight_##NAME, HPy_nb_##NAME)                                  \
    static HPy Weight_##NAME##_impl(HPyContext *ctx, HPy x, HPy y)             \
    {                                                                          \
        return weigh(ctx, HPy_NULL, compute(ctx, x, y, FUNCTION));             \
    }
#define BINARY_AND_INPLACE(NAME, FUNCTION)                                     \
    BINARY(NAME, FUNCTION)                                                     \
    HPyDef_SLOT(Weight_inplace_##NAME, HPy_nb_inplace_##NAME)                  \
    static HPy Weight_inplace_##NAME##_impl(HPyContext *ctx, HPy self, HPy y)  \
    {                                                                          \
        return weigh(ctx, self, compute(ctx, self, y, FUNCTION));              \
    }
#define AS_DEFINES(NAME, FUNCTION) &Weight_##NAME, &Weight_inplace_##NAME,
#define CONVERSION(NAME, RESULT, ...)                                          \
    HPyDef_SLOT(Weight_##NAME, HPy_##NAME)                                     \
    static RESULT Weight_##NAME##_impl(HPyContext *ctx, HPy self)              \
    {                                                                          \
        long long grams = Weight_AsStruct(ctx, self)->grams;                   \
        return __VA_ARGS__;                                                    \
    }
OPERATIONS(BINARY_AND_INPLACE)
BINARY(divmod, HPy_Divmod)
CONVERSION(nb_bool, int, grams != 0)
CONVERSION(nb_int, HPy, HPyLong_FromLongLong(ctx, grams))
CONVERSION(nb_index, HPy, HPyLong_FromLongLong(ctx, grams))
CONVERSION(nb_float, HPy, HPyFloat_FromDouble(ctx, (double)grams))
CONVERSION(nb_negative, HPy, weigh(ctx, HPy_NULL, HPyLong_FromLongLong(ctx, -grams)))
CONVERSION(nb_positive, HPy, weigh(ctx, HPy_NULL, HPyLong_FromLongLong(ctx, grams)))
CONVERSION(nb_absolute, HPy, weigh(ctx, HPy_NULL, HPyLong_FromLongLong(ctx, grams < 0 ? -grams : grams)))
CONVERSION(nb_invert, HPy, weigh(ctx, HPy_NULL, HPyLong_FromLongLong(ctx, ~grams)))
CONVERSION(tp_hash, HPy_hash_t, (HPy_hash_t)(grams == -1 ? -2 : grams))
CONVERSION(tp_repr, HPy, HPyUnicode_FromFormat(ctx, "Weight(%lld)", grams))
CONVERSION(tp_str, HPy, HPyUnicode_FromFormat(ctx, "%lld g", grams))

static HPy power(HPyContext *ctx, HPy x, HPy y)
{
    return HPy_Power(ctx, x, y, ctx->h_None);
}

HPyDef_SLOT(Weight_power, HPy_nb_power)
static HPy Weight_power_impl(HPyContext *ctx, HPy x, HPy y, HPy modulus)
{
    if (!HPy_Is(ctx, modulus, ctx->h_None))
        return HPy_Dup(ctx, ctx->h_NotImplemented);
    return weigh(ctx, HPy_NULL, compute(ctx, x, y, power));
}

HPyDef_SLOT(Weight_inplace_power, HPy_nb_inplace_power)
static HPy Weight_inplace_power_impl(HPyContext *ctx, HPy self, HPy y, HPy modulus)
{
    return weigh(ctx, self, compute(ctx, self, y, power));
}

HPyDef_SLOT(Weight_richcompare, HPy_tp_richcompare)
static HPy Weight_richcompare_impl(HPyContext *ctx, HPy self, HPy other, HPy_RichCmpOp op)
{
    HPy difference = compute(ctx, self, other, HPy_Subtract);
    if (HPy_IsNull(difference) || HPy_Is(ctx, difference, ctx->h_NotImplemented))
        return difference;
    HPy result = HPy_RichCompare(ctx, difference, ctx->h_False, op);
    HPy_Close(ctx, difference);
    return result;
}

SPEC(Weight, PLAIN, NULL, OPERATIONS(AS_DEFINES) &Weight_new, &Weight_init, &Weight_destroy, &Weight_divmod,
     &Weight_power, &Weight_inplace_power, &Weight_nb_bool, &Weight_nb_int, &Weight_nb_index, &Weight_nb_float,
     &Weight_nb_negative, &Weight_nb_positive, &Weight_nb_absolute, &Weight_nb_invert, &Weight_tp_hash, &Weight_tp_repr,
     &Weight_tp_str, &Weight_richcompare)

/* ---- Parrot: can be called. One that was made with an argument does it in another way. ---- */

typedef struct {
    long age;
} Parrot;
HPyType_HELPERS(Parrot)

HPyDef_SLOT(Parrot_call, HPy_tp_call)
static HPy Parrot_call_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    return HPy_BuildValue(ctx, "snO", "says", (HPy_ssize_t)nargs, HPy_IsNull(kwnames) ? ctx->h_None : kwnames);
}

HPyDef_CALL_FUNCTION(Parrot_shout)
static HPy Parrot_shout_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    return HPy_BuildValue(ctx, "sn", "SHOUTS", (HPy_ssize_t)nargs);
}

COUNTED(Parrot, if (nargs > 0 && HPy_SetCallFunction(ctx, self, &Parrot_shout) < 0) {
    HPy_Close(ctx, self);
    return HPy_NULL;
}, )
SPEC(Parrot, PLAIN, NULL, &Parrot_call, &Parrot_new, &Parrot_destroy)

/* ---- Tank: exports its memory, and must not move it meanwhile ---- */

typedef struct {
    double *cells; /* from calloc */
    HPy_ssize_t count, stride;
    int exports;
} Tank;
HPyType_HELPERS(Tank)

HPyDef_MEMBER(Tank_exports, "exports", HPyMember_INT, offsetof(Tank, exports), .readonly = 1)
COUNTED(Tank, data->stride = sizeof(double);, free(data->cells);)

/* To call it again resizes the tank. */
HPyDef_SLOT(Tank_init, HPy_tp_init)
static int Tank_init_impl(HPyContext *ctx, HPy self, const HPy *args, HPy_ssize_t nargs, HPy kw)
{
    Tank *data = Tank_AsStruct(ctx, self);
    HPy_ssize_t count;
    if (!HPyArg_Parse(ctx, NULL, args, nargs, "n:Tank", &count))
        return -1;
    double *cells = data->exports || count < 1 ? NULL : calloc(count, sizeof(double));
    if (cells == NULL) {
        HPyErr_Format(ctx, ctx->h_BufferError, "no tank of %zd cells while there are %d exports", count, data->exports);
        return -1;
    }
    free(data->cells);
    data->cells = cells;
    data->count = count;
    return 0;
}

/* The universal headers of 0.9 have none of these. */
#ifndef PyBUF_FORMAT
#define PyBUF_FORMAT 0x0004
#endif

HPyDef_SLOT(Tank_getbuffer, HPy_bf_getbuffer)
static int Tank_getbuffer_impl(HPyContext *ctx, HPy self, HPy_buffer *buffer, int flags)
{
    Tank *data = Tank_AsStruct(ctx, self);
    data->exports++;
    *buffer = (HPy_buffer){
        .buf = data->cells, .obj = HPy_Dup(ctx, self), .len = data->count * sizeof(double), .itemsize = sizeof(double),
        .ndim = 1, .format = flags & PyBUF_FORMAT ? "d" : NULL, .shape = &data->count, .strides = &data->stride,
    };
    return 0;
}

HPyDef_SLOT(Tank_releasebuffer, HPy_bf_releasebuffer)
static void Tank_releasebuffer_impl(HPyContext *ctx, HPy self, HPy_buffer *buffer)
{
    Tank_AsStruct(ctx, self)->exports--;
}

SPEC(Tank, PLAIN, NULL, &Tank_exports, &Tank_new, &Tank_init, &Tank_destroy, &Tank_getbuffer, &Tank_releasebuffer)

/* ---- A type of each shape, with a struct behind what the built-in base keeps ---- */

typedef struct {
    char counted;
    HPyField keeper;
    long mark;
} Stamp;

/* Of the built-in bases, only list does something in __init__. */
static int stamp(HPyContext *ctx, HPy self, const HPy *args, HPy_ssize_t nargs, Stamp *data, int kind)
{
    alive[kind] += !data->counted;
    data->counted = 1;
    if (kind != Flock_kind)
        return 0;
    HPyTupleBuilder builder = HPyTupleBuilder_New(ctx, nargs + 1);
    for (HPy_ssize_t i = 0; i <= nargs; i++)
        HPyTupleBuilder_Set(ctx, builder, i, i == 0 ? self : args[i - 1]);
    HPy all = HPyTupleBuilder_Build(ctx, builder);
    HPy done = HPy_IsNull(all) ? HPy_NULL : HPy_CallMethodTupleDict_s(ctx, "__init__", ctx->h_ListType, all, HPy_NULL);
    int failed = HPy_IsNull(done);
    HPy_Close(ctx, all);
    HPy_Close(ctx, done);
    return failed ? -1 : 0;
}

#define SHAPED(TYPE, BASE)                                                                                 \
    typedef Stamp TYPE;                                                                                    \
    HPyType_HELPERS(TYPE, HPyType_BuiltinShape_##BASE)                                                     \
    HPyDef_MEMBER(TYPE##_mark, "mark", HPyMember_LONG, offsetof(TYPE, mark))                               \
    HPyDef_MEMBER(TYPE##_keeper, "keeper", HPyMember_OBJECT, offsetof(TYPE, keeper))                       \
    TRAVERSE(TYPE, HPy_VISIT(&data->keeper);)                                                              \
    DESTROY(TYPE, alive[TYPE##_kind] -= data->counted;)                                                    \
    HPyDef_SLOT(TYPE##_init, HPy_tp_init)                                                                  \
    static int TYPE##_init_impl(HPyContext *ctx, HPy self, const HPy *args, HPy_ssize_t nargs, HPy kw)     \
    {                                                                                                      \
        return stamp(ctx, self, args, nargs, TYPE##_AsStruct(ctx, self), TYPE##_kind);                     \
    }                                                                                                      \
    SPEC(TYPE, COLLECTED, NULL, &TYPE##_mark, &TYPE##_keeper, &TYPE##_traverse, &TYPE##_destroy, &TYPE##_init)
SHAPED(Tally, Long)
SHAPED(Reading, Float)
SHAPED(Label, Unicode)
SHAPED(Pair, Tuple)
SHAPED(Flock, List)
SHAPED(Genus, Type)

/* ---- Functions: capsules, globals, exceptions, new types, threads, struct sequences ---- */

HPyCapsule_DESTRUCTOR(Crate)
static void Crate_impl(const char *name, void *pointer, void *context)
{
    --*(atomic_long *)pointer;
}

HPyDef_METH(pack, "pack", HPyFunc_NOARGS)
static HPy pack_impl(HPyContext *ctx, HPy self)
{
    HPy result = HPyCapsule_New(ctx, &alive[Crate_kind], "menagerie.Crate", &Crate);
    alive[Crate_kind] += !HPy_IsNull(result);
    return result;
}

HPyDef_METH(unpack, "unpack", HPyFunc_O)
static HPy unpack_impl(HPyContext *ctx, HPy self, HPy arg)
{
    atomic_long *count = HPyCapsule_GetPointer(ctx, arg, "menagerie.Crate");
    return count ? HPyLong_FromLong(ctx, *count) : HPy_NULL;
}

HPyDef_METH(keep, "keep", HPyFunc_O, .doc = "Keeps an object in a global, and returns the one before.")
static HPy keep_impl(HPyContext *ctx, HPy self, HPy arg)
{
    HPy before = HPyGlobal_Load(ctx, keepsake);
    HPyGlobal_Store(ctx, &keepsake, arg);
    return before;
}

HPyDef_METH(attempt, "attempt", HPyFunc_O, .doc = "Calls a function. Returns ... when that raises Escape.")
static HPy attempt_impl(HPyContext *ctx, HPy self, HPy arg)
{
    HPy result = HPy_Call(ctx, arg, NULL, 0, HPy_NULL), type = HPyGlobal_Load(ctx, escape_class);
    if (HPy_IsNull(result) && HPyErr_ExceptionMatches(ctx, type)) {
        HPyErr_Clear(ctx);
        result = HPy_Dup(ctx, ctx->h_Ellipsis);
    }
    HPy_Close(ctx, type);
    return result;
}

HPyDef_METH(breed, "breed", HPyFunc_VARARGS, .doc = "breed(bases, metaclass, bare)")
static HPy breed_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    HPyTracker tracker;
    HPy bases, metaclass;
    int bare;
    if (!HPyArg_Parse(ctx, &tracker, args, nargs, "OOp:breed", &bases, &metaclass, &bare))
        return HPy_NULL;
    HPyType_SpecParam params[] = {
        { HPyType_SpecParam_BasesTuple, bases }, { HPyType_SpecParam_Metaclass, metaclass }, { 0, HPy_NULL },
    };
    HPy result = HPyType_FromSpec(ctx, bare ? &Hybrid_spec : &Node_spec, params);
    HPyTracker_Close(ctx, tracker);
    return result;
}

HPyDef_METH(graze, "graze", HPyFunc_O, .doc = "Counts while other threads run Python.")
static HPy graze_impl(HPyContext *ctx, HPy self, HPy arg)
{
    long count = HPyLong_AsLong(ctx, arg);
    volatile long eaten = 0;
    HPy_BEGIN_LEAVE_PYTHON(ctx)
    while (eaten < count)
        eaten++;
    HPy_END_LEAVE_PYTHON(ctx)
    return HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromLong(ctx, eaten);
}

#define AS_SEQUENCE_FIELD(KIND) { #KIND, NULL },
static HPyStructSequence_Field survey_fields[] = { KINDS(AS_SEQUENCE_FIELD) { NULL, NULL } };
static HPyStructSequence_Desc survey_desc = { .name = "menagerie.Survey", .fields = survey_fields };

HPyDef_METH(survey, "survey", HPyFunc_NOARGS, .doc = "How many structs of each kind are alive.")
static HPy survey_impl(HPyContext *ctx, HPy self)
{
    HPy counts[KIND_COUNT], type = HPyGlobal_Load(ctx, survey_type);
    for (int kind = 0; kind < KIND_COUNT; kind++)
        counts[kind] = HPyLong_FromLong(ctx, alive[kind]);
    HPy result = HPyStructSequence_New(ctx, type, KIND_COUNT, counts);
    for (int kind = 0; kind < KIND_COUNT; kind++)
        HPy_Close(ctx, counts[kind]);
    HPy_Close(ctx, type);
    return result;
}

/* ---- The module ---- */

/* What is no type of the module is a built-in one. */
static const struct {
    HPyType_Spec *spec;
    const char *bases[2];
} types[] = {
    { &Specimen_spec, { NULL } }, { &Animal_spec, { NULL } }, { &Swimmer_spec, { NULL } }, { &Bird_spec, { "Animal" } },
    { &Penguin_spec, { "Bird", "Swimmer" } }, { &Node_spec, { NULL } }, { &Cage_spec, { NULL } },
    { &Aviary_spec, { "Cage" } }, { &Weight_spec, { NULL } }, { &Parrot_spec, { NULL } }, { &Tank_spec, { NULL } },
    { &Tally_spec, { "int" } }, { &Reading_spec, { "float" } }, { &Label_spec, { "str" } }, { &Pair_spec, { "tuple" } },
    { &Flock_spec, { "list" } }, { &Genus_spec, { "type" } },
};

static int add_type(HPyContext *ctx, HPy module, HPy builtins, HPyType_Spec *spec, const char *const *bases)
{
    HPyType_SpecParam params[3] = { { 0, HPy_NULL } };
    int done = 1;
    for (int i = 0; i < 2 && bases[i] != NULL && done; i++) {
        HPy base = HPy_GetAttr_s(ctx, HPy_HasAttr_s(ctx, module, bases[i]) ? module : builtins, bases[i]);
        params[i] = (HPyType_SpecParam){ HPyType_SpecParam_Base, base };
        done = !HPy_IsNull(base);
    }
    const char *name = strchr(spec->name, '.') + 1;
    done = done && HPyHelpers_AddType(ctx, module, name, spec, bases[0] != NULL ? params : NULL);
    HPy_Close(ctx, params[0].object);
    HPy_Close(ctx, params[1].object);
    return done;
}

/* Adds an object to the module, keeps it in a global, and closes it. */
static int add_object(HPyContext *ctx, HPy module, const char *name, HPyGlobal *global, HPy object)
{
    if (HPy_IsNull(object))
        return 0;
    HPyGlobal_Store(ctx, global, object);
    int done = HPy_SetAttr_s(ctx, module, name, object) == 0;
    HPy_Close(ctx, object);
    return done;
}

HPyDef_SLOT(menagerie_exec, HPy_mod_exec)
static int menagerie_exec_impl(HPyContext *ctx, HPy module)
{
    HPy builtins = HPyImport_ImportModule(ctx, "builtins");
    int done = !HPy_IsNull(builtins);
    for (size_t i = 0; i < sizeof(types) / sizeof(*types) && done; i++)
        done = add_type(ctx, module, builtins, types[i].spec, types[i].bases);
    HPy_Close(ctx, builtins);
    done = done && add_object(ctx, module, "Weight", &weight_type, HPy_GetAttr_s(ctx, module, "Weight"))
        && add_object(ctx, module, "Survey", &survey_type, HPyStructSequence_NewType(ctx, &survey_desc))
        && add_object(ctx, module, "Escape", &escape_class,
                      HPyErr_NewException(ctx, "menagerie.Escape", ctx->h_RuntimeError, HPy_NULL));
    HPyGlobal_Store(ctx, &keepsake, ctx->h_None);
    return done ? 0 : -1;
}

static HPyDef *menagerie_defines[] = {
    &menagerie_exec, &pack, &unpack, &keep, &attempt, &breed, &graze, &survey, NULL,
};
static HPyGlobal *menagerie_globals[] = { &escape_class, &survey_type, &weight_type, &keepsake, NULL };
static HPyModuleDef moduledef = {
    .doc = "Types of every kind.", .defines = menagerie_defines, .globals = menagerie_globals,
};

HPy_MODINIT(menagerie, moduledef)
