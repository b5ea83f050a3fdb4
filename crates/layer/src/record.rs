//! Keeps where each call of the API comes from.
//!
//! Before a function of the table runs, a few instructions put its return address into the frame of the context. So the line of every
//! call is known, at the cost of a store.

/// Makes a module `record` with a function `recording` that puts such stubs in front of the functions of a table. Each layer has its
/// own.
///
/// The contexts with this table have the address of a frame as `_private`, and the frame begins with the word for the address.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", not(windows))))]
#[macro_export]
macro_rules! record_calls {
    () => {
        mod record {
            use core::arch::naked_asm;
            use core::mem::offset_of;
            use core::sync::atomic::{AtomicUsize, Ordering::*};

            use hpy_abi::*;
            use $crate::MEMBERS;

            const STRIDE: usize = 32;

            /// Where each stub goes on.
            static TARGETS: [AtomicUsize; MEMBER_COUNT] = [const { AtomicUsize::new(0) }; MEMBER_COUNT];

            const _: () = assert!(offset_of!(HPyContext, _private) == 8);

            // What one stub does. In the last lines of each, \+ is the number of the repetition.
            #[cfg(all(target_arch = "x86_64", not(windows)))]
            macro_rules! stub {
                () => {
                    "mov rax, [rdi + 8]
                    mov r11, [rsp]
                    mov [rax], r11
                    jmp qword ptr [rip + {targets} + 8 * \\+]"
                };
            }

            #[cfg(all(target_arch = "x86_64", windows))]
            macro_rules! stub {
                () => {
                    "mov rax, [rcx + 8]
                    mov r11, [rsp]
                    mov [rax], r11
                    jmp qword ptr [rip + {targets} + 8 * \\+]"
                };
            }

            #[cfg(all(target_arch = "aarch64", not(target_vendor = "apple")))]
            macro_rules! stub {
                () => {
                    "ldr x16, [x0, #8]
                    str x30, [x16]
                    adrp x16, {targets} + 8 * \\+
                    ldr x16, [x16, :lo12:{targets} + 8 * \\+]
                    br x16"
                };
            }

            #[cfg(all(target_arch = "aarch64", target_vendor = "apple"))]
            macro_rules! stub {
                () => {
                    "ldr x16, [x0, #8]
                    str x30, [x16]
                    adrp x16, {targets}@PAGE + (8 * \\+)
                    ldr x16, [x16, {targets}@PAGEOFF + (8 * \\+)]
                    br x16"
                };
            }

            #[unsafe(naked)]
            unsafe extern "C" fn code() {
                naked_asm!(
                    ".rept {count}",
                    ".balign {stride}",
                    stub!(),
                    ".endr",
                    count = const MEMBER_COUNT,
                    stride = const STRIDE,
                    targets = sym TARGETS,
                )
            }

            /// The table with its functions behind stubs that record.
            pub fn recording(mut table: HPyContext) -> HPyContext {
                // The function that the stubs are the body of may start in front of the first one.
                let first = (code as *const () as usize).next_multiple_of(STRIDE);
                for (index, target) in TARGETS.iter().enumerate() {
                    if MEMBERS.get(index).is_none_or(|member| !member.is_function) {
                        continue;
                    }
                    // SAFETY: the member at this index is a function pointer; the stub has the same signature.
                    unsafe {
                        let place = (&raw mut table).byte_add(offset_of_member(index)).cast::<usize>();
                        target.store(*place, Release);
                        *place = first + index * STRIDE;
                    }
                }
                table
            }
        }
    };
}

/// Where there are no stubs, places are unknown.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", not(windows)))))]
#[macro_export]
macro_rules! record_calls {
    () => {
        mod record {
            pub fn recording(table: hpy_abi::HPyContext) -> hpy_abi::HPyContext {
                table
            }
        }
    };
}
