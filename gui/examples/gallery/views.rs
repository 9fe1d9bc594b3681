//! Made-up views: one for each state worth looking at.

#[path = "views/strangers.rs"]
mod strangers;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use hearth_gui::Port;
use hearth_session::*;

pub(crate) use strangers::*;

/// A port that shows one view and keeps what it is sent.
#[derive(Clone)]
pub(crate) struct Fake {
    /// What is painted.
    pub(crate) view: Arc<std::sync::Mutex<Arc<View>>>,
    /// What was sent.
    pub(crate) sent: Arc<std::sync::Mutex<Vec<Command>>>,
    /// What is heard next.
    pub(crate) events: Arc<std::sync::Mutex<Vec<Event>>>,
    /// How the next command fails, if it does.
    pub(crate) failure: Arc<std::sync::Mutex<Option<UserError>>>,
}

impl Fake {
    /// Shows a view.
    pub(crate) fn new(view: View) -> Self {
        Self {
            view: Arc::new(std::sync::Mutex::new(Arc::new(view))),
            sent: Arc::default(),
            events: Arc::default(),
            failure: Arc::default(),
        }
    }
}

impl Port for Fake {
    fn send(&mut self, command: Command) -> Result<Ticket, Busy> {
        let mut sent = self.sent.lock().expect("nobody panics with it");
        let ticket = Ticket(sent.len() as u64);
        let reply = match &command {
            Command::InspectPlugin(path) => Reply::Inspection(Box::new(inspection(path))),
            Command::InspectModel(_) => Reply::ModelInspection(
                model_info(),
                MemoryEstimate {
                    weights_bytes: 986_000_000,
                    kv_cache_bytes: 117_000_000,
                    work_bytes: 64_000_000,
                },
            ),
            _ => Reply::Unit,
        };
        sent.push(command);
        let mut events = self.events.lock().expect("nobody panics with it");
        let failure = self.failure.lock().expect("nobody panics with it").take();
        events.push(match failure {
            Some(error) => Event::Failed { ticket, error },
            None => Event::Done { ticket, reply },
        });
        Ok(ticket)
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.lock().expect("nobody panics with it"))
    }

    fn next_event(&mut self) -> Option<Event> {
        let mut events = self.events.lock().expect("nobody panics with it");
        (!events.is_empty()).then(|| events.remove(0))
    }
}

/// No vault yet.
pub(crate) fn absent() -> View {
    View { vault_path: "/home/ada/.local/share/hearth".into(), ..View::default() }
}

/// Closed.
pub(crate) fn locked() -> View {
    View { vault: VaultState::Locked, ..absent() }
}

/// Open and empty.
pub(crate) fn empty() -> View {
    View {
        vault: VaultState::Open,
        plugins: Arc::new(plugins()),
        models: Arc::new(models()),
        ..absent()
    }
}

/// In the middle of work.
pub(crate) fn full() -> View {
    let heads: Vec<DocumentHead> = (0..60).map(head).collect();
    View {
        folders: Arc::new(folders()),
        library: Arc::new(LibraryView {
            query: DocumentQuery { limit: 200, ..DocumentQuery::default() },
            total: 1_204,
            heads,
        }),
        document: Some(Arc::new(document())),
        conversations: Arc::new(conversations()),
        conversation: Some(Arc::new(conversation(true))),
        plugins: Arc::new(granted(plugins())),
        panels: Arc::new(vec![panel()]),
        jobs: Arc::new(vec![JobView {
            ticket: Ticket(900),
            title: "Importing inbox.mbox".into(),
            share: Some(0.4),
            detail: "812 done, 3 skipped, 1 failed".into(),
        }]),
        activity: Arc::new(activity()),
        ..empty()
    }
}

/// As [`full`], with good and bad news.
pub(crate) fn news() -> View {
    let notices = vec![
        Notice { id: 1, what: NoticeKind::Success("Imported 60 mails, 2 skipped".into()) },
        Notice {
            id: 2,
            what: NoticeKind::Error(UserError {
                kind: ErrorKind::Input,
                message: "The model file is damaged: tensor blk.3.attn_q ends beyond the file."
                    .into(),
                hint: "Download it again and compare its size.".into(),
            }),
        },
        Notice {
            id: 3,
            what: NoticeKind::Plugin(PluginNotice {
                plugin: id("org.hearth.mail-summariser"),
                plugin_name: "Mail summariser".into(),
                icon: Glyph::Info,
                message: "Done with 14 mails.".into(),
            }),
        },
    ];
    View { notices: Arc::new(notices), ..full() }
}

