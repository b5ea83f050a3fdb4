"""Specs of legacy types that make no type. The ABI is not universal."""

import gc

import pytest
from raising import failure
from test_type_legacy import PYTHON
from type_snippets import BASETYPE, DEFAULT, slot, type_source

pytestmark = pytest.mark.abis("cpython", "hybrid")

# Specs that are wrong, with legacy slots that are what makes them so.
BAD = PYTHON + """
    typedef struct { PyObject_HEAD long x; } Data;
    static void bad_dealloc(PyObject *self) { abort(); }
    static PyType_Slot dealloc_slots[] = { { Py_tp_dealloc, bad_dealloc }, { 0, NULL } };
    static PyMemberDef offset_members[] = {
        { "__vectorcalloffset__", T_PYSSIZET, offsetof(Data, x), READONLY, NULL },
        { NULL, 0, 0, 0, NULL }
    };
    static PyType_Slot offset_slots[] = { { Py_tp_members, offset_members }, { 0, NULL } };
""" + "".join(
    [
        type_source("Pure", "long x;"),
        *(
            type_source(
                name,
                "PyObject_HEAD long x;",
                slot(slot_name, body, name),
                shape="Legacy",
                legacy_slots=legacy,
                flags=DEFAULT,
                make=True,
            )
            for name, slot_name, body, legacy in (
                ("Destroy", "tp_destroy", "", "dealloc_slots"),
                ("Traverse", "tp_traverse", "return 0;", "dealloc_slots"),
                ("Call", "tp_call", "return NONE;", "offset_slots"),
            )
        ),
        type_source("Struct", "PyObject_HEAD long x; long y;", shape="Legacy", make=True, flags=BASETYPE),
        type_source("MembersOnly", "", shape="Legacy", make=True, legacy_slots="offset_slots"),
    ]
)
NO_DEALLOC = "legacy tp_dealloc is incompatible with HPy_tp_traverse or HPy_tp_destroy."


@pytest.mark.parametrize(
    "name, text",
    [
        ("Destroy", NO_DEALLOC),
        ("Traverse", NO_DEALLOC),
        ("Call", "Cannot have HPy_tp_call and explicit member'__vectorcalloffset__'. Specify just one of them."),
        ("MembersOnly", "Type claims to have basicsize==0 but defines members"),
    ],
)
def test_slots_that_contradict(snippet, name, text):
    assert failure(getattr(snippet(BAD), f"make_{name}")) == (TypeError, text)


def test_a_legacy_type_from_a_pure_one(snippet):
    mod = snippet(BAD)
    text = "A legacy type should not inherit its memory layout from a pure type"
    before = len(mod.Pure.__subclasses__())
    assert failure(mod.make_Struct, (mod.Pure,)) == (TypeError, text)
    gc.collect()
    assert len(mod.Pure.__subclasses__()) == before
