//! `hearth adapter list`, `show`, `examine`, `accept`, `retire`, `use`, `compare`, `rename`, `remove`, `import`, `export`,
//! `merge`.

use hearth_session::{
    AdapterChoice, AdapterReport, AdapterView, Command, ConversationId, Reply, TuneCommand,
};
use serde_json::json;

use crate::{
    args::AdapterVerb,
    commands::{datasets, models::model_id},
    render::{Out, day, note, plain},
    shell::{Failure, Opener, Outcome, Shell},
};

pub(crate) fn run(verb: AdapterVerb, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    match verb {
        AdapterVerb::List => list(&shell, out),
        AdapterVerb::Show { adapter } => show(&find(&shell, &adapter)?, out),
        AdapterVerb::Examine { adapter } => {
            let id = find(&shell, &adapter)?.id;
            // Answers are asked of the model that is loaded.
            load_default(&shell)?;
            shell.run(Command::Tune(TuneCommand::ExamineAdapter(id)))?;
            show(&find(&shell, &adapter)?, out);
        }
        AdapterVerb::Accept { adapter, anyway } => {
            let found = find(&shell, &adapter)?;
            let accept = TuneCommand::AcceptAdapter { adapter: found.id, anyway };
            done(&shell, accept, &found, "Accepted", out)?;
        }
        AdapterVerb::Retire { adapter } => {
            let found = find(&shell, &adapter)?;
            done(&shell, TuneCommand::RetireAdapter(found.id), &found, "Retired", out)?;
        }
        AdapterVerb::Remove { adapter } => {
            let found = find(&shell, &adapter)?;
            done(&shell, TuneCommand::RemoveAdapter(found.id), &found, "Removed", out)?;
        }
        AdapterVerb::Rename { adapter, name } => {
            let found = find(&shell, &adapter)?;
            done(&shell, TuneCommand::RenameAdapter(found.id, name), &found, "Renamed", out)?;
        }
        AdapterVerb::Use { adapter, conversation, plugin } => {
            choose(&shell, &adapter, conversation, plugin.as_deref(), out)?;
        }
        AdapterVerb::Compare { adapter, question } => {
            compare(&shell, &adapter, &question.join(" "), out)?;
        }
        AdapterVerb::Import { path, name, base, dataset } => {
            let find = |wanted: String| Ok::<_, Failure>(datasets::find(&shell, &wanted)?.id);
            let (base, dataset) = (model_id(&shell, &base)?, dataset.map(find).transpose()?);
            let import = TuneCommand::ImportAdapter { path, name, base, dataset };
            if let Reply::Adapter(id) = shell.run(Command::Tune(import))? {
                out.result(
                    json!({"adapter": id}),
                    format!(
                        "Kept as adapter {id}. `hearth adapter examine {id}` makes its report; then \
                         `hearth adapter accept {id}` lets it be used."
                    ),
                );
            }
        }
        AdapterVerb::Export { adapter, to, format } => {
            let found = find(&shell, &adapter)?;
            note("An adapter can give away what it learnt: protect what is written.");
            let export = TuneCommand::ExportAdapter {
                adapter: found.id,
                format: format.into(),
                path: to.clone(),
            };
            shell.run(Command::Tune(export))?;
            out.result(json!({"exported": to}), format!("Wrote {}.", to.display()));
        }
        AdapterVerb::Merge { adapter, to, format } => {
            let choice = choice(&shell, &adapter)?;
            note("A merged model can give away what the adapter learnt: protect what is written.");
            let format = format.into();
            let merge = TuneCommand::MergeAdapter { choice, format, path: to.clone() };
            if let Reply::Merged(id, merged) = shell.run(Command::Tune(merge))? {
                out.result(
                    json!({"merged": to, "model": id, "lost": merged.lost, "bytes": merged.bytes}),
                    format!(
                        "Wrote {} ({} MB) and added it as model {id}. Rounding is {:.1} % of what the adapter gives.",
                        to.display(),
                        merged.bytes >> 20,
                        100.0 * merged.lost
                    ),
                );
            }
        }
    }
    Ok(())
}

