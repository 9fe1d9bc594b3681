use hearth_base::{DocumentId, Label, PluginId, RunId, Source};
use hearth_broker::{PanelKey, PanelNode, PanelView, ValueId, ValueState, ValueView};

use super::result::shown;

fn value(id: u64, text: &str, state: ValueState, made_from: &str) -> ValueView {
    ValueView { id: ValueId(id), text: text.into(), state, made_from: made_from.into() }
}

fn panel(nodes: Vec<PanelNode>) -> PanelView {
    let plugin = PluginId::new("org.example.finder").unwrap();
    PanelView {
        key: PanelKey { plugin, panel: "found".into() },
        run: RunId(1),
        plugin_name: "Finder".into(),
        title: "Found".into(),
        nodes,
    }
}

#[test]
fn a_result_has_all_that_is_shown_and_its_label() {
    let panel = panel(vec![
        PanelNode::Heading("Found".into()),
        PanelNode::Divider,
        PanelNode::Items(Some(vec![
            value(1, "one", ValueState::Done, "made by Finder from “a”"),
            value(2, "", ValueState::Failed("too long".into()), "made by Finder from “b”"),
        ])),
        PanelNode::Value(value(3, "two\n", ValueState::Saved, "made by Finder from “a”")),
        PanelNode::Progress(Some(100)),
    ]);
    let of =
        |id: i64| Label { sources: [Source::Document(DocumentId(id))].into(), ..Label::public() };
    let result = shown(&[panel], |id| of(i64::try_from(id.0).unwrap())).unwrap();
    assert_eq!(result.text, "Found\n- one\n- [could not be made: too long]\ntwo");
    assert_eq!(result.made_from, "made by Finder from “a”; made by Finder from “b”");
    assert_eq!(result.label, Label::joined([&of(1), &of(2), &of(3)]));
}

#[test]
fn a_long_result_is_cut_where_everybody_sees_it() {
    let long = value(1, &"ä".repeat(20_000), ValueState::Done, "");
    let result = shown(&[panel(vec![PanelNode::Value(long)])], |_| Label::public()).unwrap();
    assert!(result.text.ends_with("… (8000 more characters: see the plugin's panel)"));
    assert!(
        shown(&[panel(vec![PanelNode::Items(Some(Vec::new()))])], |_| Label::public()).is_err()
    );
}
