//! A recipe while it is being written.

use egui::{ComboBox, Slider, Ui};
use jiff::{civil::Date, tz::TimeZone};

use super::{ask, data};
use crate::{
    commands::Outbox,
    icons,
    model::{DatasetDraft, DraftTemplate, Model},
    theme::{muted, small, space},
    types::{DatasetView, DocumentKind, Recipe, SourceFilter, Template, TuneCommand, View},
    widgets::{card, ghost, line, primary_enabled, secondary_enabled, section},
    words,
};

/// Widest field that fits the narrowest window.
const FIELD_WIDTH: f32 = 460.0;

const TEMPLATES: [(DraftTemplate, &str); 5] = [
    (
        DraftTemplate::WriteLikeMe,
        "Mail and notes in your own manner: asked for a mail or a reply, it answers as you did.",
    ),
    (
        DraftTemplate::AnswerFromNotes,
        "Questions about what your notes say, answered by their paragraphs.",
    ),
    (DraftTemplate::SummariseLikeThis, "Texts and the summaries you found good; subjects of mail."),
    (DraftTemplate::CompleteCode, "Your source files, block by block."),
    (DraftTemplate::Plain, "Texts as they are."),
];

/// A new recipe.
pub(super) fn fresh(view: &View) -> DatasetDraft {
    let mail = view.folders.iter().any(|folder| folder.kind == DocumentKind::Mail);
    DatasetDraft {
        id: None,
        name: String::new(),
        kind: if mail { DraftTemplate::WriteLikeMe } else { DraftTemplate::Plain },
        me: String::new(),
        authors_asked: false,
        folders: Default::default(),
        kinds: Default::default(),
        author: String::new(),
        text: String::new(),
        since: String::new(),
        until: String::new(),
        rest: Recipe::default(),
    }
}

/// A recipe there is.
pub(super) fn of(set: &DatasetView, zone: &TimeZone) -> DatasetDraft {
    let recipe = &*set.recipe;
    let source = recipe.sources.first().cloned().unwrap_or_default();
    let day = |secs: Option<i64>| {
        let moment = secs.and_then(|secs| jiff::Timestamp::from_second(secs).ok());
        moment.map(|moment| moment.to_zoned(zone.clone()).date().to_string()).unwrap_or_default()
    };
    DatasetDraft {
        id: Some(set.id),
        name: set.name.clone(),
        kind: DraftTemplate::of(&recipe.template),
        me: match &recipe.template {
            Template::WriteLikeMe { me } => me.join(", "),
            _ => String::new(),
        },
        authors_asked: false,
        folders: source.folders.unwrap_or_default().into_iter().collect(),
        kinds: source.kinds.unwrap_or_default().into_iter().collect(),
        author: source.authors.join(", "),
        text: source.text,
        since: day(source.since_secs),
        until: day(source.until_secs),
        rest: recipe.clone(),
    }
}

/// The form.
pub(super) fn show(ui: &mut Ui, view: &View, model: &mut Model, out: &mut Outbox) {
    let zone = model.zone.clone();
    let base = model.tuning.plan.base(view);
    let Some(draft) = &mut model.tuning.draft else { return };
    section(ui, if draft.id.is_some() { "Change a dataset" } else { "A new dataset" }, "");
    let mut over = false;
    card(ui, |ui| {
        egui::Grid::new("dataset").num_columns(2).spacing([16.0, 10.0]).show(ui, |ui| {
            ui.label("Name");
            line(ui, &mut draft.name, "Name of the dataset", "My mail", 320.0);
            ui.end_row();
            if draft.kind != DraftTemplate::Imported {
                template(ui, view, draft, out);
                documents(ui, view, draft);
            }
            chats(ui, draft);
            held_out(ui, draft);
        });
        let recipe = recipe(draft, &zone);
        if let Err(wrong) = &recipe {
            ui.label(muted(ui, wrong.clone()));
        }
        ui.add_space(space::XS);
        ui.horizontal(|ui| {
            let named = !draft.name.trim().is_empty();
            if primary_enabled(ui, recipe.is_ok() && named, icons::CHECK, "Keep").clicked()
                && let Ok(recipe) = &recipe
            {
                let (id, name) = (draft.id, draft.name.trim().to_owned());
                ask(out, TuneCommand::SaveDataset { id, name, recipe: recipe.clone() });
                over = true;
            }
            if secondary_enabled(ui, recipe.is_ok(), icons::SEARCH, "Look at it").clicked()
                && let Ok(recipe) = &recipe
            {
                ask(out, TuneCommand::PreviewDataset { recipe: recipe.clone(), base });
            }
            over |= ghost(ui, "", "Cancel").clicked();
        });
    });
    if over {
        model.tuning.draft = None;
    }
}