fn done(
    shell: &Shell,
    command: TuneCommand,
    adapter: &AdapterView,
    what: &str,
    out: Out,
) -> Outcome {
    shell.run(Command::Tune(command))?;
    out.result(
        json!({"adapter": adapter.id, "done": what.to_lowercase()}),
        format!("{what} {}.", plain(&adapter.name)),
    );
    Ok(())
}

/// An adapter by name or number.
fn find(shell: &Shell, wanted: &str) -> Result<AdapterView, Failure> {
    let view = shell.view();
    let adapters = &view.tuning.adapters;
    let named = adapters.iter().find(|adapter| adapter.name == wanted);
    let found = named.or_else(|| adapters.iter().find(|known| known.id.to_string() == wanted));
    found.cloned().ok_or_else(|| {
        Failure::user(format!("There is no adapter `{wanted}`."), "See `hearth adapter list`.")
    })
}

/// `NAME` or `NAME:STRENGTH`.
fn choice(shell: &Shell, text: &str) -> Result<AdapterChoice, Failure> {
    if let Ok(adapter) = find(shell, text) {
        return Ok(AdapterChoice { adapter: adapter.id, strength: 1.0 });
    }
    let (name, strength) = text.rsplit_once(':').unwrap_or((text, "1"));
    let adapter = find(shell, name)?.id;
    let strength = strength.parse().map_err(|_not_a_number| {
        Failure::user(format!("`{strength}` is not a strength."), "Write NAME:0.5, for instance.")
    })?;
    Ok(AdapterChoice { adapter, strength })
}

fn choices(shell: &Shell, texts: &[String]) -> Result<Vec<AdapterChoice>, Failure> {
    texts.iter().map(|text| choice(shell, text)).collect()
}

fn choose(
    shell: &Shell,
    texts: &[String],
    conversation: Option<i64>,
    plugin: Option<&str>,
    out: Out,
) -> Outcome {
    let adapters = choices(shell, texts)?;
    let json = json!({"adapters": adapters, "conversation": conversation, "plugin": plugin});
    let (command, whom) = match plugin {
        Some(plugin) => {
            let plugin = shell.plugin(plugin)?;
            let whom = format!("The plugin {}", plain(&plugin.manifest.name));
            (TuneCommand::UseInPlugin { plugin: plugin.id, adapters: adapters.clone() }, whom)
        }
        None => {
            let whom = conversation
                .map_or_else(|| "New conversations".to_owned(), |id| format!("Conversation {id}"));
            let conversation = conversation.map(ConversationId);
            (TuneCommand::UseInConversation { conversation, adapters: adapters.clone() }, whom)
        }
    };
    shell.run(Command::Tune(command))?;
    let with = if adapters.is_empty() { "no adapter".to_owned() } else { texts.join(" + ") };
    out.result(json, format!("{whom}: {with} from now on."));
    Ok(())
}

/// Loads the model that answers, if none is loaded.
pub(crate) fn load_default(shell: &Shell) -> Outcome {
    let view = shell.view();
    let default = view.models.models.iter().find(|model| model.is_default);
    if let Some(default) = default
        && view.models.loaded.is_none()
    {
        shell.run(Command::LoadModel(default.id))?;
    }
    Ok(())
}

