//! Types, and the structs of their instances.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::{null, null_mut};

use hpy_abi::runtime::Type;
use hpy_abi::*;

use super::data;
use hpy_layer::inner::InnerHandle;

use crate::Debug;
use crate::arguments::array;
use crate::autogen_functions::checked_type;
use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::thread::HYBRID;
use crate::{as_struct, known_types, slot, type_slots};
use hpy_layer::member;

const UNKNOWN: &str = "an unknown shape";

fn name_of(shape: HPyType_BuiltinShape) -> &'static str {
    macro_rules! name {
        ($($function:ident => $shape:ident),*) => {
            match shape {
                $($shape => stringify!($shape),)*
                _ => UNKNOWN,
            }
        };
    }
    with_shapes!(name)
}

/// Whether an object's type has this name.
pub unsafe fn is_named(call: Call, object: InnerHandle, name: &CStr) -> bool {
    // SAFETY: the caller's handle is open.
    unsafe {
        let inner = call.inner;
        let tp = inner.ctx_Type(object);
        let own = inner.ctx_Type_GetName(tp);
        let same = !own.is_null() && CStr::from_ptr(own) == name;
        inner.ctx_Close(tp);
        same
    }
}

/// Whether an object's struct lies where this shape has it.
unsafe fn has_shape(call: Call, object: InnerHandle, shape: HPyType_BuiltinShape) -> bool {
    // SAFETY: the caller's handle is open.
    unsafe {
        if (*call.thread.closed_objects.get()).type_of(call.layer(), object).shape == Some(shape) {
            return true;
        }
        let inner = call.inner;
        let tp = inner.ctx_Type(object);
        let actual = inner.ctx_Type_GetBuiltinShape(tp);
        inner.ctx_Close(tp);
        (*call.thread.closed_objects.get()).type_of(call.layer(), object).shape = Some(actual);
        if actual == shape {
            return true;
        }
        let detail = format!(
            "Invalid usage of {}: it got an object of another type. Expected shape {} but got {}",
            call.name(),
            name_of(shape),
            name_of(actual)
        );
        let mut incident = call.incident(Misuse::OtherStruct, detail).argument(call.function, 0);
        let mut text = String::new();
        (call.layer().host.describe)(object, &mut text);
        incident.report.object = Some(text);
        incident.tell();
        false
    }
}

/// Whether the struct that the extension is after is, as far as is known, the object's.
unsafe fn is_of_struct(call: Call, h: HPy, inner: InnerHandle) -> bool {
    // SAFETY: the caller's handle is open, and asking about a type is not done with an exception pending.
    unsafe {
        let flags = call.thread.flags.load(core::sync::atomic::Ordering::Relaxed);
        let is_hybrid = flags & HYBRID != 0;
        if flags & !HYBRID != 0 || is_hybrid && call.inner.ctx_Err_Occurred() != 0 {
            return true;
        }
        let Some(of) = known_types::type_of(call, inner) else { return true };
        let Some((_, slot)) = slot::of(h._i) else {
            return true;
        };
        let Some(wanted) = as_struct::check(call, slot, of) else { return true };
        let wanted = wanted.split(' ').next().unwrap_or_default();
        let detail = format!("{} was to give the struct {wanted}, but {} has another one", call.name(), of.name);
        call.incident(Misuse::OtherStruct, detail).argument(call.function, 0).about(slot).tell();
        false
    }
}

macro_rules! as_struct {
    ($($function:ident => $shape:ident),*) => {
        $(
            unsafe extern "C" fn $function(ctx: *mut HPyContext, h: HPy) -> *mut c_void {
                // SAFETY: the context is one of ours, and the object has been checked.
                unsafe {
                    let Some(call) = Call::enter(ctx, member::$function) else { return crate::known_types::nothing() };
                    let Some(inner) = call.handle(h, 0) else { return crate::known_types::nothing() };
                    if !has_shape(*call, inner, $shape) || !is_of_struct(*call, h, inner) {
                        return crate::known_types::nothing();
                    }
                    call.inner.$function(inner)
                }
            }
        )*
    };
}

impl Type for Debug {
    checked_type!();

    with_shapes!(as_struct);

