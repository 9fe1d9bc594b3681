//! Each screen on made-up views: what it says, and what it sends.

use std::sync::Arc;

use egui::{Key, Modifiers};
use egui_kittest::kittest::NodeT as _;
use hearth_gui::Screen;
use hearth_session::{
    AdapterId, Capability, Command, ConversationView, DocumentId, ErrorKind, FolderId, PanelNode,
    Ticket, TuneCommand, UserError, ValueId, VaultState, View,
};

use crate::{
    stage::Window,
    views::{self, Fake},
};

fn window(view: View) -> (Window, Fake) {
    let fake = Fake::new(view);
    (Window::open(fake.clone()), fake)
}

fn set(fake: &Fake, view: View) {
    *fake.view.lock().unwrap() = Arc::new(view);
}

/// The last command that is not the list's own query.
fn last(fake: &Fake) -> Command {
    let mut sent = fake.sent.lock().unwrap();
    let at = sent.iter().rposition(|c| !matches!(c, Command::Browse(_))).expect("something sent");
    sent.remove(at)
}

fn sent_nothing(fake: &Fake) -> bool {
    fake.sent.lock().unwrap().iter().all(|c| matches!(c, Command::Browse(_)))
}

#[test]
fn a_vault_is_made_under_a_passphrase_given_twice() {
    let (mut window, fake) = window(views::absent());
    assert!(window.reads("/home/ada/.local/share/hearth"));
    assert!(window.reads("cannot be recovered"));
    window.write("Passphrase", "kit");
    assert!(window.reads("Easy to guess"));
    assert!(!window.is_enabled("Create vault"));
    window.write("Passphrase again", "cat");
    assert!(window.reads("The two differ"));
    assert!(!window.is_enabled("Create vault"));
    window.press(Modifiers::NONE, Key::Backspace);
    window.press(Modifiers::NONE, Key::Backspace);
    window.press(Modifiers::NONE, Key::Backspace);
    window.write("Passphrase again", "kit");
    assert!(sent_nothing(&fake));
    window.click("Create vault");
    assert!(matches!(last(&fake), Command::CreateVault(_)));
    assert!(!window.is_enabled("Create vault"), "the fields are empty again");
}

#[test]
fn a_refused_passphrase_says_so_and_leaves_no_text() {
    let (mut window, fake) = window(views::locked());
    *fake.failure.lock().unwrap() = Some(UserError {
        kind: ErrorKind::User,
        message: "That is not the passphrase.".into(),
        hint: "Mind capital letters.".into(),
    });
    window.write("Passphrase", "wrong");
    window.press(Modifiers::NONE, Key::Enter);
    assert!(matches!(last(&fake), Command::Unlock(_)));
    assert!(window.reads("That is not the passphrase."));
    assert!(window.reads("Mind capital letters."));
    assert!(!window.is_enabled("Unlock"));
    set(&fake, View { vault: VaultState::Opening, ..views::locked() });
    window.settle();
    assert!(window.reads("Opening the vault"));
}

#[test]
fn an_empty_library_leads_to_an_import() {
    let fake = Fake::new(views::empty());
    let options =
        hearth_gui::Options { demo: Some("/demo".into()), ..hearth_gui::Options::default() };
    let mut window = Window::with(fake.clone(), options);
    assert!(window.reads("Bring something in"));
    window.write("Path to import", "/mail/inbox.mbox");
    window.press(Modifiers::NONE, Key::Enter);
    let Command::Import { path, .. } = last(&fake) else { panic!("no import") };
    assert_eq!(path, std::path::Path::new("/mail/inbox.mbox"));
    window.click("Try with the demo mailbox");
    let Command::Import { path, .. } = last(&fake) else { panic!("no import") };
    assert_eq!(path, std::path::Path::new("/demo/code"));
}

