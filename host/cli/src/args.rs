//! What can be asked on the command line.

mod authoring;
mod life;
mod tune;

use std::{num::ParseIntError, path::PathBuf, str::FromStr};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use hearth_app::inspection::{KvFormat, TextRole};
use hearth_session::{Capability, DocumentKind};

use crate::commands::Reveal;

pub(crate) use authoring::AuthorVerb;
pub(crate) use life::{LifeVerb, ToolCalls};
pub(crate) use tune::{
    AdapterVerb, Chats, DatasetArgs, DatasetVerb, PlanArgs, TemplateKind, TuneVerb,
};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed or stopped, or some of it failed; 2 wrong usage.
The passphrase is asked for, or read from --passphrase-file or --passphrase-fd; never from an argument or the environment.
Environment: HEARTH_VAULT (the vault's directory), HEARTH_RUNTIME_DIR (folder of runner, compiler, plugins and starter
model, if not that of this program), HEARTH_LOG (error to trace, on stderr).";

/// Private mail, notes, code and a model that reads them, on your own computer.
#[derive(Parser)]
#[command(name = "hearth", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Args {
    /// The vault's directory; by default HEARTH_VAULT, else your data directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) vault: Option<PathBuf>,
    /// JSON lines on stdout, and nothing else there.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Read the passphrase from the first line of this file.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "passphrase_fd")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this open file descriptor.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a vault, look at it, change its passphrase.
    #[command(subcommand)]
    Vault(VaultVerb),
    /// Import a mailbox (mbox, .eml, Maildir) or a folder of notes and source files.
    Import(ImportArgs),
    /// Find documents by their words.
    Search {
        /// The words; the last may be a beginning.
        #[arg(required = true)]
        text: Vec<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Show a document.
    Show {
        /// Its number.
        id: i64,
    },
    /// List folders, or the documents of one.
    List {
        /// A folder's name or number.
        folder: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Delete a document or a whole folder.
    Delete {
        /// The document's number.
        #[arg(required_unless_present = "folder", conflicts_with = "folder")]
        id: Option<i64>,
        /// A folder's name or number: all in it is deleted.
        #[arg(long)]
        folder: Option<String>,
    },
    /// Talk with the model: one question, or line by line on a terminal.
    Chat(ChatArgs),
    /// List conversations, or show one.
    Conversations {
        /// Its number.
        id: Option<i64>,
        /// Delete it instead.
        #[arg(long, requires = "id")]
        delete: bool,
    },
    /// Models: which there are, and tools to look into them.
    #[command(subcommand)]
    Model(ModelVerb),
    /// Plugins: install, grant, run; and make them.
    #[command(subcommand)]
    Plugin(PluginVerb),
    /// Datasets: what is learnt in training.
    #[command(subcommand)]
    Dataset(DatasetVerb),
    /// Train adapters on your own data.
    #[command(subcommand)]
    Tune(TuneVerb),
    /// Adapters: look at them, accept them, use them.
    #[command(subcommand)]
    Adapter(AdapterVerb),
    /// Mark an answer of the model's as good or bad; good ones can be learnt.
    Rate {
        /// The answer's number, as `hearth --json conversations ID` shows it.
        turn: i64,
        /// The mark.
        mark: Mark,
    },
    /// Do the main job on invented data in a throwaway vault.
    Demo(DemoArgs),
}

/// What the user thinks of an answer.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Mark {
    /// To be learnt.
    Good,
    /// Not to be learnt.
    Bad,
    /// Neither.
    None,
}

#[derive(Subcommand)]
pub(crate) enum VaultVerb {
    /// Make a vault.
    Create,
    /// Say where the vault is and whether there is one.
    Status,
    /// Change the passphrase; documents stay as they are.
    Passwd {
        /// Read the new passphrase from the first line of this file.
        #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_fd")]
        new_passphrase_file: Option<PathBuf>,
        /// Read the new passphrase from this open file descriptor.
        #[arg(long, value_name = "N")]
        new_passphrase_fd: Option<u32>,
    },
}

#[derive(ClapArgs)]
pub(crate) struct ImportArgs {
    /// A file or folder.
    pub(crate) path: PathBuf,
    /// Name of the folder it becomes.
    #[arg(long, conflicts_with = "check")]
    pub(crate) name: Option<String>,
    /// Only say what would become of each message or file; needs no vault.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Which {
    /// Only in this folder, by name or number.
    #[arg(long)]
    pub(crate) folder: Option<String>,
    /// Only this kind.
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(ClapArgs)]
pub(crate) struct Page {
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
    /// Leave out so many first.
    #[arg(long, default_value_t = 0)]
    pub(crate) offset: u32,
}

/// Kinds of documents.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    Mail,
    Note,
    Code,
    Saved,
}

impl From<Kind> for DocumentKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Mail => Self::Mail,
            Kind::Note => Self::Note,
            Kind::Code => Self::Code,
            Kind::Saved => Self::Saved,
        }
    }
}

