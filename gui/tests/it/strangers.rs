//! Plugins of strangers: who made them, what a new version asks for, and what the chat may do with them.

use hearth_gui::Screen;
use hearth_session::{Capability, Command, PluginId, ToolMode, View};

use crate::{
    stage::Window,
    views::{self, Fake},
};

fn window(view: View) -> (Window, Fake) {
    let fake = Fake::new(view);
    (Window::open(fake.clone()), fake)
}

fn sent(fake: &Fake) -> Vec<Command> {
    let mut sent = std::mem::take(&mut *fake.sent.lock().unwrap());
    sent.retain(|command| !matches!(command, Command::Browse(_)));
    sent
}

fn triage() -> PluginId {
    PluginId::new("net.example.triage").unwrap()
}

#[test]
fn consent_shows_whose_key_it_is_and_what_is_new() {
    let view = View { folders: views::full().folders, ..views::empty() };
    let (mut window, fake) = window(view);
    window.show(Screen::Plugins);
    window.click("Set up Triage\u{2026}");
    assert!(window.reads("Signed, with a key that was never seen here before."));
    assert!(window.reads("K7QD 2MZA 9XPV TT4E J6NC W3RB"));
    assert!(window.has("Picture of the publisher's key"));
    // What lets it learn something is off until it is switched on, and then as little as can be.
    assert!(!window.has("Bits a day it may learn"));
    window.click("Learn short answers");
    assert!(window.has("Bits a day it may learn"));
    window.click("Allow");
    let Some(Command::GrantPlugin { capabilities, choice_bits_per_day, .. }) = sent(&fake).pop()
    else {
        panic!("not granted")
    };
    assert!(capabilities.contains(&Capability::RevealChoice));
    assert_eq!(choice_bits_per_day, 1);
}

#[test]
fn nothing_is_learnt_unless_it_is_ticked() {
    let view = View { folders: views::full().folders, ..views::empty() };
    let (mut window, fake) = window(view);
    window.show(Screen::Plugins);
    window.click("Set up Triage\u{2026}");
    window.click("Allow");
    let Some(Command::GrantPlugin { capabilities, choice_bits_per_day, .. }) = sent(&fake).pop()
    else {
        panic!("not granted")
    };
    assert!(!capabilities.contains(&Capability::RevealChoice));
    assert_eq!(choice_bits_per_day, 0);
}

#[test]
fn a_wider_version_waits_until_it_is_accepted() {
    let (mut window, fake) = window(views::waiting());
    window.show(Screen::Plugins);
    assert!(window.reads("Version 2.4.0 waits for you"));
    assert!(window.reads("It newly asks for documents-search."));
    assert!(window.reads("urgent: yes no yes"));
    window.click("Accept the update of Triage");
    let accepted = sent(&fake);
    let asked = |keep| {
        move |command: &Command| {
            matches!(command, Command::AcceptUpdate { plugin, keep_storage }
            if *plugin == triage() && *keep_storage == keep)
        }
    };
    assert!(accepted.iter().any(asked(false)), "{accepted:?}");
    window.click("Let the new version, which is sealed, read it");
    window.click("Accept the update of Triage");
    assert!(sent(&fake).iter().any(asked(true)));
    window.click("Decline the update of Triage");
    assert!(sent(&fake).iter().any(|c| matches!(c, Command::DeclineUpdate(id) if *id == triage())));
    window.click("Take Triage back to 2.2.0");
    assert!(
        sent(&fake).iter().any(|c| matches!(c, Command::RollBackPlugin(id) if *id == triage()))
    );
}

#[test]
fn developer_mode_is_switched_where_plugins_are_installed() {
    let (mut window, fake) = window(views::full());
    window.show(Screen::Plugins);
    assert!(!window.has("Developer mode"));
    window.click("Install\u{2026}");
    window.click("Developer mode");
    assert!(sent(&fake).iter().any(|c| matches!(c, Command::SetDeveloperMode(true))));
}

#[test]
fn the_model_asks_before_it_calls_a_tool() {
    for (button, allowed, remembered) in
        [("Allow this once", true, false), ("No", false, false), ("Allow from now on", true, true)]
    {
        let (mut window, fake) = window(views::tools());
        window.show(Screen::Chat);
        assert!(window.reads("The tasting is on Tuesday at two"));
        assert!(window.reads("made by Finder from 3 of 60 documents"));
        assert!(window.reads("The model wants to use Finder"));
        assert!(window.reads("who brings the bread"));
        window.click(button);
        let sent = sent(&fake);
        let answered = sent.iter().any(|command| {
            matches!(command, Command::AnswerToolCall { question: 5, allow, always }
                if (*allow, *always) == (allowed, remembered))
        });
        assert!(answered, "{button}: {sent:?}");
    }
}