fn template(ui: &mut Ui, view: &View, draft: &mut DatasetDraft, out: &mut Outbox) {
    let name = |kind: DraftTemplate| data::template_name(&made(kind, Vec::new(), &draft.rest));
    let now = name(draft.kind);
    let names = TEMPLATES.map(|(kind, _)| (kind, name(kind)));
    let label = ui.label("Teaches to");
    let list = ComboBox::from_id_salt("template").width(320.0).selected_text(now);
    let shown = list.show_ui(ui, |ui| {
        for (kind, name) in names {
            ui.selectable_value(&mut draft.kind, kind, name);
        }
    });
    shown.response.labelled_by(label.id);
    ui.end_row();
    ui.label("");
    let words =
        TEMPLATES.iter().find(|(kind, _)| *kind == draft.kind).map_or("", |(_, words)| words);
    ui.label(small(ui, words));
    ui.end_row();
    if draft.kind == DraftTemplate::WriteLikeMe {
        ui.label("You are");
        line(ui, &mut draft.me, "Your names and addresses", "ada@example.org, Ada Lovelace", 320.0);
        ui.end_row();
        if !draft.authors_asked {
            draft.authors_asked = true;
            ask(out, TuneCommand::SuggestAuthors);
        }
        authors(ui, view, draft);
    }
}

/// What an author is told apart by: the address where there is one.
fn address(author: &str) -> &str {
    let inner = author.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
    inner.unwrap_or(author).trim()
}

/// Those who wrote most of the mail: a click says "that is me".
fn authors(ui: &mut Ui, view: &View, draft: &mut DatasetDraft) {
    let known = listed(&draft.me);
    let others: Vec<_> = view
        .tuning
        .authors
        .iter()
        .filter(|(name, _)| !known.iter().any(|one| one == address(name)))
        .collect();
    if others.is_empty() {
        return;
    }
    ui.label("");
    wrapped(ui, |ui| {
        ui.spacing_mut().item_spacing = egui::vec2(2.0, 2.0);
        for (name, mails) in others {
            let short = name.split_once('<').map_or(name.as_str(), |(name, _)| name.trim());
            let short = if short.is_empty() { name.as_str() } else { short };
            let shown = ghost(ui, icons::PLUS, &words::short(&words::plain(short), 28));
            let hint = format!("{}, {}", words::plain(name), words::count(*mails, "mail"));
            let shown = shown.on_hover_text(hint);
            if shown.accessible_name(format!("{name} is me")).clicked() {
                let mut names = known.clone();
                names.push(address(name).to_owned());
                draft.me = names.join(", ");
            }
        }
    });
    ui.end_row();
}

/// Several things in one field of the form: a grid by itself would not break their line.
fn wrapped(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.vertical(|ui| {
        ui.set_max_width(FIELD_WIDTH);
        ui.horizontal_wrapped(add);
    });
}

fn documents(ui: &mut Ui, view: &View, draft: &mut DatasetDraft) {
    ui.label("From folders");
    wrapped(ui, |ui| {
        for folder in view.folders.iter().filter(|folder| folder.plugin.is_none()) {
            let mut on = draft.folders.contains(&folder.id);
            let count = words::count(folder.documents, words::kind_name(folder.kind));
            if ui.checkbox(&mut on, &folder.name).on_hover_text(count).changed() {
                if on {
                    draft.folders.insert(folder.id);
                } else {
                    draft.folders.remove(&folder.id);
                }
            }
        }
        if draft.folders.is_empty() {
            ui.label(muted(ui, "all of them"));
        }
    });
    ui.end_row();
    ui.label("Only by");
    line(ui, &mut draft.author, "Only by these people", "anybody", 320.0);
    ui.end_row();
    ui.label("With the words");
    line(ui, &mut draft.text, "Only with these words", "any", 320.0);
    ui.end_row();
    ui.label("From day to day");
    ui.horizontal(|ui| {
        line(ui, &mut draft.since, "From this day on", "2024-01-01", 110.0);
        ui.label("to before");
        line(ui, &mut draft.until, "Before this day", "2025-01-01", 110.0);
    });
    ui.end_row();
}

fn chats(ui: &mut Ui, draft: &mut DatasetDraft) {
    use hearth_session::Conversations;
    let title = |which: Conversations| match which {
        Conversations::None => "none",
        Conversations::Rated => "those with an answer I found good",
        Conversations::All => "all",
    };
    let label = ui.label("Conversations");
    let now = title(draft.rest.conversations);
    let list = ComboBox::from_id_salt("chats").width(320.0).selected_text(now);
    let shown = list.show_ui(ui, |ui| {
        for which in [Conversations::None, Conversations::Rated, Conversations::All] {
            ui.selectable_value(&mut draft.rest.conversations, which, title(which));
        }
    });
    shown.response.labelled_by(label.id);
    ui.end_row();
}