#[derive(ClapArgs)]
pub(crate) struct ChatArgs {
    /// Go on in this conversation.
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<i64>,
    /// Let the model read this document; may be repeated.
    #[arg(long, value_name = "ID")]
    pub(crate) attach: Vec<i64>,
    /// What to do where the model wants to call a plugin's tool.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) tools: ToolCalls,
    /// What to ask; without it, lines from the terminal or all of stdin.
    pub(crate) message: Vec<String>,
}

#[derive(Subcommand)]
pub(crate) enum ModelVerb {
    /// List models.
    List,
    /// Add a model file; it stays where it is.
    Add {
        /// GGUF, .safetensors with its config beside it, or such a folder.
        path: PathBuf,
        /// Its weights hold nothing private.
        #[arg(long)]
        public: bool,
    },
    /// Say whether a model's weights hold something private; they do until you say otherwise.
    Mark {
        /// Its number.
        id: i64,
        /// What they are.
        what: Secrecy,
    },
    /// Forget a model; its file stays.
    Remove {
        /// Its number.
        id: i64,
    },
    /// Choose the model that answers: a number, or `starter`.
    Use {
        /// Which.
        model: String,
    },
    /// Show or change how models are loaded: memory for conversations, length of context, threads.
    Settings {
        /// The longest context in tokens; `auto` is the model's own, up to 8192.
        #[arg(long, value_name = "TOKENS|auto")]
        context: Option<Auto<u32>>,
        /// Memory for keys and values of all requests in MiB; `auto` is two full contexts.
        #[arg(long, value_name = "MIB|auto")]
        kv_memory: Option<Auto<u32>>,
        /// How keys and values are held.
        #[arg(long)]
        kv: Option<Kv>,
        /// Threads that compute; `auto` is one for each physical core.
        #[arg(long, value_name = "N|auto")]
        threads: Option<Auto<usize>>,
    },
    /// Say what a model file is and what memory it takes; needs no vault.
    Inspect {
        /// The file.
        path: PathBuf,
    },
    /// Logits after a prompt and a greedy continuation; needs no vault.
    Probe {
        /// GGUF, .safetensors with its config beside it, or such a folder.
        file: PathBuf,
        /// The prompt, as token ids.
        #[arg(long, value_delimiter = ',', required = true)]
        ids: Vec<u32>,
        /// So many greedy tokens.
        #[arg(long, default_value_t = 0)]
        greedy: usize,
        /// Also the mean negative log likelihood of this text file.
        #[arg(long, value_name = "FILE")]
        nll: Option<PathBuf>,
    },
    /// Token ids of JSON lines {"text": …} from stdin; needs no vault.
    Tokenize {
        /// GGUF or tokenizer.json.
        file: PathBuf,
    },
    /// Render a chat template; needs no vault.
    Template {
        /// The template.
        file: PathBuf,
        /// Its variables: a JSON object.
        #[arg(long, value_name = "FILE")]
        context: PathBuf,
        /// The time it is told, such as 2024-07-26T12:00.
        #[arg(long)]
        now: Option<String>,
    },
    /// Vectors of texts by a sentence encoder, as JSON lines; needs no vault.
    Embed {
        /// The encoder's folder, or the .safetensors file in it.
        path: PathBuf,
        /// A text; may be repeated.
        #[arg(long, required_unless_present = "lines")]
        text: Vec<String>,
        /// Each line of this file is a text; after those given by --text.
        #[arg(long, value_name = "FILE")]
        lines: Option<PathBuf>,
        /// What the texts are for; some encoders want to be told.
        #[arg(long, default_value = "plain")]
        role: Role,
    },
    /// Measure speed and memory; needs no vault.
    Bench {
        /// The model.
        file: PathBuf,
        /// Tokens in the prompt.
        #[arg(long, default_value_t = 512)]
        prompt: usize,
        /// Tokens to generate.
        #[arg(long, default_value_t = 64)]
        generate: usize,
        /// How often.
        #[arg(long, default_value_t = 3)]
        repeat: usize,
        /// Worker threads; the number of physical cores by default.
        #[arg(long)]
        threads: Option<usize>,
        /// How keys and values are held.
        #[arg(long, default_value = "f16")]
        kv: Kv,
    },
}

/// A number, or what the program finds best.
#[derive(Clone, Copy)]
pub(crate) struct Auto<T>(pub(crate) Option<T>);

impl<T: FromStr<Err = ParseIntError>> FromStr for Auto<T> {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        if text == "auto" { Ok(Self(None)) } else { text.parse().map(|number| Self(Some(number))) }
    }
}

/// Numbers that keys and values are held as.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kv {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 8-bit integers with scales.
    Q8,
}

impl From<Kv> for KvFormat {
    fn from(kv: Kv) -> Self {
        match kv {
            Kv::F32 => Self::F32,
            Kv::F16 => Self::F16,
            Kv::Q8 => Self::Q8,
        }
    }
}

/// What a text is for.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// Nothing said.
    Plain,
    /// It is looked for.
    Query,
    /// It is looked through.
    Document,
}

