//! What is printed, and what is written as JSON.

use std::fmt::Write;

use serde::{Serialize, Serializer};

use crate::{figures::Readings, machine};

/// One field of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    /// With so many digits behind the point.
    Number(f64, usize),
    Missing,
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(value, _) => serializer.serialize_f64(*value),
            Self::Missing => serializer.serialize_none(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl Cell {
    pub(crate) fn number(value: Option<f64>, digits: usize) -> Self {
        value.filter(|value| value.is_finite()).map_or(Self::Missing, |v| Self::Number(v, digits))
    }

    fn words(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(value, digits) => format!("{value:.digits$}"),
            Self::Missing => "-".into(),
        }
    }
}

/// What one side read in all rounds of one piece of work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Series {
    pub(crate) model: String,
    pub(crate) side: String,
    pub(crate) quantity: String,
    #[serde(flatten)]
    pub(crate) readings: Readings,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) notes: Vec<String>,
    /// Every reading behind it.
    pub(crate) series: Vec<Series>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.into(),
            rows: Vec::new(),
            notes: Vec::new(),
            series: Vec::new(),
        }
    }

    /// The table as Markdown that also reads well on a terminal.
    pub fn text(&self) -> String {
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::words).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(self.columns[column].chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = format!("## {}\n\n", self.title);
        let mut line = |cells: &[&str], rule: bool| {
            for (cell, &width) in cells.iter().zip(&widths) {
                let fill = if rule { "-" } else { " " }.repeat(width - cell.chars().count());
                let _infallible = write!(text, "| {cell}{fill} ");
            }
            text.push_str("|\n");
        };
        line(&self.columns, false);
        line(&vec![""; self.columns.len()], true);
        for row in &rows {
            line(&row.iter().map(String::as_str).collect::<Vec<_>>(), false);
        }
        for note in &self.notes {
            let _infallible = write!(text, "\n{note}");
        }
        text.push('\n');
        text
    }
}

/// All that a run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub(crate) processor: String,
    pub(crate) system: String,
    pub(crate) threads: usize,
    pub(crate) rounds: usize,
    pub(crate) load_average: Option<f64>,
    /// Engines and what they say they are.
    pub(crate) sides: Vec<String>,
    pub(crate) models: Vec<String>,
    pub(crate) left_out: Vec<String>,
    pub(crate) tables: Vec<Table>,
}

impl Report {
    pub(crate) fn new(threads: usize, rounds: usize) -> Self {
        Self {
            processor: machine::processor(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            threads,
            rounds,
            load_average: machine::load_average(),
            sides: Vec::new(),
            models: Vec::new(),
            left_out: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// What it ran on and against, before the tables.
    pub fn head(&self) -> String {
        let load = self.load_average.map_or("unknown".into(), |load| format!("{load:.2}"));
        let mut text = format!(
            "{}, {}; {} threads, {} rounds in turn; load average at the start {load}\n",
            self.processor, self.system, self.threads, self.rounds
        );
        for line in self.sides.iter().chain(&self.models).chain(&self.left_out) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// The tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Table};

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new("Decode", &["side", "tok/s"]);
        table.rows.push(vec!["Hearth".into(), Cell::number(Some(31.25), 1)]);
        table.rows.push(vec!["another".into(), Cell::number(Some(f64::NAN), 1)]);
        table.notes.push("quiet".into());
        let text = table.text();
        assert_eq!(
            text,
            "## Decode\n\n| side    | tok/s |\n| ------- | ----- |\n| Hearth  | 31.2  |\n\
             | another | -     |\n\nquiet\n"
        );
    }

    #[test]
    fn json_keeps_the_digits_that_the_text_drops() {
        assert_eq!(serde_json::to_string(&Cell::Number(1.234_567, 1)).unwrap(), "1.234567");
        assert_eq!(serde_json::to_string(&Cell::Missing).unwrap(), "null");
    }
}
