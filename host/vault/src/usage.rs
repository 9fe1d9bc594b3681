//! What plugins take: calls, tokens, documents, time. Counted by the host, by day and by run.

use hearth_base::{PluginId, RunId};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use crate::documents::plugin_id;
use crate::{StoreError, Vault};

/// Runs of a plugin that are told one by one; older ones stay in the sums of their days.
const RUNS_KEPT: u32 = 200;

/// What was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginUsage {
    /// Calls into the plugin's code.
    pub runs: u64,
    /// What the plugin asked of the host.
    pub calls: u64,
    /// Of these, what was refused.
    pub refusals: u64,
    /// Tokens that the model read for it.
    pub prompt_tokens: u64,
    /// Tokens that the model wrote for it.
    pub answer_tokens: u64,
    /// Documents that were read for it.
    pub documents: u64,
    /// Time in its code, in microseconds.
    pub guest_micros: u64,
    /// Time in the model, in microseconds.
    pub model_micros: u64,
}

impl PluginUsage {
    /// Adds what somebody else took.
    pub fn add(&mut self, other: &Self) {
        for (mine, more) in [
            (&mut self.runs, other.runs),
            (&mut self.calls, other.calls),
            (&mut self.refusals, other.refusals),
            (&mut self.prompt_tokens, other.prompt_tokens),
            (&mut self.answer_tokens, other.answer_tokens),
            (&mut self.documents, other.documents),
            (&mut self.guest_micros, other.guest_micros),
            (&mut self.model_micros, other.model_micros),
        ] {
            *mine = mine.saturating_add(more);
        }
    }
}

/// What a plugin took on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsage {
    /// Which plugin.
    pub plugin: PluginId,
    /// Days since 1970.
    pub day: i64,
    /// What it took.
    pub usage: PluginUsage,
}

/// What a run took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunUsage {
    /// Which plugin.
    pub plugin: PluginId,
    /// Which of its runs.
    pub run: RunId,
    /// When it began, in seconds since 1970.
    pub at_secs: i64,
    /// What started it, without private text.
    pub what: String,
    /// What it took.
    pub usage: PluginUsage,
}

const COLUMNS: &str =
    "calls, refusals, prompt_tokens, answer_tokens, documents, guest_micros, model_micros";

impl Vault {
    /// Adds to what a run and its day took; its `usage.runs` is 1 where it begins, else 0. A plugin that is gone is no
    /// error: nothing is kept of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_usage(&self, day: i64, run: &RunUsage) -> Result<(), StoreError> {
        let RunUsage { plugin, run, at_secs, what, usage } = run;
        let added = self.write_for(plugin, "add to the usage", |transaction| {
            let more = params![
                usage.calls,
                usage.refusals,
                usage.prompt_tokens,
                usage.answer_tokens,
                usage.documents,
                usage.guest_micros,
                usage.model_micros,
                plugin.as_str(),
                run.0,
                at_secs,
                what,
            ];
            let sums = "calls = calls + excluded.calls, refusals = refusals + excluded.refusals,
                prompt_tokens = prompt_tokens + excluded.prompt_tokens,
                answer_tokens = answer_tokens + excluded.answer_tokens,
                documents = documents + excluded.documents, guest_micros = guest_micros + excluded.guest_micros,
                model_micros = model_micros + excluded.model_micros";
            transaction.execute(
                &format!(
                    "INSERT INTO plugin_runs ({COLUMNS}, plugin, run, at_secs, what)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                     ON CONFLICT (plugin, run) DO UPDATE SET {sums}, at_secs = min(at_secs, excluded.at_secs),
                        what = CASE excluded.what WHEN '' THEN what ELSE excluded.what END"
                ),
                more,
            )?;
            transaction.execute(
                &format!(
                    "INSERT INTO plugin_usage ({COLUMNS}, plugin, day, runs)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                     ON CONFLICT (plugin, day) DO UPDATE SET runs = runs + excluded.runs, {sums}"
                ),
                params![
                    usage.calls,
                    usage.refusals,
                    usage.prompt_tokens,
                    usage.answer_tokens,
                    usage.documents,
                    usage.guest_micros,
                    usage.model_micros,
                    plugin.as_str(),
                    day,
                    usage.runs,
                ],
            )?;
            transaction
                .execute(
                    "DELETE FROM plugin_runs WHERE plugin = ?1 AND run <=
                     (SELECT run FROM plugin_runs WHERE plugin = ?1 ORDER BY run DESC LIMIT 1 OFFSET ?2)",
                    params![plugin.as_str(), RUNS_KEPT],
                )
                .map(|_rows| ())
        });
        match added {
            Err(StoreError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// What plugins took, by day, the last first; of one plugin, or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn usage_by_day(&self, plugin: Option<&PluginId>) -> Result<Vec<DayUsage>, StoreError> {
        self.read("read the usage", |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, runs, plugin, day FROM plugin_usage WHERE ?1 IS NULL OR plugin = ?1
                 ORDER BY day DESC, plugin"
            ))?;
            let rows = statement.query_map([plugin.map(PluginId::as_str)], |row| {
                let usage = PluginUsage { runs: row.get(7)?, ..read_usage(row)? };
                Ok(DayUsage { plugin: plugin_id(row.get(8)?)?, day: row.get(9)?, usage })
            })?;
            rows.collect()
        })
    }

    /// What the last runs took, the last first; of one plugin, or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn usage_by_run(
        &self,
        plugin: Option<&PluginId>,
        limit: u32,
    ) -> Result<Vec<RunUsage>, StoreError> {
        self.read("read the usage of runs", |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, plugin, run, at_secs, what FROM plugin_runs
                 WHERE ?1 IS NULL OR plugin = ?1 ORDER BY at_secs DESC, plugin, run DESC LIMIT ?2"
            ))?;
            let rows =
                statement.query_map(params![plugin.map(PluginId::as_str), limit], |row| {
                    Ok(RunUsage {
                        plugin: plugin_id(row.get(7)?)?,
                        run: RunId(row.get(8)?),
                        at_secs: row.get(9)?,
                        what: row.get(10)?,
                        usage: PluginUsage { runs: 1, ..read_usage(row)? },
                    })
                })?;
            rows.collect()
        })
    }
}

