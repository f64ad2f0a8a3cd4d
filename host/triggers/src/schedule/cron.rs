//! Cron lines in time zones.

use super::InvalidRecurrence;
use super::wall::Wall;
use croner::Cron;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::sync::OnceLock;

/// Bytes of the longest line.
const LINE_BYTES_MAX: usize = 200;
/// Bytes of the longest name of a time zone.
const ZONE_BYTES_MAX: usize = 64;
/// A line that is not due within this time is never due: the longest wait of the calendar is 40 years (29 February on
/// one day of the week, around a year such as 2100 that is no leap year).
const HORIZON_SECONDS: i64 = 50 * 366 * 86_400;

/// A field of a line: its name, the characters it may have, and what an error says that it may be.
struct Field {
    name: &'static str,
    letters: bool,
    allowed: &'static str,
}

const FIELDS: [Field; 6] = [
    Field { name: "second", letters: false, allowed: "0-59, with * , - /" },
    Field { name: "minute", letters: false, allowed: "0-59, with * , - /" },
    Field { name: "hour", letters: false, allowed: "0-23, with * , - /" },
    Field { name: "day of the month", letters: true, allowed: "1-31, with * , - / ? L (last) W (nearest weekday)" },
    Field { name: "month", letters: true, allowed: "1-12 or JAN-DEC, with * , - /" },
    Field {
        name: "day of the week",
        letters: true,
        allowed: "0-7 or SUN-SAT (0 and 7 are Sunday), with * , - / ? L (last) # (nth), and + before it (and the day \
                  of the month)",
    },
];

/// A cron line in a time zone.
#[derive(Debug, Clone)]
pub(super) struct CronLine {
    cron: Cron,
    zone: TimeZone,
    /// Second, minute or hour begins with `*`: the line follows the clock on the wall through its changes.
    follows_the_wall: bool,
}

impl CronLine {
    /// Parses a line of five fields, or six with seconds before them, or a nickname such as `@daily`.
    pub(super) fn parse(line: &str, zone: &str) -> Result<Self, InvalidRecurrence> {
        let zone = time_zone(zone)?;
        if line.len() > LINE_BYTES_MAX {
            return Err(InvalidRecurrence::cron(format!("is longer than {LINE_BYTES_MAX} bytes")));
        }
        let line = expand_nickname(line.trim())?.to_ascii_uppercase();
        let mut fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        if fields.len() != FIELDS.len() {
            return Err(InvalidRecurrence::cron(
                "must have five fields (minute, hour, day of the month, month, day of the week), or six with the \
                 second before them",
            ));
        }
        for (position, text) in fields.iter().enumerate() {
            check_field(position, text)?;
        }
        let cron = fields
            .join(" ")
            .parse::<Cron>()
            .map_err(|error| InvalidRecurrence::cron(format!("is invalid: {error}")))?;
        let follows_the_wall = fields[..3].iter().any(|field| field.starts_with('*'));
        let line = Self { cron, zone, follows_the_wall };
        if line.next_after(0).is_none() {
            return Err(InvalidRecurrence::cron("is never due: there is no such day, as with 30 February"));
        }
        Ok(line)
    }

    /// The first due second strictly after a second, both since 1970; none if there is none within some fifty years.
    pub(super) fn next_after(&self, after: i64) -> Option<i64> {
        let mut from = after.checked_add(1)?;
        let horizon = from.checked_add(HORIZON_SECONDS)?;
        let mut wall = self.first_wall(from)?;
        // Where the last search began, and what it found.
        let mut found: Option<(i64, i64)> = None;
        // Between two changes of the clock, the wall's time and the real time differ by a constant.
        while from < horizon {
            let offset = self.offset(from)?;
            let end = self.next_change(from).unwrap_or(i64::MAX);
            let matched = match found {
                Some((searched_from, matched)) if (searched_from..=matched).contains(&wall) => matched,
                Some(_) | None => self.cron.find_next_occurrence(&Wall(wall), true).ok()?.0,
            };
            // Before the wall's time of `from` only where fixed times were left out: they are due at once.
            let due = (matched - offset).max(from);
            if due < end {
                return (due < horizon).then_some(due);
            }
            found = Some((wall, matched));
            // Fixed times go on where the wall's clock stood before the change, so that what it repeats is not run
            // again, and what it leaves out is found.
            wall = end.checked_add(if self.follows_the_wall { self.offset(end)? } else { offset })?;
            from = end;
        }
        None
    }

