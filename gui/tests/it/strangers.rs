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
