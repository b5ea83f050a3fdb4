//! `DebugHandle`: a handle of an extension's as Python sees it.

use core::ffi::CStr;
use core::ptr::null_mut;

use hpy_abi::*;
use hpy_layer::inner::InnerHandle;
use hpy_layer::module::{self, Call, Definition, enter};
use hpy_layer::object::{Global, Object, Python, Raised, Result};
use hpy_layer::{definitions, function};

use crate::inspect;

/// The struct of an instance.
struct DebugHandle {
    index: u32,
}

/// The type.
pub static TYPE: Global = Global::new();

const DOC: &CStr = c"A handle that an extension has opened in debug mode.\n\n\
Instances are equal if they stand for the same handle. The repr() tells where that was opened.";

definitions! {
    static DEFINES: 9 = [
        module::slot(HPy_tp_repr, with_trampoline!(HPyFunc_REPRFUNC, repr, enter)),
        module::slot(HPy_tp_richcompare, with_trampoline!(HPyFunc_RICHCMPFUNC, compare, enter)),
        module::slot(HPy_tp_hash, with_trampoline!(HPyFunc_HASHFUNC, hash, enter)),
        module::slot(HPy_tp_new, with_trampoline!(HPyFunc_NEWFUNC, refuse_new, enter)),
        function!(GETTER c"obj" => get_obj,
            c"The object that the handle stands for; None if the handle is closed."),
        function!(GETTER c"id" => get_id,
            c"A number that no other handle has: the handle as the extension sees it."),
        function!(GETTER c"is_closed" => get_is_closed, c"Whether the handle has been closed."),
        function!(GETTER c"raw_data_size" => get_raw_data_size,
            c"The size in bytes of the C string or buffer that belongs to the handle; -1 if there is none."),
        function!(NOARGS c"_force_close" => force_close,
            c"_force_close()\n--\n\nClose the handle, as the extension should have done. For tests that leak on purpose."),
    ];
}

static SPEC: Definition<HPyType_Spec> =
    Definition(module::type_spec::<DebugHandle>(c"hpy.universal._debug.DebugHandle", DOC, DEFINES.get().cast()));

/// Makes the type, an attribute of the module.
pub fn add_to(python: Python, module: &Object) -> Result<()> {
    // SAFETY: the spec is static, and only read; the handle is new.
    let made = unsafe { python.own(python.context().ctx_Type_FromSpec(SPEC.get(), null_mut()))? };
    TYPE.set(&made);
    module.set(c"DebugHandle", &made)
}

/// Instances for the slots with these indices.
pub fn list(python: Python, indices: Vec<u32>) -> Result<Object> {
    let class = TYPE.get(python)?;
    python.list(indices.into_iter().map(|index| {
        let mut data = null_mut();
        // SAFETY: the type is ours; the handle is new, and the struct of its object that of the type.
        unsafe {
            let made = python.own(python.context().ctx_New(class.handle(), &mut data))?;
            data.cast::<DebugHandle>().write(DebugHandle { index });
            Ok(made)
        }
    }))
}

/// The object of a handle that is ours; None if it is null.
///
/// # Safety
/// The handle is one of the context below layers, and the caller's.
pub unsafe fn object_or_none(python: Python, handle: InnerHandle) -> Result<Object> {
    if handle.is_null() {
        return python.none();
    }
    // SAFETY: as this function's.
    unsafe { python.own(handle) }
}

fn index_of(python: Python, instance: InnerHandle) -> u32 {
    // SAFETY: runtimes call methods and slots with instances of their type.
    unsafe { (*python.context().ctx_AsStruct_Object(instance).cast::<DebugHandle>()).index }
}

fn get_obj(call: &Call) -> Result<Object> {
    // SAFETY: Python calls this; what `object` gives is the caller's.
    unsafe { object_or_none(call.python, inspect::object(index_of(call.python, call.this))) }
}

fn get_id(call: &Call) -> Result<Object> {
    call.python.unsigned(inspect::handle(index_of(call.python, call.this)).id as u64)
}

fn get_is_closed(call: &Call) -> Result<Object> {
    call.python.bool(inspect::handle(index_of(call.python, call.this)).is_closed)
}

fn get_raw_data_size(call: &Call) -> Result<Object> {
    call.python.signed(inspect::handle(index_of(call.python, call.this)).raw_data_size as i64)
}

fn force_close(call: &Call) -> Result<Object> {
    // SAFETY: Python calls this, on behalf of somebody who knows that the extension is done with the handle.
    if !unsafe { inspect::force_close(index_of(call.python, call.this)) } {
        return Err(call.python.value_error("the handle is closed already"));
    }
    if call.python.has_raised() { Err(Raised) } else { call.python.none() }
}

/// Never fails for an object's sake: a list of leaks shows all of them, also those of objects whose `repr()` raises.
fn text_of(python: Python, index: u32) -> Result<Object> {
    // SAFETY: Python calls this. The object may be closed while its repr() runs, so there is a handle of our own.
    let what = unsafe {
        match inspect::object(index) {
            InnerHandle::NULL => "CLOSED".into(),
            object => format!("for {}", inspect::repr(python.own(object)?.handle())),
        }
    };
    let handle = inspect::handle(index);
    python.str(&format!("<DebugHandle {:#x} {what}>\n{}", handle.id, handle.story))
}

unsafe extern "C" fn repr(ctx: *mut HPyContext, this: HPy) -> HPy {
    // SAFETY: the runtime calls this.
    let python = unsafe { Python::new(ctx) };
    let text = text_of(python, index_of(python, InnerHandle::of(this)));
    text.map_or(HPy::NULL, |text| text.into_handle().handle())
}

/// A slot has one id at a time, and an id one slot, so comparing slots compares ids.
unsafe extern "C" fn compare(ctx: *mut HPyContext, this: HPy, other: HPy, operator: HPy_RichCmpOp) -> HPy {
    // SAFETY: the runtime calls this; arguments are open.
    let python = unsafe { Python::new(ctx) };
    let (this, other) = (InnerHandle::of(this), InnerHandle::of(other));
    let is_question_of_equality = operator == HPy_EQ || operator == HPy_NE;
    // SAFETY: the handles are open, and the second one is a type.
    let is_handle =
        TYPE.get(python).is_ok_and(|class| unsafe { python.context().ctx_TypeCheck(other, class.handle()) != 0 });
    let result = if is_handle && is_question_of_equality {
        let is_same = index_of(python, this) == index_of(python, other);
        python.bool(is_same == (operator == HPy_EQ))
    } else {
        python.not_implemented()
    };
    result.map_or(HPy::NULL, |result| result.into_handle().handle())
}

unsafe extern "C" fn hash(ctx: *mut HPyContext, this: HPy) -> HPy_hash_t {
    // SAFETY: the runtime calls this.
    let python = unsafe { Python::new(ctx) };
    HPy_hash_t::try_from(index_of(python, InnerHandle::of(this))).unwrap_or_default()
}

unsafe extern "C" fn refuse_new(
    ctx: *mut HPyContext,
    _type: HPy,
    _args: *const HPy,
    _count: HPy_ssize_t,
    _keywords: HPy,
) -> HPy {
    // SAFETY: the runtime calls this.
    let python = unsafe { Python::new(ctx) };
    python.type_error("the lists of open and closed handles have the only instances of DebugHandle");
    HPy::NULL
}