/// A plugin's id.
pub(crate) fn id(text: &str) -> PluginId {
    PluginId::new(text).expect("a good id")
}

/// What the starter says of itself.
pub(crate) fn model_info() -> ModelInfo {
    ModelInfo {
        name: "Qwen3 1.7B Instruct".into(),
        architecture: "qwen3".into(),
        weight_format: "Q4_K + Q6_K".into(),
        parameters: 1_720_000_000,
        file_bytes: 1_107_000_000,
        context_tokens: 40_960,
        vocabulary: 151_936,
        has_chat_template: true,
    }
}

fn models() -> ModelsView {
    let starter = ModelView {
        id: None,
        name: "Hearth starter".into(),
        path: "/opt/hearth/hearth-starter.gguf".into(),
        is_default: true,
        present: true,
        public: true,
        sources_gone: 0,
    };
    let own = ModelView {
        id: Some(ModelId(1)),
        name: "Qwen3 1.7B Instruct".into(),
        path: "/home/ada/models/qwen3-1.7b-instruct-q4_k_m.gguf".into(),
        is_default: false,
        present: true,
        public: false,
        sources_gone: 0,
    };
    let gone = ModelView {
        id: Some(ModelId(2)),
        name: "Old model".into(),
        path: "/media/usb/old.gguf".into(),
        is_default: false,
        present: false,
        public: false,
        sources_gone: 0,
    };
    let info = ModelInfo {
        name: "Hearth starter".into(),
        architecture: "llama".into(),
        weight_format: "Q8_0".into(),
        parameters: 6_300_000,
        file_bytes: 6_900_000,
        context_tokens: 1024,
        ..model_info()
    };
    ModelsView {
        models: vec![starter, own, gone],
        loaded: Some(LoadedModel { id: None, info }),
        loading: None,
        load_options: LoadOptions::default(),
    }
}

fn folders() -> Vec<Folder> {
    [
        (1, "inbox", DocumentKind::Mail, 1_012, None),
        (2, "notes", DocumentKind::Note, 120, None),
        (3, "beekeeper", DocumentKind::Code, 64, None),
        (4, "Mail summariser", DocumentKind::Saved, 8, Some(id("org.hearth.mail-summariser"))),
    ]
    .into_iter()
    .map(|(n, name, kind, documents, plugin)| Folder {
        id: FolderId(n),
        name: name.into(),
        kind,
        documents,
        plugin,
    })
    .collect()
}

fn head(n: i64) -> DocumentHead {
    let subjects = [
        ("Re: Tuesday's tasting, who brings the honey?", "Ingrid Solberg"),
        ("Invoice 2026-118 is overdue", "Korfmann Printing"),
        (
            "Minutes of the allotment meeting, with the long list of who waters what in August",
            "Tom Okafor",
        ),
        ("[beekeeper] 3 new commits on main", "Forge"),
        ("", "unknown@example.net"),
    ];
    let index = usize::try_from(n).unwrap_or_default();
    let (title, author) = subjects[index % subjects.len()];
    DocumentHead {
        id: DocumentId(n),
        folder: FolderId(1),
        kind: if n % 7 == 3 { DocumentKind::Note } else { DocumentKind::Mail },
        title: title.into(),
        author: author.into(),
        date_secs: Some(1_790_000_000 - n * 40_000),
        snippet: "Hi all, I can bring two jars of the lime honey and the good spoons, if somebody"
            .into(),
        body_chars: 1200,
        attachments: u32::from(n % 5 == 1),
    }
}

fn document() -> Document {
    Document {
        head: head(0),
        body: "Hi all,\n\nI can bring two jars of the lime honey and the good spoons, if somebody else takes care of bread. Tom, is the key to the shed still with you?\n\nThe forecast says rain from four, so let us start at two instead of three. If that does not suit you, say so by Sunday; I will then ask Marta whether we may use her barn.\n\nBring the jars back, please!\n\nIngrid\n\n> Who brings what on Tuesday? I have the table and eight chairs.\n> \u{2014} Tom\n".into(),
        source: "<20260922.1042@solberg.example>".into(),
        recipients: "honey-friends@lists.example".into(),
        attachments: vec![
            AttachmentHead { name: "map-to-the-barn.pdf".into(), media_type: "application/pdf".into(), bytes: 182_300 },
            AttachmentHead { name: "jars.jpg".into(), media_type: "image/jpeg".into(), bytes: 1_240_000 },
        ],
        label: Label::default(),
    }
}

