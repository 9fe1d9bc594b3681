//! `hearth chat` and `hearth conversations`.

use std::io::{self, BufRead, IsTerminal, Read};

use hearth_session::{
    CallState, ChatTurn, Command, ConversationId, DocumentId, Event, MessageId, Rating, Reply,
    Speaker, StopReason, TuneCommand,
};
use serde_json::json;

use crate::{
    args::{ChatArgs, Mark, ToolCalls},
    render::{Out, day, note, prompt},
    shell::{Failure, Opener, Outcome, Shell},
};

/// Longest question read from stdin.
const QUESTION_LIMIT_BYTES: u64 = 16 << 20;

pub(crate) fn run(args: &ChatArgs, opener: &Opener, out: Out) -> Outcome {
    let interactive = args.message.is_empty() && io::stdin().is_terminal();
    // Before the vault is opened: a question that cannot be read needs no passphrase.
    let question = match (args.message.is_empty(), interactive) {
        (false, _) => args.message.join(" "),
        (true, true) => String::new(),
        (true, false) => all_of_stdin()?,
    };
    let shell = opener.unlocked()?;
    let conversation = args.conversation.map(ConversationId);
    let mut talk = Talk { conversation, shell: &shell, tools: args.tools, out };
    if let Some(id) = talk.conversation {
        shell.run(Command::OpenConversation(id))?;
    }
    let attached: Vec<DocumentId> = args.attach.iter().copied().map(DocumentId).collect();
    if interactive { talk.line_by_line(attached) } else { talk.ask(question, attached) }
}

/// Marks an answer.
pub(crate) fn rate(turn: i64, mark: Mark, opener: &Opener, out: Out) -> Outcome {
    let rating = match mark {
        Mark::Good => Rating::Good,
        Mark::Bad => Rating::Bad,
        Mark::None => Rating::None,
    };
    let turn = MessageId(turn);
    opener.unlocked()?.run(Command::Tune(TuneCommand::RateTurn { turn, rating }))?;
    out.result(json!({"turn": turn, "rating": rating}), format!("Marked answer {turn}."));
    Ok(())
}

struct Talk<'a> {
    conversation: Option<ConversationId>,
    shell: &'a Shell,
    tools: ToolCalls,
    out: Out,
}

impl Talk<'_> {
    fn line_by_line(&mut self, mut attached: Vec<DocumentId>) -> Outcome {
        note("Ask line by line; an empty line or Ctrl-D ends it.");
        loop {
            prompt("> ");
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            if !read.is_ok_and(|bytes| bytes > 0) || line.trim().is_empty() {
                return Ok(());
            }
            // One answer that fails does not end the talk.
            if let Err(failure) = self.ask(line.trim().to_owned(), std::mem::take(&mut attached)) {
                self.out.failure(&failure);
            }
        }
    }

    fn ask(&mut self, text: String, attached: Vec<DocumentId>) -> Outcome {
        let before = self.shell.view().conversation.as_ref().map_or(0, |open| open.turns.len());
        let out = self.out;
        let command = Command::Ask { conversation: self.conversation, text, attached };
        let mut streamed = false;
        let (shell, tools) = (self.shell, self.tools);
        let reply = shell.run_with(command, &mut |event| match event {
            Event::Answer { text, .. } => {
                streamed = true;
                out.piece(text);
            }
            Event::ToolAsked { question, .. } => answer_call(shell, *question, tools),
            _ => {}
        });
        if streamed {
            out.text("");
        }
        let view = self.shell.view();
        for turn in view.conversation.iter().flat_map(|open| open.turns.iter().skip(before)) {
            if turn.speaker == Speaker::Tool {
                note(&call_words(turn));
            }
        }
        let notices: Vec<String> = view
            .conversation
            .iter()
            .flat_map(|open| open.turns.iter().skip(before))
            .filter(|turn| turn.speaker == Speaker::Notice)
            .map(|turn| turn.text.clone())
            .collect();
        for words in &notices {
            note(&format!("note: {words}"));
        }
        if let Some(open) = &view.conversation {
            self.conversation = Some(open.id);
        }
        let Reply::Answered { conversation, text, stop, usage } = reply? else { return Ok(()) };
        if out.is_json() {
            out.json(json!({
                "conversation": conversation, "text": text, "stop": stop, "usage": usage,
                "notices": notices,
            }));
        }
        if stop == StopReason::Cancelled {
            return Err(Failure::new(
                hearth_session::ErrorKind::Cancelled,
                "The answer was stopped; what there is of it is kept.",
                "",
            ));
        }
        Ok(())
    }
}

