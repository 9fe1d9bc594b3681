//! Making a dataset.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hearth_base::{DocumentId, ExampleTextId, FolderId, Label, Origin, Source};
use hearth_engine_api::{Example, Role};
use hearth_vault::{Document, DocumentKind, LearntFrom, Vault};

use crate::dataset::{Dataset, Sample, text_bytes};
use crate::people::Person;
use crate::recipe::{Conversations, Recipe, SourceFilter, Template};
use crate::report::{FolderReport, LeftOut, Report};
use crate::split::{Draw, Group, Sides};
use crate::template::{self, Context, Draft, Made};
use crate::{DatasetError, jsonl};

/// Most text of a dataset. It is held in memory, by the run that learns from it, too.
pub const MAX_TEXT_BYTES: u64 = 256 << 20;

/// Answers of at least so many characters are the same example wherever they occur; shorter ones only with what
/// they answer.
const TELLING_CHARS: usize = 80;

/// Follows a recipe. Documents are read one at a time; what stays in memory is the examples.
///
/// # Errors
/// [`DatasetError`].
pub fn build(vault: &Vault, recipe: &Recipe) -> Result<Dataset, DatasetError> {
    recipe.check()?;
    let draw = Draw::new(recipe.seed);
    let mut builder = Builder::new(vault, recipe, &draw);
    if let Template::Imported { text } = recipe.template {
        builder.add_lines(text)?;
    } else {
        builder.add_documents()?;
    }
    builder.add_conversations()?;
    builder.finish()
}

/// An example, which of the things that were read it is of, and the group that it goes with.
struct Entry {
    draft: Draft,
    item: u64,
    /// Others of which it is as well: theirs was the same, and is left out.
    twins: BTreeSet<u64>,
    /// Documents whose words were in theirs.
    twins_documents: BTreeSet<DocumentId>,
    folder: Option<FolderId>,
    /// For what is of no document.
    group: Option<Group>,
}

struct Builder<'a> {
    context: Context<'a>,
    drafts: Vec<Entry>,
    /// What each of the drafts teaches, and its place.
    seen: HashMap<[u8; 16], usize>,
    report: Report,
    folders: BTreeMap<FolderId, FolderReport>,
    label: Label,
    /// Documents whose label is in `label`.
    read: BTreeSet<DocumentId>,
    talks_and_files: Vec<(u64, LearntFrom)>,
}

impl<'a> Builder<'a> {
    fn new(vault: &'a Vault, recipe: &'a Recipe, draw: &'a Draw) -> Self {
        Self {
            context: Context { vault, recipe, draw },
            drafts: Vec::new(),
            seen: HashMap::new(),
            report: Report::default(),
            folders: BTreeMap::new(),
            label: Label::public(),
            read: BTreeSet::new(),
            talks_and_files: Vec::new(),
        }
    }

    fn add_documents(&mut self) -> Result<(), DatasetError> {
        for (id, filters) in selected(self.context.vault, self.context.recipe)? {
            let Some(document) = self.context.vault.document(id)? else {
                self.left_out(LeftOut::Gone);
                continue;
            };
            let by_hand = self.context.recipe.extra_documents.contains(&id);
            if !by_hand && !by_an_author(&document, &filters) {
                continue;
            }
            let folder = document.head.folder;
            let counts = FolderReport { folder, documents: 0, samples: 0 };
            self.folders.entry(folder).or_insert(counts).documents += 1;
            let made = if document.head.kind == DocumentKind::Saved && !by_hand {
                Err(LeftOut::PluginMade)
            } else {
                self.context.of_document(&document)?
            };
            let item = self.report.read;
            self.report.read += 1;
            self.take(made, item, Some(folder), None)?;
        }
        Ok(())
    }

    fn add_conversations(&mut self) -> Result<(), DatasetError> {
        let vault = self.context.vault;
        let ids = match self.context.recipe.conversations {
            Conversations::None => return Ok(()),
            Conversations::Rated => vault.rated_conversations()?,
            Conversations::All => {
                let mut ids: Vec<_> = vault.conversations()?.iter().map(|head| head.id).collect();
                ids.sort();
                ids
            }
        };
        for id in ids {
            let (made, group) = template::of_conversation(&self.context, id)?;
            let item = self.report.read;
            self.report.read += 1;
            self.talks_and_files.push((item, LearntFrom::Conversation(id)));
            self.take(made, item, None, Some(group))?;
        }
        Ok(())
    }

