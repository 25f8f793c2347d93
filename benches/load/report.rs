//! The table that a run ends with, in Markdown: what must hold, what was measured, whether it held.

/// Rows and remarks, printed as they come and once more at the end.
#[derive(Default)]
pub struct Report {
    rows: Vec<String>,
    notes: Vec<String>,
}

impl Report {
    /// A budget and what was measured of it.
    pub fn row(&mut self, what: &str, must: &str, measured: &str, holds: bool) {
        let row = format!("| {what} | {must} | {measured} | {} |", if holds { "holds" } else { "**missed**" });
        println!("{row}");
        self.rows.push(row);
    }

    /// Something beside the budgets.
    pub fn note(&mut self, text: &str) {
        println!("- {text}");
        self.notes.push(format!("- {text}"));
    }

    /// The whole, ready for `docs/performance.md`.
    pub fn print(&self) {
        println!("\n| what | must | measured | |\n| --- | --- | --- | --- |\n{}\n\n{}", self.rows.join("\n"), self.notes.join("\n"));
    }
}
