//! The context below a layer, and its handles.
//!
//! What an extension passes is a handle of the layer. That of the layer below is another one, so it has another type: who mixes them up
//! has a program that does not compile.
//!
//! ```compile_fail,E0308
//! # use hpy_abi::HPy;
//! # use hpy_layer::inner::InnerContext;
//! unsafe fn length(inner: InnerContext, h: HPy) -> isize {
//!     unsafe { inner.ctx_Length(h) }
//! }
//! ```
//!
//! ```
//! # use hpy_layer::inner::{InnerContext, InnerHandle};
//! unsafe fn length(inner: InnerContext, h: InnerHandle) -> isize {
//!     unsafe { inner.ctx_Length(h) }
//! }
//! ```

use hpy_abi::{HPy, HPyContext};

/// A handle of the context below.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InnerHandle(HPy);

impl InnerHandle {
    /// The null handle.
    pub const NULL: InnerHandle = InnerHandle(HPy::NULL);

    /// Whether this is the null handle.
    #[inline(always)]
    pub const fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Takes the handle for one of the context below.
    #[inline(always)]
    pub const fn of(handle: HPy) -> InnerHandle {
        InnerHandle(handle)
    }

    /// The handle as that context takes it.
    #[inline(always)]
    pub const fn handle(self) -> HPy {
        self.0
    }

    /// The handle in a word that was made from it.
    #[inline(always)]
    pub const fn from_word(word: isize) -> InnerHandle {
        InnerHandle(HPy { _i: word })
    }

    #[inline(always)]
    pub const fn word(self) -> isize {
        self.0._i
    }
}

/// The context below. Its functions are methods, and unsafe as all functions of contexts are: the context has to be live and of the
/// calling thread, which holds the interpreter; handles have to be open and of that context; pointers have to be what the C declaration
/// says.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InnerContext(pub *mut HPyContext);

impl InnerContext {
    /// A constant, which is the context's.
    ///
    /// # Safety
    /// The context is complete.
    #[inline(always)]
    pub unsafe fn constant(self, member: impl FnOnce(&HPyContext) -> HPy) -> InnerHandle {
        // SAFETY: as this function's; contexts don't change once they are complete.
        InnerHandle(member(unsafe { &*self.0 }))
    }
    /// The constant at an index that [`constants`](crate::constants) gives.
    ///
    /// # Safety
    /// The context is complete, and the index is such a one.
    pub unsafe fn constant_at(self, index: usize) -> InnerHandle {
        // SAFETY: as this function's; the member at the index is a handle.
        unsafe { *self.0.byte_add(hpy_abi::offset_of_member(index)).cast() }
    }
}