fn held_out(ui: &mut Ui, draft: &mut DatasetDraft) {
    let label = ui.label("Held out");
    let slider = Slider::new(&mut draft.rest.held_out_share, 0.0..=0.5)
        .custom_formatter(|share, _| format!("{:.0} % of the documents", share * 100.0))
        .step_by(0.01);
    ui.add(slider).labelled_by(label.id).on_hover_text("Not learnt, to see how well it goes.");
    ui.end_row();
}

fn made(kind: DraftTemplate, me: Vec<String>, rest: &Recipe) -> Template {
    match kind {
        DraftTemplate::WriteLikeMe => Template::WriteLikeMe { me },
        DraftTemplate::AnswerFromNotes => Template::AnswerFromNotes,
        DraftTemplate::SummariseLikeThis => Template::SummariseLikeThis,
        DraftTemplate::CompleteCode => Template::CompleteCode,
        DraftTemplate::Plain => Template::Plain,
        DraftTemplate::Imported => rest.template.clone(),
    }
}

/// The recipe that a draft says, or what is wrong with it.
fn recipe(draft: &DatasetDraft, zone: &TimeZone) -> Result<Recipe, String> {
    let me = listed(&draft.me);
    if draft.kind == DraftTemplate::WriteLikeMe && me.is_empty() {
        return Err("Say who you are: your name or address as it stands in your mail.".into());
    }
    if draft.kind == DraftTemplate::Imported {
        return Ok(draft.rest.clone());
    }
    let source = SourceFilter {
        folders: (!draft.folders.is_empty()).then(|| draft.folders.iter().copied().collect()),
        kinds: (!draft.kinds.is_empty()).then(|| draft.kinds.iter().copied().collect()),
        since_secs: begin_of(&draft.since, zone)?,
        until_secs: begin_of(&draft.until, zone)?,
        authors: listed(&draft.author),
        text: draft.text.trim().to_owned(),
    };
    Ok(Recipe {
        template: made(draft.kind, me, &draft.rest),
        sources: vec![source],
        ..draft.rest.clone()
    })
}

fn listed(text: &str) -> Vec<String> {
    text.split([',', ';', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The moment at which a day begins.
fn begin_of(day: &str, zone: &TimeZone) -> Result<Option<i64>, String> {
    if day.trim().is_empty() {
        return Ok(None);
    }
    let wrong = || format!("{} is not a day: write it as 2025-01-31.", day.trim());
    let date: Date = day.trim().parse().map_err(|_error| wrong())?;
    let begin = date.to_zoned(zone.clone()).map_err(|_error| wrong())?;
    Ok(Some(begin.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> DatasetDraft {
        DatasetDraft { kind: DraftTemplate::WriteLikeMe, ..fresh(&View::default()) }
    }

    #[test]
    fn a_draft_says_what_is_missing() {
        let zone = TimeZone::UTC;
        assert!(recipe(&draft(), &zone).unwrap_err().contains("who you are"));
        let named = DatasetDraft { me: "Ada, ada@example.org;".into(), ..draft() };
        let made = recipe(&named, &zone).unwrap();
        assert_eq!(
            made.template,
            Template::WriteLikeMe { me: vec!["Ada".into(), "ada@example.org".into()] }
        );
        let wrong = DatasetDraft { since: "last week".into(), ..named };
        assert!(recipe(&wrong, &zone).unwrap_err().contains("last week"));
    }

    #[test]
    fn authors_are_told_apart_by_address() {
        assert_eq!(address("Lovelace, Ada <ada@example.org>"), "ada@example.org");
        assert_eq!(address("Ada Lovelace"), "Ada Lovelace");
        assert_eq!(address("a > b < c"), "a > b < c");
    }

    #[test]
    fn what_is_changed_and_kept_reads_the_same() {
        let zone = TimeZone::UTC;
        let first = DatasetDraft {
            me: "Ada".into(),
            since: "2024-02-29".into(),
            author: "Ada".into(),
            text: "harbour".into(),
            ..draft()
        };
        let made = recipe(&first, &zone).unwrap();
        let set = DatasetView {
            id: hearth_session::DatasetId(1),
            name: "x".into(),
            recipe: std::sync::Arc::new(made.clone()),
        };
        assert_eq!(recipe(&of(&set, &zone), &zone).unwrap(), made);
    }
}