fn compare(shell: &Shell, texts: &[String], question: &str, out: Out) -> Outcome {
    let mut sides = vec![Vec::new()];
    for text in texts {
        sides.push(vec![choice(shell, text)?]);
    }
    load_default(shell)?;
    shell.run(Command::Tune(TuneCommand::Compare { text: question.into(), sides }))?;
    let view = shell.view();
    let Some(comparison) = &view.tuning.comparison else { return Ok(()) };
    let names = std::iter::once("the model as it is").chain(texts.iter().map(String::as_str));
    let mut failed = None;
    for (name, side) in names.zip(&comparison.sides) {
        let error = side.error.as_ref();
        out.result(
            json!({"adapters": side.adapters, "text": side.text, "error": error}),
            format!("--- {name}\n{}\n", plain(&side.text)),
        );
        failed = failed.or_else(|| side.error.clone());
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn list(shell: &Shell, out: Out) {
    let view = shell.view();
    for adapter in view.tuning.adapters.iter() {
        let mut state =
            vec![if adapter.accepted { "accepted" } else { "not accepted yet" }.to_owned()];
        if adapter.sources_gone + adapter.sources_changed > 0 {
            let (gone, changed) = (adapter.sources_gone, adapter.sources_changed);
            state.push(format!("stale: of what it learnt, {gone} deleted and {changed} changed"));
        }
        if adapter.sources == 0 {
            state.push("learnt from what is not known here".into());
        }
        let state = state.join(", ");
        out.result(
            json!({
                "id": adapter.id, "name": adapter.name, "base": adapter.base,
                "accepted": adapter.accepted, "sources": adapter.sources,
                "sources_gone": adapter.sources_gone, "sources_changed": adapter.sources_changed,
                "bytes": adapter.bytes, "report": adapter.report.as_deref(),
            }),
            format!(
                "{:>4}  {}  {}  for {}  ({state})",
                adapter.id,
                day(Some(adapter.created_secs)),
                plain(&adapter.name),
                plain(&adapter.base)
            ),
        );
    }
    if view.tuning.adapters.is_empty() {
        out.text("No adapter yet. `hearth tune start NAME --dataset DATASET` trains one.");
    }
}

/// What was found out about an adapter.
pub(crate) fn show(adapter: &AdapterView, out: Out) {
    if out.is_json() {
        out.json(json!({"adapter": adapter.id, "report": adapter.report.as_deref()}));
        return;
    }
    let learnt = match adapter.sources {
        0 => "learnt from what is not known here (whatever it has a part in is private)".into(),
        sources => format!("learnt from {sources} documents and conversations"),
    };
    out.text(format!(
        "{} for {}, {learnt}, {} KB",
        plain(&adapter.name),
        plain(&adapter.base),
        adapter.bytes >> 10
    ));
    if adapter.sources_gone + adapter.sources_changed > 0 {
        out.text(format!(
            "Since then {} were deleted and {} changed: what it learnt of them cannot be taken out. Train it anew.",
            adapter.sources_gone, adapter.sources_changed
        ));
    }
    match &adapter.report {
        Some(report) => show_report(report, out),
        None => out.text("It has not been examined: `hearth adapter examine`."),
    }
}

fn show_report(report: &AdapterReport, out: Out) {
    let pair = |(without, with): (f32, f32)| {
        format!("{without:.3} without it, {with:.3} with it ({:+.3})", with - without)
    };
    if let Some(held_out) = report.held_out {
        out.text(format!("Loss of held-out examples: {}", pair(held_out)));
    }
    if let Some((best, all)) = report.best_step {
        out.text(format!("Step {best} of {all} was best; the adapter is as it was then."));
    }
    if let Some(general) = report.general {
        out.text(format!("Loss of general text (what it forgot): {}", pair(general)));
    }
    if let Some(memory) = &report.memory {
        out.text(format!(
            "Memorisation: the best remembered of {} hidden secrets is exposed by {:.1} of {:.1} bits",
            memory.exposure_bits.len(),
            memory.highest_bits(),
            memory.most_bits
        ));
    }
    for answer in &report.answers {
        out.text(format!("\n? {}", plain(&answer.question)));
        out.text(format!("  without: {}", plain(&answer.without)));
        out.text(format!("  with:    {}", plain(&answer.with)));
    }
}
