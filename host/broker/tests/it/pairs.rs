//! Pairs of worlds that differ in everything private, and what happens in them: sequences of runs and gestures, with
//! mishaps in one of them or in both.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use hearth_base::{DocumentId, HostCall, Label, Origin, RunId, Source};
use hearth_broker::{BeginError, PanelKey, PanelNode, Start, ValueView};

use super::{
    engine::{FAIL_MARK, PRIVATE_MARK},
    fuzzed,
    guests::{self, keep_notes},
    t0::{Fate, Guest, live, live_as},
    world::{EngineKind, Recipe, World, adapter, save, shown},
};

/// Numbers that are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn any(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.any() % sides as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Who runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    Summariser,
    Saver,
    Explainer,
    Everything,
    Talker,
    Notes,
    Reader,
    Spender,
    Fuzzed(u64),
}

/// Something that happens to both worlds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Command(Who),
    /// On the first document.
    Focus(Who),
    Press(&'static str, &'static str, Who),
    /// What is entered differs.
    Enter(Who),
    /// What is picked differs.
    Pick(Who),
    /// The user changes the grant in the midst of a run, and changes it back afterwards.
    Regranted(Who, usize),
    /// A second passes before each call.
    Slowly(Who),
    /// Another plugin runs.
    Other(Who),
    /// The run is killed, at another call in each of them, and the user lets the plugin run again.
    Killed(Who),
    Pass(Duration),
    Settle,
}

/// Something that happens to one of them, before a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mishap {
    Deleted,
    Added,
    DiskFull,
    Regranted,
    Stopped,
}

/// One of a pair.
pub(crate) struct Side {
    pub(crate) recipe: Recipe,
    pub(crate) mishaps: Vec<(usize, Mishap)>,
    seed: u64,
}

pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    pub(crate) steps: Vec<Step>,
}

/// A pair, the same for the same number. `huge` allows documents of ten megabytes.
pub(crate) fn pair(number: u64, huge: bool) -> Pair {
    let mut dice = Dice::new(number);
    // With documents throughout, so that one can be opened and picked.
    let peopled = dice.one_in(3);
    let context_tokens = dice.of(&[24, 200, 4096]);
    let steps = steps(&mut dice, peopled);
    let sides = [(); 2].map(|()| {
        let recipe = recipe(&mut dice, peopled, huge, context_tokens);
        let mut mishaps = Vec::new();
        for step in 0..steps.len() {
            if dice.one_in(4) {
                let all = [Mishap::Added, Mishap::Regranted, Mishap::Stopped, Mishap::Deleted];
                mishaps.push((step, dice.of(&all[..if peopled { 3 } else { 4 }])));
            }
            if dice.one_in(40) {
                mishaps.push((step, Mishap::DiskFull));
            }
        }
        Side { recipe, mishaps, seed: dice.any() }
    });
    Pair { sides, steps }
}

fn steps(dice: &mut Dice, peopled: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..2 + dice.below(4) {
        let fuzzed = Who::Fuzzed(dice.any());
        let who = dice.of(&[
            Who::Summariser,
            Who::Everything,
            Who::Everything,
            Who::Talker,
            Who::Notes,
            Who::Reader,
            fuzzed,
            fuzzed,
        ]);
        steps.push(match dice.below(16) {
            12 | 13 => Step::Slowly(dice.of(&[Who::Everything, who])),
            14 | 15 => Step::Other(dice.of(&[Who::Talker, who])),
            0 => Step::Command(Who::Spender),
            1..=3 => Step::Command(who),
            4 => Step::Killed(Who::Everything),
            5 if peopled => Step::Focus(Who::Explainer),
            5 | 6 => Step::Press("main", "save-all", Who::Saver),
            7 => Step::Press("side", "again", who),
            8 => Step::Enter(who),
            9 if peopled => Step::Pick(who),
            9 | 10 => Step::Killed(who),
            _ => Step::Regranted(dice.of(&[Who::Reader, who]), dice.below(9)),
        });
        steps.push(Step::Command(dice.of(&[Who::Summariser, Who::Everything, Who::Notes])));
        match dice.below(3) {
            0 => steps.push(Step::Settle),
            1 => steps.push(Step::Pass(Duration::from_millis(dice.any() % 5000))),
            _ => {}
        }
    }
    steps
}

