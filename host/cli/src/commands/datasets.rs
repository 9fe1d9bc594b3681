//! `hearth dataset list`, `new`, `import`, `show`, `remove`.

use hearth_session::{
    Command, Conversations, DatasetView, DocumentId, DocumentKind, Recipe, Reply, SourceFilter,
    Template, TuneCommand,
};
use jiff::{civil::Date, tz::TimeZone};
use serde_json::json;

use crate::{
    args::{Chats, DatasetArgs, DatasetVerb, TemplateKind},
    commands::models::model_id,
    render::{Out, plain, short},
    shell::{Failure, Opener, Outcome, Shell},
};

pub(crate) fn run(verb: DatasetVerb, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    match verb {
        DatasetVerb::List => list(&shell, out),
        DatasetVerb::New(args) => {
            let recipe = recipe(&shell, &args)?;
            let save = TuneCommand::SaveDataset { id: None, name: args.name, recipe };
            kept(&shell.run(Command::Tune(save))?, out);
        }
        DatasetVerb::Import { path, name } => {
            let import = TuneCommand::ImportDataset { path, name };
            kept(&shell.run(Command::Tune(import))?, out);
        }
        DatasetVerb::Show { dataset, base, samples } => {
            show(&shell, &dataset, &base, samples, out)?;
        }
        DatasetVerb::Remove { dataset } => {
            let found = find(&shell, &dataset)?;
            shell.run(Command::Tune(TuneCommand::RemoveDataset(found.id)))?;
            out.result(json!({"removed": found.id}), format!("Forgot {}.", plain(&found.name)));
        }
    }
    Ok(())
}

fn kept(reply: &Reply, out: Out) {
    if let Reply::Dataset(id) = reply {
        out.result(
            json!({"dataset": id}),
            format!("Kept as dataset {id}. `hearth dataset show {id}` shows what it comes to."),
        );
    }
}

/// A dataset by name or number.
pub(crate) fn find(shell: &Shell, wanted: &str) -> Result<DatasetView, Failure> {
    let view = shell.view();
    let datasets = &view.tuning.datasets;
    let named = datasets.iter().find(|dataset| dataset.name == wanted);
    let found = named.or_else(|| datasets.iter().find(|set| set.id.to_string() == wanted));
    found.cloned().ok_or_else(|| {
        Failure::user(
            format!("There is no dataset `{wanted}`."),
            "See `hearth dataset list`; make one with `hearth dataset new`.",
        )
    })
}

fn list(shell: &Shell, out: Out) {
    let view = shell.view();
    for dataset in view.tuning.datasets.iter() {
        out.result(
            json!({"id": dataset.id, "name": dataset.name, "recipe": *dataset.recipe}),
            format!(
                "{:>4}  {}  ({})",
                dataset.id,
                plain(&dataset.name),
                words(&dataset.recipe.template)
            ),
        );
    }
    if view.tuning.datasets.is_empty() {
        out.text("No dataset yet. Make one with `hearth dataset new NAME --template write-like-me --me ADDRESS`.");
    }
}

fn words(template: &Template) -> &'static str {
    match template {
        Template::WriteLikeMe { .. } => "write like me",
        Template::AnswerFromNotes => "answer from my notes",
        Template::SummariseLikeThis => "summarise like this",
        Template::CompleteCode => "complete my code",
        Template::Plain => "texts as they are",
        Template::Imported { .. } => "imported",
    }
}

fn recipe(shell: &Shell, args: &DatasetArgs) -> Result<Recipe, Failure> {
    let folders: Result<Vec<_>, _> =
        args.folder.iter().map(|folder| shell.folder(folder)).collect();
    let folders = folders?;
    let kinds: Vec<DocumentKind> = args.kind.iter().map(|kind| (*kind).into()).collect();
    let source = SourceFilter {
        folders: (!folders.is_empty()).then_some(folders),
        kinds: (!kinds.is_empty()).then_some(kinds),
        since_secs: args.since.map(begin_of).transpose()?,
        until_secs: args.until.map(begin_of).transpose()?,
        authors: args.author.clone(),
        text: args.text.clone(),
    };
    Ok(Recipe {
        template: match args.template {
            TemplateKind::WriteLikeMe => Template::WriteLikeMe { me: args.me.clone() },
            TemplateKind::AnswerFromNotes => Template::AnswerFromNotes,
            TemplateKind::SummariseLikeThis => Template::SummariseLikeThis,
            TemplateKind::CompleteCode => Template::CompleteCode,
            TemplateKind::Plain => Template::Plain,
        },
        sources: vec![source],
        conversations: match args.chats {
            Chats::None => Conversations::None,
            Chats::Rated => Conversations::Rated,
            Chats::All => Conversations::All,
        },
        extra_documents: args.add.iter().copied().map(DocumentId).collect(),
        without: args.without.iter().copied().map(DocumentId).collect(),
        held_out_share: args.held_out,
        ..Recipe::default()
    })
}

/// The moment at which a day begins here.
fn begin_of(day: Date) -> Result<i64, Failure> {
    let begin = day.to_zoned(TimeZone::system());
    begin.map(|begin| begin.timestamp().as_second()).map_err(|_far| {
        Failure::user(
            format!("{day} is too far away."),
            "Choose a day of this or the last century.",
        )
    })
}

fn show(shell: &Shell, wanted: &str, base: &str, samples: usize, out: Out) -> Outcome {
    let dataset = find(shell, wanted)?;
    let recipe = (*dataset.recipe).clone();
    let preview = TuneCommand::PreviewDataset { recipe, base: model_id(shell, base)? };
    shell.run(Command::Tune(preview))?;
    let view = shell.view();
    let Some(preview) = &view.tuning.preview else { return Ok(()) };
    if out.is_json() {
        let shown = preview.samples.iter().take(samples).map(|sample| {
            json!({
                "documents": sample.titles, "held_out": sample.held_out, "tokens": sample.tokens,
                "pieces": sample.pieces,
            })
        });
        out.json(json!({
            "train": preview.train, "held_out": preview.held_out, "tokens": preview.tokens,
            "learnt_tokens": preview.learnt_tokens, "lengths": preview.lengths,
            "report": preview.report, "samples": shown.collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    for line in preview.report.lines() {
        out.text(line);
    }
    out.text(format!("{} tokens, {} of them learnt", preview.tokens, preview.learnt_tokens));
    for sample in preview.samples.iter().take(samples) {
        let side = if sample.held_out { ", held out" } else { "" };
        let titles = short(&plain(&sample.titles.join(" + ")), 70);
        out.text(format!("\n--- {titles} ({} tokens{side})", sample.tokens));
        for (text, learnt) in &sample.pieces {
            let mark = if *learnt { '>' } else { ' ' };
            for line in plain(text).lines() {
                out.text(format!("{mark} {line}"));
            }
        }
    }
    out.text("\nLines marked > are learnt.");
    Ok(())
}
