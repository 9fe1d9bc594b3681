//! Calls that show something to the user.

use hearth_base::{Answer, Button, Glyph, GuestError, HostReply, Input, LogLevel, Node, Quota};

use super::{Client, invalid};
use crate::{
    PanelKey, PanelNode, PluginNotice, escape_words, limits::count, panel::Shown, policy::Access,
};

impl Client {
    pub(super) fn show(&mut self, panel: &str, nodes: Vec<Node>) -> HostReply {
        self.allow(Access::Panel(panel))?;
        self.check_nodes(&nodes)?;
        let shown: Result<Vec<Shown>, GuestError> =
            nodes.into_iter().map(|node| self.shown_of(node)).collect();
        let shown = shown?;
        count(&mut self.meter.panel_shows, self.inner.limits.panel_shows, Quota::Panels)?;
        let manifest = &self.scope.manifest;
        let title = manifest.panels.iter().find(|p| p.id == panel).map(|p| p.title.as_str());
        let title = escape_words(title.unwrap_or_default());
        let key = PanelKey { plugin: self.scope.plugin.clone(), panel: panel.to_owned() };
        self.panels.insert(panel.to_owned());
        self.inner.show(&self.scope, key, title, shown);
        Ok(Answer::Unit)
    }

    pub(super) fn notify(&mut self, icon: Glyph, message: &str) -> HostReply {
        self.check_string(message)?;
        count(&mut self.meter.notices, self.inner.limits.notices, Quota::Panels)?;
        self.inner.observer.notice(PluginNotice {
            plugin: self.scope.plugin.clone(),
            plugin_name: self.scope.name.clone(),
            icon,
            message: escape_words(message),
        });
        Ok(Answer::Unit)
    }

    /// Logging has no result to fail with: what is over the limit is dropped, and one line says that it was.
    pub(super) fn log(&mut self, level: LogLevel, message: &str) -> HostReply {
        let limits = self.inner.limits;
        let (plugin, observer) = (&self.scope.plugin, &self.inner.observer);
        self.meter.log_lines = self.meter.log_lines.saturating_add(1);
        if self.meter.log_lines <= limits.log_lines {
            observer.log(plugin, level, &limits.own_words(message));
        } else if self.meter.log_lines == limits.log_lines + 1 {
            observer.log(plugin, LogLevel::Warn, "(further lines of this run are dropped)");
        }
        Ok(Answer::Unit)
    }

    pub(super) fn progress(&mut self, percent: Option<u8>, message: &str) -> HostReply {
        self.check_string(message)?;
        check_percent(percent)?;
        self.inner.observer.progress(&self.scope.plugin, percent, &escape_words(message));
        Ok(Answer::Unit)
    }

    fn shown_of(&self, node: Node) -> Result<Shown, GuestError> {
        Ok(match node {
            Node::Heading(text) => Shown::Plain(PanelNode::Heading(escape_words(&text))),
            Node::Label(text) => Shown::Plain(PanelNode::Label(escape_words(&text))),
            Node::Divider => Shown::Plain(PanelNode::Divider),
            Node::Value(text) => Shown::Value(self.text(text)?),
            Node::Items(list) => Shown::Items(self.collection(list)?),
            Node::Picker(id, list) => Shown::Picker(id, self.collection(list)?),
            Node::Button(button) => Shown::Plain(PanelNode::Button(Button {
                label: escape_words(&button.label),
                ..button
            })),
            Node::Input(input) => Shown::Plain(PanelNode::Input(Input {
                label: escape_words(&input.label),
                placeholder: escape_words(&input.placeholder),
                ..input
            })),
            Node::Progress(percent) => Shown::Plain(PanelNode::Progress(percent)),
            Node::Row => Shown::Plain(PanelNode::Row),
            Node::Column => Shown::Plain(PanelNode::Column),
            Node::End => Shown::Plain(PanelNode::End),
        })
    }

    fn check_nodes(&self, nodes: &[Node]) -> Result<(), GuestError> {
        let limits = self.inner.limits;
        if nodes.len() > limits.panel_nodes {
            return Err(GuestError::OverQuota(Quota::Panels));
        }
        let (mut depth, mut controls, mut enabled, mut values) = (0_usize, 0, 0, 0);
        for node in nodes {
            match node {
                Node::Heading(text) | Node::Label(text) => self.check_string(text)?,
                Node::Picker(id, _) => {
                    self.check_string(id)?;
                    values += 1;
                    controls += 1;
                    enabled += 1;
                }
                Node::Value(_) | Node::Items(_) => values += 1,
                Node::Button(button) => {
                    self.check_string(&button.id)?;
                    self.check_string(&button.label)?;
                    controls += 1;
                    enabled += usize::from(button.enabled);
                }
                Node::Input(input) => {
                    self.check_string(&input.id)?;
                    self.check_string(&input.label)?;
                    self.check_string(&input.placeholder)?;
                    controls += 1;
                    enabled += 1;
                }
                Node::Progress(percent) => check_percent(*percent)?,
                Node::Divider => {}
                Node::Row | Node::Column => depth += 1,
                Node::End => {
                    depth = depth.checked_sub(1).ok_or_else(|| invalid("an end too many"))?;
                }
            }
            if depth > limits.panel_depth {
                return Err(invalid("rows and columns are nested too deep"));
            }
        }
        if depth > 0 {
            return Err(invalid("a row or column without an end"));
        }
        if controls > limits.panel_controls {
            return Err(GuestError::OverQuota(Quota::Panels));
        }
        let most = limits.panel_controls_beside_values;
        if values > 0 && enabled > most {
            return Err(invalid(&format!("at most {most} enabled controls beside values")));
        }
        Ok(())
    }

    fn check_string(&self, text: &str) -> Result<(), GuestError> {
        if text.len() > self.inner.limits.panel_string_bytes {
            return Err(GuestError::OverQuota(Quota::Bytes));
        }
        Ok(())
    }
}

fn check_percent(percent: Option<u8>) -> Result<(), GuestError> {
    if percent.is_some_and(|percent| percent > 100) {
        return Err(invalid("a percentage is at most 100"));
    }
    Ok(())
}