fn conversations() -> Vec<ConversationHead> {
    ["Tuesday's tasting", "What does queue.rs do?", "Letter to the printer"]
        .into_iter()
        .zip(1..)
        .map(|(title, n)| ConversationHead {
            id: ConversationId(n),
            title: title.into(),
            updated_secs: 1_790_000_000 - n * 50_000,
            messages: 4,
        })
        .collect()
}

/// A talk, with an answer under way or not.
pub(crate) fn conversation(answering: bool) -> ConversationView {
    let turn = |n, speaker, text: &str, attached: Vec<DocumentId>| ChatTurn {
        id: MessageId(n),
        speaker,
        text: text.into(),
        at_secs: 1_790_000_000,
        attached,
        model: if speaker == Speaker::Assistant {
            "Qwen3 1.7B Instruct".into()
        } else {
            String::new()
        },
        stopped: false,
        rating: Default::default(),
        call: None,
    };
    ConversationView {
        id: ConversationId(1),
        title: "Tuesday's tasting".into(),
        turns: vec![
            turn(
                1,
                Speaker::User,
                "What is still open for Tuesday?",
                vec![DocumentId(0), DocumentId(1)],
            ),
            turn(
                2,
                Speaker::Notice,
                "The second document was too long for the model: the last 3 200 of its 9 800 words were left out.",
                vec![],
            ),
            turn(
                3,
                Speaker::Assistant,
                "Two things are still open:\n\n1. **Bread.** Ingrid brings honey and spoons, nobody has said they bring bread.\n2. **The place.** Rain is forecast from four, so Ingrid suggests to start at *two*; if that does not suit, she asks Marta for the barn.\n\nYou could answer:\n\n```text\nI bring the bread. Two o'clock is fine.\n```\n",
                vec![],
            ),
            turn(4, Speaker::User, "Write that to her, and ask about the key.", vec![]),
        ],
        answering: answering.then(|| Answering {
            ticket: Ticket(77),
            text: "Dear Ingrid,\n\ntwo o'clock suits me, and I bring".into(),
            prompt_share: 1.0,
            tokens: 12,
            doing: String::new(),
            tokens_per_sec: 9.4,
        }),
        adapters: Vec::new(),
    }
}

fn manifest(text: &str) -> Arc<Manifest> {
    Arc::new(Manifest::parse(text.as_bytes()).expect("a good manifest"))
}

/// The two that come with Hearth, and a stranger's.
pub(crate) fn plugins() -> Vec<PluginView> {
    let summariser = manifest(
        r#"
        id = "org.hearth.mail-summariser"
        name = "Mail summariser"
        description = "Sums up each mail of a mailbox in a sentence or two."
        version = "0.1.0"
        api = "0.1"
        commands = [{ id = "summarise", title = "Summarise recent mail" }]
        panels = [{ id = "summaries", title = "Mail summaries" }]
        slots = [{ id = "inbox", kind = "mail", why = "to summarise the newest of them" }]
        settings = [
            { key = "count", title = "Mails at a time", kind = "number", min = 1, max = 50, default = 10 },
            { key = "bullets", title = "As bullet points", kind = "flag", default = false },
            { key = "tone", title = "Tone", kind = "choice", options = ["Plain", "Friendly"], default = 0 },
        ]
        capabilities = { model = true, save = true, storage-kib = 4 }
        "#,
    );
    let helper = manifest(
        r#"
        id = "org.hearth.code-helper"
        name = "Code helper"
        description = "Explains a source file, part by part."
        version = "0.1.0"
        api = "0.1"
        commands = [
            { id = "explain", title = "Explain code", focus = "document" },
            { id = "rewrite", title = "Rewrite code", focus = "document", input = "What shall change?" },
        ]
        panels = [{ id = "explanation", title = "Explanation" }]
        capabilities = { model = true }
        "#,
    );
    let stranger = manifest(
        r#"
        id = "net.example.triage"
        name = "Triage"
        description = "Sorts mail by how urgent it is and learns what you answer."
        version = "2.3.1"
        publisher = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
        api = "0.1"
        commands = [{ id = "sort", title = "Sort mail" }]
        panels = [{ id = "sorted", title = "By urgency" }]
        slots = [{ id = "mail", kind = "mail", why = "to sort it" }]
        capabilities = { model = true, search = true }
        declassify = { choice-bits-per-day = 8 }
        "#,
    );
    [(summariser, true, true), (helper, true, true), (stranger, false, false)]
        .into_iter()
        .map(|(manifest, sealed, bundled)| PluginView {
            id: manifest.id.clone(),
            component: format!("/vault/plugins/{}.wasm", manifest.id).into(),
            manifest,
            sealed,
            bundled,
            grant: None,
            suspended: None,
            running: None,
            progress: None,
            settings: BTreeMap::new(),
            adapters: Vec::new(),
            standing: Standing { gestures_left_millibits: 64_000, ..Standing::default() },
            provenance: ProvenanceView {
                signature: if bundled { SignatureView::Bundled } else { signature() },
                ..ProvenanceView::default()
            },
        })
        .collect()
}

