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
/// `args` has to point to the struct that belongs to the signature.
pub unsafe fn enter(ctx: *mut HPyContext, sig: HPyFunc_Signature, func: HPyCFunction, args: *mut c_void) {
    // SAFETY: function and arguments are of the signature's types, and objects in the arguments are alive during the call.
    // An array of objects is an array of handles.
    unsafe {
        let ctx = interpreters::here(ctx);
        match sig {
            HPyFunc_VARARGS => {
                let f = transmute::<HPyCFunction, HPyFunc_varargs>(func).unwrap_unchecked();
                let a = &mut *args.cast::<HPyFunc_args_VARARGS>();
                let result = f(ctx, to_handle(a.self_.cast()), a.args.cast(), a.nargs.cast_unsigned());
                a.result = to_object(result).cast();
            }
            HPyFunc_KEYWORDS => {
                let f = transmute::<HPyCFunction, HPyFunc_keywords>(func).unwrap_unchecked();
                let a = &mut *args.cast::<HPyFunc_args_KEYWORDS>();
                // HPy_tp_call comes in as a vectorcall, where the highest bit says something about the array.
                let nargs = a.nargsf & !PY_VECTORCALL_ARGUMENTS_OFFSET;
                let result = f(ctx, to_handle(a.self_.cast()), a.args.cast(), nargs, to_handle(a.kwnames.cast()));
                a.result = to_object(result).cast();
            }
            HPyFunc_INITPROC => {
                let f = transmute::<HPyCFunction, HPyFunc_initproc>(func).unwrap_unchecked();
                let a = &mut *args.cast::<HPyFunc_args_INITPROC>();
                let (items, count) = tuple_items(a.args.cast());
                a.result = f(ctx, to_handle(a.self_.cast()), items, count, to_handle(a.kw.cast()));
            }
            HPyFunc_NEWFUNC => {
                let f = transmute::<HPyCFunction, HPyFunc_newfunc>(func).unwrap_unchecked();
                let a = &mut *args.cast::<HPyFunc_args_NEWFUNC>();
                let (items, count) = tuple_items(a.args.cast());
                let result = f(ctx, to_handle(a.self_.cast()), items, count, to_handle(a.kw.cast()));
                a.result = to_object(result).cast();
            }
            HPyFunc_GETBUFFERPROC => {
                let f = transmute::<HPyCFunction, HPyFunc_getbufferproc>(func).unwrap_unchecked();
                let a = &mut *args.cast::<HPyFunc_args_GETBUFFERPROC>();
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
            HPyFunc_RELEASEBUFFERPROC => {
                let f = transmute::<HPyCFunction, HPyFunc_releasebufferproc>(func).unwrap_unchecked();
                let a = &mut *args.cast::<HPyFunc_args_RELEASEBUFFERPROC>();
                let mut buffer = buffer_of(&*a.view.cast::<Py_buffer>());
                // The extension has a reference of its own during the call, whatever it does with it.
                let object = new_ref(to_object(buffer.obj));
                f(ctx, to_handle(a.self_.cast()), &mut buffer);
                Py_XDECREF(object);
            }
            HPyFunc_TRAVERSEPROC => {
                let f = transmute::<HPyCFunction, HPyFunc_traverseproc>(func);
                let a = &mut *args.cast::<HPyFunc_args_TRAVERSEPROC>();
                let visit = transmute::<cpy_visitproc, Option<visitproc>>(a.visit).unwrap_unchecked();
                a.result = traverse_from_trampoline(f, a.self_.cast(), visit, a.arg);
            }
            HPyFunc_DESTRUCTOR => {
                let f = transmute::<HPyCFunction, HPyFunc_destructor>(func).unwrap_unchecked();
                let a = &mut *args.cast::<HPyFunc_args_DESTRUCTOR>();
                // A finalizer can run while an exception is on its way, and the API has no way to put one aside.
                let (mut class, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
                PyErr_Fetch(&mut class, &mut value, &mut traceback);
                f(ctx, to_handle(a.arg0.cast()));
                if !PyErr_Occurred().is_null() {
                    PyErr_WriteUnraisable(a.arg0.cast());
                }
                PyErr_Restore(class, value, traceback);
            }
            HPyFunc_CAPSULE_DESTRUCTOR => {
                let f = transmute::<HPyCFunction, HPyFunc_Capsule_Destructor>(func).unwrap_unchecked();
                let capsule = args.cast::<PyObject>();
                let name = PyCapsule_GetName(capsule);
                f(name, PyCapsule_GetPointer(capsule, name), PyCapsule_GetContext(capsule));
            }
            HPyFunc_MOD_CREATE => {
                let f = transmute::<HPyCFunction, HPyFunc_mod_create>(func).unwrap_unchecked();
                let a = &mut *args.cast::<HPyFunc_args_MOD_CREATE>();
                let module = f(ctx, to_handle(a.spec.cast()));
                a.result = check_created_module(to_object(module)).cast();
            }
            _ => {
                if !autogen_trampolines::enter(ctx, sig, func, args) {
                    Py_FatalError(
                        c"HPy: a trampoline called with a signature that this runtime does not know".as_ptr(),
                    );
                }
            }
        }
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
