//! Which system calls a plugin process may make.
//!
//! Whatever is not named here ends the process: no honest run makes such a call, so one that does is taken over, and
//! its end is seen by the user. A few calls the C library makes by itself and does well without, such as asking how many
//! processors there are: these are refused with `EPERM` instead.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use crate::Work;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Memory, time, waiting and ending: all within the process.
const WITHIN: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    // `riscv_flush_icache`, which the crate of constants lacks.
    #[cfg(target_arch = "riscv64")]
    259,
];

/// What the C library may ask and is not told.
const REFUSED: &[c_long] = &[
    libc::SYS_faccessat,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_getcwd,
    libc::SYS_ioctl,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_prlimit64,
    libc::SYS_readlinkat,
    libc::SYS_sched_getaffinity,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
];

/// The calls that give memory its rights, in their third argument.
const MAPPING: [c_long; 2] = [libc::SYS_mmap, libc::SYS_mprotect];
const RIGHTS: u8 = 2;

/// Filters every thread's calls from here on.
pub(crate) fn filter(work: Work) -> Result<(), Error> {
    let mut refused = everything(REFUSED);
    // Setting a filter begins with this one; all it can do is take away.
    let gives_up_privileges = libc::PR_SET_NO_NEW_PRIVS as u64;
    refused.insert(libc::SYS_prctl, vec![rule(0, SeccompCmpOp::Ne, gives_up_privileges)?]);
    let mut allowed = everything(WITHIN);
    allowed.insert(libc::SYS_read, vec![on_descriptor(0)?]);
    for call in [libc::SYS_write, libc::SYS_writev] {
        allowed.insert(call, vec![on_descriptor(1)?, on_descriptor(2)?]);
    }
    // `abort` ends the process by a signal to itself.
    let own = rustix::process::getpid().as_raw_nonzero().get();
    allowed.insert(libc::SYS_tgkill, vec![rule(0, SeccompCmpOp::Eq, own.unsigned_abs().into())?]);
    for call in MAPPING {
        allowed.insert(call, if work == Work::Run { Vec::new() } else { vec![not_executable()?] });
    }
    allowed.extend(everything(REFUSED));
    // Filters stay addable until there is no more code to come: each of them only takes away.
    allowed.extend(everything(&[libc::SYS_prctl, libc::SYS_seccomp]));
    // Of two filters the stricter counts.
    apply(refused, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?;
    apply(allowed, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// Ends the process where it makes memory executable. The last filter.
pub(crate) fn forbid_new_code() -> Result<(), Error> {
    let mut last = everything(&[libc::SYS_seccomp]);
    for call in MAPPING {
        last.insert(call, vec![executable()?]);
    }
    apply(last, SeccompAction::Allow, SeccompAction::KillProcess)
}

fn apply(rules: Rules, otherwise: SeccompAction, on_match: SeccompAction) -> Result<(), Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let program: BpfProgram = SeccompFilter::new(rules, otherwise, on_match, arch)?.try_into()?;
    apply_filter_all_threads(&program)
}

fn everything(calls: &[c_long]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn on_descriptor(descriptor: u64) -> Result<SeccompRule, BackendError> {
    rule(0, SeccompCmpOp::Eq, descriptor)
}

fn executable() -> Result<SeccompRule, BackendError> {
    rule(RIGHTS, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), libc::PROT_EXEC as u64)
}

fn not_executable() -> Result<SeccompRule, BackendError> {
    rule(RIGHTS, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    SeccompRule::new(vec![condition])
}