fn granted(mut plugins: Vec<PluginView>) -> Vec<PluginView> {
    for plugin in &mut plugins {
        let slots = plugin
            .manifest
            .slots
            .iter()
            .map(|s| (s.id.clone(), BTreeSet::from([FolderId(1)])))
            .collect();
        let capabilities = plugin.manifest.requested();
        plugin.grant = Some(Grant { capabilities, slots, choice_bits_per_day: 0, epoch: 1 });
    }
    if let Some(first) = plugins.first_mut() {
        first.running = Some(Ticket(5));
        first.progress = Some((Some(60), "3 of 5 mails".into()));
    }
    if let Some(last) = plugins.last_mut() {
        last.suspended = Some("It ran out of its share of memory in run 4.".into());
    }
    plugins
}

/// What the consent page is drawn from.
pub(crate) fn inspection(path: &Path) -> PluginInspection {
    let plugins = plugins();
    let installed = plugins.iter().find(|p| p.component == path);
    let plugin = installed.or(plugins.last()).expect("there are some");
    let mut imports = vec!["documents", "values", "model", "panel"];
    if !plugin.sealed {
        imports.push("declassify");
    }
    PluginInspection {
        manifest: Manifest::clone(&plugin.manifest),
        imports: imports.iter().map(|name| format!("hearth:plugin/{name}@0.1.0")).collect(),
        sealed: plugin.sealed,
        component_hash: "9f2ac4e1b7d05538c0ffee11223344556677889900aabbccddeeff0011223344".into(),
        size_bytes: 184_320,
        path: path.to_owned(),
        replaces: Some("2.2.0".into()),
        judgement: Judgement {
            signature: plugin.provenance.signature.clone(),
            lookalikes: Vec::new(),
            changes: changes(),
            stored: Vec::new(),
            verdict: InstallVerdict::Waits,
        },
    }
}

fn panel() -> PanelView {
    let value = |n: u64, text: &str, state: ValueState, from: &str| ValueView {
        id: ValueId(n),
        text: text.into(),
        state,
        made_from: format!("from {from}"),
    };
    let items = vec![
        value(
            1,
            "Ingrid brings honey and spoons on Tuesday, asks who brings bread, and wants to start at two because of rain.",
            ValueState::Saved,
            "Re: Tuesday's tasting, who brings the honey?",
        ),
        value(
            2,
            "The printer reminds you of invoice 2026-118 over 240 \u{20ac}, due since the 3rd, and asks for payment within a week.",
            ValueState::Done,
            "Invoice 2026-118 is overdue",
        ),
        value(
            3,
            "The allotment meeting agreed who waters what in August; you have",
            ValueState::Streaming,
            "Minutes of the allotment meeting",
        ),
        value(4, "", ValueState::Waiting, "[beekeeper] 3 new commits on main"),
        value(
            5,
            "",
            ValueState::Failed("The mail is longer than the model can read at once.".into()),
            "Terms of service, all of them",
        ),
    ];
    PanelView {
        key: PanelKey { plugin: id("org.hearth.mail-summariser"), panel: "summaries".into() },
        run: RunId(3),
        plugin_name: "Mail summariser".into(),
        title: "Mail summaries".into(),
        nodes: vec![
            PanelNode::Label("The newest mails of your inbox, each in a sentence or two.".into()),
            PanelNode::Row,
            PanelNode::Button(Button {
                id: "again".into(),
                label: "Again".into(),
                icon: Glyph::Star,
                enabled: true,
            }),
            PanelNode::Button(Button {
                id: "more".into(),
                label: "More mails".into(),
                icon: Glyph::Mail,
                enabled: false,
            }),
            PanelNode::End,
            PanelNode::Items(Some(items)),
            PanelNode::Divider,
            PanelNode::Input(Input {
                id: "about".into(),
                label: "Only mails about".into(),
                placeholder: "honey".into(),
                multiline: false,
            }),
        ],
    }
}

