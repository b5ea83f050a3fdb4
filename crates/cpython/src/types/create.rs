//! `HPyType_FromSpec`: CPython's spec from an extension's.

use core::ffi::{CStr, c_int, c_long, c_longlong, c_short, c_uint, c_void};
use core::mem::transmute;
use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use super::bases::BaseCall;
use super::definition::{Creation, Definition, Parts};
use super::member::{self, READONLY};
use super::{bases, call, construct, functions, lifecycle, metaclass, name, shape, special};
use crate::array::Array;
use crate::bridge;
use crate::method;
use crate::raised::{PythonError, Result, raise};
use crate::shift::Shift;
use crate::table::is_below_layers;

/// Makes a type. Returns a new reference.
///
/// # Safety
/// Spec and parameters are an extension's; the spec's definitions stay.
pub unsafe fn from_spec(
    ctx: *mut HPyContext,
    spec: &HPyType_Spec,
    params: *const HPyType_SpecParam,
) -> Result<*mut PyObject> {
    // SAFETY: as this function's.
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
        let bases = bases::tuple(params)?;
        let meta = bases::metaclass(params)?;
        bases::check_room(bases.as_ptr(), spec)?;
        builder.base_call = bases::hidden_call(bases.as_ptr());
        builder.add_slots(bases::any_collected(bases.as_ptr()))?;
        let result = builder.create(bases.as_ptr(), meta)?;
        // A hybrid extension may ask for these itself.
        const MANAGED: c_uint = 1 << 3 | 1 << 4;
        if builder.flags & MANAGED == 0 {
            bases::keep_to_base(result.cast(), builder.members.as_slice());
        }
        if let Err(error) = bases::check_inheritance(result.cast(), spec, builder.basicsize) {
            Py_DECREF(result);
            return Err(error);
        }
        let tp = result.cast::<PyTypeObject>();
        if let Err(error) = special::fill_slots(tp, builder.defines) {
            Py_DECREF(result);
            return Err(error);
        }
        lifecycle::choose_dealloc(tp);
        if construct::is_possible(tp) {
            (*tp).tp_vectorcall = Some(construct::vectorcall);
        }
        if let Err(error) = metaclass::run_new(result) {
            Py_DECREF(result);
            return Err(error);
        }
        Ok(result)
    }
}

/// What legacy slots say about members, methods and the life of instances.
#[derive(Default, Clone, Copy)]
struct Legacy {
    methods: Option<*const PyMethodDef>,
    members: Option<*const PyMemberDef>,
    getsets: Option<*const PyGetSetDef>,
    dealloc: bool,
    traverse: bool,
    clear: bool,
    call: bool,
}

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
    members: Array<PyMemberDef>,
    slots: Array<PyType_Slot>,
}

