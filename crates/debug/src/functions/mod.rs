//! The functions of the API. Most are checked as the spec says (`autogen_functions.rs`); here are those that need more.

mod builders;
mod calls;
mod data;
mod handles;
mod references;
mod threads;
mod trackers;
mod types;

use core::ffi::{c_char, c_int, c_void};

use hpy_abi::runtime::*;
use hpy_abi::*;

use crate::Debug;
use crate::autogen_functions::*;
use crate::call::Call;
use hpy_layer::member;

impl Attribute for Debug {
    checked_attribute!();
}
impl Bool for Debug {
    checked_bool!();
}
impl Dict for Debug {
    checked_dict!();
}
impl Eval for Debug {
    checked_eval!();

    unsafe extern "C" fn ctx_EvalCode(ctx: *mut HPyContext, code: HPy, globals: HPy, locals: HPy) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_EvalCode) else { return HPy::NULL };
            let Some(code) = call.handle(code, 0) else { return HPy::NULL };
            let Some(globals) = call.handle(globals, 1) else { return HPy::NULL };
            let Some(locals) = call.handle_or_null(locals, 2) else { return HPy::NULL };
            if !types::is_named(*call, code, c"code") {
                return call.wrong_type("code object", 0).unwrap_or(HPy::NULL);
            }
            if !call.is(globals, |ctx| ctx.h_DictType, "dict", 1) {
                return HPy::NULL;
            }
            call.opened(call.inner.ctx_EvalCode(code, globals, locals))
        }
    }
}
impl Float for Debug {
    checked_float!();
}
impl Import for Debug {
    checked_import!();
}
impl Item for Debug {
    checked_item!();
}
impl Iter for Debug {
    checked_iter!();

    unsafe extern "C" fn ctx_Iter_Next(ctx: *mut HPyContext, obj: HPy) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Iter_Next) else { return HPy::NULL };
            let Some(obj) = call.handle(obj, 0) else { return HPy::NULL };
            if call.inner.ctx_Iter_Check(obj) == 0 {
                return call.wrong_type("iterator", 0).unwrap_or(HPy::NULL);
            }
            call.opened(call.inner.ctx_Iter_Next(obj))
        }
    }
}
impl List for Debug {
    checked_list!();
}
impl Long for Debug {
    checked_long!();
}
impl Number for Debug {
    checked_number!();
}
impl Object for Debug {
    checked_object!();
}
impl Slice for Debug {
    checked_slice!();
}