#[test]
fn whether_the_chat_may_use_a_plugin_is_chosen_on_its_card() {
    let mut view = views::full();
    let mut plugins = view.plugins.to_vec();
    let mut manifest = hearth_session::Manifest::clone(&plugins[0].manifest);
    manifest.commands[0].tool = "Sums up the newest mails.".into();
    plugins[0].manifest = manifest.into();
    view.plugins = plugins.into();
    let (mut window, fake) = window(view);
    window.show(Screen::Plugins);
    window.click("Whether the chat may use Mail summariser");
    window.click("In the chat, asking me each time");
    let sent = sent(&fake);
    let asked = |command: &Command| {
        matches!(command, Command::SetPluginTools { mode: Some(ToolMode::Ask), .. })
    };
    assert!(sent.iter().any(asked), "{sent:?}");
}

#[test]
fn a_text_is_told_only_by_a_click_that_was_meant() {
    let (mut window, fake) = window(views::reveal());
    let panel = views::reveal().panels[0].key.clone();
    window.show(Screen::Panel(panel));
    assert!(window.reads("May Triage learn this text?"));
    assert!(window.reads("Triage claims that it is for this"));
    assert!(window.reads(r"Tuesday the 3rd,\u{202e} two o'clock"), "nothing is hidden");
    assert!(window.reads("Invoice 2026-118"));
    assert!(window.reads("and 58 more"));
    // What lies beneath cannot be used meanwhile.
    let beneath = window.rect("Again").center();
    window.click_at(beneath);
    assert!(!sent(&fake).iter().any(|command| matches!(command, Command::Press { .. })));
    window.until("armed", |window| window.is_enabled("Let it learn this text"));
    window.click("Let it learn this text");
    let told = |allowed| move |command: &Command| matches!(command, Command::AnswerReveal { question: 3, allow } if *allow == allowed);
    assert!(sent(&fake).iter().any(told(true)));
    window.press(egui::Modifiers::NONE, egui::Key::Escape);
    assert!(sent(&fake).iter().any(told(false)), "closing it is a no");
}

#[test]
fn a_question_cannot_be_answered_before_it_can_be_read() {
    let fake = Fake::new(views::full());
    let mut window = Window::open(fake.clone());
    *fake.view.lock().unwrap() = views::reveal().into();
    // As soon as it is there, which is not yet in the frame that measures it.
    while !window.has("Keep it private") {
        window.0.step();
    }
    assert!(!window.is_enabled("Let it learn this text"));
    assert!(window.is_enabled("Keep it private"));
}

#[test]
fn activity_says_what_a_plugin_was_granted_and_what_it_took() {
    let (mut window, fake) = window(views::plugin_activity());
    window.show(Screen::Activity);
    assert!(window.reads("It may: Use the model"));
    assert!(window.reads("tokens written"));
    assert!(window.reads("run 14"));
    window.click("Code helper");
    let opened = |command: &Command| matches!(command, Command::OpenActivity(Some(id)) if id.as_str() == "org.hearth.code-helper");
    assert!(sent(&fake).iter().any(opened));
}

#[test]
fn a_plugin_is_tried_on_invented_data_before_it_may_do_anything() {
    let fake = Fake::new(views::empty());
    let options =
        hearth_gui::Options { demo: Some("/demo".into()), ..hearth_gui::Options::default() };
    let mut window = Window::with(fake.clone(), options);
    window.show(Screen::Plugins);
    window.click("Try Mail summariser on invented data");
    let tried = |command: &Command| {
        matches!(command, Command::TryPlugin { command, input: None, data, .. }
            if command == "summarise" && data == std::path::Path::new("/demo"))
    };
    assert!(sent(&fake).iter().any(tried));
    assert!(window.reads("The trial is being prepared"));
    *fake.view.lock().unwrap() = views::trial().into();
    window.settle();
    assert!(window.reads("It works on 60 invented documents, and sees nothing of yours."));
    assert!(window.reads("Ingrid brings honey"));
    window.click("Again");
    assert!(sent(&fake).is_empty(), "its buttons lead nowhere");
    window.click("End the trial");
    assert!(sent(&fake).iter().any(|command| matches!(command, Command::CloseTrial)));
}
