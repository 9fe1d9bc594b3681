//! Host bindings made from `wit/`. Nothing of these types leaves this program.

#[expect(unreachable_pub, reason = "the generated code exports them again")]
mod resources {
    /// A guest's text. Like every resource here it is represented by the host's handle number.
    pub struct Text;
    /// A guest's collection.
    pub struct Collection;
    /// A guest's choice.
    pub struct Choice;
    /// A guest's document.
    pub struct Document;
    /// A guest's public completion.
    pub struct Completion;
}

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "plugin",
        imports: { default: trappable },
        with: {
            "hearth:plugin/values.text": super::resources::Text,
            "hearth:plugin/values.collection": super::resources::Collection,
            "hearth:plugin/values.choice": super::resources::Choice,
            "hearth:plugin/documents.document": super::resources::Document,
            "hearth:plugin/model.completion": super::resources::Completion,
        },
    });
}

pub(crate) use generated::{
    Plugin, PluginPre,
    exports::hearth::plugin::guest,
    hearth::plugin::{declassify, documents, host, model, panel, settings, storage, types, values},
};
pub(crate) use resources::{Choice, Collection, Completion, Document, Text};