/// Shows a call exactly as it would be made, and lets the user decide. Where there is nobody to ask, it is not allowed.
fn answer_call(shell: &Shell, question: u64, tools: ToolCalls) {
    let view = shell.view();
    let Some(call) = view.tool_calls.iter().find(|call| call.question == question) else { return };
    let input =
        call.input.as_ref().map_or(String::new(), |input| format!("\n  with the words: {input}"));
    let document = call
        .document
        .map_or(String::new(), |id| format!("\n  on document {id}: {}", call.document_title));
    note(&format!("The model wants to call {}: {}{document}{input}", call.plugin_name, call.title));
    let (allow, always) = match tools {
        ToolCalls::Always => (true, false),
        ToolCalls::Never => (false, false),
        ToolCalls::Ask if io::stdin().is_terminal() && io::stderr().is_terminal() => {
            prompt("Allow? [y]es, [n]o, [a]lways for this plugin: ");
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).ok();
            match line.trim() {
                "y" | "yes" => (true, false),
                "a" | "always" => (true, true),
                _ => (false, false),
            }
        }
        ToolCalls::Ask => {
            note("Not allowed: there is no terminal to ask on. Use --tools always to allow it.");
            (false, false)
        }
    };
    // A question that was withdrawn meanwhile needs no answer.
    shell.handle().send(Command::AnswerToolCall { question, allow, always }).ok();
}

fn all_of_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let failed = |error: io::Error| Failure::user(format!("stdin cannot be read: {error}."), "");
    io::stdin().lock().take(QUESTION_LIMIT_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > QUESTION_LIMIT_BYTES {
        return Err(Failure::user("The question is over 16 MiB.", "Import it and --attach it."));
    }
    if text.trim().is_empty() {
        return Err(Failure::user("There is nothing to ask.", "Give a message or lines on stdin."));
    }
    Ok(text)
}

pub(crate) fn conversations(id: Option<i64>, delete: bool, opener: &Opener, out: Out) -> Outcome {
    let shell = opener.unlocked()?;
    let Some(id) = id.map(ConversationId) else {
        for head in shell.view().conversations.iter() {
            let when = day(Some(head.updated_secs));
            out.result(
                head,
                format!("{:>4}  {when}  {:>4}  {}", head.id, head.messages, head.title),
            );
        }
        return Ok(());
    };
    shell.run(Command::OpenConversation(id))?;
    if delete {
        shell.run(Command::DeleteConversation(id))?;
        out.result(json!({"deleted_conversation": id}), format!("Deleted conversation {id}."));
        return Ok(());
    }
    let view = shell.view();
    for turn in view.conversation.iter().flat_map(|open| &open.turns) {
        out.result(turn, turn_words(turn));
    }
    Ok(())
}

fn turn_words(turn: &ChatTurn) -> String {
    let who = match turn.speaker {
        Speaker::User => "You",
        Speaker::Assistant => "Hearth",
        Speaker::Notice => "(note)",
        Speaker::Tool => return call_words(turn),
    };
    let stopped = if turn.stopped { " (stopped)" } else { "" };
    let attached: String = turn.attached.iter().map(|id| format!(" [document {id}]")).collect();
    format!("{who}{stopped}:{attached} {}\n", turn.text.trim_end())
}

/// A call of a plugin's tool, attributed, with what came of it.
fn call_words(turn: &ChatTurn) -> String {
    let Some(call) = &turn.call else { return String::new() };
    let input = call.input.as_ref().map_or(String::new(), |input| format!(" with “{input}”"));
    let document = call.document.map_or(String::new(), |id| format!(" on document {id}"));
    let state = match call.state {
        CallState::Done => "",
        CallState::Refused => " (not allowed)",
        CallState::Failed => " (failed)",
    };
    let from = match call.made_from.as_str() {
        "" => String::new(),
        words => format!("\n  ({words})"),
    };
    let text = turn.text.trim_end();
    format!("(tool) {}: {}{document}{input}{state}: {text}{from}\n", call.plugin_name, call.title)
}