#[test]
fn a_command_that_wants_words_asks_for_them() {
    let (mut window, fake) = window(views::full());
    window.click("Rewrite code");
    assert!(window.reads("Code helper asks: What shall change?"));
    assert!(!window.is_enabled("Run"));
    window.write("Your words", "use iterators ");
    window.click("Run");
    let Command::RunPlugin { command, focus, input, .. } = last(&fake) else { panic!("no run") };
    assert_eq!((command.as_str(), input.as_deref()), ("rewrite", Some("use iterators")));
    assert!(focus.is_some());
    assert!(!window.has("Your words"));
}

#[test]
fn typing_searches_and_clicking_opens() {
    let (mut window, fake) = window(views::full());
    window.press(Modifiers::COMMAND, Key::F);
    window.0.event(egui::Event::Text("honey".into()));
    window.settle();
    let asked = fake.sent.lock().unwrap().iter().any(
        |c| matches!(c, Command::Browse(query) if query.text == "honey" && query.folders.is_none()),
    );
    assert!(asked);
    window.click("inbox, 1012 documents");
    let asked =
        fake.sent.lock().unwrap().iter().any(
            |c| matches!(c, Command::Browse(query) if query.folders == Some(vec![FolderId(1)])),
        );
    assert!(asked);
    window.click("Invoice 2026-118 is overdue, mail Korfmann Printing");
    assert!(matches!(last(&fake), Command::OpenDocument(DocumentId(_))));
}

#[test]
fn the_reader_offers_what_can_be_done_and_asks_before_deleting() {
    let (mut window, fake) = window(views::full());
    assert!(window.reads("honey-friends@lists.example"));
    assert!(window.reads("jars.jpg"));
    window.click("Explain code");
    let Command::RunPlugin { command, focus, .. } = last(&fake) else { panic!("no run") };
    assert_eq!((command.as_str(), focus), ("explain", Some(DocumentId(0))));
    window.click("Delete document");
    assert!(sent_nothing(&fake), "it asks first");
    window.click("Delete for good");
    assert!(matches!(last(&fake), Command::DeleteDocument(DocumentId(0))));
    window.click("Chat about this");
    assert!(
        window.has("Remove Re: Tuesday's tasting, who brings the ho\u{2026}"),
        "{}",
        window.text()
    );
}

#[test]
fn enter_sends_a_message_and_notices_stand_out() {
    let view = views::full();
    let talk = ConversationView { answering: None, ..views::conversation(false) };
    let (mut window, fake) = window(View { conversation: Some(Arc::new(talk)), ..view });
    window.show(Screen::Chat);
    assert!(window.reads("Hearth says"));
    assert!(window.reads("were left out"));
    window.write("Message", "and the spoons?");
    window.press(Modifiers::SHIFT, Key::Enter);
    window.write("Message", "Please.");
    window.press(Modifiers::NONE, Key::Enter);
    let Command::Ask { conversation, text, .. } = last(&fake) else { panic!("not asked") };
    assert_eq!(conversation, Some(hearth_session::ConversationId(1)));
    assert_eq!(text, "and the spoons?\nPlease.");
}

#[test]
fn a_message_that_fails_comes_back() {
    let (mut window, fake) = window(views::empty());
    window.press(Modifiers::COMMAND, Key::N);
    *fake.failure.lock().unwrap() = Some(UserError {
        kind: ErrorKind::User,
        message: "The message is too long for the model.".into(),
        hint: "Attach less.".into(),
    });
    window.write("Message", "hello");
    window.press(Modifiers::NONE, Key::Enter);
    assert!(window.reads("The message is too long for the model."));
    assert!(window.reads("hello"));
    window.click("Send");
    let Command::Ask { conversation, text, .. } = last(&fake) else { panic!("not asked") };
    assert_eq!((conversation, text.as_str()), (None, "hello"));
}