    /// Each line of a file of examples counts as a document of its own.
    fn add_lines(&mut self, text: ExampleTextId) -> Result<(), DatasetError> {
        for example in jsonl::parse(&self.context.vault.example_text(text)?)? {
            let item = self.report.read;
            self.report.read += 1;
            self.talks_and_files.push((item, LearntFrom::Examples(text)));
            let group = self.context.draw.line(&normalised(&example));
            let draft = Draft { example, documents: Vec::new(), shortened: false };
            let made = if learnt_text(&draft.example).trim().is_empty() {
                Err(LeftOut::Empty)
            } else {
                Ok(vec![draft])
            };
            self.take(made, item, None, Some(group))?;
        }
        Ok(())
    }

    /// Takes what came of something, except what is there already.
    fn take(
        &mut self,
        made: Made,
        item: u64,
        folder: Option<FolderId>,
        group: Option<Group>,
    ) -> Result<(), DatasetError> {
        let drafts = match made {
            Ok(drafts) => drafts,
            Err(why) => {
                *self.report.left_out.entry(why).or_default() += 1;
                return Ok(());
            }
        };
        let before = self.drafts.len();
        for draft in drafts {
            let bytes = text_bytes(&draft.example);
            let print = fingerprint(&draft.example);
            if let Some(twin) = self.seen.get(&print).and_then(|place| self.drafts.get_mut(*place))
            {
                // What is learnt is learnt of both.
                twin.twins.insert(item);
                twin.twins_documents.extend(draft.documents.iter().map(|(id, _)| *id));
                *self.report.samples_left_out.entry(LeftOut::Duplicate).or_default() += 1;
                continue;
            }
            self.report.text_bytes += bytes;
            if self.report.text_bytes > MAX_TEXT_BYTES {
                return Err(DatasetError::TooLarge { limit_bytes: MAX_TEXT_BYTES });
            }
            // What shows documents goes with them.
            let group = group.filter(|_| draft.documents.is_empty());
            self.seen.insert(print, self.drafts.len());
            let (twins, twins_documents) = Default::default();
            self.drafts.push(Entry { draft, item, twins, twins_documents, folder, group });
        }
        if self.drafts.len() == before {
            *self.report.left_out.entry(LeftOut::Duplicate).or_default() += 1;
        }
        Ok(())
    }

    fn left_out(&mut self, why: LeftOut) {
        self.report.read += 1;
        *self.report.left_out.entry(why).or_default() += 1;
    }

    /// Parts the examples into those that are learnt and those that are held out.
    fn finish(mut self) -> Result<Dataset, DatasetError> {
        let groups = self.drafts.iter().flat_map(Entry::groups).collect();
        let sides = Sides::of(&groups, self.context.recipe.held_out_share);
        let (mut samples, mut used, mut beside) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let (mut twins, mut twins_documents) = (BTreeSet::new(), BTreeSet::new());
        let mut lost = BTreeSet::new();
        for entry in std::mem::take(&mut self.drafts) {
            let held: BTreeSet<bool> = entry.groups().map(|group| sides.holds_out(group)).collect();
            if held.len() > 1 {
                *self.report.samples_left_out.entry(LeftOut::AcrossSplit).or_default() += 1;
                self.report.text_bytes -= text_bytes(&entry.draft.example);
                lost.insert(entry.item);
                continue;
            }
            used.insert(entry.item);
            twins.extend(entry.twins);
            twins_documents.extend(entry.twins_documents);
            let held_out = held.contains(&true);
            *(if held_out { &mut self.report.held_out } else { &mut self.report.train }) += 1;
            self.report.prompts_shortened += u64::from(entry.draft.shortened);
            if let Some(counts) = entry.folder.and_then(|folder| self.folders.get_mut(&folder)) {
                counts.samples += 1;
            }
            let documents: Vec<_> = entry.draft.documents.iter().map(|(id, _)| *id).collect();
            beside.extend(documents.iter().skip(usize::from(entry.folder.is_some())).copied());
            samples.push(Sample { example: entry.draft.example, documents, held_out });
        }
        let unused = lost.difference(&used).count() as u64;
        if unused > 0 {
            *self.report.left_out.entry(LeftOut::AcrossSplit).or_default() += unused;
        }
        self.report.used = used.len() as u64;
        let learnt_items: BTreeSet<_> = used.union(&twins).copied().collect();
        let shown = samples.iter().flat_map(|sample| sample.documents.iter().copied());
        self.label_of(shown.chain(twins_documents), &learnt_items)?;
        let made_of: BTreeSet<_> =
            samples.iter().filter_map(|s| s.documents.first()).copied().collect();
        self.report.context_documents = beside.difference(&made_of).count() as u64;
        self.report.folders = self.folders.into_values().collect();
        let mut learnt_from: Vec<_> = self.read.into_iter().map(LearntFrom::Document).collect();
        let others: BTreeSet<_> = self
            .talks_and_files
            .iter()
            .filter(|(item, _)| learnt_items.contains(item))
            .map(|(_, from)| *from)
            .collect();
        learnt_from.extend(others);
        Ok(Dataset { samples, report: self.report, label: self.label, learnt_from })
    }

