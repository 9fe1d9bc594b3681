//! How models are loaded.

use std::num::NonZero;

use egui::{ComboBox, Ui};

use crate::{
    commands::Outbox,
    theme::muted,
    types::{Command, KvFormat, LoadOptions, View},
    widgets::{card, secondary},
    words,
};

const CONTEXTS: [u32; 7] = [2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072];
const MEMORIES: [u64; 6] = [256 << 20, 512 << 20, 1 << 30, 2 << 30, 4 << 30, 8 << 30];

/// The form; what is picked holds from the next load on.
pub(super) fn show(ui: &mut Ui, view: &View, out: &mut Outbox) {
    let now = &view.models.load_options;
    let mut options = now.clone();
    card(ui, |ui| {
        egui::Grid::new("load-options").num_columns(2).show(ui, |ui| {
            form(ui, &mut options);
        });
        if options != *now {
            out.send(Command::SetLoadOptions(options));
        }
        if let Some(loaded) = &view.models.loaded {
            ui.horizontal(|ui| {
                if secondary(ui, "", "Load again").clicked() {
                    out.send(Command::LoadModel(loaded.id));
                }
                ui.label(muted(ui, "Changes hold from the next load on."));
            });
        }
    });
}

fn form(ui: &mut Ui, options: &mut LoadOptions) {
    let context = |tokens: Option<u32>| match tokens {
        None => "as the model likes, up to 8,192 tokens".to_owned(),
        Some(tokens) => format!("up to {} tokens", words::grouped(u64::from(tokens))),
    };
    pick(ui, "Length of a conversation", &mut options.context_tokens, CONTEXTS, context);
    let memory = |bytes: Option<u64>| match bytes {
        None => "two full conversations".to_owned(),
        Some(bytes) => words::bytes(bytes),
    };
    pick(ui, "Memory for what was read", &mut options.kv_bytes, MEMORIES, memory);
    let name = ui.label("Kept as");
    let title = |format: KvFormat| match format {
        KvFormat::F16 => "16-bit numbers",
        KvFormat::Q8 => "8-bit numbers: half the memory, nearly as exact",
        KvFormat::F32 => "32-bit numbers: twice the memory",
    };
    let list = ComboBox::from_id_salt("Kept as").selected_text(title(options.kv_format));
    let shown = list.show_ui(ui, |ui| {
        for format in [KvFormat::F16, KvFormat::Q8, KvFormat::F32] {
            ui.selectable_value(&mut options.kv_format, format, title(format));
        }
    });
    shown.response.labelled_by(name.id);
    ui.end_row();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = |count: Option<usize>| match count {
        None => "one for each core".to_owned(),
        Some(1) => "1 thread".to_owned(),
        Some(count) => format!("{count} threads"),
    };
    pick(ui, "Processor", &mut options.threads, 1..=cores, threads);
}

/// One row: a value out of some, or none for what the program finds best.
fn pick<T: Copy + PartialEq>(
    ui: &mut Ui,
    title: &str,
    value: &mut Option<T>,
    values: impl IntoIterator<Item = T>,
    words: impl Fn(Option<T>) -> String,
) {
    let name = ui.label(title);
    let list = ComboBox::from_id_salt(title).selected_text(words(*value));
    let shown = list.show_ui(ui, |ui| {
        for choice in std::iter::once(None).chain(values.into_iter().map(Some)) {
            ui.selectable_value(value, choice, words(choice));
        }
    });
    shown.response.labelled_by(name.id);
    ui.end_row();
}
