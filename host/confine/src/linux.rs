//! Linux: no_new_privs, limits, Landlock without a single rule, seccomp.

use hearth_base::Confinement;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset,
    RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::{
    process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal},
    thread::set_no_new_privs,
};

use crate::{Limits, Work, calls, limits};

/// The newest version of Landlock whose rights are all handled here; kernels with less handle what they know.
const LANDLOCK: ABI = ABI::V9;

pub(crate) fn enclose(limits: &Limits) -> Confinement {
    let descriptors_closed = close_inherited();
    let no_new_privileges = set_no_new_privs(true).is_ok();
    let undumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    // Should the parent be gone already, the pipe tells.
    let dies_with_parent = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    // Before the limits: it needs a descriptor for a moment.
    let landlock_abi = enter_landlock().unwrap_or(0);
    Confinement {
        no_new_privileges,
        calls_filtered: false,
        limited: limits::set(limits),
        descriptors_closed,
        undumpable,
        dies_with_parent,
        landlock_abi,
    }
}

pub(crate) fn seal(confinement: Confinement, work: Work) -> Confinement {
    let limited = confinement.limited && limits::forbid_processes();
    Confinement { limited, calls_filtered: calls::filter(work).is_ok(), ..confinement }
}

pub(crate) fn forbid_new_code() -> bool {
    calls::forbid_new_code().is_ok()
}

/// A domain with no rule: no file, no TCP port, no signal and no abstract socket beyond this process. Says its version.
fn enter_landlock() -> Result<u8, RulesetError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => 0,
        (_, LandlockStatus::Available { effective_abi, .. }) => effective_abi as u8,
        _ => 0,
    })
}

/// Closes whatever the parent left open beside the pipes.
#[expect(unsafe_code, reason = "descriptors that nobody here owns have no safe name")]
fn close_inherited() -> bool {
    // SAFETY: this runs first in the process, so nothing in it owns a descriptor above 2.
    unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) == 0 }
}