fn recipe(dice: &mut Dice, peopled: bool, huge: bool, context_tokens: u32) -> Recipe {
    let few = usize::from(peopled);
    let count = dice.of(&[few, 1, 1, 2, 3, 5, 12]);
    let count = if dice.one_in(24) { 50 + dice.below(100) } else { count };
    let documents = (0..count).map(|_| (text(dice, 3, false), text(dice, 60, huge))).collect();
    let labels = [
        Label { origins: [Origin::External].into(), ..Label::public() },
        Label { sources: [Source::UserInput].into(), origins: [Origin::User].into() },
        Label {
            sources: [Source::PrivateModel("tuned".into()), Source::Document(DocumentId(7))].into(),
            ..Label::public()
        },
    ];
    let labels = labels[..dice.below(4)].to_vec();
    let personal = (1..=3).filter(|_| dice.one_in(3)).map(|slot| adapter(slot, &[1])).collect();
    Recipe {
        documents,
        labels,
        engine: EngineKind::Moody(dice.any()),
        context_tokens,
        trust: Recipe::default().trust,
        picks: dice.of(&[None, Some(0), Some(1), Some(2)]),
        personal,
    }
}

fn text(dice: &mut Dice, words: usize, huge: bool) -> String {
    let mut text = match dice.below(if huge { 60 } else { 12 }) {
        0 => return String::new(),
        1 => return "x".into(),
        2 => "\u{202e}\0\u{1b}[2J\u{301}\u{feff} \u{1f469}\u{200d}\u{1f4bb} ﷽ \u{e0041}".into(),
        3 => format!("{FAIL_MARK} {}", dice.any()),
        4 => "a".repeat(dice.below(100_000)),
        5 => "word ".repeat(dice.below(5000)),
        59 => "tenmegs ".repeat(10 << 17),
        _ => {
            let words: Vec<String> =
                (0..dice.below(words)).map(|_| format!("w{}", dice.below(500))).collect();
            words.join(" ")
        }
    };
    text.push(PRIVATE_MARK);
    text
}

/// What the plugin heard, run by run.
#[derive(Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) runs: Vec<String>,
    /// It was suspended on the way, and the user left it at that.
    pub(crate) cut_short: bool,
    /// What must not have happened, whatever the other world is like.
    pub(crate) wrongs: Vec<String>,
}

impl Heard {
    /// Whether somebody who hears one of them cannot tell it from the other, and nothing is wrong with either.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let common = self.runs.len().min(other.runs.len());
        let whole = self.runs.len() == other.runs.len() || self.cut_short || other.cut_short;
        let none_wrong = self.wrongs.is_empty() && other.wrongs.is_empty();
        whole && none_wrong && self.runs[..common] == other.runs[..common]
    }
}

/// Lets all of it happen to one of the worlds.
pub(crate) fn play(side: &Side, steps: &[Step]) -> Heard {
    play_in(&World::new(&side.recipe), side, steps)
}