impl From<Role> for TextRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Plain => Self::Plain,
            Role::Query => Self::Query,
            Role::Document => Self::Document,
        }
    }
}

/// What a model's weights are.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Secrecy {
    /// Plugins may hear in the open what they complete.
    Public,
    /// Whatever they write counts as private.
    Private,
}

#[derive(Subcommand)]
pub(crate) enum PluginVerb {
    #[command(flatten)]
    Author(AuthorVerb),
    /// List installed plugins.
    List,
    /// Say what a component is and could do; nothing of it runs, no vault is needed.
    Inspect {
        /// The component, as in `install`.
        file: PathBuf,
    },
    /// Install a component: a file with its signature beside it, a folder of versions, or a reference to fetch. It may do
    /// nothing until granted.
    Install {
        /// A file, a folder, oci://HOST/NAME:TAG or https://…/index.json#ID.
        file: PathBuf,
        /// Only if it is the one of this hash, as told by `inspect`.
        #[arg(long, value_name = "BLAKE3")]
        hash: Option<String>,
    },
    /// Fetch newer versions from where plugins came from. Versions first seen less than a day ago are left for later,
    /// unless a plugin is named.
    Update {
        /// Its id; all plugins if none is named.
        plugin: Option<String>,
        /// Only say what is to be had.
        #[arg(long, conflicts_with = "plugin")]
        check: bool,
    },
    /// Put the version that waits in place, after `list` has shown what it asks for.
    Accept {
        /// Its id.
        plugin: String,
        /// Let it read what the version before has stored, which could learn private text.
        #[arg(long)]
        keep_storage: bool,
    },
    /// Forget the version that waits.
    Decline {
        /// Its id.
        plugin: String,
    },
    /// Go back to the version before, with what it was allowed and had stored.
    Rollback {
        /// Its id.
        plugin: String,
    },
    /// Let plugins that nobody has signed be installed and run: for those who write them.
    Developer {
        /// Whether.
        state: Switch,
    },
    /// Let a publisher's new key take the place of their old one, by their statement.
    Trust {
        /// The statement; its signature lies beside it.
        file: PathBuf,
        /// Only show what it says.
        #[arg(long)]
        check: bool,
    },
    /// Remove a plugin.
    Uninstall {
        /// Its id.
        plugin: String,
        /// Keep the documents it saved.
        #[arg(long)]
        keep_saved: bool,
    },
    /// Allow a plugin exactly this from now on.
    Grant {
        /// Its id.
        plugin: String,
        /// A power; all it asks for if none is named. May be repeated.
        #[arg(long, value_name = "POWER", value_parser = power)]
        allow: Vec<Capability>,
        /// A folder behind a slot, as in inbox=Inbox; by name or number. May be repeated.
        #[arg(long, value_name = "SLOT=FOLDER")]
        slot: Vec<String>,
        /// Bits of private choices that it may learn a day; none unless given.
        #[arg(long, default_value_t = 0, value_name = "BITS")]
        bits: u32,
    },
    /// Take every grant back.
    Revoke {
        /// Its id.
        plugin: String,
    },
    /// Let a suspended plugin run again.
    Resume {
        /// Its id.
        plugin: String,
    },
    /// Start a command of a plugin and print what it shows.
    Run {
        /// Its id.
        plugin: String,
        /// The command; not needed where the plugin has only one.
        command: Option<String>,
        /// The document to work on.
        #[arg(long, value_name = "ID")]
        document: Option<i64>,
        /// Words, for commands that ask for some.
        #[arg(long, value_name = "TEXT")]
        input: Option<String>,
        /// Documents to give where it asks to pick some; may be repeated.
        #[arg(long, value_name = "ID")]
        pick: Vec<i64>,
        /// Save every result as a document.
        #[arg(long)]
        save: bool,
        /// What to say where it wants to learn a text, instead of being asked; without a terminal it is no.
        #[arg(long, value_name = "ANSWER")]
        reveal: Option<Reveal>,
    },
    /// Let a plugin hear more of what you press and pick today, once it has heard all that it may.
    Gestures {
        /// Its id.
        plugin: String,
    },
    /// Show a plugin's settings, or change one.
    Settings {
        /// Its id.
        plugin: String,
        /// As in lines=7; may be repeated.
        #[arg(value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    #[command(flatten)]
    Life(LifeVerb),
}

/// On or off.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// From now on.
    On,
    /// No longer.
    Off,
}

#[derive(ClapArgs)]
pub(crate) struct DemoArgs {
    /// Keep the vault and say where it is.
    #[arg(long)]
    pub(crate) keep: bool,
    /// The folder of mail, notes and code to work on.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Summarise so many of the newest mails.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(i32).range(1..=50))]
    pub(crate) mails: i32,
}

/// A power by its name, the same that manifests and JSON use.
fn power(name: &str) -> Result<Capability, String> {
    serde_json::from_value(serde_json::Value::String(name.to_owned()))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn powers_go_by_their_names() {
        assert_eq!(power("documents-save"), Ok(Capability::DocumentsSave));
        assert!(power("network").is_err());
    }
}
