/* Types of the old C API that stand in HPy's structs: the real ones in the hybrid ABI. In the universal ABI they are only
   names; whoever tries to look into one learns from the compiler why that can't be. */
#ifndef HPY_CPY_TYPES_H
#define HPY_CPY_TYPES_H

#ifdef HPY_ABI_UNIVERSAL
typedef struct no_PyObject_in_the_HPy_Universal_ABI cpy_PyObject;
typedef struct no_PyMethodDef_in_the_HPy_Universal_ABI cpy_PyMethodDef;
typedef struct no_PyModuleDef_in_the_HPy_Universal_ABI cpy_PyModuleDef;
typedef struct no_Py_buffer_in_the_HPy_Universal_ABI cpy_Py_buffer;
#else
typedef PyObject cpy_PyObject;
typedef PyMethodDef cpy_PyMethodDef;
typedef PyModuleDef cpy_PyModuleDef;
typedef Py_buffer cpy_Py_buffer;
#endif

typedef cpy_PyObject *(*cpy_PyCFunction)(cpy_PyObject *, cpy_PyObject *const *, HPy_ssize_t);
typedef int (*cpy_visitproc)(cpy_PyObject *, void *);
typedef cpy_PyObject *(*cpy_getter)(cpy_PyObject *, void *);
typedef int (*cpy_setter)(cpy_PyObject *, cpy_PyObject *, void *);
typedef void (*cpy_PyCapsule_Destructor)(cpy_PyObject *);
typedef cpy_PyObject *(*cpy_vectorcallfunc)(cpy_PyObject *callable, cpy_PyObject *const *args, size_t nargsf,
                                            cpy_PyObject *kwnames);

/* Any function, to be cast to what its signature says. */
typedef void (*HPyCFunction)(void);
/* Called when a capsule goes, with what is in it. May not use the API. */
typedef void (*HPyFunc_Capsule_Destructor)(const char *name, void *pointer, void *context);
/* Passed to a tp_traverse, which calls it with each of its fields. */
typedef int (*HPyFunc_visitproc)(HPyField *field, void *arg);

#endif /* HPY_CPY_TYPES_H */