    /// The wall's time from which on matches are due at `from` or later.
    fn first_wall(&self, from: i64) -> Option<i64> {
        let wall = from.checked_add(self.offset(from)?)?;
        if self.follows_the_wall {
            return Some(wall);
        }
        // The wall's time when the clock was last changed, by the clock before the change.
        let change = self.zone.preceding(timestamp(from + 1)?).next().map(|change| change.timestamp().as_second());
        let Some(change) = change else { return Some(wall) };
        let before = change.checked_add(self.offset(change - 1)?)?;
        Some(if change == from { before } else { wall.max(before) })
    }

    /// Seconds that the wall's clock is ahead of UTC.
    fn offset(&self, second: i64) -> Option<i64> {
        Some(i64::from(self.zone.to_offset(timestamp(second)?).seconds()))
    }

    /// The next second in which the clock is changed.
    fn next_change(&self, second: i64) -> Option<i64> {
        self.zone.following(timestamp(second)?).next().map(|change| change.timestamp().as_second())
    }

    /// Whether the wall's time of a second matches.
    #[cfg(test)]
    pub(super) fn matches_wall(&self, wall: i64) -> bool {
        self.cron.is_time_matching(&Wall(wall)).expect("a wall's time")
    }

    #[cfg(test)]
    pub(super) fn follows_the_wall(&self) -> bool {
        self.follows_the_wall
    }

    #[cfg(test)]
    pub(super) fn wall_of(&self, second: i64) -> i64 {
        second + self.offset(second).expect("a second that time zones know")
    }
}

fn timestamp(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok()
}

/// The zones' rules are compiled in: two hosts of one release agree on every due time, whatever their systems have.
fn zones() -> &'static TimeZoneDatabase {
    static ZONES: OnceLock<TimeZoneDatabase> = OnceLock::new();
    ZONES.get_or_init(TimeZoneDatabase::bundled)
}

fn time_zone(name: &str) -> Result<TimeZone, InvalidRecurrence> {
    let known = if name.len() > ZONE_BYTES_MAX { None } else { zones().get(name).ok() };
    known.ok_or_else(|| {
        let name: String = name.chars().take(ZONE_BYTES_MAX).collect();
        InvalidRecurrence::timezone(format!(
            "`{}` is not an IANA time zone: use a name such as Europe/Berlin, Asia/Tashkent or UTC",
            name.escape_debug()
        ))
    })
}

/// All time zones that a schedule may name.
#[cfg(test)]
pub(super) fn zone_names() -> Vec<String> {
    zones().available().map(|name| name.as_str().to_owned()).collect()
}

fn expand_nickname(line: &str) -> Result<&str, InvalidRecurrence> {
    if !line.starts_with('@') {
        return Ok(line);
    }
    match line.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        "@monthly" => Ok("0 0 1 * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@hourly" => Ok("0 * * * *"),
        _ => Err(InvalidRecurrence::cron("has an unknown nickname: use @yearly, @monthly, @weekly, @daily or @hourly")),
    }
}

/// Parses one field with all others left open, so that an error names the field.
fn check_field(position: usize, text: &str) -> Result<(), InvalidRecurrence> {
    let field = &FIELDS[position];
    let mut line = ["0", "*", "*", "*", "*", "*"];
    line[position] = text;
    let known = |byte: u8| field.letters || byte.is_ascii_digit() || b"*,-/".contains(&byte);
    let whole = text.bytes().all(known) && text.split(',').all(|part| !part.is_empty());
    if whole && line.join(" ").parse::<Cron>().is_ok() {
        return Ok(());
    }
    Err(InvalidRecurrence::cron(format!(
        "has the {} `{}`; allowed are {}",
        field.name,
        text.escape_debug(),
        field.allowed
    )))
}