impl<'a> Builder<'a> {
    fn new(ctx: *mut HPyContext, spec: &'a HPyType_Spec, defines: &'a [*mut HPyDef]) -> Builder<'a> {
        Builder {
            ctx,
            spec,
            defines,
            legacy: Legacy::default(),
            flags: spec.flags as c_uint,
            basicsize: 0,
            traverse: None,
            destroy: None,
            call: None,
            creation: Creation { ctx, new: None, init: None, new_entry: None, init_entry: None },
            base_call: BaseCall::None,
            vectorcall_offset: 0,
            members: Array::new(),
            slots: Array::new(),
        }
    }

    /// Refuses what can be seen to be wrong before anything is made, and notes the slots that are ours.
    unsafe fn check(&mut self) -> Result<()> {
        let spec = self.spec;
        // SAFETY: the interpreter is held; definitions stay.
        unsafe {
            for (position, &define) in self.defines.iter().enumerate() {
                let define = &*define;
                match define.kind {
                    HPyDef_Kind_Slot => self.check_slot(&define.u.slot, position)?,
                    HPyDef_Kind_Meth => special::check(&define.u.meth, spec)?,
                    HPyDef_Kind_Member | HPyDef_Kind_GetSet => {}
                    kind => {
                        let format = c"HPyType_Spec.defines of '%s': unknown HPyDef.kind %d";
                        return Err(raise!(PyExc_TypeError, format, spec.name, kind.0));
                    }
                }
            }
            let is_legacy = spec.builtin_shape == HPyType_BuiltinShape_Legacy;
            if !spec.legacy_slots.is_null() {
                if !is_legacy {
                    let text =
                        c"cannot specify .legacy_slots without setting .builtin_shape=HPyType_BuiltinShape_Legacy";
                    return Err(raise!(PyExc_TypeError, text));
                }
                self.read_legacy_slots();
                if self.legacy.dealloc && (self.traverse.is_some() || self.destroy.is_some()) {
                    let text = c"legacy tp_dealloc is incompatible with HPy_tp_traverse or HPy_tp_destroy.";
                    return Err(raise!(PyExc_TypeError, text));
                }
            }
            if self.flags & HPy_TPFLAGS_HAVE_GC as c_uint != 0 && self.traverse.is_none() && !self.legacy.traverse {
                let text = c"You must provide an HPy_tp_traverse slot if you specify HPy_TPFLAGS_HAVE_GC";
                return Err(raise!(PyExc_ValueError, text));
            }
            if !is_legacy && shape::base_type(spec.builtin_shape).is_none() {
                return Err(raise!(PyExc_ValueError, c"invalid shape: %d", spec.builtin_shape.0));
            }
            if spec.basicsize as isize + shape::head_size(spec.builtin_shape) > MAX_BASICSIZE {
                let format = c"HPyType_Spec.basicsize of '%s' is too large (%d)";
                return Err(raise!(PyExc_TypeError, format, spec.name, spec.basicsize));
            }
            if spec.basicsize < 0 {
                let format = c"HPyType_Spec.basicsize of '%s' is negative (%d)";
                return Err(raise!(PyExc_TypeError, format, spec.name, spec.basicsize));
            }
            if spec.itemsize < 0 {
                let format = c"HPyType_Spec.itemsize of '%s' is negative (%d)";
                return Err(raise!(PyExc_TypeError, format, spec.name, spec.itemsize));
            }
            if self.call.is_some() && (spec.itemsize != 0 || shape::is_variable(spec.builtin_shape)) {
                return Err(raise!(PyExc_TypeError, c"Cannot use HPy call protocol with var objects"));
            }
        }
        Ok(())
    }

    unsafe fn check_slot(&mut self, slot: &HPySlot, position: usize) -> Result<()> {
        let name = self.spec.name;
        let number = slot.slot.0;
        // SAFETY: the interpreter is held; a slot's function is of its signature.
        unsafe {
            if !is_type_slot(slot.slot) {
                let format = c"HPyType_Spec.defines of '%s': slot %d (%s) is not a slot of types";
                return Err(raise!(PyExc_TypeError, format, name, number, slot_name(slot.slot).as_ptr()));
            }
            for &earlier in self.defines.iter().take(position) {
                if (*earlier).kind == HPyDef_Kind_Slot && (*earlier).u.slot.slot == slot.slot {
                    let format = c"HPyType_Spec.defines of '%s': slot %s stands there twice";
                    return Err(raise!(PyExc_TypeError, format, name, slot_name(slot.slot).as_ptr()));
                }
            }
            if slot.r#impl.is_none() || (slot.cpy_trampoline.is_none() && slot.slot != HPy_tp_destroy) {
                let format = c"HPyType_Spec.defines of '%s': slot %s has no impl or no cpy_trampoline";
                return Err(raise!(PyExc_TypeError, format, name, slot_name(slot.slot).as_ptr()));
            }
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

    unsafe fn read_legacy_slots(&mut self) {
        let mut slot = self.spec.legacy_slots.cast::<PyType_Slot>();
        // SAFETY: legacy slots end with a slot 0, and each value is what its slot says.
        unsafe {
            while (*slot).slot != 0 {
                let value = (*slot).pfunc;
                match (*slot).slot {
                    Py_tp_methods => self.legacy.methods = Some(value.cast()),
                    Py_tp_members => self.legacy.members = Some(value.cast()),
                    Py_tp_getset => self.legacy.getsets = Some(value.cast()),
                    Py_tp_dealloc => self.legacy.dealloc = true,
                    Py_tp_traverse => self.legacy.traverse = true,
                    Py_tp_clear => self.legacy.clear = true,
                    Py_tp_call => self.legacy.call = true,
                    _ => {}
                }
                slot = slot.add(1);
            }
        }
    }

    /// A pure type is always told apart by our deallocator; a legacy one only if it leaves something to us to do.
    fn is_ours(&self) -> bool {
        let leaves_work = self.traverse.is_some() || self.destroy.is_some() || self.call.is_some();
        !self.legacy.dealloc && (self.spec.builtin_shape != HPyType_BuiltinShape_Legacy || leaves_work)
    }

    /// Gathers CPython's slots. `collected`: a base takes part in garbage collection.
    unsafe fn add_slots(&mut self, collected: bool) -> Result<()> {
        let spec = self.spec;
        let head = shape::head_size(spec.builtin_shape);
        // SAFETY: the interpreter is held; definitions and legacy slots are of the extension.
        unsafe {
            if spec.basicsize != 0 {
                self.basicsize = spec.basicsize as isize + head;
            }
            // A struct of its own may begin with the base's, and go on where the base has the hidden field.
            let moves_field = self.base_call != BaseCall::None && self.basicsize != 0 && !self.has_explicit_field();
            if self.call.is_some() || moves_field {
                self.add_call_field(head)?;
            }
            for &define in self.defines {
                if (*define).kind == HPyDef_Kind_Slot {
                    let slot = &(*define).u.slot;
                    if !matches!(slot.slot, HPy_tp_destroy | HPy_tp_call | HPy_tp_traverse) {
                        let signature = slot_signature_of(slot.slot).unwrap_or(HPyFunc_Signature(0));
                        let entry = bridge::of(self.ctx, signature, slot.r#impl, slot.cpy_trampoline);
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
                        let value = transmute::<HPyCFunction, *mut c_void>(entry);
                        self.slots.push(PyType_Slot { slot: cpython_slot(slot.slot), pfunc: value })?;
                    }
                }
            }
            self.add_legacy_slots()?;

            let mut parts = Parts {
                shape: spec.builtin_shape,
                struct_size: spec.basicsize,
                traverse: self.traverse,
                destroy: self.destroy,
                call: self.call,
                creation: self.creation,
                methods: Array::new(),
                getsets: Array::new(),
            };
            method::add_methods(self.ctx, self.defines, self.legacy.methods.unwrap_or(null_mut()), |method| {
                parts.methods.push(method)
            })?;
            member::add_getsets(self.ctx, &mut parts.getsets, self.defines, self.legacy.getsets.unwrap_or(null_mut()))?;
            // The object may be larger than its struct by a hidden field, even if it has no struct of its own.
            let member_head = if self.basicsize != 0 { head } else { 0 };
            self.add_members(&mut parts, member_head)?;
            let definition = Definition::get(&parts)?;

            self.add(Py_tp_methods, definition.methods().cast())?;
            self.add(Py_tp_getset, definition.getsets().cast())?;
            if !spec.doc.is_null() {
                self.add(Py_tp_doc, spec.doc.cast_mut().cast())?;
            }
            let ours = functions::ours();
            if self.is_ours() {
                self.add(Py_tp_dealloc, ours.dealloc as *mut c_void)?;
                if collected || self.flags & HPy_TPFLAGS_HAVE_GC as c_uint != 0 {
                    self.flags |= HPy_TPFLAGS_HAVE_GC as c_uint;
                    if !self.legacy.traverse {
                        self.add(Py_tp_traverse, ours.traverse as *mut c_void)?;
                    }
                    if !self.legacy.clear {
                        self.add(Py_tp_clear, ours.clear as *mut c_void)?;
                    }
                }
            }
            let calls_by_itself = self.call.is_some() || !moves_field;
            if self.vectorcall_offset > 0 && (calls_by_itself || self.base_call == BaseCall::Ours) {
                self.flags |= HPy_TPFLAGS_HAVE_VECTORCALL as c_uint;
                if self.call.is_some() || moves_field {
                    self.add(Py_tp_call, ours.call as *mut c_void)?;
                } else if !self.legacy.call {
                    self.add(Py_tp_call, PyVectorcall_Call as ternaryfunc as *mut c_void)?;
                }
            }
            self.members.push(core::mem::zeroed())?;
            let members = self.members.as_mut_ptr();
            self.add(Py_tp_members, members.cast())
        }
    }

    fn add(&mut self, slot: c_int, value: *mut c_void) -> Result<()> {
        self.slots.push(PyType_Slot { slot, pfunc: value })
    }

    /// Room for the function of an instance, behind the struct.
    unsafe fn add_call_field(&mut self, head: isize) -> Result<()> {
        let struct_end = if self.basicsize == 0 { head } else { self.basicsize };
        if struct_end == 0 {
            // SAFETY: the interpreter is held.
            return Err(unsafe {
                raise!(
                    PyExc_TypeError,
                    c"Cannot use HPy call protocol with legacy types that inherit the struct. Either set the basicsize to anon-zero value or use legacy slot 'Py_tp_call'."
                )
            });
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
    unsafe fn has_explicit_field(&self) -> bool {
        // SAFETY: definitions and legacy members are of the extension.
        unsafe {
            let defined = self.defines.iter().any(|&define| {
                let name = (*define).u.member.name;
                (*define).kind == HPyDef_Kind_Member && !name.is_null() && CStr::from_ptr(name) == VECTORCALL_OFFSET
            });
            let mut member = self.legacy.members.unwrap_or(null_mut());
            while !defined && !member.is_null() && !(*member).name.is_null() {
                if CStr::from_ptr((*member).name) == VECTORCALL_OFFSET {
                    return true;
                }
                member = member.add(1);
            }
            defined
        }
    }

    unsafe fn add_legacy_slots(&mut self) -> Result<()> {
        if self.spec.legacy_slots.is_null() {
            return Ok(());
        }
        let mut slot = self.spec.legacy_slots.cast::<PyType_Slot>();
        // SAFETY: legacy slots end with a slot 0.
        unsafe {
            while (*slot).slot != 0 {
                if !matches!((*slot).slot, Py_tp_methods | Py_tp_members | Py_tp_getset) {
                    self.slots.push(*slot)?;
                }
                slot = slot.add(1);
            }
        }
        Ok(())
    }

    unsafe fn add_members(&mut self, parts: &mut Parts, head: isize) -> Result<()> {
        let spec = self.spec;
        let mut explicit_offset = 0;
        let mut any = self.call.is_some();
        // SAFETY: the interpreter is held; definitions and legacy members are of the extension.
        unsafe {
            for &define in self.defines {
                if (*define).kind != HPyDef_Kind_Member {
                    continue;
                }
                any = true;
                let member = &(*define).u.member;
                if member.name.is_null() {
                    return Err(raise!(
                        PyExc_TypeError,
                        c"HPyType_Spec.defines of '%s': HPyMember.name is NULL",
                        spec.name
                    ));
                }
                let def = member::member_def(member, head);
                if CStr::from_ptr(member.name) == VECTORCALL_OFFSET {
                    explicit_offset = def.offset;
                } else if spec.basicsize != 0 {
                    check_member(spec, member)?;
                }
                if member::needs_functions(member, spec) {
                    parts.getsets.push(member::member_of_functions(member))?;
                } else {
                    self.members.push(def)?;
                }
            }
            if let Some(mut member) = self.legacy.members {
                while !(*member).name.is_null() {
                    any = true;
                    if CStr::from_ptr((*member).name) == VECTORCALL_OFFSET {
                        explicit_offset = (*member).offset;
                    }
                    self.members.push(*member)?;
                    member = member.add(1);
                }
            }
            if self.basicsize == 0 && any {
                return Err(raise!(PyExc_TypeError, c"Type claims to have basicsize==0 but defines members"));
            }
            if explicit_offset > 0 {
                if self.call.is_some() {
                    let text =
                        c"Cannot have HPy_tp_call and explicit member'__vectorcalloffset__'. Specify just one of them.";
                    return Err(raise!(PyExc_TypeError, text));
                }
                self.vectorcall_offset = explicit_offset;
            }
        }
        Ok(())
    }

    unsafe fn create(&mut self, bases: *mut PyObject, meta: *mut PyTypeObject) -> Result<*mut PyObject> {
        self.add(0, null_mut())?;
        // SAFETY: the name and what the slots point to stay; the list of slots lives until the type is made.
        unsafe {
            let mut spec = PyType_Spec {
                name: name::kept(CStr::from_ptr(self.spec.name))?,
                basicsize: self.basicsize as c_int,
                itemsize: self.spec.itemsize,
                flags: self.flags,
                slots: self.slots.as_mut_ptr(),
            };
            let result = bases::create(&mut spec, bases, meta, self.members.as_slice().len() - 1)?;
            Ok(result)
        }
    }
}

/// CPython's spec has an int for it, and a hidden field may come on top.
const MAX_BASICSIZE: isize = c_int::MAX as isize - 64;

const VECTORCALL_OFFSET: &CStr = c"__vectorcalloffset__";

/// A member has to be of a known type, and to lie in the struct.
unsafe fn check_member(spec: &HPyType_Spec, member: &HPyMember) -> Result<()> {
    // SAFETY: the interpreter is held.
    unsafe {
        let Some(size) = member_size(member.r#type) else {
            let format = c"HPyType_Spec.defines of '%s': member '%s' has the unknown type %d";
            return Err(raise!(PyExc_TypeError, format, spec.name, member.name, member.r#type.0));
        };
        let end = member.offset.wrapping_add(size);
        if member.offset < 0 || end < member.offset || end > spec.basicsize as isize {
            let format =
                c"HPyType_Spec.defines of '%s': member '%s' (offset %zd) is not in the struct, whose basicsize is %d";
            return Err(raise!(PyExc_TypeError, format, spec.name, member.name, member.offset, spec.basicsize));
        }
    }
    Ok(())
}

/// The size of a member, or the least there is of it.
fn member_size(ty: HPyMember_FieldType) -> Option<isize> {
    let size = match ty {
        HPyMember_SHORT | HPyMember_USHORT => size_of::<c_short>(),
        HPyMember_INT | HPyMember_UINT => size_of::<c_int>(),
        HPyMember_LONG | HPyMember_ULONG => size_of::<c_long>(),
        HPyMember_FLOAT => size_of::<f32>(),
        HPyMember_DOUBLE => size_of::<f64>(),
        HPyMember_CHAR | HPyMember_BYTE | HPyMember_UBYTE | HPyMember_BOOL | HPyMember_STRING_INPLACE => 1,
        HPyMember_LONGLONG | HPyMember_ULONGLONG => size_of::<c_longlong>(),
        HPyMember_STRING | HPyMember_OBJECT | HPyMember_OBJECT_EX | HPyMember_HPYSSIZET => size_of::<isize>(),
        HPyMember_NONE => 0,
        _ => return None,
    };
    Some(size.cast_signed())
}

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
