//! `hearth plugin`, for those who make them.

use std::path::PathBuf;

use clap::Subcommand;
use hearth_authoring::Language;

#[derive(Subcommand)]
pub(crate) enum AuthorVerb {
    /// Begin a plugin: a folder that builds, passes its scenario and installs as it is.
    New {
        /// Its name, for people.
        name: String,
        /// What it is written in: rust, c, javascript or python.
        #[arg(long, default_value = "rust", value_name = "LANGUAGE")]
        lang: Language,
        /// Its id, such as org.example.tea-timer; made of the name unless given.
        #[arg(long)]
        id: Option<String>,
        /// The folder to make; named after the plugin unless given.
        #[arg(long, value_name = "DIR")]
        path: Option<PathBuf>,
    },
    /// Build and pack a plugin: target/<id>.wasm.
    Build {
        /// Its folder.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Make a plugin of a module or component that something else has built.
    Pack {
        /// The module or component.
        file: PathBuf,
        /// The manifest to put inside.
        #[arg(long, default_value = "plugin.toml", value_name = "FILE")]
        manifest: PathBuf,
        /// The plugin to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Say whether an installation would take a plugin, and what its author may want to change.
    Check {
        /// The plugin, or the folder it was built in.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Run a plugin against invented vaults, with a scripted model; prints every call it makes.
    Test {
        /// The plugin, or the folder it was built in.
        #[arg(default_value = ".")]
        path: PathBuf,
        /// A scenario; those of the folder's `scenarios` unless given. May be repeated.
        #[arg(long, value_name = "FILE")]
        scenario: Vec<PathBuf>,
    },
    /// Make a publisher's key, locked by a passphrase.
    Keygen {
        /// Where the secret half goes; the public half goes beside it, with .pub.
        file: PathBuf,
    },
    /// Sign a plugin as its publisher.
    Sign {
        /// The plugin.
        file: PathBuf,
        /// The secret half of the publisher's key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Build, install into your vault, and do so again whenever a file changes. Ctrl-C ends it.
    Dev {
        /// The plugin's folder.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
}