    /// Joins the labels of everything that is in a sample.
    fn label_of(
        &mut self,
        documents: impl Iterator<Item = DocumentId>,
        used: &BTreeSet<u64>,
    ) -> Result<(), DatasetError> {
        for id in documents {
            if !self.read.insert(id) {
                continue;
            }
            match self.context.vault.label_of_document(id)? {
                Some(label) => self.label.join(&label),
                // Deleted this moment; its words are in the sample all the same.
                None => self.label.join(&Label::document(id, BTreeSet::from([Origin::External]))),
            }
        }
        if self.talks_and_files.iter().any(|(item, _)| used.contains(item)) {
            // What the user typed, and what a model or a stranger wrote.
            self.label.sources.insert(Source::UserInput);
            self.label.origins.extend([Origin::User, Origin::External]);
        }
        Ok(())
    }
}

impl Entry {
    fn groups(&self) -> impl Iterator<Item = Group> + '_ {
        self.group.into_iter().chain(self.draft.documents.iter().map(|(_, group)| *group))
    }
}

/// Documents by number, with the filters that they match.
fn selected<'a>(
    vault: &Vault,
    recipe: &'a Recipe,
) -> Result<BTreeMap<DocumentId, Vec<&'a SourceFilter>>, DatasetError> {
    let mut selected: BTreeMap<DocumentId, Vec<&SourceFilter>> = BTreeMap::new();
    for filter in &recipe.sources {
        for id in vault.select_documents(&filter.selection())? {
            selected.entry(id).or_default().push(filter);
        }
    }
    for id in &recipe.extra_documents {
        selected.entry(*id).or_default();
    }
    selected.retain(|id, _| !recipe.without.contains(id));
    Ok(selected)
}

/// Whether one of the filters that a document matches takes its author.
fn by_an_author(document: &Document, filters: &[&SourceFilter]) -> bool {
    let author = Person::parse(&document.head.author);
    filters.iter().any(|filter| filter.authors.is_empty() || author.is_one_of(&filter.authors))
}

/// What of an example is learnt.
fn learnt_text(example: &Example) -> String {
    match example {
        Example::Answers { messages, learnt } => learnt
            .iter()
            .filter_map(|turn| messages.get(*turn))
            .map(|message| message.content.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        Example::Chat(messages) => messages
            .iter()
            .filter(|message| message.role == Role::Assistant)
            .map(|message| message.content.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        Example::Completion { completion, .. } => completion.clone(),
        Example::Text(text) => text.clone(),
    }
}

fn normalised(example: &Example) -> String {
    let whole = match example {
        Example::Chat(messages) | Example::Answers { messages, .. } => {
            let said = messages.iter().map(|message| message.content.as_str());
            said.collect::<Vec<_>>().join("\u{1}")
        }
        Example::Completion { prompt, completion } => format!("{prompt}\u{1}{completion}"),
        Example::Text(text) => text.clone(),
    };
    folded(&whole)
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Tells examples apart by what they teach.
fn fingerprint(example: &Example) -> [u8; 16] {
    let learnt = folded(&learnt_text(example));
    let long = learnt.chars().nth(TELLING_CHARS).is_some();
    let text = if long { learnt } else { normalised(example) };
    let mut print = [0; 16];
    print.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    print
}

#[cfg(test)]
mod tests;