#[test]
fn an_answer_under_way_can_be_stopped() {
    let (mut window, fake) = window(views::full());
    window.show(Screen::Chat);
    assert!(window.reads("12 tokens, 9.4 a second"));
    assert!(!window.is_enabled("Send"));
    window.click("Stop");
    assert!(matches!(last(&fake), Command::Cancel(Ticket(77))));
}

#[test]
fn links_are_copied_never_opened() {
    let mut talk = views::conversation(false);
    talk.turns.truncate(1);
    let mut turn = talk.turns[0].clone();
    turn.speaker = hearth_session::Speaker::Assistant;
    turn.text =
        "See [the page](https://evil.example/?q=secret). ![x](https://evil.example/x.png)".into();
    talk.turns = vec![turn];
    let (mut window, _) = window(View { conversation: Some(Arc::new(talk)), ..views::full() });
    window.show(Screen::Chat);
    let link = egui_kittest::kittest::Queryable::get_by_label(&window.0, "the page");
    link.click();
    let mut copied = false;
    for _ in 0..4 {
        window.0.step();
        for command in &window.0.output().platform_output.commands {
            match command {
                egui::OutputCommand::OpenUrl(_) => panic!("a link was followed"),
                egui::OutputCommand::CopyText(text) => {
                    copied |= text == "https://evil.example/?q=secret";
                }
                _ => {}
            }
        }
    }
    assert!(copied);
    assert!(window.reads("Link copied"));
}

#[test]
fn consent_grants_exactly_what_is_ticked() {
    let view = View { folders: views::full().folders, ..views::empty() };
    let (mut window, fake) = window(view);
    window.show(Screen::Plugins);
    window.click("Install\u{2026}");
    window.write("Path of the plugin", "/home/ada/Downloads/triage.wasm");
    window.press(Modifiers::NONE, Key::Enter);
    assert!(window.reads("May Triage work for you?"));
    assert!(window.reads("Not sealed"));
    assert!(window.reads("It can hold documents it cannot read."));
    assert!(window.reads("Claims. Hearth has not checked them."));
    assert!(window.reads("replaces the installed version 2.2.0"));
    window.click("Learn short answers");
    window.click("inbox, 1012 documents");
    window.click("Install and allow");
    let sent = fake.sent.lock().unwrap();
    assert!(sent.iter().any(|c| matches!(c, Command::InstallPlugin { .. })));
    drop(sent);
    // The made-up session answers an install with nothing, so nothing was granted behind the user's back.
    assert!(matches!(last(&fake), Command::InstallPlugin { expected_hash: Some(_), .. }));
}

#[test]
fn an_installed_plugin_is_set_up_in_the_same_words() {
    let view = View { folders: views::full().folders, ..views::empty() };
    let (mut window, fake) = window(view);
    window.show(Screen::Plugins);
    window.click("Set up Mail summariser\u{2026}");
    assert!(window.reads("Sealed: it cannot learn what your documents say."));
    window.click("Save results");
    window.click("Allow");
    let Command::GrantPlugin { plugin, capabilities, slots, .. } = last(&fake) else {
        panic!("not granted")
    };
    assert_eq!(plugin.as_str(), "org.hearth.mail-summariser");
    assert!(capabilities.contains(&Capability::Model));
    assert!(!capabilities.contains(&Capability::DocumentsSave));
    assert_eq!(slots.get("inbox").map(|s| s.contains(&FolderId(1))), Some(true));
}

#[test]
fn denying_grants_nothing() {
    let (mut window, fake) = window(views::empty());
    window.show(Screen::Plugins);
    window.click("Set up Code helper\u{2026}");
    window.click("Deny");
    assert!(matches!(last(&fake), Command::RevokePlugin(_)));
    assert!(window.reads("Small programs"));
}

