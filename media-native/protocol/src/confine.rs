//! Keeps outside programs off the network: a program that reads hostile files opens no socket but
//! of this machine. By a filter on system calls, which needs no privilege.

use std::io;

/// Where the filter finds things in what the kernel shows it of a call, in bytes.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod shown {
    pub(super) const NUMBER: u32 = 0;
    pub(super) const ARCHITECTURE: u32 = 4;
    /// The first argument's lower half, on little-endian machines.
    pub(super) const FIRST_ARGUMENT: u32 = 16;
}

/// Of `linux/audit.h`.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// Calls from here on belong to another way of calling the kernel (x32).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const FOREIGN_NUMBERS: u32 = 0x4000_0000;

/// What a program may not call, as the kernel reads it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[derive(Clone)]
pub(crate) struct Offline([libc::sock_filter; 11]);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Offline {
    pub(crate) fn new() -> Self {
        let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
        let jump = |test, to, yes, no| step(libc::BPF_JMP | test | libc::BPF_K, to, yes, no);
        let answer = |what| step(libc::BPF_RET | libc::BPF_K, what, 0, 0);
        let refused = libc::SECCOMP_RET_ERRNO | libc::EACCES.cast_unsigned();
        let number = |call: libc::c_long| u32::try_from(call).unwrap_or(u32::MAX);
        // A jump skips so many steps when its test says yes, or no.
        Self([
            load(shown::ARCHITECTURE),
            jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
            answer(libc::SECCOMP_RET_KILL_PROCESS),
            load(shown::NUMBER),
            jump(libc::BPF_JGE, FOREIGN_NUMBERS, 4, 0),
            // It could open sockets behind the filter's back.
            jump(libc::BPF_JEQ, number(libc::SYS_io_uring_setup), 3, 0),
            jump(libc::BPF_JEQ, number(libc::SYS_socket), 0, 3),
            load(shown::FIRST_ARGUMENT),
            jump(libc::BPF_JEQ, libc::AF_UNIX.cast_unsigned(), 1, 0),
            answer(refused),
            answer(libc::SECCOMP_RET_ALLOW),
        ])
    }

    /// For this process and all that it starts, for ever. Only system calls, so that it may stand
    /// between fork and exec.
    pub(crate) fn apply(&self) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).unwrap_or_default(),
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: the kernel copies the program, which lives until the call returns, and writes
        // nothing.
        let applied = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
        };
        if applied { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k }
}

/// Nobody has written the filter for this kind of machine: programs are not started.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[derive(Clone)]
pub(crate) struct Offline;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
impl Offline {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn apply(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
