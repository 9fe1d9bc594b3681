//! What a version of a plugin asks for beyond another, and what it gives up.

use hearth_base::{Command, Every, Manifest, Schedule, Slot, SlotKind};

use super::power_name;

/// Something in which a new version differs from the installed one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PluginChange {
    /// What, in the user's words. A plugin's own words in it are escaped.
    pub what: String,
    /// It asks for more than the user was asked about, so that they must be asked again.
    pub wider: bool,
}

/// A version, as far as its reach goes.
#[derive(Clone, Copy)]
pub(crate) struct Version<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) sealed: bool,
}

/// Everything in which `new` reaches further or less far than `former`, and every word that the user went by.
pub(crate) fn between(former: Version<'_>, new: Version<'_>) -> Vec<PluginChange> {
    let mut changes = Changes(Vec::new());
    match (former.sealed, new.sealed) {
        (true, false) => changes.wider("It is no longer sealed: it can ask to learn private text."),
        (false, true) => changes.note("It is now sealed: it cannot learn private text."),
        _ => {}
    }
    let (former, new) = (former.manifest, new.manifest);
    powers(&mut changes, former, new);
    slots(&mut changes, former, new);
    commands(&mut changes, former, new);
    schedules(&mut changes, former, new);
    if former.name != new.name {
        let (from, to) = (words(&former.name), words(&new.name));
        changes.note(format!("It is now called {to}, not {from}."));
    }
    changes.0
}

struct Changes(Vec<PluginChange>);

impl Changes {
    fn wider(&mut self, what: impl Into<String>) {
        self.0.push(PluginChange { what: what.into(), wider: true });
    }

    fn note(&mut self, what: impl Into<String>) {
        self.0.push(PluginChange { what: what.into(), wider: false });
    }

    /// A number that may grow or shrink.
    fn number(&mut self, what: &str, former: u64, new: u64) {
        let words = format!("{what}: {new}, before {former}.");
        match new.cmp(&former) {
            std::cmp::Ordering::Greater => self.wider(words),
            std::cmp::Ordering::Less => self.note(words),
            std::cmp::Ordering::Equal => {}
        }
    }
}

fn powers(changes: &mut Changes, former: &Manifest, new: &Manifest) {
    let (before, after) = (former.requested(), new.requested());
    for power in after.difference(&before) {
        changes.wider(format!("It newly asks for {}.", power_name(*power)));
    }
    for power in before.difference(&after) {
        changes.note(format!("It no longer asks for {}.", power_name(*power)));
    }
    // Within the power to read documents.
    match (former.capabilities.pick, new.capabilities.pick) {
        (false, true) => changes.wider("It newly lets you pick documents for it."),
        (true, false) => changes.note("It no longer lets you pick documents for it."),
        _ => {}
    }
    changes.number(
        "Storage in KiB",
        former.capabilities.storage_kib.into(),
        new.capabilities.storage_kib.into(),
    );
    changes.number(
        "Bits of private choices a day that it asks to learn",
        former.declassify.choice_bits_per_day.into(),
        new.declassify.choice_bits_per_day.into(),
    );
}

fn slots(changes: &mut Changes, former: &Manifest, new: &Manifest) {
    let find = |manifest: &'_ Manifest, id: &str| -> Option<Slot> {
        manifest.slots.iter().find(|slot| slot.id == id).cloned()
    };
    for slot in &new.slots {
        let (id, kind, why) = (&slot.id, kind_name(slot.kind), words(&slot.why));
        match find(former, id) {
            None => changes.wider(format!("It newly asks for {kind} in a slot `{id}`, {why}.")),
            Some(before) if before.kind != slot.kind => {
                let was = kind_name(before.kind);
                changes.wider(format!("Its slot `{id}` is now for {kind}, before for {was}."));
            }
            Some(before) if before.why != slot.why => {
                changes.note(format!("It asks for its slot `{id}` now {why}."));
            }
            Some(_) => {}
        }
    }
    for slot in former.slots.iter().filter(|slot| find(new, &slot.id).is_none()) {
        changes.note(format!("It no longer has a slot `{}`.", slot.id));
    }
}

fn commands(changes: &mut Changes, former: &Manifest, new: &Manifest) {
    let find = |manifest: &'_ Manifest, id: &str| -> Option<Command> {
        manifest.commands.iter().find(|command| command.id == id).cloned()
    };
    for command in &new.commands {
        let (id, tool) = (&command.id, words(&command.tool));
        let before = find(former, id);
        let was_tool = before.as_ref().is_some_and(|before| !before.tool.is_empty());
        match (was_tool, command.tool.is_empty()) {
            (false, false) => {
                changes.wider(format!("The chat may newly call `{id}`, described as {tool}."));
            }
            (true, true) => changes.note(format!("The chat may no longer call `{id}`.")),
            // The model goes by these words, and so did the user.
            (true, false) if before.as_ref().is_some_and(|before| before.tool != command.tool) => {
                changes.wider(format!("`{id}` is now described to the chat as {tool}."));
            }
            // The same tool takes something else.
            (true, false)
                if before.as_ref().is_some_and(|b| {
                    (b.focus, b.input.is_empty()) != (command.focus, command.input.is_empty())
                }) =>
            {
                changes.wider(format!("`{id}`, which the chat may call, works on something else."));
            }
            _ => {}
        }
        if before.is_none() {
            changes.note(format!("It has a new command, {}.", words(&command.title)));
        }
    }
    for command in former.commands.iter().filter(|command| find(new, &command.id).is_none()) {
        changes.note(format!("It no longer has the command {}.", words(&command.title)));
    }
}

fn schedules(changes: &mut Changes, former: &Manifest, new: &Manifest) {
    let find = |manifest: &'_ Manifest, id: &str| -> Option<Schedule> {
        manifest.schedules.iter().find(|schedule| schedule.id == id).cloned()
    };
    for schedule in &new.schedules {
        let (id, command, every) = (&schedule.id, &schedule.command, every_name(schedule.every));
        match find(former, id) {
            // One is off until the user switches it on.
            None => changes.note(format!("It can now run `{command}` by itself, each {every}.")),
            Some(before) if before != *schedule => {
                changes.wider(format!("Its schedule `{id}` now runs `{command}` each {every}."));
            }
            Some(_) => {}
        }
    }
    for schedule in former.schedules.iter().filter(|s| find(new, &s.id).is_none()) {
        changes.note(format!("It no longer has the schedule `{}`.", schedule.id));
    }
}

/// A plugin's words, quoted.
fn words(text: &str) -> String {
    format!("\u{201c}{}\u{201d}", hearth_broker::escape_words(text))
}

fn kind_name(kind: SlotKind) -> &'static str {
    match kind {
        SlotKind::Mail => "mail",
        SlotKind::Note => "notes",
        SlotKind::Code => "code",
        SlotKind::Any => "documents of any kind",
    }
}

fn every_name(every: Every) -> &'static str {
    match every {
        Every::Morning => "morning",
        Every::Evening => "evening",
        Every::Week => "week",
    }
}

#[cfg(test)]
mod tests;
