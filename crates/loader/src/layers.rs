//! The layers: the contexts of modes, and the modules that layers bring, `_debug` and `_trace` of `hpy.universal`.

use core::ffi::CStr;

use hpy_abi::{HPyContext, HPyModuleDef};
use hpy_layer::inner::InnerHandle;
use hpy_layer::module;
use hpy_layer::object::{Object, Python, Result};

use crate::interpreter::Interpreter;
use crate::mode::Mode;

/// The context of a mode, which binaries are initialised with.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn context<I: Interpreter>(mode: Mode) -> Result<*mut HPyContext> {
    // SAFETY: as this function's; contexts stay.
    unsafe {
        let inner = match (mode.debug, mode.trace) {
            (false, false) => return I::universal(),
            (false, true) => I::below_layers()?,
            (true, is_traced) => hpy_debug::context(I::below_layers()?, I::DEBUG, is_traced.into())?,
        };
        Ok(if mode.trace { hpy_trace::context(inner, mode.debug, I::TRACE) } else { inner })
    }
}

/// Makes the modules attributes of `hpy.universal` that can be imported by their own names, too.
///
/// # Safety
/// The caller holds the interpreter, and `universal` is the module that is being made.
pub unsafe fn add_to<I: Interpreter>(universal: InnerHandle) -> Result<()> {
    // SAFETY: as this function's.
    unsafe {
        let ctx = I::below_layers()?;
        module::open(I::main_context(ctx));
        let python = Python::new(ctx);
        let universal = python.dup(universal)?;
        add::<I>(python, &universal, c"_debug", c"hpy.universal._debug", hpy_debug::module())?;
        add::<I>(python, &universal, c"_trace", c"hpy.universal._trace", hpy_trace::module(I::TRACE))
    }
}

unsafe fn add<I: Interpreter>(
    python: Python,
    universal: &Object,
    attribute: &CStr,
    name: &CStr,
    definition: *mut HPyModuleDef,
) -> Result<()> {
    // SAFETY: the caller holds the interpreter; the definition is static.
    let module = unsafe { python.own(I::make_module(python.context().0, definition, name)?)? };
    universal.set(attribute, &module)?;
    let modules = python.import(c"sys")?.get(c"modules")?;
    modules.set_item(&python.str(&name.to_string_lossy())?, &module)
}
