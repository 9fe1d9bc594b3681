//! Prompts as token ids.

pub(super) use crate::prompt::Prompter;
