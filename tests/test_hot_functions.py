"""What extensions call most often costs no more than the function of CPython's behind it, which shows in the machine code."""

import re
import shutil
import subprocess
import sys
import sysconfig
from functools import lru_cache
from platform import machine

import hpy.universal
import pytest
from snippet import REFERENCE

pytestmark = [
    pytest.mark.skipif(REFERENCE, reason="0.9.0 has functions of another make"),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="the functions are the interpreter's own"),
    pytest.mark.skipif(bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="without the GIL, many of them take a lock"),
    pytest.mark.skipif(machine() != "x86_64", reason="reads the code of x86-64 only"),
    pytest.mark.skipif(not shutil.which("objdump"), reason="needs objdump, to read machine code"),
]

# The whole function is one jump to another, but for what it returns at once.
JUMPS = """
    Absolute Add And Bool_FromBool Bytes_AsString Bytes_Size Callable_Check Dict_Check Dict_Copy Dict_New Divmod
    Err_Clear Err_SetString Float_AsDouble Float_FromDouble FloorDivide GetAttr GetAttr_s GetItem
    Hash InPlaceAdd Index Iter_Next Length List_Append Long Long_AsDouble Long_AsInt64_t Long_AsSize_t Long_AsSsize_t
    Long_AsUInt64_t Long_FromInt32_t Long_FromInt64_t Long_FromSize_t Long_FromSsize_t Long_FromUInt32_t Long_FromUInt64_t
    Lshift Multiply Negative Or Positive Remainder Repr RichCompare RichCompareBool SetAttr SetAttr_s Str Subtract
    TrueDivide Type_IsSubtype Unicode_AsUTF8AndSize Unicode_Check Unicode_FromString Unicode_ReadChar
""".split()
# From 3.13 on, CPython's function of this name warns of the exceptions that it swallows.
if sys.version_info < (3, 13):
    JUMPS.append("HasAttr")

# Without a call, but for a jump where an object ends or the way is longer. Of functions that are the same, one is there.
INLINE = """
    AsPyObject|Dup|Field_Load|FromPyObject|Global_Load AsStruct_Float AsStruct_Legacy AsStruct_List AsStruct_Object
    AsStruct_Type AsStruct_Unicode Close Field_Store GetItem_i Global_Store Is SetItem Type TypeCheck
""".split()


@lru_cache
def disassembly():
    command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", "--wide", hpy.universal.__file__]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


@lru_cache
def functions():
    """The instructions of each function of the context, as text."""
    found = {}
    instructions = []
    for line in disassembly().splitlines():
        if label := re.fullmatch(r"[0-9a-f]+ <(.*)>:", line):
            instructions = []
            # Debug mode has functions of these names as well.
            if name := re.search(r"\bCPython\b.*\bctx_(\w+)", label[1]):
                found[name[1]] = instructions
        elif re.match(r"\s+[0-9a-f]+:", line):
            instruction = line.split(":", 1)[1].strip()
            # Padding.
            if not re.match(r"(data16|cs |nop|int3|xchg +%ax,%ax)", instruction):
                instructions.append(instruction)
    assert len(found) > 150
    return found


def code_of(name):
    return next(functions()[each] for each in name.split("|") if each in functions())


def frames_and_calls(code):
    return [text for text in code if re.match(r"push|call|sub +\$\w+,%rsp", text)]


@pytest.mark.parametrize("name", JUMPS)
def test_a_single_call_of_cpythons_is_a_jump(name):
    code = code_of(name)
    assert frames_and_calls(code) == []
    assert sum(text.startswith("jmp") for text in code) <= 1
    assert len(code) <= 6, code


@pytest.mark.parametrize("name", INLINE)
def test_what_is_done_on_the_spot_has_no_frame(name):
    code = code_of(name)
    assert frames_and_calls(code) == []
    assert len(code) <= 40, code


def test_a_thunk_moves_registers_and_jumps():
    pools = re.findall(r"<hpy_cpython::thunk::POOLS::code>:\n(.*?)\n\n", disassembly(), re.DOTALL)
    assert len(pools) == 6
    for pool in pools:
        lines = [line.split(":", 1)[1].split("#")[0].strip() for line in pool.splitlines()[:12]]
        first = lines[: next(i for i, line in enumerate(lines) if line.startswith("jmp")) + 1]
        assert 3 <= len(first) <= 8 and first[-1].startswith("jmp    *"), first
        assert all(line.startswith(("mov ", "lea ", "btr ")) for line in first[:-1]), first