#[test]
fn a_panel_is_attributed_and_its_values_can_be_saved_when_whole() {
    let view = views::full();
    let key = view.panels[0].key.clone();
    let (mut window, fake) = window(view);
    window.show(Screen::Panel(key));
    assert!(window.reads("Mail summariser says \u{2014} it cannot read what your documents say"));
    assert!(window.reads("from Invoice 2026-118 is overdue"));
    assert!(window.reads("The mail is longer than the model can read at once."));
    assert!(!window.is_enabled("More mails"));
    // One value of five is whole and not saved yet.
    window.click("Save");
    assert!(matches!(last(&fake), Command::SaveValue(ValueId(2))));
    window.click("Again");
    assert!(matches!(last(&fake), Command::Press { button, .. } if button == "again"));
    window.write("Only mails about", "honey");
    window.press(Modifiers::NONE, Key::Enter);
    assert!(matches!(last(&fake), Command::Enter { text, .. } if text == "honey"));
}

#[test]
fn a_plugin_cannot_write_over_the_frame() {
    let mut view = views::full();
    let mut panel = view.panels[0].clone();
    let key = panel.key.clone();
    panel.plugin_name = "Nice\u{202e}plugin".into();
    panel.nodes =
        vec![PanelNode::Label("**bold** [link](https://evil.example) \u{202e}kcab".into())];
    view.panels = Arc::new(vec![panel]);
    let (mut window, _) = window(view);
    window.show(Screen::Panel(key));
    assert!(window.reads("Nice\u{b7}plugin says"));
    assert!(window.reads("**bold** [link](https://evil.example) \u{b7}kcab"));
}

#[test]
fn a_models_cost_is_shown_before_it_is_added() {
    let (mut window, fake) = window(views::full());
    window.show(Screen::Models);
    assert!(window.reads("A demonstration"));
    assert!(window.reads("file is gone"));
    window.write("Path of the model", "/models/qwen.gguf");
    window.press(Modifiers::NONE, Key::Enter);
    assert!(window.reads("Needs about 1.2 GB of memory"), "{}", window.text());
    window.click("Add it");
    assert!(matches!(last(&fake), Command::AddModel(path) if path.ends_with("qwen.gguf")));
    window.click("Load Qwen3 1.7B Instruct");
    assert!(matches!(last(&fake), Command::LoadModel(Some(_))));
}

#[test]
fn locking_forgets_every_draft() {
    let (mut window, fake) = window(views::full());
    window.show(Screen::Chat);
    window.write("Message", "a secret draft");
    window.press(Modifiers::COMMAND, Key::L);
    assert!(matches!(last(&fake), Command::Lock));
    set(&fake, views::locked());
    window.settle();
    assert!(window.has("Unlock"));
    set(&fake, views::full());
    window.settle();
    window.show(Screen::Chat);
    assert!(!window.reads("a secret draft"));
}

#[test]
fn news_can_be_taken_away() {
    let (mut window, fake) = window(views::news());
    assert!(window.reads("Imported 60 mails, 2 skipped"));
    assert!(window.reads("Download it again and compare its size."));
    assert!(window.reads("Mail summariser says"));
    window.click("Dismiss");
    assert!(matches!(last(&fake), Command::DismissNotice(_)));
}

#[test]
fn what_plugins_did_is_listed() {
    let (mut window, _) = window(views::full());
    window.show(Screen::Activity);
    assert!(window.reads("Mail summariser, run 9"));
    assert!(window.reads("refused"));
}

#[test]
fn an_adapter_that_remembers_too_much_is_accepted_only_against_a_warning() {
    let (mut window, fake) = window(views::training());
    window.show(Screen::Tuning);
    assert!(window.reads("It remembers single secrets"));
    assert!(!window.has("Accept My secrets"));
    window.click("Accept My secrets anyway");
    let Command::Tune(TuneCommand::AcceptAdapter { adapter, anyway }) = last(&fake) else {
        panic!("not accepted")
    };
    assert_eq!((adapter, anyway), (AdapterId(2), true));
}

