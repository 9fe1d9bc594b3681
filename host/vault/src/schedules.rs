//! What plugins may do without being asked for it each time: schedules, and tools of the chat.

use hearth_base::PluginId;
use rusqlite::{params, types::FromSqlError};
use serde::{Deserialize, Serialize};

use crate::documents::plugin_id;
use crate::{StoreError, Vault};

/// How the chat may call a plugin's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolMode {
    /// The user is asked each time.
    Ask = 0,
    /// Without asking.
    Always = 1,
}

/// A schedule that the user has switched on, or once had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// Whose.
    pub plugin: PluginId,
    /// The manifest's id.
    pub schedule: String,
    /// Whether it is on.
    pub is_on: bool,
    /// When it last ran, in days since 1970; 0 where it never did.
    pub last_day: i64,
}

impl Vault {
    /// All schedules that are, or were, switched on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn schedules(&self) -> Result<Vec<ScheduleRecord>, StoreError> {
        self.read("list schedules", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT plugin, schedule, is_on, last_day FROM plugin_schedules ORDER BY plugin, schedule",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(ScheduleRecord {
                    plugin: plugin_id(row.get(0)?)?,
                    schedule: row.get(1)?,
                    is_on: row.get(2)?,
                    last_day: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Switches a schedule on or off. When it last ran is kept.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the plugin is not installed.
    pub fn set_schedule(
        &self,
        plugin: &PluginId,
        schedule: &str,
        is_on: bool,
    ) -> Result<(), StoreError> {
        self.write_for(plugin, "switch a schedule", |transaction| {
            let sql = "INSERT INTO plugin_schedules (plugin, schedule, is_on, last_day) VALUES (?1, ?2, ?3, 0)
                 ON CONFLICT (plugin, schedule) DO UPDATE SET is_on = excluded.is_on";
            transaction.execute(sql, params![plugin.as_str(), schedule, is_on]).map(|_rows| ())
        })
    }

    /// Notes the day on which a schedule ran. One that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn schedule_ran(
        &self,
        plugin: &PluginId,
        schedule: &str,
        day: i64,
    ) -> Result<(), StoreError> {
        self.write("note that a schedule ran", |transaction| {
            let sql =
                "UPDATE plugin_schedules SET last_day = ?3 WHERE plugin = ?1 AND schedule = ?2";
            transaction.execute(sql, params![plugin.as_str(), schedule, day]).map(|_rows| ())
        })
    }

    /// Whether and how the chat may call a plugin's tools.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tool_mode(&self, plugin: &PluginId) -> Result<Option<ToolMode>, StoreError> {
        self.read("read who may be called", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT mode FROM plugin_tools WHERE plugin = ?1")?;
            let mut rows = statement.query_map([plugin.as_str()], |row| match row.get(0)? {
                0 => Ok(ToolMode::Ask),
                1 => Ok(ToolMode::Always),
                other => Err(FromSqlError::OutOfRange(other).into()),
            })?;
            rows.next().transpose()
        })
    }

    /// Lets the chat call a plugin's tools, or no longer.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the plugin is not installed.
    pub fn set_tool_mode(
        &self,
        plugin: &PluginId,
        mode: Option<ToolMode>,
    ) -> Result<(), StoreError> {
        self.write_for(plugin, "set who may be called", |transaction| {
            let rows = match mode {
                Some(mode) => transaction.execute(
                    "INSERT INTO plugin_tools (plugin, mode) VALUES (?1, ?2)
                     ON CONFLICT (plugin) DO UPDATE SET mode = excluded.mode",
                    params![plugin.as_str(), mode as i64],
                ),
                None => transaction
                    .execute("DELETE FROM plugin_tools WHERE plugin = ?1", [plugin.as_str()]),
            };
            rows.map(|_rows| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tests::installed;

    #[test]
    fn a_schedule_switched_off_and_on_remembers_its_day() {
        let (vault, plugin) = installed();
        vault.set_schedule(&plugin, "daily", true).unwrap();
        vault.schedule_ran(&plugin, "daily", 19_000).unwrap();
        vault.set_schedule(&plugin, "daily", false).unwrap();
        let expected = |is_on| ScheduleRecord {
            plugin: plugin.clone(),
            schedule: "daily".into(),
            is_on,
            last_day: 19_000,
        };
        assert_eq!(vault.schedules().unwrap(), [expected(false)]);
        vault.set_schedule(&plugin, "daily", true).unwrap();
        assert_eq!(vault.schedules().unwrap(), [expected(true)]);
        vault.remove_plugin(&plugin, false).unwrap();
        assert!(vault.schedules().unwrap().is_empty());
        assert!(vault.set_schedule(&plugin, "daily", true).is_err());
    }

    #[test]
    fn nobody_is_called_unless_the_user_says_how() {
        let (vault, plugin) = installed();
        assert_eq!(vault.tool_mode(&plugin).unwrap(), None);
        for mode in [Some(ToolMode::Ask), Some(ToolMode::Always), None] {
            vault.set_tool_mode(&plugin, mode).unwrap();
            assert_eq!(vault.tool_mode(&plugin).unwrap(), mode);
        }
        vault.remove_plugin(&plugin, false).unwrap();
        assert!(vault.set_tool_mode(&plugin, Some(ToolMode::Ask)).is_err());
    }
}
