//! `HPyType_FromSpec`: CPython's spec from an extension's.

use core::ffi::{CStr, c_int, c_uint, c_void};
use core::mem::transmute;
use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use super::bases::{BaseCall, Bases};
use super::definition::{Creation, Definition, Parts};
use super::legacy::{self, Legacy};
use super::member::{self, READONLY};
use super::reference::Reference;
use super::type_object::Type;
use super::{bases, call, construct, dealloc, functions, metaclass, name, shape, special};
use crate::array::Array;
use crate::bridge;
use crate::method;
use crate::raised::{PythonError, Result, raise};
use crate::shift::Shift;
use crate::table::is_below_layers;

/// Makes a type. Returns a new reference.
///
/// # Safety
/// Spec and parameters are an extension's; the spec's definitions stay. The interpreter is held.
pub unsafe fn from_spec(
    ctx: *mut HPyContext,
    spec: &HPyType_Spec,
    params: *const HPyType_SpecParam,
) -> Result<*mut PyObject> {
    // SAFETY: as this function's. The new type is ours until it is complete.
    unsafe {
        if spec.name.is_null() {
            return Err(raise!(PyExc_TypeError, c"HPyType_Spec.name is NULL"));
        }
        bases::check(params, spec.name)?;
        let mut defines = Array::new();
        for define in null_ended(spec.defines) {
            defines.push(define)?;
        }
        let mut builder = Builder::new(ctx, spec, defines.as_slice());
        builder.check()?;
        let bases = Bases::of(params)?;
        let meta = bases::metaclass(params)?;
        bases.check_room(spec)?;
        builder.base_call = bases.hidden_call();
        builder.add_slots(bases.any_collected())?;
        builder.announce(&bases);
        let made = Reference::new(builder.create(bases.as_ptr(), bases.most_derived_metaclass(meta)?)?);
        builder.complete(Type::new(made.as_ptr().cast()))?;
        Ok(made.into_raw())
    }
}

/// Raises an exception about the spec, from within `&self` of a [`Builder`].
macro_rules! refuse {
    ($type:ident, $format:expr $(, $argument:expr)*) => {
        // SAFETY: the interpreter is held while there is a builder, and the arguments are what the format says.
        Err(unsafe { raise!($type, $format $(, $argument)*) })
    };
}

/// Made with an extension's spec and definitions, which stay, and used while the interpreter is held.
struct Builder<'a> {
    ctx: *mut HPyContext,
    spec: &'a HPyType_Spec,
    defines: &'a [*mut HPyDef],
    legacy: Legacy,
    flags: c_uint,
    /// Of an object, or 0 for that of the base.
    basicsize: isize,
    traverse: HPyFunc_traverseproc,
    destroy: HPyFunc_destroyfunc,
    call: Option<vectorcallfunc>,
    creation: Creation,
    base_call: BaseCall,
    vectorcall_offset: isize,
    definition: Option<&'static Definition>,
    members: Array<PyMemberDef>,
    slots: Array<PyType_Slot>,
}

