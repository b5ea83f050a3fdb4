//! Fields and globals.

use hpy_abi::runtime::{Field, Global};
use hpy_abi::*;

use hpy_layer::inner::InnerHandle;

use crate::Debug;
use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::slot::Token;
use crate::types::Type;
use crate::{fields, known_types};
use hpy_layer::member;

impl Field for Debug {
    unsafe extern "C" fn ctx_Field_Store(
        ctx: *mut HPyContext,
        target_object: HPy,
        target_field: *mut HPyField,
        h: HPy,
    ) {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Field_Store) else { return };
            if !call.pointer(target_field.cast(), 1) {
                return;
            }
            let Some(target) = call.handle(target_object, 0) else { return };
            let Some(value) = call.handle_or_null(h, 2) else { return };
            if Token::decode((*target_field)._i).is_some() {
                call.complain(Misuse::FieldAsHandle, "a field that a handle has been assigned to", 1, None);
                return;
            }
            if !owns(*call, target, target_field) {
                return;
            }
            call.inner.ctx_Field_Store(target, target_field, value);
        }
    }

    unsafe extern "C" fn ctx_Field_Load(ctx: *mut HPyContext, source_object: HPy, source_field: HPyField) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Field_Load) else { return HPy::NULL };
            let Some(source) = call.handle(source_object, 0) else { return HPy::NULL };
            if Token::decode(source_field._i).is_some() {
                call.complain(Misuse::FieldAsHandle, "a field that a handle has been assigned to", 1, None);
                return call.cannot(Misuse::FieldAsHandle).unwrap_or(HPy::NULL);
            }
            if source_field._i == 0 {
                call.complain(Misuse::NullHandle, "an empty field", 1, None);
                return call.cannot(Misuse::NullHandle).unwrap_or(HPy::NULL);
            }
            if !may_load(*call, source, source_field) {
                return HPy::NULL;
            }
            call.opened_or_null(call.inner.ctx_Field_Load(source, source_field))
        }
    }
}

/// Whether a field may be stored to as one of this object. Keeps that it has been.
unsafe fn owns(call: Call, target: InnerHandle, field: *mut HPyField) -> bool {
    // SAFETY: the caller's handle is open. Asking about a type is not done with an exception pending.
    unsafe {
        if call.inner.ctx_Err_Occurred() != 0 {
            return true;
        }
        let Some((of, data)) = known_types::of(call, target) else {
            let what = "an object whose type no extension has made";
            return call.complain(Misuse::WrongOwner, what, 0, None);
        };
        let address = field.addr();
        let inside = (data..data + of.size).contains(&address);
        let holds = |of: &Type, other: usize| other != data && (other..other + of.size).contains(&address);
        let elsewhere = !inside && known_types::any_open(call, holds);
        let other = if inside { None } else { known_types::around(address).filter(|other| *other != data) };
        if !inside && fields::owner_of(address).is_none() && hpy_layer::place::is_static(address) {
            let what = "a field that lies in static memory and in no object's struct";
            return call.complain(Misuse::WrongOwner, what, 1, None);
        }
        if elsewhere || other.is_some() || fields::owner_of(address).is_some_and(|owner| owner != data && !inside) {
            let what = format!("a field that lies in the struct of another object than this {}", of.name);
            return call.complain(Misuse::WrongOwner, &what, 1, None);
        }
        if !of.is_visited {
            let what = format!("a field of {}, whose type has no HPy_tp_traverse to visit it,", of.name);
            return call.complain(Misuse::FieldNotVisited, &what, 1, None);
        }
        if !of.followed {
            return true;
        }
        let by_python = inside && known_types::is_member(address - data);
        if (*field)._i != 0 && !by_python && fields::owner_of(address) != Some(data) {
            let what = format!("a field of {} that no HPyField_Store has written what is in it", of.name);
            if !call.complain(Misuse::FieldCopied, &what, 1, None) {
                return false;
            }
            // What it refers to is not its own to let go.
            *field = HPyField::NULL;
        }
        known_types::is_alive(data, of);
        fields::stored(data, field);
    }
    true
}

/// Whether a value may be loaded as that of a field of this object.
unsafe fn may_load(call: Call, source: InnerHandle, field: HPyField) -> bool {
    // SAFETY: the caller's handle is open. Asking about a type is not done with an exception pending.
    unsafe {
        if call.inner.ctx_Err_Occurred() != 0 {
            return true;
        }
        let Some((of, data)) = known_types::of(call, source) else { return true };
        let from = fields::LOADED_FROM.get();
        let is_inside = (data..data + of.size).contains(&from);
        if is_inside && (fields::owner_of(from) == Some(data) || known_types::is_member(from - data)) {
            return true;
        }
        if !of.followed || fields::holds(data, field._i) || known_types::member_holds(of, data, field._i) {
            return true;
        }
        let other = fields::other_holder(data, field._i);
        let (misuse, what) = match other {
            // The struct asked for has the value as well, where nothing has been stored: a copy.
            Some(_) if known_types::lies_in(of, data, field._i) => {
                (Misuse::FieldCopied, format!("a field that has been copied into the struct of this {}", of.name))
            }
            Some(_) => (Misuse::WrongOwner, format!("a field of another object than this {}", of.name)),
            None => (Misuse::FieldCopied, format!("a value that no field of this {} has", of.name)),
        };
        call.complain(misuse, &what, 1, None)
    }
}

impl Global for Debug {
    unsafe extern "C" fn ctx_Global_Store(ctx: *mut HPyContext, global: *mut HPyGlobal, h: HPy) {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Global_Store) else { return };
            if !call.pointer(global.cast(), 0) {
                return;
            }
            let Some(h) = call.handle_or_null(h, 1) else { return };
            if Token::decode((*global)._i).is_some() {
                call.complain(Misuse::FieldAsHandle, "a global that a handle has been assigned to", 0, None);
                return;
            }
            if !fields::is_listed(global) {
                let what = "a global that no module definition lists";
                if !call.complain(Misuse::GlobalNotListed, what, 0, None) {
                    return;
                }
            }
            call.inner.ctx_Global_Store(global, h);
        }
    }

    unsafe extern "C" fn ctx_Global_Load(ctx: *mut HPyContext, global: HPyGlobal) -> HPy {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Global_Load) else { return HPy::NULL };
            if Token::decode(global._i).is_some() {
                call.complain(Misuse::FieldAsHandle, "a global that a handle has been assigned to", 0, None);
                return call.cannot(Misuse::FieldAsHandle).unwrap_or(HPy::NULL);
            }
            if global._i == 0 {
                call.complain(Misuse::NullHandle, "an empty global", 0, None);
                return call.cannot(Misuse::NullHandle).unwrap_or(HPy::NULL);
            }
            call.opened_or_null(call.inner.ctx_Global_Load(global))
        }
    }
}
