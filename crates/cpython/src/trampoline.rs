//! Where CPython's calls enter an extension: a trampoline in the binary has put the arguments into a struct.

use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use crate::autogen_trampolines;
use crate::handle::{new_ref, to_handle, to_object};
use crate::interpreters;
use crate::module::check_created_module;
pub use crate::types::collector::traverse_from_trampoline;

/// Calls the extension's function `func`, which has the signature `sig`, with the arguments of its trampoline. A binary's trampolines have
/// one context for all interpreters, so it is the current one's that the function gets.
///
/// # Safety
/// `args` has to point to the struct that belongs to the signature, and `func` to be of it.
pub unsafe fn enter(ctx: *mut HPyContext, sig: HPyFunc_Signature, func: HPyCFunction, args: *mut c_void) {
    // SAFETY: as this function's, so each function below gets what it says.
    unsafe {
        let ctx = interpreters::here(ctx);
        match sig {
            HPyFunc_VARARGS => varargs(ctx, func, &mut *args.cast()),
            HPyFunc_KEYWORDS => keywords(ctx, func, &mut *args.cast()),
            HPyFunc_INITPROC => init(ctx, func, &mut *args.cast()),
            HPyFunc_NEWFUNC => new(ctx, func, &mut *args.cast()),
            HPyFunc_GETBUFFERPROC => get_buffer(ctx, func, &mut *args.cast()),
            HPyFunc_RELEASEBUFFERPROC => release_buffer(ctx, func, &mut *args.cast()),
            HPyFunc_TRAVERSEPROC => traverse(func, &mut *args.cast()),
            HPyFunc_DESTRUCTOR => finalize(ctx, func, &mut *args.cast()),
            HPyFunc_CAPSULE_DESTRUCTOR => destroy_capsule(func, args.cast()),
            HPyFunc_MOD_CREATE => create_module(ctx, func, &mut *args.cast()),
            _ => {
                if !autogen_trampolines::enter(ctx, sig, func, args) {
                    let text = c"HPy: a trampoline called with a signature that this runtime does not know";
                    Py_FatalError(text.as_ptr());
                }
            }
        }
    }
}

// The signatures that need work of their own. Each function gets an extension's function of the signature in its name, and the arguments
// as CPython has passed them: objects that are alive during the call. An array of objects is an array of handles.

#[inline(always)]
unsafe fn varargs(ctx: *mut HPyContext, func: HPyCFunction, a: &mut HPyFunc_args_VARARGS) {
    // SAFETY: the caller has the signature's function and arguments.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_varargs>(func).unwrap_unchecked();
        let result = f(ctx, to_handle(a.self_.cast()), a.args.cast(), a.nargs.cast_unsigned());
        a.result = to_object(result).cast();
    }
}

#[inline(always)]
unsafe fn keywords(ctx: *mut HPyContext, func: HPyCFunction, a: &mut HPyFunc_args_KEYWORDS) {
    // HPy_tp_call comes in as a vectorcall, where the highest bit says something about the array.
    let nargs = a.nargsf & !PY_VECTORCALL_ARGUMENTS_OFFSET;
    // SAFETY: the caller has the signature's function and arguments.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_keywords>(func).unwrap_unchecked();
        let result = f(ctx, to_handle(a.self_.cast()), a.args.cast(), nargs, to_handle(a.kwnames.cast()));
        a.result = to_object(result).cast();
    }
}

#[inline(always)]
unsafe fn init(ctx: *mut HPyContext, func: HPyCFunction, a: &mut HPyFunc_args_INITPROC) {
    // SAFETY: the caller has the signature's function and arguments.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_initproc>(func).unwrap_unchecked();
        let (items, count) = tuple_items(a.args.cast());
        a.result = f(ctx, to_handle(a.self_.cast()), items, count, to_handle(a.kw.cast()));
    }
}

#[inline(always)]
unsafe fn new(ctx: *mut HPyContext, func: HPyCFunction, a: &mut HPyFunc_args_NEWFUNC) {
    // SAFETY: the caller has the signature's function and arguments.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_newfunc>(func).unwrap_unchecked();
        let (items, count) = tuple_items(a.args.cast());
        let result = f(ctx, to_handle(a.self_.cast()), items, count, to_handle(a.kw.cast()));
        a.result = to_object(result).cast();
    }
}

