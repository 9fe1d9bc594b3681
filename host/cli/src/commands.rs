//! One module a verb.

mod adapters;
mod authoring;
mod chat;
mod datasets;
mod demo;
mod inspect;
mod library;
mod life;
mod models;
mod panels;
mod plugins;
mod provenance;
mod reveals;
mod trial;
mod tune;
mod vaults;

pub(crate) use reveals::Reveal;

use crate::{
    args::{Args, ModelVerb, PluginVerb, Verb},
    passphrase::Source,
    render::Out,
    shell::{Opener, Outcome},
};

/// Does what was asked.
pub(crate) fn run(args: Args, out: &Out) -> Outcome {
    let out = *out;
    let opener = Opener {
        vault: args.vault,
        passphrase: Source { file: args.passphrase_file, fd: args.passphrase_fd },
    };
    match args.verb {
        Verb::Vault(verb) => vaults::run(verb, &opener, out),
        Verb::Import(import) if import.check => inspect::check(&import.path, out),
        Verb::Import(import) => library::import(&import, &opener, out),
        Verb::Search { text, which } => library::search(&text.join(" "), &which, &opener, out),
        Verb::Show { id } => library::show(id, &opener, out),
        Verb::List { folder, page } => library::list(folder.as_deref(), &page, &opener, out),
        Verb::Delete { id, folder } => library::delete(id, folder.as_deref(), &opener, out),
        Verb::Chat(chat) => chat::run(&chat, &opener, out),
        Verb::Conversations { id, delete } => chat::conversations(id, delete, &opener, out),
        Verb::Model(
            verb @ (ModelVerb::Probe { .. }
            | ModelVerb::Tokenize { .. }
            | ModelVerb::Template { .. }
            | ModelVerb::Embed { .. }
            | ModelVerb::Bench { .. }),
        ) => inspect::model(verb, out),
        Verb::Model(verb) => models::run(verb, &opener, out),
        Verb::Plugin(PluginVerb::Author(verb)) => authoring::run(verb, &opener, out),
        Verb::Plugin(verb) => plugins::run(verb, &opener, out),
        Verb::Dataset(verb) => datasets::run(verb, &opener, out),
        Verb::Tune(verb) => tune::run(verb, &opener, out),
        Verb::Adapter(verb) => adapters::run(verb, &opener, out),
        Verb::Rate { turn, mark } => chat::rate(turn, mark, &opener, out),
        Verb::Demo(demo) => demo::run(&demo, out),
    }
}
