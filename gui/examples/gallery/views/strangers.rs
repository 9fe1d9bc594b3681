//! Views around plugins of strangers: whose they are, what they want to learn, what they took.

use std::{collections::BTreeMap, sync::Arc};

use hearth_session::*;

use super::{activity, conversation, empty, full, granted, id, panel, plugins};

/// A stranger's key.
pub(crate) fn signature() -> SignatureView {
    SignatureView::Signed {
        key: "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3".into(),
        key_id: "E7620F1842B4E81F".into(),
        fingerprint: "K7QD 2MZA 9XPV TT4E J6NC W3RB".into(),
        picture: std::array::from_fn(|n| (n as u8).wrapping_mul(73).wrapping_add(41)),
        trusted_comment: "triage 2.3.1".into(),
        standing: KeyStanding::New,
    }
}

/// What the stranger's next version asks for.
pub(crate) fn changes() -> Vec<PluginChange> {
    let change = |what: &str, wider| PluginChange { what: what.into(), wider };
    vec![
        change("It newly asks for documents-search.", true),
        change("Bits of private choices a day that it asks to learn: 8, before 4.", true),
        change("It no longer has a slot `notes`.", false),
    ]
}

/// In the middle of work, with a version of a plugin that waits and one to go back to.
pub(crate) fn waiting() -> View {
    let mut plugins = granted(plugins());
    if let Some(stranger) = plugins.last_mut() {
        stranger.suspended = None;
        stranger.provenance.former = Some("2.2.0".into());
        stranger.provenance.waiting = Some(Arc::new(WaitingView {
            version: "2.4.0".into(),
            sealed: true,
            manifest: Arc::clone(&stranger.manifest),
            changes: changes(),
            stored: vec![StoredEntry {
                key: "urgent".into(),
                bytes: 12,
                preview: "yes no yes".into(),
            }],
        }));
    }
    View { plugins: Arc::new(plugins), ..full() }
}

/// A plugin wants to learn a text.
pub(crate) fn reveal() -> View {
    let source = |n: i64, title: &str| RevealSource::Document {
        id: DocumentId(n),
        title: Some(title.into()),
        made_of: n < 2,
    };
    let question = RevealView {
        question: 3,
        plugin: id("net.example.triage"),
        plugin_name: "Triage".into(),
        purpose: "to put the date into your calendar".into(),
        text: "Tuesday the 3rd,\u{202e} two o'clock".into(),
        hash: "9f2ac4e1b7d05538c0ffee1122334455".into(),
        made_from: "made by Triage from Re: Tuesday's tasting".into(),
        sources: vec![source(1, "Re: Tuesday's tasting"), source(2, "Invoice 2026-118")],
        more_sources: 58,
    };
    View { reveals: Arc::new(vec![question]), ..full() }
}

/// A plugin tried on invented data.
pub(crate) fn trial() -> View {
    let trial = TrialView {
        plugin: id("org.hearth.mail-summariser"),
        name: "Mail summariser".into(),
        command: "summarise".into(),
        running: None,
        documents: 60,
        panels: vec![panel()],
        said: vec!["It says: 5 mails.".into()],
    };
    View { trial: Some(Arc::new(trial)), ..empty() }
}

/// What one plugin did and took.
pub(crate) fn plugin_activity() -> View {
    let usage = |n: u64| PluginUsage {
        runs: n,
        calls: n * 9,
        refusals: n / 5,
        prompt_tokens: n * 1_812,
        answer_tokens: n * 240,
        documents: n * 5,
        guest_micros: n * 410,
        model_micros: n * 2_600_000,
    };
    let plugins = granted(plugins());
    let sums = plugins.iter().zip([14, 3, 0]).map(|(plugin, n)| PluginSum {
        plugin: plugin.id.clone(),
        name: plugin.manifest.name.clone(),
        grant: plugin.grant.clone(),
        suspended: plugin.suspended.clone(),
        tools: (n == 3).then_some(ToolMode::Ask),
        schedules: Vec::new(),
        today: usage(n / 7),
        total: usage(n),
    });
    let plugin = id("org.hearth.mail-summariser");
    let days = (0..12).map(|day| DayUsage {
        plugin: plugin.clone(),
        day: 20_700 - day,
        usage: usage((day as u64 * 7) % 5),
    });
    let runs = (0..6).map(|n| RunUsage {
        plugin: plugin.clone(),
        run: RunId(14 - n),
        at_secs: 1_790_000_000 - n as i64 * 40_000,
        what: "the command \u{201c}Summarise recent mail\u{201d}".into(),
        usage: usage(1),
    });
    let view = ActivityView {
        plugin: Some(plugin.clone()),
        plugins: sums.collect(),
        days: days.collect(),
        runs: runs.collect(),
        rows: activity(),
    };
    View { plugin_activity: Some(Arc::new(view)), ..full() }
}

/// A conversation in which the model has called a tool, and wants to call another.
pub(crate) fn tools() -> View {
    let mut talk = conversation(true);
    let call = ToolCall {
        plugin: id("org.hearth.finder"),
        plugin_name: "Finder".into(),
        command: "find".into(),
        title: "Find and answer".into(),
        input: Some("honey tasting date".into()),
        document: None,
        state: CallState::Done,
        made_from: "made by Finder from 3 of 60 documents".into(),
    };
    let mut turn = talk.turns.first().cloned().expect("there are some");
    turn.id = MessageId(900);
    turn.speaker = Speaker::Tool;
    turn.text = "The tasting is on Tuesday at two, in the allotment's hut.".into();
    turn.attached = Vec::new();
    turn.call = Some(Box::new(call.clone()));
    talk.turns.push(turn);
    if let Some(answering) = &mut talk.answering {
        answering.text = String::new();
        answering.doing = "Waiting for your answer".into();
    }
    let question = ToolCallView {
        question: 5,
        ticket: Ticket(7),
        conversation: talk.id,
        plugin: call.plugin.clone(),
        plugin_name: call.plugin_name,
        command: call.command,
        title: call.title,
        input: Some("who brings the bread".into()),
        document: None,
        document_title: String::new(),
    };
    let tools = BTreeMap::from([(call.plugin, ToolMode::Ask)]);
    View {
        conversation: Some(Arc::new(talk)),
        tool_calls: Arc::new(vec![question]),
        tools: Arc::new(tools),
        ..full()
    }
}
