//! The matches of a row: those in a window that moves over a column, and the words that they cover.

use super::{MATCH, PHRASE, Result, Row};
use std::ffi::c_int;

/// The matches of a column that begin in a window over its words. The window only moves forward.
pub(super) struct Window {
    /// The first match that is in it, and the first behind it.
    first: usize,
    end: usize,
    /// How many there are of each phrase, and of how many phrases there are some.
    counts: Vec<u32>,
    phrases: i64,
}

impl Window {
    pub(super) fn new(first: usize, phrases: usize) -> Self {
        Self { first, end: first, counts: vec![0; phrases], phrases: 0 }
    }

    pub(super) fn move_to(
        &mut self,
        row: &Row<'_>,
        column: c_int,
        start: i64,
        tokens: i64,
        count: usize,
    ) -> Result<()> {
        while self.end < count {
            row.go_on(self.end)?;
            let instance = row.instance(self.end)?;
            if instance.column != column || instance.offset >= start + tokens {
                break;
            }
            self.end += 1;
            if let Some(count) = self.counts.get_mut(instance.phrase) {
                *count += 1;
                self.phrases += i64::from(*count == 1);
            }
        }
        while self.first < self.end {
            row.go_on(self.first)?;
            let instance = row.instance(self.first)?;
            if instance.offset >= start {
                break;
            }
            self.first += 1;
            if let Some(count) = self.counts.get_mut(instance.phrase) {
                *count -= 1;
                self.phrases -= i64::from(*count == 0);
            }
        }
        Ok(())
    }

    pub(super) fn score(&self) -> i64 {
        let matches = i64::try_from(self.end - self.first).unwrap_or(i64::MAX / 2);
        self.phrases * PHRASE + (matches - self.phrases) * MATCH
    }

    /// The beginning of the first match and the end of the last.
    pub(super) fn matches(&self, row: &Row<'_>) -> Result<(i64, i64)> {
        Ok((row.instance(self.first)?.offset, row.instance(self.end.saturating_sub(1))?.end))
    }
}

/// The matches of a column, those that overlap as one: their first and last words.
pub(super) struct Matches<'a> {
    row: &'a Row<'a>,
    column: c_int,
    next: usize,
    count: usize,
}

impl<'a> Matches<'a> {
    /// The matches of a column, among all `count` matches of the row.
    pub(super) fn new(row: &'a Row<'a>, column: c_int, count: usize) -> Self {
        Self { row, column, next: 0, count }
    }

    pub(super) fn next(&mut self) -> Result<Option<(i64, i64)>> {
        let mut found: Option<(i64, i64)> = None;
        while self.next < self.count {
            self.row.go_on(self.next)?;
            let instance = self.row.instance(self.next)?;
            if instance.column == self.column {
                found = match found {
                    None => Some((instance.offset, instance.end - 1)),
                    Some((begin, end)) if instance.offset <= end => Some((begin, end.max(instance.end - 1))),
                    Some(_) => break,
                };
            }
            self.next += 1;
        }
        Ok(found)
    }
}
