//! `hearth plugin dev`: builds a plugin whenever one of its files changes, while the session installs what was built.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use hearth_authoring::Project;
use hearth_session::{Command, ErrorKind, NoticeKind, SessionHandle};

use super::built;
use crate::{
    render::{Out, note},
    shell::{Failure, Opener, Outcome},
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(300);

/// A folder's files, and when each was last changed.
type Files = Vec<(PathBuf, Option<SystemTime>)>;

pub(super) fn run(dir: &Path, opener: &Opener, out: Out) -> Outcome {
    let project = Project::open(dir).map_err(|error| super::user(&error, ""))?;
    let seen = files_of(&project);
    let component = built(dir, out)?;
    let shell = opener.unlocked()?;
    note("Watching. Ctrl-C ends it.");
    let over = AtomicBool::new(false);
    let ended = thread::scope(|scope| {
        let building = thread::Builder::new()
            .name("hearth-dev".into())
            .spawn_scoped(scope, || rebuild(dir, (&project, seen), shell.handle(), (&over, out)));
        let ended = match building {
            Ok(_joined_at_the_end) => shell.run(Command::WatchPlugin { path: component }),
            Err(error) => Err(super::system(&error)),
        };
        over.store(true, Ordering::SeqCst);
        ended
    });
    match ended {
        // Ctrl-C is how it ends.
        Err(Failure(error)) if error.kind != ErrorKind::Cancelled => Err(Failure(error)),
        _ => Ok(()),
    }
}

/// Builds after each change and tells what the session has to say.
fn rebuild(
    dir: &Path,
    (project, mut seen): (&Project, Files),
    session: &SessionHandle,
    (over, out): (&AtomicBool, Out),
) {
    let mut told = 0;
    while !over.load(Ordering::SeqCst) {
        for notice in session.view().notices.iter().filter(|notice| notice.id > told) {
            match &notice.what {
                NoticeKind::Success(words) => note(words),
                NoticeKind::Error(error) => {
                    note(&format!("error: {} {}", error.message, error.hint))
                }
                NoticeKind::Plugin(notice) => {
                    note(&format!("{} says: {}", notice.plugin_name, notice.message))
                }
            }
        }
        told =
            session.view().notices.iter().map(|notice| notice.id).max().unwrap_or(told).max(told);
        let now = files_of(project);
        if now != seen {
            seen = now;
            // What does not build is told; the next change is another try.
            if let Err(failure) = built(dir, out) {
                out.failure(&failure);
            }
        }
        thread::sleep(LOOK);
    }
}

fn files_of(project: &Project) -> Files {
    let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    project.sources().into_iter().map(|path| (path.clone(), changed(&path))).collect()
}
