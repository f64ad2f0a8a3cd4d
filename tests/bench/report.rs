//! The table that a run writes to docs/reference/performance.md.

use std::fmt::Write;

const INTRODUCTION: &str = "# Performance

Written by `make bench`; run it to repeat. Machines differ and are shared, so only ratios within one run say something.

| what | measured | target | reached |
|---|---|---|---|
";

/// Rows of what was measured.
pub(crate) struct Report {
    text: String,
    /// The tables that follow it.
    tables: String,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { text: INTRODUCTION.to_owned(), tables: String::new() }
    }

    /// Adds a row. `reached` is none where there is no target.
    pub(crate) fn row(&mut self, what: &str, measured: &str, target: &str, reached: Option<bool>) {
        let reached = match reached {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        println!("{what}: {measured} (target: {target}) {reached}");
        let _ = writeln!(self.text, "| {what} | {measured} | {target} | {reached} |"); // a String takes it
    }

    /// Adds a table of its own, below the rows.
    pub(crate) fn table<const COLUMNS: usize>(
        &mut self,
        title: &str,
        columns: [&str; COLUMNS],
        rows: &[[String; COLUMNS]],
    ) {
        let lines = rows.iter().map(|row| row.join(" | "));
        let table = [columns.join(" | "), ["---"; COLUMNS].join("|")].into_iter().chain(lines);
        let table: String = table.map(|line| format!("| {line} |\n")).collect();
        println!("{title}\n{table}");
        let _ = write!(self.tables, "\n## {title}\n\n{table}"); // a String takes it
    }

    /// Writes the page.
    pub(crate) fn write(&self) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let text = format!("{}\nMeasured on {cores} cores.\n{}", self.text, self.tables);
        std::fs::write(elias_tests::build::root().join("docs/reference/performance.md"), text).expect("docs/ is there");
    }
}
