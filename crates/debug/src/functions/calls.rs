//! Calls, and what comes with arrays of handles; capsules and context variables.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::{null, null_mut};

use hpy_abi::runtime::{Call as Calls, Capsule, Contextvar, Tuple};
use hpy_abi::*;

use crate::Debug;
use crate::arguments::array;
use crate::autogen_functions::{checked_call, checked_capsule, checked_contextvar, checked_tuple};
use crate::autogen_misuses::Misuse;
use crate::call::Call;
use hpy_layer::inner::InnerHandle;
use hpy_layer::member;
use hpy_layer::names;

use crate::upcall;

/// How many values follow the positional arguments. None after a report.
unsafe fn keyword_count(call: Call, names: InnerHandle, position: usize) -> Option<usize> {
    if names.is_null() {
        return Some(0);
    }
    // SAFETY: the caller's handle is open.
    unsafe {
        let inner = call.inner;
        let wrong = |what: &str| {
            call.complain(Misuse::KeywordNames, what, position, None);
            call.cannot(Misuse::KeywordNames)
        };
        if inner.ctx_Tuple_Check(names) == 0 {
            // The last words are those of 0.9.
            return wrong("names that are no tuple: 'kwnames' must be a tuple object or HPy_NULL,");
        }
        let count = inner.ctx_Length(names);
        for index in 0..count {
            let name = inner.ctx_GetItem_i(names, index);
            let is_str = !name.is_null() && inner.ctx_Unicode_Check(name) != 0;
            if !name.is_null() {
                inner.ctx_Close(name);
            }
            if !is_str {
                return wrong(&format!("names of which number {} is no str", index + 1));
            }
        }
        usize::try_from(count).ok()
    }
}

impl Calls for Debug {
    checked_call!();

    unsafe extern "C" fn ctx_CallRealFunctionFromTrampoline(
        ctx: *mut HPyContext,
        sig: HPyFunc_Signature,
        func: HPyCFunction,
        args: *mut c_void,
    ) {
        // SAFETY: called by a trampoline.
        unsafe { upcall::from_trampoline(ctx, sig, func, args) }
    }

    unsafe extern "C" fn ctx_Call(
        ctx: *mut HPyContext,
        callable: HPy,
        args: *const HPy,
        nargs: usize,
        kwnames: HPy,
    ) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Call) else { return HPy::NULL };
            let Some(callable) = call.handle(callable, 0) else { return HPy::NULL };
            let Some(kwnames) = call.handle_or_null(kwnames, 3) else { return HPy::NULL };
            let Some(more) = keyword_count(*call, kwnames, 3) else { return HPy::NULL };
            let Some(items) = array(*call, args, nargs + more, 1) else { return HPy::NULL };
            call.opened(call.inner.ctx_Call(callable, items.as_ptr(), nargs, kwnames))
        }
    }

    unsafe extern "C" fn ctx_CallMethod(
        ctx: *mut HPyContext,
        name: HPy,
        args: *const HPy,
        nargs: usize,
        kwnames: HPy,
    ) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_CallMethod) else { return HPy::NULL };
            let Some(name) = call.handle(name, 0) else { return HPy::NULL };
            let Some(kwnames) = call.handle_or_null(kwnames, 3) else { return HPy::NULL };
            let Some(more) = keyword_count(*call, kwnames, 3) else { return HPy::NULL };
            let Some(items) = array(*call, args, nargs + more, 1) else { return HPy::NULL };
            call.opened(call.inner.ctx_CallMethod(name, items.as_ptr(), nargs, kwnames))
        }
    }

    unsafe extern "C" fn ctx_SetCallFunction(ctx: *mut HPyContext, h: HPy, func: *mut HPyCallFunction) -> c_int {
        // SAFETY: the context is one of ours, and what is passed on has been checked; the definition stays.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_SetCallFunction) else { return -1 };
            if !call.pointer(func.cast(), 1) {
                return -1;
            }
            let Some(h) = call.handle(h, 0) else { return -1 };
            if let Some(function) = (*func).r#impl {
                let by = || call.frame.function().map_or("", |function| function.name.as_str());
                names::name_once(function as usize, || format!("call function set by {}", by()));
            }
            let result = call.inner.ctx_SetCallFunction(h, func);
            if result == -1 {
                call.has_failed();
            }
            result
        }
    }
}

impl Tuple for Debug {
    checked_tuple!();

    unsafe extern "C" fn ctx_Tuple_FromArray(ctx: *mut HPyContext, items: *const HPy, n: HPy_ssize_t) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Tuple_FromArray) else { return HPy::NULL };
            if !call.at_least(n, 0, 1) {
                call.has_failed();
                return HPy::NULL;
            }
            let Some(own) = array(*call, items, n.max(0).cast_unsigned(), 0) else { return HPy::NULL };
            call.opened(call.inner.ctx_Tuple_FromArray(own.as_ptr(), n))
        }
    }
}

impl Contextvar for Debug {
    checked_contextvar!();

    unsafe extern "C" fn ctx_ContextVar_Get(
        ctx: *mut HPyContext,
        context_var: HPy,
        default_value: HPy,
        result: *mut HPy,
    ) -> i32 {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_ContextVar_Get) else { return -1 };
            if !call.pointer(result.cast(), 2) {
                return -1;
            }
            let Some(variable) = call.handle(context_var, 0) else { return -1 };
            let Some(default) = call.handle_or_null(default_value, 1) else { return -1 };
            let mut inner = InnerHandle::NULL;
            let status = call.inner.ctx_ContextVar_Get(variable, default, &mut inner);
            if status < 0 {
                call.has_failed();
                *result = HPy::NULL;
            } else {
                *result = call.opened_or_null(inner);
            }
            status
        }
    }
}

impl Capsule for Debug {
    checked_capsule!();

    unsafe extern "C" fn ctx_Capsule_Get(
        ctx: *mut HPyContext,
        capsule: HPy,
        key: _HPyCapsule_key,
        utf8_name: *const c_char,
    ) -> *mut c_void {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Capsule_Get) else { return null_mut() };
            let known = [
                HPyCapsule_key_Pointer.0,
                HPyCapsule_key_Name.0,
                HPyCapsule_key_Context.0,
                HPyCapsule_key_Destructor.0,
            ];
            if !(call.one_of(key.0, &known, 1) && call.text(utf8_name, 2, true, true)) {
                call.has_failed();
                return null_mut();
            }
            let Some(capsule) = call.handle(capsule, 0) else { return null_mut() };
            let inner = call.inner;
            if key == HPyCapsule_key_Pointer
                && inner.ctx_TypeCheck(capsule, inner.constant(|ctx| ctx.h_CapsuleType)) != 0
                && inner.ctx_Capsule_IsValid(capsule, utf8_name) == 0
            {
                let own = inner.ctx_Capsule_Get(capsule, HPyCapsule_key_Name, null()).cast::<c_char>();
                let quoted = |name: *const c_char| match name.is_null() {
                    true => "no name".to_string(),
                    false => format!("the name '{}'", CStr::from_ptr(name).to_string_lossy()),
                };
                let what = format!("{} for a capsule with {}", quoted(utf8_name), quoted(own));
                if !call.complain(Misuse::CapsuleName, &what, 2, None) {
                    call.has_failed();
                    return null_mut();
                }
            }
            let result = inner.ctx_Capsule_Get(capsule, key, utf8_name);
            if result.is_null() {
                call.has_failed();
            }
            result
        }
    }
}