fn activity() -> Vec<AuditRow> {
    (0..40)
        .map(|n| AuditRow {
            at_secs: 1_790_000_000 - n * 300,
            plugin: Some(id(if n % 3 == 0 {
                "net.example.triage"
            } else {
                "org.hearth.mail-summariser"
            })),
            run: Some(RunId(u64::try_from(9 - n / 5).unwrap_or(1))),
            what: if n % 3 == 0 {
                "asked to learn a choice among 4".into()
            } else {
                "held 10 documents of slot inbox".into()
            },
            allowed: n % 3 != 0,
        })
        .collect()
}

/// A vault in which one adapter is in use, one is refused, and a run goes on.
pub(crate) fn training() -> View {
    let report = |exposure: f32| AdapterReport {
        held_out: Some((3.412, 2.604)),
        best_step: Some((160, 200)),
        general: Some((3.101, 3.188)),
        memory: Some(MemoryReport { exposure_bits: vec![0.4, exposure], most_bits: 10.0 }),
        answers: vec![AnswerPair {
            question: "Write a short mail that moves tomorrow's meeting to Friday.".into(),
            without: "Dear Sir or Madam, I am writing to inform you that the meeting is moved."
                .into(),
            with: "Hi all, tomorrow does not work for me. Friday at ten? I bring the honey. A."
                .into(),
        }],
    };
    let adapter = |n: i64, name: &str, accepted: bool, exposure: f32| AdapterView {
        id: AdapterId(n),
        name: name.into(),
        base: "Hearth starter".into(),
        base_model: Some(None),
        loaded: true,
        accepted,
        sources: 212,
        sources_changed: 0,
        sources_gone: u64::from(accepted) * 3,
        dataset: Some(DatasetId(1)),
        run: Some(TuneRunId(n)),
        bytes: 1_240_000,
        created_secs: 1_790_000_000,
        report: Some(Arc::new(report(exposure))),
    };
    let dataset = DatasetView {
        id: DatasetId(1),
        name: "My mail".into(),
        recipe: Arc::new(Recipe {
            template: Template::WriteLikeMe { me: vec!["ada@example.org".into()] },
            ..Recipe::default()
        }),
    };
    let adapters = vec![adapter(1, "My manner", true, 1.2), adapter(2, "My secrets", false, 8.9)];
    let preview = PreviewView {
        recipe: Arc::clone(&dataset.recipe),
        report: Report::default(),
        train: 190,
        held_out: 22,
        tokens: 48_200,
        learnt_tokens: 21_900,
        lengths: vec![(32, 4), (64, 31), (128, 90), (256, 60), (512, 27)],
        samples: vec![SampleView {
            titles: vec!["Re: Tuesday's tasting".into()],
            held_out: false,
            tokens: 84,
            pieces: vec![
                ("Who brings what on Tuesday? I have the table.".into(), false),
                ("I can bring two jars of the lime honey and the good spoons.".into(), true),
            ],
        }],
    };
    View {
        tuning: Arc::new(TuningView {
            datasets: Arc::new(vec![dataset]),
            preview: Some(Arc::new(preview)),
            runs: Arc::new(vec![run()]),
            new_conversations: vec![AdapterChoice { adapter: AdapterId(1), strength: 0.8 }],
            adapters: Arc::new(adapters),
            rules: TuneRules { exposure_limit_bits: 6.0, ..TuneRules::default() },
            ..TuningView::default()
        }),
        ..full()
    }
}

/// A run that goes on.
pub(crate) fn run() -> RunView {
    let step = |n: u16| TuneStep {
        step: u32::from(n),
        loss: 2.4 + 1.2 / (1.0 + f32::from(n) / 12.0) + 0.05 * f32::from(n % 3),
        held_out_loss: n.is_multiple_of(20).then(|| 2.6 + 0.8 / (1.0 + f32::from(n) / 14.0)),
        learning_rate: 1e-3,
        gradient_norm: 0.8,
        tokens: u64::from(n) * 4096,
        tokens_per_sec: 2310.0,
        secs: f32::from(n) * 1.7,
    };
    RunView {
        id: TuneRunId(3),
        name: "Answers from my notes".into(),
        dataset: "My notes".into(),
        base: "Hearth starter".into(),
        state: RunState::Running,
        ticket: Some(Ticket(31)),
        settings: TuneSettings::default(),
        steps: Arc::new((1..=120).map(step).collect()),
        total_steps: Some(400),
        secs_left: Some(480.0),
        sources_gone: 0,
        started_secs: 1_790_000_000,
    }
}