#[test]
fn an_adapter_is_renamed_and_its_stale_sources_are_said() {
    let (mut window, fake) = window(views::training());
    window.show(Screen::Tuning);
    assert!(window.reads("3 texts it learnt from were deleted since."));
    window.click("Rename My manner");
    window.write("New name of the adapter", ", 2026");
    window.press(Modifiers::NONE, Key::Enter);
    let Command::Tune(TuneCommand::RenameAdapter(id, name)) = last(&fake) else {
        panic!("not renamed")
    };
    assert_eq!((id, name.contains("2026")), (AdapterId(1), true));
}

#[test]
fn a_run_says_how_it_goes_and_is_not_thrown_away_by_one_click() {
    let (mut window, fake) = window(views::training());
    window.show(Screen::Tuning);
    window.click("Train (running)");
    assert!(window.reads("step 120 of 400"));
    assert!(window.reads("about 8 minutes left"));
    assert!(window.reads("2310 tokens a second"));
    window.click("Pause");
    assert!(matches!(last(&fake), Command::Tune(TuneCommand::PauseRun(_))));
    window.click("Forget the run Answers from my notes");
    assert!(sent_nothing(&fake), "it asks first");
    window.click("Forget it");
    assert!(matches!(last(&fake), Command::Tune(TuneCommand::RemoveRun(_))));
    window.click("New run");
    assert!(!window.is_enabled("Start training"), "one at a time");
}

#[test]
fn a_plugin_gets_the_adapters_that_its_user_chooses() {
    let mut view = views::training();
    let mut plugins = Vec::clone(&view.plugins);
    let plugin = &mut plugins[0];
    let grant = plugin.grant.as_mut().unwrap();
    grant.capabilities.insert(Capability::PersonalModel);
    let name = plugin.id.clone();
    view.plugins = Arc::new(plugins);
    let (mut window, fake) = window(view);
    window.show(Screen::Plugins);
    window.click("Works with the model as it is");
    window.click("My manner");
    let Command::Tune(TuneCommand::UseInPlugin { plugin, adapters }) = last(&fake) else {
        panic!("not chosen")
    };
    assert_eq!((plugin, adapters.len()), (name, 1));
}

#[test]
fn every_control_has_a_name() {
    let key = views::full().panels[0].key.clone();
    let screens = [
        Screen::Library,
        Screen::Chat,
        Screen::Plugins,
        Screen::Panel(key),
        Screen::Models,
        Screen::Tuning,
        Screen::Activity,
    ];
    // The markdown library draws blocks of code by itself.
    let mut talk = views::conversation(true);
    talk.turns.retain(|turn| !turn.text.contains("```"));
    let view = View {
        conversation: Some(Arc::new(talk)),
        tuning: views::training().tuning,
        ..views::news()
    };
    let (mut window, _) = window(view);
    for screen in screens {
        window.show(screen.clone());
        all_named(&window, &format!("{screen:?}"));
    }
    window.show(Screen::Tuning);
    for tab in ["Train (running)", "New run", "More settings", "Rules for all runs", "Data"] {
        window.click(tab);
        all_named(&window, tab);
    }
    window.click("Change My mail");
    all_named(&window, "a dataset being changed");
}

fn all_named(window: &Window, shown: &str) {
    use egui::accesskit::Role;
    let mut nodes = vec![window.0.root()];
    while let Some(node) = nodes.pop() {
        let inner = node.accesskit_node();
        let clickable = matches!(
            inner.role(),
            Role::Button
                | Role::CheckBox
                | Role::ComboBox
                | Role::MultilineTextInput
                | Role::Slider
                | Role::SpinButton
                | Role::Tab
                | Role::TextInput
        );
        if clickable {
            let name = inner.label().unwrap_or_default();
            assert!(
                name.chars().any(char::is_alphanumeric),
                "{shown}: a {:?} without a name, {:?}",
                inner.role(),
                inner.value()
            );
        }
        nodes.extend(node.children());
    }
}
