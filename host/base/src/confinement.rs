//! What holds a plugin process, as it reports itself before it reads anything a plugin had a hand in.

use serde::{Deserialize, Serialize};

/// The measures of the operating system that are in force around a plugin process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Neither the process nor anything it starts can gain rights.
    pub no_new_privileges: bool,
    /// System calls off a short list are refused or end the process.
    pub calls_filtered: bool,
    /// Memory, descriptors, files, processes and core dumps are limited.
    pub limited: bool,
    /// Nothing was inherited but the three pipes.
    pub descriptors_closed: bool,
    /// Other processes of the user may not look into its memory.
    pub undumpable: bool,
    /// It ends with the thread that started it.
    pub dies_with_parent: bool,
    /// Version of Landlock that keeps files, sockets and signals away; 0 where the kernel has none.
    pub landlock_abi: u8,
}

impl Confinement {
    /// What this system must give a plugin process and does not, in the user's words. Empty where it may run.
    ///
    /// On Linux everything is asked for but the parent's death and Landlock: the filter already refuses what Landlock
    /// would, and older kernels lack it. On other systems Hearth has a separate process without keys and nothing more,
    /// so nothing is asked for.
    pub fn lacks(&self) -> Vec<&'static str> {
        if !cfg!(target_os = "linux") {
            return Vec::new();
        }
        [
            (self.no_new_privileges, "no_new_privs"),
            (self.calls_filtered, "system call filters (seccomp)"),
            (self.limited, "resource limits"),
            (self.descriptors_closed, "closing inherited files (close_range, Linux 5.9)"),
            (self.undumpable, "protection from other processes' eyes (dumpable)"),
        ]
        .into_iter()
        .filter(|(there, _)| !there)
        .map(|(_, what)| what)
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_linux_nothing_but_landlock_may_be_missing() {
        let whole = Confinement {
            no_new_privileges: true,
            calls_filtered: true,
            limited: true,
            descriptors_closed: true,
            undumpable: true,
            dies_with_parent: false,
            landlock_abi: 0,
        };
        assert!(whole.lacks().is_empty());
        let on_linux = usize::from(cfg!(target_os = "linux"));
        for without in [
            Confinement { no_new_privileges: false, ..whole },
            Confinement { calls_filtered: false, ..whole },
            Confinement { limited: false, ..whole },
            Confinement { descriptors_closed: false, ..whole },
            Confinement { undumpable: false, ..whole },
        ] {
            assert_eq!(without.lacks().len(), on_linux, "{without:?}");
        }
        assert_eq!(Confinement::default().lacks().len(), 5 * on_linux);
    }
}
