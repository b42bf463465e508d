//! System calls, functions that the compiler expects from a C library, and what happens after a panic.
//!
//! The program links no C library: the smallest would be some ten times its size. All functions here are safe for the rest of
//! the program to call.
//!
//! Numbers, flags and layouts are those of Linux on x86_64 and aarch64, both with 64 bits: `asm/unistd_64.h` and
//! `asm-generic/unistd.h` for the calls, `asm-generic/fcntl.h` for the flags used here. `…(2)` is a page of the Linux manual.
#![allow(unsafe_code, reason = "without a C library, nothing safe reaches the kernel")]

use core::{arch::asm, ffi::CStr, panic::PanicInfo};

use holder::failure::Errno;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const SENDFILE: usize = 40;
    pub const FCHMOD: usize = 91;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const UNLINKAT: usize = 263;
    pub const RENAMEAT: usize = 264;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const UNLINKAT: usize = 35;
    pub const RENAMEAT: usize = 38;
    pub const FCHMOD: usize = 52;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const WRITE: usize = 64;
    pub const SENDFILE: usize = 71;
    pub const EXIT_GROUP: usize = 94;
    pub const CLOCK_GETTIME: usize = 113;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
}

/// syscall(2)
///
/// # Safety
/// The arguments must be what the call of this number expects. In particular, pointers must be valid for everything that it
/// reads and writes through them.
unsafe fn call(number: usize, [a, b, c, d]: [usize; 4]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel changes only the registers that are named as outputs, and only the memory that the arguments point to,
    // which is the caller's responsibility.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d,
            options(nostack),
        );
    }
    match result {
        // The range that the kernel reserves for errors.
        -4095..0 => Err(Errno(result.unsigned_abs() as u16)),
        _ => Ok(result as usize),
    }
}

/// Ends the program: exit_group(2).
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: no pointers.
        let _ = unsafe { call(number::EXIT_GROUP, [code.into(), 0, 0, 0]) };
    }
}

/// Writes to standard error: write(2). A failure is ignored, since there is nowhere else to report it.
///
/// Not inlined, because messages consist of many pieces: the copies would be a tenth of the program.
#[inline(never)]
pub fn write_error(text: &[u8]) {
    const STDERR: usize = 2;
    // SAFETY: the kernel reads as many bytes as `text` has.
    let _ = unsafe { call(number::WRITE, [STDERR, text.as_ptr().expose_provenance(), text.len(), 0]) };
}

/// Makes relative paths start from the working directory: openat(2).
const AT_FDCWD: usize = -100_isize as usize;

/// An open file. It stays open until [`File::close`], or as long as the program runs.
pub struct File(usize);

impl File {
    /// Opens a file for reading: open(2).
    pub fn open(path: &CStr) -> Result<Self, Errno> {
        const O_RDONLY: usize = 0;
        Self::open_with(path, O_RDONLY)
    }

    /// Creates a file that must not exist yet: open(2). Only its owner may read and write it until [`File::set_mode`].
    pub fn create(path: &CStr) -> Result<Self, Errno> {
        const O_WRONLY: usize = 0o1;
        const O_CREAT: usize = 0o100;
        const O_EXCL: usize = 0o200;
        Self::open_with(path, O_WRONLY | O_CREAT | O_EXCL)
    }

    fn open_with(path: &CStr, flags: usize) -> Result<Self, Errno> {
        const MODE: usize = 0o600;
        // SAFETY: `path` ends with a NUL.
        unsafe { call(number::OPENAT, [AT_FDCWD, path.as_ptr().expose_provenance(), flags, MODE]) }.map(Self)
    }

    /// Appends the next bytes of `source`, and returns how many there were: sendfile(2). 0 at its end.
    pub fn append_from(&self, source: &Self) -> Result<usize, Errno> {
        const FROM_WHERE_IT_STANDS: usize = 0;
        const AT_MOST: usize = 1 << 20;
        // SAFETY: the only pointer is null, which the call allows.
        unsafe { call(number::SENDFILE, [self.0, source.0, FROM_WHERE_IT_STANDS, AT_MOST]) }
    }

    /// Sets the permissions of the file, regardless of the umask: fchmod(2).
    pub fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        // SAFETY: no pointers.
        unsafe { call(number::FCHMOD, [self.0, mode as usize, 0, 0]) }.map(drop)
    }

    /// Closes the file: close(2). Some file systems report only now that an earlier write failed.
    pub fn close(self) -> Result<(), Errno> {
        // SAFETY: no pointers. Nothing uses the descriptor afterwards, because it is moved in and cannot be cloned.
        unsafe { call(number::CLOSE, [self.0, 0, 0, 0]) }.map(drop)
    }
}