impl<'a> Builder<'a> {
    /// # Safety
    /// As [`from_spec`]; these are the spec's definitions.
    unsafe fn new(ctx: *mut HPyContext, spec: &'a HPyType_Spec, defines: &'a [*mut HPyDef]) -> Builder<'a> {
        Builder {
            ctx,
            spec,
            defines,
            legacy: Legacy::NONE,
            flags: spec.flags as c_uint,
            basicsize: 0,
            traverse: None,
            destroy: None,
            call: None,
            creation: Creation { ctx, new: None, init: None, new_entry: None, init_entry: None },
            base_call: BaseCall::None,
            vectorcall_offset: 0,
            definition: None,
            members: Array::new(),
            slots: Array::new(),
        }
    }

    /// The definitions that are slots.
    fn defined_slots(&self) -> impl Iterator<Item = &'a HPySlot> + use<'a> {
        // SAFETY: definitions stay, and the kind says which each is.
        self.defines.iter().filter_map(|&define| unsafe {
            if (*define).kind == HPyDef_Kind_Slot { Some(&(*define).u.slot) } else { None }
        })
    }

    /// The definitions that are members.
    fn defined_members(&self) -> impl Iterator<Item = &'a HPyMember> + use<'a> {
        // SAFETY: definitions stay, and the kind says which each is.
        self.defines.iter().filter_map(|&define| unsafe {
            if (*define).kind == HPyDef_Kind_Member { Some(&(*define).u.member) } else { None }
        })
    }

    /// Refuses what can be seen to be wrong before anything is made, and notes the slots that are ours.
    fn check(&mut self) -> Result<()> {
        let spec = self.spec;
        for (position, &define) in self.defines.iter().enumerate() {
            // SAFETY: definitions stay, and the kind says which each is.
            unsafe {
                match (*define).kind {
                    HPyDef_Kind_Slot => self.check_slot(&(*define).u.slot, position)?,
                    HPyDef_Kind_Meth => special::check(&(*define).u.meth, spec)?,
                    HPyDef_Kind_Member | HPyDef_Kind_GetSet => {}
                    kind => {
                        let format = c"HPyType_Spec.defines of '%s': unknown HPyDef.kind %d";
                        return Err(raise!(PyExc_TypeError, format, spec.name, kind.0));
                    }
                }
            }
        }
        self.check_legacy()?;
        self.check_shape()
    }

    fn check_slot(&mut self, slot: &HPySlot, position: usize) -> Result<()> {
        let name = self.spec.name;
        let number = slot.slot.0;
        if !is_type_slot(slot.slot) {
            let format = c"HPyType_Spec.defines of '%s': slot %d (%s) is not a slot of types";
            return refuse!(PyExc_TypeError, format, name, number, slot_name(slot.slot).as_ptr());
        }
        // SAFETY: definitions stay, and the kind says which each is.
        let is_same = |&&earlier: &&*mut HPyDef| unsafe {
            (*earlier).kind == HPyDef_Kind_Slot && (*earlier).u.slot.slot == slot.slot
        };
        if self.defines.iter().take(position).any(|earlier| is_same(&earlier)) {
            let format = c"HPyType_Spec.defines of '%s': slot %s stands there twice";
            return refuse!(PyExc_TypeError, format, name, slot_name(slot.slot).as_ptr());
        }
        if slot.r#impl.is_none() || (slot.cpy_trampoline.is_none() && slot.slot != HPy_tp_destroy) {
            let format = c"HPyType_Spec.defines of '%s': slot %s has no impl or no cpy_trampoline";
            return refuse!(PyExc_TypeError, format, name, slot_name(slot.slot).as_ptr());
        }
        // SAFETY: a slot's function is of its signature; a bridge for vectorcalls has CPython's convention.
        unsafe {
            match slot.slot {
                HPy_tp_traverse => self.traverse = transmute::<HPyCFunction, HPyFunc_traverseproc>(slot.r#impl),
                HPy_tp_destroy => self.destroy = transmute::<HPyCFunction, HPyFunc_destroyfunc>(slot.r#impl),
                HPy_tp_call => {
                    let entry = bridge::with_shift(self.ctx, Shift::Vectorcall, slot.r#impl, slot.cpy_trampoline);
                    self.call = transmute::<HPyCFunction, Option<vectorcallfunc>>(entry);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_legacy(&mut self) -> Result<()> {
        let spec = self.spec;
        if !spec.legacy_slots.is_null() {
            if spec.builtin_shape != HPyType_BuiltinShape_Legacy {
                let text = c"cannot specify .legacy_slots without setting .builtin_shape=HPyType_BuiltinShape_Legacy";
                return refuse!(PyExc_TypeError, text);
            }
            // SAFETY: the extension's array is as the header says, and stays.
            self.legacy = unsafe { Legacy::new(spec.legacy_slots) };
            if self.legacy.has(Py_tp_dealloc) && (self.traverse.is_some() || self.destroy.is_some()) {
                let text = c"legacy tp_dealloc is incompatible with HPy_tp_traverse or HPy_tp_destroy.";
                return refuse!(PyExc_TypeError, text);
            }
        }
        let is_collected = self.flags & HPy_TPFLAGS_HAVE_GC as c_uint != 0;
        if is_collected && self.traverse.is_none() && !self.legacy.has(Py_tp_traverse) {
            let text = c"You must provide an HPy_tp_traverse slot if you specify HPy_TPFLAGS_HAVE_GC";
            return refuse!(PyExc_ValueError, text);
        }
        Ok(())
    }

    fn check_shape(&self) -> Result<()> {
        let spec = self.spec;
        let is_legacy = spec.builtin_shape == HPyType_BuiltinShape_Legacy;
        if !is_legacy && shape::base_type(spec.builtin_shape).is_none() {
            return refuse!(PyExc_ValueError, c"invalid shape: %d", spec.builtin_shape.0);
        }
        if spec.basicsize as isize + shape::head_size(spec.builtin_shape) > MAX_BASICSIZE {
            let format = c"HPyType_Spec.basicsize of '%s' is too large (%d)";
            return refuse!(PyExc_TypeError, format, spec.name, spec.basicsize);
        }
        if spec.basicsize < 0 {
            let format = c"HPyType_Spec.basicsize of '%s' is negative (%d)";
            return refuse!(PyExc_TypeError, format, spec.name, spec.basicsize);
        }
        if spec.itemsize < 0 {
            let format = c"HPyType_Spec.itemsize of '%s' is negative (%d)";
            return refuse!(PyExc_TypeError, format, spec.name, spec.itemsize);
        }
        if self.call.is_some() && (spec.itemsize != 0 || shape::is_variable(spec.builtin_shape)) {
            return refuse!(PyExc_TypeError, c"Cannot use HPy call protocol with var objects");
        }
        Ok(())
    }

    /// A pure type always has our functions; a legacy one only if it leaves something to us to do.
    fn is_ours(&self) -> bool {
        let leaves_work = self.traverse.is_some() || self.destroy.is_some() || self.call.is_some();
        !self.legacy.has(Py_tp_dealloc) && (self.spec.builtin_shape != HPyType_BuiltinShape_Legacy || leaves_work)
    }

    /// Gathers CPython's slots. `is_collected`: a base takes part in garbage collection.
    fn add_slots(&mut self, is_collected: bool) -> Result<()> {
        let spec = self.spec;
        let head = shape::head_size(spec.builtin_shape);
        if spec.basicsize != 0 {
            self.basicsize = spec.basicsize as isize + head;
        }
        // A struct of its own may begin with the base's, and go on where the base has the hidden field.
        let moves_field = self.base_call != BaseCall::None && self.basicsize != 0 && !self.has_explicit_field();
        if self.call.is_some() || moves_field {
            self.add_call_field(head)?;
        }
        self.add_defined_slots()?;
        for slot in self.legacy.rest() {
            self.slots.push(slot)?;
        }
        let definition = self.definition(head)?;
        self.definition = Some(definition);
        self.add(Py_tp_methods, definition.methods().cast())?;
        self.add(Py_tp_getset, definition.getsets().cast())?;
        if !spec.doc.is_null() {
            self.add(Py_tp_doc, spec.doc.cast_mut().cast())?;
        }
        if self.is_ours() {
            self.add_life(is_collected)?;
        }
        self.add_call(moves_field)?;
        self.members.push(PyMemberDef::default())?;
        let members = self.members.as_mut_ptr();
        self.add(Py_tp_members, members.cast())
    }

    fn add(&mut self, slot: c_int, value: *mut c_void) -> Result<()> {
        self.slots.push(PyType_Slot { slot, pfunc: value })
    }

    /// The slots that CPython has as well.
    fn add_defined_slots(&mut self) -> Result<()> {
        for slot in self.defined_slots() {
            if matches!(slot.slot, HPy_tp_destroy | HPy_tp_call | HPy_tp_traverse) {
                continue;
            }
            let signature = slot_signature_of(slot.slot).unwrap_or(HPyFunc_Signature(0));
            let entry = bridge::of(self.ctx, signature, slot.r#impl, slot.cpy_trampoline);
            // SAFETY: a slot's function is of its signature. A pointer to a function is as wide as any.
            let value = unsafe {
                match slot.slot {
                    _ if is_below_layers(self.ctx) => {}
                    HPy_tp_new => {
                        self.creation.new = transmute::<HPyCFunction, HPyFunc_newfunc>(slot.r#impl);
                        self.creation.new_entry = entry;
                    }
                    HPy_tp_init => {
                        self.creation.init = transmute::<HPyCFunction, HPyFunc_initproc>(slot.r#impl);
                        self.creation.init_entry = entry;
                    }
                    _ => {}
                }
                transmute::<HPyCFunction, *mut c_void>(entry)
            };
            self.add(cpython_slot(slot.slot), value)?;
        }
        Ok(())
    }

    /// What stays for the type's life, with methods, getters and setters; members go to `self`.
    fn definition(&mut self, head: isize) -> Result<&'static Definition> {
        let mut parts = Parts {
            shape: self.spec.builtin_shape,
            struct_size: self.spec.basicsize,
            is_ours: self.is_ours(),
            traverse: self.traverse,
            destroy: self.destroy,
            call: self.call,
            creation: self.creation,
            methods: Array::new(),
            getsets: Array::new(),
        };
        // SAFETY: definitions and legacy arrays are the extension's, and stay.
        unsafe {
            method::add_methods(self.ctx, self.defines, self.legacy.methods(), |method| parts.methods.push(method))?;
            member::add_getsets(self.ctx, &mut parts.getsets, self.defines, self.legacy.getsets())?;
        }
        // The object may be larger than its struct by a hidden field, even if it has no struct of its own.
        let member_head = if self.basicsize != 0 { head } else { 0 };
        self.add_members(&mut parts, member_head)?;
        Definition::get(&parts)
    }

    /// How instances end, and what the collector sees of them.
    fn add_life(&mut self, is_collected: bool) -> Result<()> {
        let ours = functions::ours();
        self.add(Py_tp_dealloc, ours.dealloc as *mut c_void)?;
        if is_collected || self.flags & HPy_TPFLAGS_HAVE_GC as c_uint != 0 {
            self.flags |= HPy_TPFLAGS_HAVE_GC as c_uint;
            if !self.legacy.has(Py_tp_traverse) {
                self.add(Py_tp_traverse, ours.traverse as *mut c_void)?;
            }
            if !self.legacy.has(Py_tp_clear) {
                self.add(Py_tp_clear, ours.clear as *mut c_void)?;
            }
        }
        Ok(())
    }

    /// How instances are called, if they have a field for that.
    fn add_call(&mut self, moves_field: bool) -> Result<()> {
        let calls_by_itself = self.call.is_some() || !moves_field;
        if self.vectorcall_offset <= 0 || !(calls_by_itself || self.base_call == BaseCall::Ours) {
            return Ok(());
        }
        self.flags |= HPy_TPFLAGS_HAVE_VECTORCALL as c_uint;
        if self.call.is_some() || moves_field {
            return self.add(Py_tp_call, functions::ours().call as *mut c_void);
        }
        if self.legacy.has(Py_tp_call) {
            return Ok(());
        }
        self.add(Py_tp_call, PyVectorcall_Call as ternaryfunc as *mut c_void)
    }

    /// Room for the function of an instance, behind the struct.
    fn add_call_field(&mut self, head: isize) -> Result<()> {
        let struct_end = if self.basicsize == 0 { head } else { self.basicsize };
        if struct_end == 0 {
            let text = c"Cannot use HPy call protocol with legacy types that inherit the struct. Either set the basicsize to anon-zero value or use legacy slot 'Py_tp_call'.";
            return refuse!(PyExc_TypeError, text);
        }
        self.vectorcall_offset = shape::align(struct_end);
        self.basicsize = self.vectorcall_offset + call::FIELD_SIZE;
        self.members.push(PyMemberDef {
            name: VECTORCALL_OFFSET.as_ptr(),
            type_code: HPyMember_HPYSSIZET.0,
            offset: self.vectorcall_offset,
            flags: READONLY,
            doc: null_mut(),
        })
    }

    /// Whether the extension's own struct has a field for the function.
    fn has_explicit_field(&self) -> bool {
        let mut defined = self.defined_members().map(|member| member::member_def(member, 0));
        let is_field = |member: &PyMemberDef| legacy::is_named(member, VECTORCALL_OFFSET);
        defined.any(|member| is_field(&member)) || self.legacy.members().any(|member| is_field(&member))
    }

    fn add_members(&mut self, parts: &mut Parts, head: isize) -> Result<()> {
        let spec = self.spec;
        let mut explicit_offset = 0;
        let mut has_any = self.call.is_some();
        for member in self.defined_members() {
            has_any = true;
            if member.name.is_null() {
                let format = c"HPyType_Spec.defines of '%s': HPyMember.name is NULL";
                return refuse!(PyExc_TypeError, format, spec.name);
            }
            let def = member::member_def(member, head);
            if legacy::is_named(&def, VECTORCALL_OFFSET) {
                explicit_offset = def.offset;
            } else if spec.basicsize != 0 {
                member::check(spec, member)?;
            }
            if member::needs_functions(member, spec) {
                parts.getsets.push(member::member_of_functions(member))?;
            } else {
                self.members.push(def)?;
            }
        }
        for member in self.legacy.members() {
            has_any = true;
            if legacy::is_named(&member, VECTORCALL_OFFSET) {
                explicit_offset = member.offset;
            }
            self.members.push(member)?;
        }
        if self.basicsize == 0 && has_any {
            return refuse!(PyExc_TypeError, c"Type claims to have basicsize==0 but defines members");
        }
        if explicit_offset > 0 {
            if self.call.is_some() {
                let text =
                    c"Cannot have HPy_tp_call and explicit member'__vectorcalloffset__'. Specify just one of them.";
                return refuse!(PyExc_TypeError, text);
            }
            self.vectorcall_offset = explicit_offset;
        }
        Ok(())
    }

    /// Another type of the same definition may have plain instances. What can't be sure to have is announced before it is there: code that
    /// runs while it is made could make an instance.
    fn announce(&self, bases: &Bases) {
        let derives_from_object = bases.types().all(|base| base == Type::object());
        let is_collected = self.flags & HPy_TPFLAGS_HAVE_GC as c_uint != 0;
        let is_fixed = self.spec.itemsize == 0 && self.vectorcall_offset <= 0;
        if let Some(definition) = self.definition
            && (!derives_from_object || is_collected || !is_fixed)
        {
            definition.made(false);
        }
    }

    /// The type as CPython makes it. Returns a new reference.
    fn create(&mut self, bases: *mut PyObject, meta: Type) -> Result<*mut PyObject> {
        self.add(0, null_mut())?;
        // SAFETY: the name and what the slots point to stay; the list of slots lives until the type is made. Of the members, one ends
        // the list.
        unsafe {
            let mut spec = PyType_Spec {
                name: name::kept(CStr::from_ptr(self.spec.name))?,
                basicsize: self.basicsize as c_int,
                itemsize: self.spec.itemsize,
                flags: self.flags,
                slots: self.slots.as_mut_ptr(),
            };
            let members = self.members.as_slice().len().saturating_sub(1);
            metaclass::create(&mut spec, bases, meta, members)
        }
    }

    /// Sets right what CPython has made of the slots, and refuses what it did not.
    ///
    /// # Safety
    /// The type is new, and made from this.
    unsafe fn complete(&self, tp: Type) -> Result<()> {
        /// Of CPython: that it manages weak references and dictionary. A hybrid extension may ask for these itself.
        const MANAGED: c_uint = 1 << 3 | 1 << 4;
        // SAFETY: as this function's.
        unsafe {
            if self.flags & MANAGED == 0 {
                bases::keep_to_base(tp, self.members.as_slice());
            }
            bases::check_inheritance(tp, self.spec, self.basicsize)?;
            special::fill_slots(tp, self.defines)?;
            dealloc::choose(tp);
            if construct::possible(tp).is_some() {
                (*tp.as_ptr()).tp_vectorcall = Some(construct::vectorcall);
            }
            // What a metaclass does beside making the type.
            metaclass::run_new(tp.as_object())
        }
    }
}

/// CPython's spec has an int for it, and a hidden field may come on top.
const MAX_BASICSIZE: isize = c_int::MAX as isize - 64;

const VECTORCALL_OFFSET: &CStr = c"__vectorcalloffset__";

fn is_type_slot(slot: HPySlot_Slot) -> bool {
    is_slot(slot) && !matches!(slot, HPy_mod_create | HPy_mod_exec)
}

fn slot_name(slot: HPySlot_Slot) -> &'static CStr {
    slot_name_of(slot).unwrap_or(c"unknown")
}

/// Numbers are CPython's, but for some that CPython has changed since.
fn cpython_slot(slot: HPySlot_Slot) -> c_int {
    match slot {
        HPy_bf_getbuffer => Py_bf_getbuffer,
        HPy_bf_releasebuffer => Py_bf_releasebuffer,
        HPy_mp_ass_subscript => Py_mp_ass_subscript,
        HPy_mp_length => Py_mp_length,
        other => other.0,
    }
}
