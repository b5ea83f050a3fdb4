/* What CPython calls in the CPython ABI, where it is more than the implementation with the context in front. */
#ifndef HPY_CPYTHON_TRAMPOLINES_H
#define HPY_CPYTHON_TRAMPOLINES_H

#include "hpy/generated/autogen_cpython_trampolines.h"

/* Methods and calls: an array of objects is an array of handles. */
#define _HPyFunc_TRAMPOLINE_HPyFunc_VARARGS(SYM, IMPL)                                                \
    _HPy_TRAMPOLINE(PyObject *, SYM, (PyObject *self, PyObject *const *args, Py_ssize_t nargs),       \
                    (self, args, nargs),                                                              \
                    _h2py(IMPL(ctx, _py2h(self), (const HPy *)args, (size_t)nargs)))

#define _HPyFunc_TRAMPOLINE_HPyFunc_KEYWORDS(SYM, IMPL)                                               \
    _HPy_TRAMPOLINE(PyObject *, SYM,                                                                  \
                    (PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames),        \
                    (self, args, nargsf, kwnames),                                                    \
                    _h2py(IMPL(ctx, _py2h(self), (const HPy *)args, (size_t)PyVectorcall_NARGS(nargsf),\
                               _py2h(kwnames))))

/* The items of a tuple as borrowed handles. */
#define _HPy_TUPLE_ITEMS(tuple) ((const HPy *)((PyTupleObject *)(tuple))->ob_item)

#define _HPyFunc_TRAMPOLINE_HPyFunc_INITPROC(SYM, IMPL)                                               \
    _HPy_TRAMPOLINE(int, SYM, (PyObject *self, PyObject *args, PyObject *kw), (self, args, kw),       \
                    IMPL(ctx, _py2h(self), _HPy_TUPLE_ITEMS(args), PyTuple_GET_SIZE(args), _py2h(kw)))

#define _HPyFunc_TRAMPOLINE_HPyFunc_NEWFUNC(SYM, IMPL)                                                \
    _HPy_TRAMPOLINE(PyObject *, SYM, (PyObject *self, PyObject *args, PyObject *kw), (self, args, kw),\
                    _h2py(IMPL(ctx, _py2h(self), _HPy_TUPLE_ITEMS(args), PyTuple_GET_SIZE(args), _py2h(kw))))

/* A buffer's handle is the view's reference to its object; all else is the same in both structs. */
HPyAPI_FUNC void _HPyBuffer_Export(const HPy_buffer *buffer, Py_buffer *view)
{
    view->buf = buffer->buf;
    view->obj = _h2py(buffer->obj);
    view->len = buffer->len;
    view->itemsize = buffer->itemsize;
    view->readonly = buffer->readonly;
    view->ndim = buffer->ndim;
    view->format = buffer->format;
    view->shape = buffer->shape;
    view->strides = buffer->strides;
    view->suboffsets = buffer->suboffsets;
    view->internal = buffer->internal;
}

HPyAPI_FUNC void _HPyBuffer_Import(const Py_buffer *view, HPy_buffer *buffer)
{
    buffer->buf = view->buf;
    buffer->obj = _py2h(view->obj);
    buffer->len = view->len;
    buffer->itemsize = view->itemsize;
    buffer->readonly = view->readonly;
    buffer->ndim = view->ndim;
    buffer->format = view->format;
    buffer->shape = view->shape;
    buffer->strides = view->strides;
    buffer->suboffsets = view->suboffsets;
    buffer->internal = view->internal;
}

#define _HPyFunc_TRAMPOLINE_HPyFunc_GETBUFFERPROC(SYM, IMPL)                                          \
    static int SYM(PyObject *self, Py_buffer *view, int flags)                                        \
    {                                                                                                 \
        HPy_buffer buffer;                                                                            \
        int result;                                                                                   \
        memset(&buffer, 0, sizeof(buffer));                                                           \
        result = IMPL(_HPy_CONTEXT, _py2h(self), &buffer, flags);                                     \
        if (result < 0)                                                                               \
            view->obj = NULL;                                                                         \
        else                                                                                          \
            _HPyBuffer_Export(&buffer, view);                                                         \
        return result;                                                                                \
    }

/* The implementation has a reference of its own during the call, whatever it does with it. */
#define _HPyFunc_TRAMPOLINE_HPyFunc_RELEASEBUFFERPROC(SYM, IMPL)                                      \
    static void SYM(PyObject *self, Py_buffer *view)                                                  \
    {                                                                                                 \
        HPy_buffer buffer;                                                                            \
        PyObject *object = _HPy_NewRef(view->obj);                                                    \
        _HPyBuffer_Import(view, &buffer);                                                             \
        IMPL(_HPy_CONTEXT, _py2h(self), &buffer);                                                     \
        Py_XDECREF(object);                                                                           \
    }

/* The static library finds the struct of the object. */
HPyAPI_HELPER int _HPyType_Traverse(HPyFunc_traverseproc traverse, PyObject *self, visitproc visit, void *arg);

#define _HPyFunc_TRAMPOLINE_HPyFunc_TRAVERSEPROC(SYM, IMPL)                                           \
    static int SYM(PyObject *self, visitproc visit, void *arg)                                        \
    {                                                                                                 \
        return _HPyType_Traverse(IMPL, self, visit, arg);                                             \
    }

/* A finalizer can run while an exception is on its way, and the API has no way to put one aside. */
#if PY_VERSION_HEX >= 0x030C0000
#  define _HPyErr_Put_Aside() PyObject *exception = PyErr_GetRaisedException()
#  define _HPyErr_Put_Back() PyErr_SetRaisedException(exception)
#else
#  define _HPyErr_Put_Aside()                \
      PyObject *type, *value, *traceback;    \
      PyErr_Fetch(&type, &value, &traceback)
#  define _HPyErr_Put_Back() PyErr_Restore(type, value, traceback)
#endif

#define _HPyFunc_TRAMPOLINE_HPyFunc_DESTRUCTOR(SYM, IMPL)                                             \
    static void SYM(PyObject *self)                                                                   \
    {                                                                                                 \
        _HPyErr_Put_Aside();                                                                          \
        IMPL(_HPy_CONTEXT, _py2h(self));                                                              \
        if (PyErr_Occurred() != NULL)                                                                 \
            PyErr_WriteUnraisable(self);                                                              \
        _HPyErr_Put_Back();                                                                           \
    }

/* HPy_tp_destroy is called by the static library, which has no use for a trampoline. */
#define _HPyFunc_TRAMPOLINE_HPyFunc_DESTROYFUNC(SYM, IMPL) static void SYM(void) { abort(); }

/* Refuses a plain module, and gives what is left to return. */
HPyAPI_HELPER PyObject *_HPyModule_CheckCreated(PyObject *created);

#define _HPyFunc_TRAMPOLINE_HPyFunc_MOD_CREATE(SYM, IMPL)                                             \
    static PyObject *SYM(PyObject *spec, PyModuleDef *def)                                            \
    {                                                                                                 \
        (void)def;                                                                                    \
        return _HPyModule_CheckCreated(_h2py(IMPL(_HPy_CONTEXT, _py2h(spec))));                       \
    }

#define HPyCapsule_DESTRUCTOR_TRAMPOLINE(SYM, IMPL)                                                   \
    static void SYM(PyObject *capsule)                                                                \
    {                                                                                                 \
        const char *name = PyCapsule_GetName(capsule);                                                \
        IMPL(name, PyCapsule_GetPointer(capsule, name), PyCapsule_GetContext(capsule));               \
    }

#endif /* HPY_CPYTHON_TRAMPOLINES_H */