fn read_usage(row: &Row<'_>) -> rusqlite::Result<PluginUsage> {
    Ok(PluginUsage {
        runs: 0,
        calls: row.get(0)?,
        refusals: row.get(1)?,
        prompt_tokens: row.get(2)?,
        answer_tokens: row.get(3)?,
        documents: row.get(4)?,
        guest_micros: row.get(5)?,
        model_micros: row.get(6)?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A vault with a plugin.
    pub(crate) fn installed() -> (Vault, PluginId) {
        let vault = Vault::in_memory().unwrap();
        let plugin = PluginId::new("org.example.digest").unwrap();
        let sql = "INSERT INTO plugins (id, version, manifest, component_hash, sealed, bundled, enabled, installed_secs)
                   VALUES (?1, '1.0.0', '', '00', 1, 0, 1, 0)";
        let install =
            |transaction: &rusqlite::Transaction<'_>| transaction.execute(sql, [plugin.as_str()]);
        vault.write("install for a test", install).unwrap();
        (vault, plugin)
    }

    fn run(plugin: &PluginId, run: u64, usage: PluginUsage) -> RunUsage {
        let (at_secs, what) = (100 + run as i64, "command digest".into());
        RunUsage { plugin: plugin.clone(), run: RunId(run), at_secs, what, usage }
    }

    #[test]
    fn usage_adds_up_by_day_and_run() {
        let (vault, plugin) = installed();
        let begun =
            PluginUsage { runs: 1, calls: 7, refusals: 2, guest_micros: 5, ..Default::default() };
        let later = PluginUsage {
            prompt_tokens: 30,
            answer_tokens: 4,
            documents: 3,
            model_micros: 9,
            ..Default::default()
        };
        vault.add_usage(10, &run(&plugin, 1, begun)).unwrap();
        vault.add_usage(10, &run(&plugin, 1, later)).unwrap();
        vault.add_usage(11, &run(&plugin, 2, begun)).unwrap();
        let mut both = begun;
        both.add(&later);
        let days = vault.usage_by_day(Some(&plugin)).unwrap();
        let told: Vec<_> = days.iter().map(|day| (day.day, day.usage)).collect();
        assert_eq!(told, [(11, begun), (10, both)]);
        let runs = vault.usage_by_run(None, 10).unwrap();
        assert_eq!(runs, [run(&plugin, 2, begun), run(&plugin, 1, both)]);
    }

    #[test]
    fn old_runs_stay_in_their_days_alone() {
        let (vault, plugin) = installed();
        let one = PluginUsage { runs: 1, calls: 1, ..Default::default() };
        let all = u64::from(RUNS_KEPT) + 5;
        for n in 1..=all {
            vault.add_usage(10, &run(&plugin, n, one)).unwrap();
        }
        let runs = vault.usage_by_run(Some(&plugin), u32::MAX).unwrap();
        assert_eq!(runs.len(), RUNS_KEPT as usize);
        assert_eq!(runs.last().unwrap().run, RunId(6));
        assert_eq!(vault.usage_by_day(None).unwrap()[0].usage.runs, all);
        vault.remove_plugin(&plugin, false).unwrap();
        vault.add_usage(10, &run(&plugin, 1, one)).unwrap();
        assert!(vault.usage_by_day(None).unwrap().is_empty());
    }
}
