//! The scenario file: TOML, checked before anything runs. See `docs/plugins.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use hearth_base::{Capability, Date};
use serde::Deserialize;
use toml::Spanned;

/// Longest scenario file.
const MAX_BYTES: u64 = 4 << 20;

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Longer than a scenario may be.
    #[error("{} is over {} MiB", path.display(), MAX_BYTES >> 20)]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// Not TOML, or with fields that no scenario has.
    #[error("line {line}: {reason}")]
    Malformed {
        /// Where.
        line: usize,
        /// The parser's words.
        reason: String,
    },
    /// Sound TOML that makes no sense.
    #[error("line {line}: {reason}")]
    Invalid {
        /// Where.
        line: usize,
        /// What.
        reason: String,
    },
}

/// A vault, a model and a user, all invented, and what the plugin is expected to do with them.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(super) today: Date,
    pub(super) locale: String,
    pub(super) seed: u64,
    pub(super) private_model: bool,
    pub(super) documents: Vec<Placed<DocumentSpec>>,
    pub(super) grant: Option<GrantSpec>,
    pub(super) settings: BTreeMap<String, toml::Value>,
    pub(super) answers: Vec<AnswerSpec>,
    pub(super) steps: Vec<Step>,
}

/// With the line it stands on.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) line: usize,
    pub(super) it: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    today: Option<toml::value::Datetime>,
    locale: Option<String>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    private_model: bool,
    #[serde(default)]
    documents: Vec<Spanned<DocumentSpec>>,
    grant: Option<GrantSpec>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
    #[serde(default)]
    answers: Vec<AnswerSpec>,
    #[serde(default)]
    steps: Vec<Spanned<StepSpec>>,
}

/// A document of the vault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentSpec {
    /// What the scenario calls it.
    pub(super) id: String,
    #[serde(default)]
    pub(super) kind: Kind,
    /// By default one for each kind.
    pub(super) folder: Option<String>,
    pub(super) title: String,
    #[serde(default)]
    pub(super) author: String,
    pub(super) date: Option<toml::value::Datetime>,
    pub(super) body: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Mail,
    #[default]
    Note,
    Code,
}

/// What the user allows; without it, all that the manifest asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantSpec {
    /// By default all.
    pub(super) capabilities: Option<BTreeSet<Capability>>,
    /// Folders behind each slot; by default all of its kind.
    #[serde(default)]
    pub(super) slots: BTreeMap<String, BTreeSet<String>>,
    /// Bits of choices a day.
    #[serde(default)]
    pub(super) bits: u32,
}

/// Something the model says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerSpec {
    /// Only in a step that runs this command, or has a gesture in this panel.
    #[serde(rename = "in")]
    pub(super) within: Option<String>,
    /// Only where the prompt holds all of these.
    #[serde(default)]
    pub(super) contains: Vec<String>,
    /// Only so often; for ever unless given.
    pub(super) times: Option<u32>,
    /// The model's words, or the outcome it decides for.
    pub(super) text: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StepSpec {
    run: Option<String>,
    press: Option<String>,
    enter: Option<String>,
    pick: Option<String>,
    focus: Option<String>,
    input: Option<String>,
    panel: Option<String>,
    text: Option<String>,
    item: Option<usize>,
    picks: Option<Vec<String>>,
    reveals: Vec<Consent>,
    revoke: BTreeSet<Capability>,
    grant: BTreeSet<Capability>,
    today: Option<toml::value::Datetime>,
    fails: Option<String>,
    expect: Vec<Spanned<ExpectSpec>>,
}

/// What the user says to the question whether a text may be revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Consent {
    Approve,
    Refuse,
}

/// One thing the user does, and what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) action: Action,
    /// For each question to pick documents, in order, the same documents; `None` is nobody there.
    pub(super) picks: Option<Vec<String>>,
    /// For each question to reveal a text, in order; afterwards, nobody is there.
    pub(super) reveals: Vec<Consent>,
    pub(super) revoke: BTreeSet<Capability>,
    pub(super) grant: BTreeSet<Capability>,
    pub(super) today: Option<Date>,
    /// Words in the reason of a failure that is expected.
    pub(super) fails: Option<String>,
    pub(super) expect: Vec<Placed<Expect>>,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Run {
        command: String,
        focus: Option<String>,
        input: Option<String>,
    },
    Press {
        panel: String,
        button: String,
    },
    Enter {
        panel: String,
        input: String,
        text: String,
    },
    Pick {
        panel: String,
        picker: String,
        item: usize,
    },
    /// Changing what is allowed, or the day.
    Nothing,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct ExpectSpec {
    panel: Option<String>,
    shows: Option<String>,
    hides: Option<String>,
    sources: Option<BTreeSet<String>>,
    saved: Option<String>,
    contains: Option<String>,
    call: Option<String>,
    refused: Option<String>,
    times: Option<usize>,
    log: Option<String>,
    notice: Option<String>,
    asked: Option<String>,
    trouble: Option<String>,
    fuel_below: Option<u64>,
}

