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
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { text: INTRODUCTION.to_owned() }
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

    /// Writes the page.
    pub(crate) fn write(&self) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let text = format!("{}\nMeasured on {cores} cores.\n", self.text);
        std::fs::write(elias_tests::build::root().join("docs/reference/performance.md"), text).expect("docs/ is there");
    }
}