/// Renames a file, and replaces a file that has the new name: rename(2).
pub fn rename(from: &CStr, to: &CStr) -> Result<(), Errno> {
    let paths = [AT_FDCWD, from.as_ptr().expose_provenance(), AT_FDCWD, to.as_ptr().expose_provenance()];
    // SAFETY: both paths end with a NUL.
    unsafe { call(number::RENAMEAT, paths) }.map(drop)
}

/// Removes a file: unlink(2).
pub fn remove(path: &CStr) -> Result<(), Errno> {
    // SAFETY: `path` ends with a NUL.
    unsafe { call(number::UNLINKAT, [AT_FDCWD, path.as_ptr().expose_provenance(), 0, 0]) }.map(drop)
}

/// A second in nanoseconds, the unit of [`monotonic`] and [`wait_for_signal`].
pub const SECOND: u64 = 1_000_000_000;

/// timespec(3type)
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// The wall-clock time in whole seconds since 1970-01-01 00:00 UTC; 0 for any time before.
pub fn seconds_since_1970() -> u64 {
    const CLOCK_REALTIME: usize = 0;
    clock(CLOCK_REALTIME).seconds.try_into().unwrap_or(0)
}

/// The nanoseconds since some point in the past, by a clock that nobody can set.
pub fn monotonic() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let time = clock(CLOCK_MONOTONIC);
    time.seconds as u64 * SECOND + time.nanoseconds as u64
}

/// clock_gettime(2). Zero if the clock cannot be read: all callers can cope with a clock that stands still.
fn clock(clock: usize) -> Timespec {
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: `time` has the layout of what the kernel writes there.
    let _ = unsafe { call(number::CLOCK_GETTIME, [clock, (&raw mut time).expose_provenance(), 0, 0]) };
    time
}

/// The size of a set of signals in the kernel, in bytes.
const SIGNAL_SET_SIZE: usize = size_of::<u64>();

/// Blocks the signals of `set` (bit n is signal n + 1), so that they stay pending: sigprocmask(2).
pub fn block_signals(set: u64) -> Result<(), Errno> {
    const SIG_BLOCK: usize = 0;
    let arguments = [SIG_BLOCK, (&raw const set).expose_provenance(), 0, SIGNAL_SET_SIZE];
    // SAFETY: the kernel reads `set`, and writes nothing, because the pointer for the previous set is null.
    unsafe { call(number::RT_SIGPROCMASK, arguments) }.map(drop)
}

/// Waits for a signal of `set`, which must be blocked, and returns its number: sigtimedwait(2). Waits at most `limit` nanoseconds
/// by the monotonic clock, or forever without a limit.
///
/// # Errors
/// EAGAIN after `limit`; EINTR if the wait was interrupted, for example because the process was stopped and continued.
pub fn wait_for_signal(set: u64, limit: Option<u64>) -> Result<u8, Errno> {
    let time = limit.map(|limit| Timespec { seconds: (limit / SECOND) as i64, nanoseconds: (limit % SECOND) as i64 });
    let limit = time.as_ref().map_or(0, |time| (&raw const *time).expose_provenance());
    let arguments = [(&raw const set).expose_provenance(), 0, limit, SIGNAL_SET_SIZE];
    // SAFETY: the kernel reads `set` and, unless its pointer is null, `time`, which has the layout that it expects. It writes
    // nothing, because the pointer for details of the signal is null.
    unsafe { call(number::RT_SIGTIMEDWAIT, arguments) }.map(|signal| signal as u8)
}

/// memset(3), which the compiler calls to fill buffers.
///
/// # Safety
/// `length` bytes from `start` on must be the caller's to write to.
// SAFETY: no other `memset` is linked in: no C library is.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(start: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for at in 0..length {
        // SAFETY: within the caller's bytes. Volatile, or the compiler would turn this loop into a call of memset.
        unsafe { start.add(at).write_volatile(byte as u8) };
    }
    start
}

/// strlen(3), which [`CStr`] calls.
///
/// # Safety
/// There must be a NUL at `start` or after it, and everything up to it must be readable.
// SAFETY: no other `strlen` is linked in: no C library is.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(start: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: not beyond the NUL. Volatile, or the compiler would turn this loop into a call of strlen.
    while unsafe { start.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

/// Ends the program after a panic. No code here is known to panic, so the message has no details: formatting them would take
/// more space than everything else.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    write_error(b"holder: panicked\n");
    exit(101)
}