/// What is expected of a step.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    Panel {
        panel: String,
        shows: Option<String>,
        hides: Option<String>,
        sources: Option<BTreeSet<String>>,
    },
    Saved {
        title: String,
        contains: Option<String>,
        sources: Option<BTreeSet<String>>,
    },
    Call {
        call: String,
        refused: Option<String>,
        times: Option<usize>,
    },
    Log(String),
    Notice(String),
    Asked(String),
    Trouble(String),
    FuelBelow(u64),
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`] names the line.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let failed = |source| ScenarioError::File { path: path.to_path_buf(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
            return Err(ScenarioError::TooLong { path: path.to_path_buf() });
        }
        Self::parse(&std::fs::read_to_string(path).map_err(failed)?)
    }

    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] names the line.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let line_at = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let file: File = toml::from_str(text).map_err(|error| ScenarioError::Malformed {
            line: error.span().map_or(1, |span| line_at(span.start)),
            reason: error.message().to_owned(),
        })?;
        let steps = file
            .steps
            .into_iter()
            .map(|step| {
                let line = line_at(step.span().start);
                step_of(line, step.into_inner(), &line_at)
            })
            .collect::<Result<_, _>>()?;
        let today = match file.today {
            Some(day) => date_of(1, &day)?,
            None => Date { year: 2026, month: 1, day: 15 },
        };
        let scenario = Self {
            today,
            locale: file.locale.unwrap_or_else(|| "en-GB".into()),
            seed: file.seed,
            private_model: file.private_model,
            documents: file
                .documents
                .into_iter()
                .map(|spec| Placed { line: line_at(spec.span().start), it: spec.into_inner() })
                .collect(),
            grant: file.grant,
            settings: file.settings,
            answers: file.answers,
            steps,
        };
        scenario.check_names()?;
        Ok(scenario)
    }

    /// Documents have names of their own, and only such are spoken of.
    fn check_names(&self) -> Result<(), ScenarioError> {
        let mut known = BTreeSet::from(["user-input", "model"]);
        for Placed { line, it } in &self.documents {
            if !known.insert(&it.id) {
                return Err(invalid(*line, format!("there are two documents `{}`", it.id)));
            }
            if it.kind != Kind::Mail && !it.author.is_empty() {
                return Err(invalid(*line, "only mail has an author".into()));
            }
            if it.kind != Kind::Mail && it.title.contains(['/', '\\', '\0']) {
                let reason = "the title of a note or source file is its file's name: no `/`";
                return Err(invalid(*line, reason.into()));
            }
        }
        let check = |line: usize, name: &str| match known.contains(name) {
            true => Ok(()),
            false => Err(invalid(line, format!("there is no document `{name}`"))),
        };
        for step in &self.steps {
            if let Action::Run { focus: Some(name), .. } = &step.action {
                check(step.line, name)?;
            }
            for name in step.picks.iter().flatten() {
                check(step.line, name)?;
            }
            for Placed { line, it } in &step.expect {
                let (Expect::Panel { sources, .. } | Expect::Saved { sources, .. }) = it else {
                    continue;
                };
                for name in sources.iter().flatten() {
                    check(*line, name)?;
                }
            }
        }
        Ok(())
    }
}

fn step_of(
    line: usize,
    spec: StepSpec,
    line_at: &impl Fn(usize) -> usize,
) -> Result<Step, ScenarioError> {
    let today = spec.today.map(|day| date_of(line, &day)).transpose()?;
    let action = action_of(line, &spec)?;
    let only_changes = matches!(action, Action::Nothing);
    if only_changes && (spec.fails.is_some() || !spec.expect.is_empty()) {
        let reason =
            "a step without `run`, `press`, `enter` or `pick` cannot be expected to do anything";
        return Err(invalid(line, reason.into()));
    }
    let changes_nothing = spec.revoke.is_empty() && spec.grant.is_empty() && today.is_none();
    if only_changes && changes_nothing {
        let reason = "a step has one of `run`, `press`, `enter`, `pick`; or changes `grant`, `revoke`, `today`";
        return Err(invalid(line, reason.into()));
    }
    let mut expect = Vec::new();
    for spec in spec.expect {
        let line = line_at(spec.span().start);
        expect.push(Placed { line, it: expect_of(line, spec.into_inner())? });
    }
    Ok(Step {
        line,
        action,
        picks: spec.picks,
        reveals: spec.reveals,
        revoke: spec.revoke,
        grant: spec.grant,
        today,
        fails: spec.fails,
        expect,
    })
}

fn action_of(line: usize, spec: &StepSpec) -> Result<Action, ScenarioError> {
    let need = |what: &Option<String>, name: &str, verb: &str| {
        what.clone().ok_or_else(|| invalid(line, format!("`{verb}` needs `{name}`")))
    };
    let verbs = [&spec.run, &spec.press, &spec.enter, &spec.pick];
    if verbs.iter().filter(|verb| verb.is_some()).count() > 1 {
        return Err(invalid(line, "a step has one of `run`, `press`, `enter`, `pick`".into()));
    }
    if spec.run.is_none() && (spec.focus.is_some() || spec.input.is_some()) {
        return Err(invalid(line, "`focus` and `input` go with `run`".into()));
    }
    Ok(match spec {
        StepSpec { run: Some(command), focus, input, .. } => {
            Action::Run { command: command.clone(), focus: focus.clone(), input: input.clone() }
        }
        StepSpec { press: Some(button), .. } => {
            Action::Press { panel: need(&spec.panel, "panel", "press")?, button: button.clone() }
        }
        StepSpec { enter: Some(input), .. } => Action::Enter {
            panel: need(&spec.panel, "panel", "enter")?,
            input: input.clone(),
            text: need(&spec.text, "text", "enter")?,
        },
        StepSpec { pick: Some(picker), .. } => Action::Pick {
            panel: need(&spec.panel, "panel", "pick")?,
            picker: picker.clone(),
            item: spec.item.unwrap_or(0),
        },
        _ => Action::Nothing,
    })
}

fn expect_of(line: usize, spec: ExpectSpec) -> Result<Expect, ScenarioError> {
    let ExpectSpec { panel, shows, hides, sources, saved, contains, call, refused, times, .. } =
        spec;
    let kinds = [&panel, &saved, &call, &spec.log, &spec.notice, &spec.asked, &spec.trouble];
    let count =
        kinds.iter().filter(|kind| kind.is_some()).count() + usize::from(spec.fuel_below.is_some());
    if count != 1 {
        let reason = "an expectation has one of `panel`, `saved`, `call`, `log`, `notice`, `asked`, `trouble`, `fuel-below`";
        return Err(invalid(line, reason.into()));
    }
    let stray = [
        ("shows", shows.is_some() && panel.is_none()),
        ("hides", hides.is_some() && panel.is_none()),
        ("sources", sources.is_some() && panel.is_none() && saved.is_none()),
        ("contains", contains.is_some() && saved.is_none()),
        ("refused", refused.is_some() && call.is_none()),
        ("times", times.is_some() && call.is_none()),
    ];
    if let Some((name, _)) = stray.into_iter().find(|(_, stray)| *stray) {
        return Err(invalid(line, format!("`{name}` does not go with this expectation")));
    }
    let texts = [
        (spec.log, Expect::Log as fn(String) -> Expect),
        (spec.notice, Expect::Notice),
        (spec.asked, Expect::Asked),
        (spec.trouble, Expect::Trouble),
    ];
    if let Some((Some(text), make)) = texts.into_iter().find(|(text, _)| text.is_some()) {
        return Ok(make(text));
    }
    Ok(match (panel, saved, call, spec.fuel_below) {
        (Some(panel), ..) => Expect::Panel { panel, shows, hides, sources },
        (_, Some(title), ..) => Expect::Saved { title, contains, sources },
        (_, _, Some(call), _) => Expect::Call { call, refused, times },
        (_, _, _, limit) => Expect::FuelBelow(limit.unwrap_or(0)),
    })
}

fn date_of(line: usize, day: &toml::value::Datetime) -> Result<Date, ScenarioError> {
    match day.date {
        Some(date) => Ok(Date { year: i32::from(date.year), month: date.month, day: date.day }),
        None => Err(invalid(line, "a day is written as 2026-11-23".into())),
    }
}

fn invalid(line: usize, reason: String) -> ScenarioError {
    ScenarioError::Invalid { line, reason }
}

#[cfg(test)]
mod tests;