/// The same, in a world that is there already.
pub(crate) fn play_in(world: &World, side: &Side, steps: &[Step]) -> Heard {
    let mut heard = Heard { runs: Vec::new(), cut_short: false, wrongs: Vec::new() };
    let mut dice = Dice::new(side.seed);
    for (number, step) in steps.iter().enumerate() {
        for (_, mishap) in side.mishaps.iter().filter(|(at, _)| *at == number) {
            befall(world, *mishap, &mut dice);
        }
        match take(world, *step, (&mut dice, &mut heard.wrongs)) {
            // Its run ended abnormally, of which the plugin's last words tell nobody anything.
            Ok(_) if world.vault.plugin(&world.plugin).unwrap().unwrap().suspended.is_some() => {
                heard.cut_short = true;
                break;
            }
            Ok(run) => heard.runs.extend(run),
            // No gesture that fits, which is the plugin's own doing, or there is nothing to pick.
            Err(BeginError::Stale) if matches!(step, Step::Pick(_)) => {
                heard.cut_short = true;
                break;
            }
            Err(BeginError::Stale) => heard.runs.push("nothing to use there".into()),
            // It cannot be helped, and the plugin does not run to hear of it.
            Err(
                BeginError::Suspended { .. } | BeginError::NotReady { .. } | BeginError::Store(_),
            ) => {
                heard.cut_short = true;
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    heard
}

fn take(
    world: &World,
    step: Step,
    (dice, wrongs): (&mut Dice, &mut Vec<String>),
) -> Result<Option<String>, BeginError> {
    let plain = |start, who| live(world, start, &|guest| act(who, guest), Fate::default());
    let panel = |panel: &str| PanelKey { plugin: world.plugin.clone(), panel: panel.into() };
    Ok(match step {
        Step::Command(who) => Some(plain(command(), who)?),
        Step::Focus(who) => {
            let focus = Some(world.documents[0]);
            Some(plain(Start::Command { id: "one".into(), focus, input: None }, who)?)
        }
        Step::Press(at, button, who) => {
            Some(plain(Start::Pressed { panel: panel(at), button: button.into() }, who)?)
        }
        Step::Enter(who) => {
            let text = format!("{} {PRIVATE_MARK}", dice.any());
            Some(plain(Start::Entered { panel: panel("side"), input: "ask".into(), text }, who)?)
        }
        Step::Pick(who) => {
            let Some(value) = pickable(world, dice) else { return Err(BeginError::Stale) };
            Some(plain(Start::Picked { panel: panel("side"), picker: "which".into(), value }, who)?)
        }
        Step::Regranted(who, at) => Some(regranted(world, (who, at), wrongs)?),
        Step::Slowly(who) => {
            let slowly = |_| world.pass(Duration::from_secs(1));
            let fate = Fate { meanwhile: &slowly, killed: None };
            Some(live(world, command(), &|guest| act(who, guest), fate)?)
        }
        Step::Other(who) => {
            let fate = Fate::default();
            Some(live_as(world, &world.other, command(), &|guest| act(who, guest), fate)?)
        }
        Step::Killed(who) => {
            // Whatever a clock on the wall would have made of it.
            let sooner = dice.below(60);
            let killed = Some(dice.of(&[usize::MAX, sooner]));
            let pause = Duration::from_millis(dice.any() % 2000);
            let fate = Fate { meanwhile: &|_| world.pass(pause), killed };
            live(world, command(), &|guest| act(who, guest), fate)?;
            world.vault.resume_plugin(&world.plugin)?;
            // Which of them it had come to show is the user's to see.
            for at in ["main", "side"] {
                world.broker.close_panel(&panel(at));
            }
            None
        }
        Step::Pass(time) => {
            world.pass(time);
            None
        }
        Step::Settle => {
            world.settled();
            None
        }
    })
}

/// The grant is taken away in the midst of a run, and given back once its values are there or have failed. What the run
/// shows only afterwards must hold nothing private.
fn regranted(
    world: &World,
    (who, at): (Who, usize),
    wrongs: &mut Vec<String>,
) -> Result<String, BeginError> {
    let before = world.vault.grant(&world.plugin)?;
    let runs_shown =
        || -> BTreeSet<RunId> { world.broker.panels().iter().map(|panel| panel.run).collect() };
    let (earlier, shown_by_then) = (runs_shown(), RefCell::new(None));
    let revoke = |call| {
        if call == at {
            *shown_by_then.borrow_mut() = Some(runs_shown());
            world.regrant(|grant| grant.capabilities.clear());
        }
    };
    let fate = Fate { meanwhile: &revoke, killed: None };
    let heard = live(world, command(), &|guest| act(who, guest), fate);
    if shown_by_then.take().is_some_and(|shown| shown.is_subset(&earlier)) {
        let panels = world.settled();
        let its_own = panels.into_iter().filter(|panel| !earlier.contains(&panel.run));
        let holds_private = |value: &ValueView| value.text.contains(PRIVATE_MARK);
        if shown(&its_own.collect::<Vec<_>>()).iter().any(holds_private) {
            wrongs.push("something private was read after the grant was gone".into());
        }
    }
    world.vault.set_grant(&world.plugin, &before)?;
    world.vault.resume_plugin(&world.plugin)?;
    heard
}

fn pickable(world: &World, dice: &mut Dice) -> Option<hearth_broker::ValueId> {
    let panels = world.settled();
    let side = panels.iter().find(|view| view.key.panel == "side")?;
    side.nodes.iter().find_map(|node| match node {
        PanelNode::Picker { id, items: Some(items) } if id == "which" => {
            Some(items[dice.below(items.len())].id)
        }
        _ => None,
    })
}

fn befall(world: &World, mishap: Mishap, dice: &mut Dice) {
    match mishap {
        Mishap::Deleted => {
            for document in &world.documents {
                world.vault.delete_document(*document).unwrap();
            }
        }
        Mishap::Added => {
            for _ in 0..dice.below(4) {
                let text = (text(dice, 3, false), text(dice, 60, false));
                // Where the disk is full there is one document fewer.
                save(&world.vault, text, Label::public()).ok();
            }
        }
        Mishap::DiskFull => world.vault.limit_growth(dice.below(4) as u32).unwrap(),
        Mishap::Regranted => {
            let grant = world.vault.grant(&world.plugin).unwrap();
            // On a full disk the grant stays as it is.
            world.vault.set_grant(&world.plugin, &grant).ok();
        }
        Mishap::Stopped => world.broker.stop(&world.plugin),
    }
}

fn command() -> Start {
    Start::Command { id: "go".into(), focus: None, input: None }
}

fn act(who: Who, guest: &mut Guest<'_>) {
    match who {
        Who::Summariser => guests::summarise_newest(guest),
        Who::Saver => guests::save_all(guest),
        Who::Explainer => guests::explain(guest),
        Who::Everything => guests::everything(guest),
        Who::Talker => guests::talk(guest),
        Who::Notes => keep_notes(guest),
        Who::Reader => guests::read(guest),
        Who::Spender => guests::spend(guest),
        Who::Fuzzed(seed) => {
            if let Some(value) = guest.given {
                guest.call(HostCall::Keep { name: "given".into(), value }).ok();
            }
            for call in fuzzed::calls(seed) {
                guest.call(call).ok();
            }
        }
    }
}