    unsafe extern "C" fn ctx_Type_FromSpec(
        ctx: *mut HPyContext,
        spec: *mut HPyType_Spec,
        params: *mut HPyType_SpecParam,
    ) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Type_FromSpec) else { return HPy::NULL };
            if !call.pointer(spec.cast(), 0) {
                return HPy::NULL;
            }
            let mut own = Vec::new();
            let mut next = params;
            while !next.is_null() && (*next).kind.0 != 0 {
                if !(1..=3).contains(&(*next).kind.0) {
                    let what = format!("a parameter of the kind {}", (*next).kind.0);
                    if !call.complain(Misuse::EnumOutOfRange, &what, 1, None) {
                        return HPy::NULL;
                    }
                }
                let Some(object) = call.handle((*next).object, 1) else { return HPy::NULL };
                own.push(HPyType_SpecParam { kind: (*next).kind, object: object.handle() });
                next = next.add(1);
            }
            own.push(HPyType_SpecParam { kind: HPyType_SpecParam_Kind(0), object: HPy::NULL });
            if name_of((*spec).builtin_shape) == UNKNOWN {
                let what = format!("a spec with the shape {}", (*spec).builtin_shape.0);
                if !call.complain(Misuse::EnumOutOfRange, &what, 0, None) {
                    return HPy::NULL;
                }
            }
            let (mut copy, place) = type_slots::prepare(*call, &*spec);
            let own = if params.is_null() { null_mut() } else { own.as_mut_ptr() };
            let inner = call.inner.ctx_Type_FromSpec(&mut copy, own);
            if !inner.is_null() {
                type_slots::made(*call, &*spec, place, inner);
                if !(*spec).legacy_slots.is_null() {
                    (call.layer().host.watch_dealloc)(inner, (*spec).legacy_slots);
                }
            }
            call.opened(inner)
        }
    }

    unsafe extern "C" fn ctx_Type_GenericNew(
        ctx: *mut HPyContext,
        r#type: HPy,
        args: *const HPy,
        nargs: HPy_ssize_t,
        kw: HPy,
    ) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Type_GenericNew) else { return HPy::NULL };
            let Some(tp) = call.handle(r#type, 0) else { return HPy::NULL };
            let Some(kw) = call.handle_or_null(kw, 3) else { return HPy::NULL };
            if !call.at_least(nargs, 0, 2) {
                call.has_failed();
                return HPy::NULL;
            }
            // They are not looked at, and may be missing.
            let count = if args.is_null() { 0 } else { nargs.max(0).cast_unsigned() };
            let Some(items) = array(*call, args, count, 1) else { return HPy::NULL };
            let items = if args.is_null() { null() } else { items.as_ptr() };
            call.opened(call.inner.ctx_Type_GenericNew(tp, items, nargs, kw))
        }
    }

    unsafe extern "C" fn ctx_New(ctx: *mut HPyContext, h_type: HPy, data: *mut *mut c_void) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_New) else { return HPy::NULL };
            if !call.pointer(data.cast(), 1) {
                return HPy::NULL;
            }
            let Some(tp) = call.handle(h_type, 0) else { return HPy::NULL };
            let of = known_types::known(*call, tp);
            if of.is_none() && !known_types::may_have_struct(*call, tp) {
                let what = "a type that has no struct of an extension";
                if !call.complain(Misuse::WrongType, what, 0, None) {
                    return HPy::NULL;
                }
            }
            let object = call.inner.ctx_New(tp, data);
            if let Some(of) = of.filter(|of| of.followed && !object.is_null()) {
                known_types::is_alive((*data).addr(), of);
            }
            call.opened(object)
        }
    }

    unsafe extern "C" fn ctx_Type_GetName(ctx: *mut HPyContext, r#type: HPy) -> *const c_char {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Type_GetName) else { return null() };
            let Some(tp) = call.handle(r#type, 0) else { return null() };
            if !call.is(tp, |ctx| ctx.h_TypeType, "type", 0) {
                return null();
            }
            let name = call.inner.ctx_Type_GetName(tp);
            if name.is_null() {
                call.has_failed();
                return null();
            }
            data::copy(*call, r#type, name, CStr::from_ptr(name).count_bytes())
        }
    }
}
