//! The entry point, where the kernel starts the program.
#![allow(unsafe_code, reason = "without a C library, the arguments are on the bare stack")]

use core::{
    arch::naked_asm,
    ffi::{CStr, c_char},
};

use crate::{program, system};

/// The entry point. The kernel puts the number of the arguments on the stack, followed by pointers to them.
///
/// The stack pointer has the alignment that a call needs. There is no caller on the stack, so this never returns.
#[unsafe(naked)]
// SAFETY: no other `_start` is linked in: no start code is.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("mov rdi, rsp", "call {start}", start = sym start);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x0, sp", "bl {start}", start = sym start);
}

/// # Safety
/// `stack` must be the stack pointer as the kernel set it for a new program.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the stack begins with the number of arguments, followed by that many pointers. The first one points to the
    // program's own name. All of them point to strings that end with a NUL and stay unchanged as long as the program runs.
    let arguments = unsafe {
        let count = stack.read().saturating_sub(1);
        core::slice::from_raw_parts(stack.add(2).cast::<*const c_char>(), count)
    };
    // SAFETY: as above.
    let strings = arguments.iter().map(|argument| unsafe { CStr::from_ptr(*argument) });
    system::exit(program::run(strings))
}