unsafe fn get_buffer(ctx: *mut HPyContext, func: HPyCFunction, a: &mut HPyFunc_args_GETBUFFERPROC) {
    // SAFETY: the caller has the signature's function and arguments. CPython's view can be written.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_getbufferproc>(func).unwrap_unchecked();
        let view = a.view.cast::<Py_buffer>();
        let mut buffer: HPy_buffer = core::mem::zeroed();
        a.result = f(ctx, to_handle(a.self_.cast()), &mut buffer, a.flags);
        // The buffer's reference to its object becomes the view's.
        if a.result < 0 {
            (*view).obj = null_mut();
        } else {
            fill_view(&buffer, &mut *view);
        }
    }
}

unsafe fn release_buffer(ctx: *mut HPyContext, func: HPyCFunction, a: &mut HPyFunc_args_RELEASEBUFFERPROC) {
    // SAFETY: the caller has the signature's function and arguments. CPython's view is one that `get_buffer` has filled.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_releasebufferproc>(func).unwrap_unchecked();
        let mut buffer = buffer_of(&*a.view.cast::<Py_buffer>());
        // The extension has a reference of its own during the call, whatever it does with it.
        let object = new_ref(to_object(buffer.obj));
        f(ctx, to_handle(a.self_.cast()), &mut buffer);
        Py_XDECREF(object);
    }
}

unsafe fn traverse(func: HPyCFunction, a: &mut HPyFunc_args_TRAVERSEPROC) {
    // SAFETY: the caller has the signature's function and arguments. The object's type has this function, so it is one of ours.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_traverseproc>(func);
        let visit = transmute::<cpy_visitproc, Option<visitproc>>(a.visit).unwrap_unchecked();
        a.result = traverse_from_trampoline(f, a.self_.cast(), visit, a.arg);
    }
}

unsafe fn finalize(ctx: *mut HPyContext, func: HPyCFunction, a: &mut HPyFunc_args_DESTRUCTOR) {
    // A finalizer can run while an exception is on its way, and the API has no way to put one aside.
    let (mut class, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
    // SAFETY: the caller has the signature's function and arguments. The exception's references are put back.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_destructor>(func).unwrap_unchecked();
        PyErr_Fetch(&mut class, &mut value, &mut traceback);
        f(ctx, to_handle(a.arg0.cast()));
        if !PyErr_Occurred().is_null() {
            PyErr_WriteUnraisable(a.arg0.cast());
        }
        PyErr_Restore(class, value, traceback);
    }
}

unsafe fn destroy_capsule(func: HPyCFunction, capsule: *mut PyObject) {
    // SAFETY: the function is of this signature, and the object a capsule, which is asked by its own name.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_Capsule_Destructor>(func).unwrap_unchecked();
        let name = PyCapsule_GetName(capsule);
        f(name, PyCapsule_GetPointer(capsule, name), PyCapsule_GetContext(capsule));
    }
}

unsafe fn create_module(ctx: *mut HPyContext, func: HPyCFunction, a: &mut HPyFunc_args_MOD_CREATE) {
    // SAFETY: the caller has the signature's function and arguments. What the function gives is a new reference, or null.
    unsafe {
        let f = transmute::<HPyCFunction, HPyFunc_mod_create>(func).unwrap_unchecked();
        let module = f(ctx, to_handle(a.spec.cast()));
        a.result = check_created_module(to_object(module)).cast();
    }
}

fn fill_view(buffer: &HPy_buffer, view: &mut Py_buffer) {
    view.buf = buffer.buf;
    view.obj = to_object(buffer.obj);
    view.len = buffer.len;
    view.itemsize = buffer.itemsize;
    view.readonly = buffer.readonly;
    view.ndim = buffer.ndim;
    view.format = buffer.format;
    view.shape = buffer.shape;
    view.strides = buffer.strides;
    view.suboffsets = buffer.suboffsets;
    view.internal = buffer.internal;
}

/// The view as the extension knows it. The handle is borrowed.
fn buffer_of(view: &Py_buffer) -> HPy_buffer {
    HPy_buffer {
        buf: view.buf,
        obj: to_handle(view.obj),
        len: view.len,
        itemsize: view.itemsize,
        readonly: view.readonly,
        ndim: view.ndim,
        format: view.format,
        shape: view.shape,
        strides: view.strides,
        suboffsets: view.suboffsets,
        internal: view.internal,
    }
}

/// A tuple's items as an array of borrowed handles.
unsafe fn tuple_items(tuple: *mut PyObject) -> (*const HPy, HPy_ssize_t) {
    // SAFETY: CPython passes an exact tuple, and the array lives as long as it does.
    unsafe { ((&raw const (*tuple.cast::<PyTupleObject>()).ob_item).cast(), PyTuple_GET_SIZE(tuple)) }
}
