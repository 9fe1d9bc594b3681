//! The plugins of this repository, each command from its gesture to what the panel shows, with the real components in the
//! real runner and a model that answers by rule.

#[path = "samples/code_helper.rs"]
mod code_helper;
#[path = "samples/finder.rs"]
mod finder;
#[path = "samples/injected.rs"]
mod injected;
#[path = "samples/mail_summariser.rs"]
mod mail_summariser;
#[path = "samples/mail_triage.rs"]
mod mail_triage;
#[path = "samples/mail_watch.rs"]
mod mail_watch;
#[path = "samples/my_style.rs"]
mod my_style;
#[path = "samples/powers.rs"]
mod powers;
#[path = "samples/stage.rs"]
mod stage;
#[path = "samples/thread_digest.rs"]
mod thread_digest;

/// All of them.
const NAMES: [&str; 7] = [
    "code-helper",
    "finder",
    "mail-summariser",
    "mail-triage",
    "mail-watch",
    "my-style",
    "thread-digest",
];
