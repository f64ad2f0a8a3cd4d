//! Concurrency and rate by key.

use elias_delivery::clock::Now;
use elias_delivery::supervision::GcraLimiter;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;
use std::time::Duration;

/// Keys that are remembered at once; one more is refused until another is free.
pub const KEYS_MAX: usize = 100_000;

/// A text that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate: write 1 to 1,000,000 and a unit, such as 10/s, 100/m, 1000/h or 5000/d")]
pub struct InvalidRate(String);

/// So many starts in a second, minute, hour or day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    units: u32,
    unit: char,
}

impl Rate {
    /// How many in a period.
    #[must_use]
    pub fn units(self) -> u32 {
        self.units
    }

    /// The period.
    #[must_use]
    pub fn period(self) -> Duration {
        Duration::from_secs(match self.unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => 86_400,
        })
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let invalid = || InvalidRate(text.chars().take(40).collect::<String>().escape_debug().to_string());
        let (units, unit) = text.split_once('/').ok_or_else(invalid)?;
        let units: Option<u32> =
            if units.bytes().all(|byte| byte.is_ascii_digit()) { units.parse().ok() } else { None };
        let unit = match unit {
            "s" | "m" | "h" | "d" => unit.chars().next(),
            _ => None,
        };
        match (units, unit) {
            (Some(units @ 1..=1_000_000), Some(unit)) => Ok(Self { units, unit }),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.units, self.unit)
    }
}

/// The limits of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// How many may run at the same time; none: any number.
    pub concurrency: Option<u32>,
    /// How many may start in a period; none: any number.
    pub rate: Option<Rate>,
}

/// Why a job must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    /// As many as may run at the same time are running.
    Concurrency,
    /// The rate is used up.
    Rate {
        /// When the next may start.
        wait: Duration,
    },
    /// Too many keys are in use on this host.
    Keys,
}

/// How many jobs of each key run on this host, and how many were started lately. Keys without a running job and with an
/// unused rate are forgotten.
pub struct KeyLimits<K> {
    keys: HashMap<K, Usage>,
    keys_max: usize,
}

struct Usage {
    running: u32,
    /// The rate as it was last asked for, and what is left of it.
    rate: Option<(Rate, GcraLimiter)>,
}

impl<K> Default for KeyLimits<K> {
    fn default() -> Self {
        Self { keys: HashMap::new(), keys_max: KEYS_MAX }
    }
}

impl<K: Eq + Hash> KeyLimits<K> {
    /// Starts a job of a key, if its limits allow that; [`Self::finish`] must be called when it has ended.
    ///
    /// # Errors
    /// Which limit is reached. Nothing is used up then.
    pub fn start(&mut self, key: K, limit: &Limit, now: Now) -> Result<(), LimitReached> {
        if self.keys.len() >= self.keys_max && !self.keys.contains_key(&key) {
            self.forget_unused(now);
            if self.keys.len() >= self.keys_max {
                return Err(LimitReached::Keys);
            }
        }
        let usage = self.keys.entry(key).or_insert(Usage { running: 0, rate: None });
        if limit.concurrency.is_some_and(|concurrency| usage.running >= concurrency) {
            return Err(LimitReached::Concurrency);
        }
        if usage.rate.as_ref().map(|(rate, _)| *rate) != limit.rate {
            let limiter =
                |rate: Rate| GcraLimiter::new(u64::from(rate.units()), rate.period()).map(|left| (rate, left));
            usage.rate = limit.rate.and_then(limiter);
        }
        if let Some((rate, limiter)) = &mut usage.rate {
            let mut reserved = limiter.reserve(now.unix_ms(), Duration::ZERO);
            // Nobody waits for longer than a period, unless the clock was set back.
            if reserved.is_err_and(|wait| wait > rate.period())
                && let Some(anew) = GcraLimiter::new(u64::from(rate.units()), rate.period())
            {
                *limiter = anew;
                reserved = limiter.reserve(now.unix_ms(), Duration::ZERO);
            }
            reserved.map_err(|wait| LimitReached::Rate { wait })?;
        }
        usage.running += 1;
        Ok(())
    }

    /// A job of a key has ended.
    pub fn finish(&mut self, key: &K) {
        let Some(usage) = self.keys.get_mut(key) else { return };
        usage.running = usage.running.saturating_sub(1);
        if usage.running == 0 && usage.rate.is_none() {
            self.keys.remove(key);
        }
    }

    /// How many jobs of a key run.
    #[must_use]
    pub fn running(&self, key: &K) -> u32 {
        self.keys.get(key).map_or(0, |usage| usage.running)
    }

    /// Forgets keys without a running job whose rate is not used.
    pub fn forget_unused(&mut self, now: Now) {
        let used = |usage: &Usage| usage.rate.as_ref().is_some_and(|(_, left)| left.used(now.unix_ms()) > 0);
        self.keys.retain(|_, usage| usage.running > 0 || used(usage));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now::from_unix_ms(1_800_000_000_000);

    #[test]
    fn rates_are_read_and_written() {
        let rate: Rate = "100/m".parse().expect("a rate");
        assert_eq!((rate.units(), rate.period(), rate.to_string()), (100, Duration::from_secs(60), "100/m".to_owned()));
        for text in ["", "100", "/m", "0/m", "+1/m", "1000001/s", "1/w", "1/min", "-1/s", "1.5/s", &"9".repeat(100)] {
            let error = text.parse::<Rate>().expect_err(text).to_string();
            assert!(error.contains("not a rate") && error.len() < 200, "{error}");
        }
    }

    #[test]
    fn only_so_many_of_a_key_run_at_once() {
        let (mut limits, limit) = (KeyLimits::default(), Limit { concurrency: Some(2), rate: None });
        assert_eq!(limits.start("a", &limit, NOW), Ok(()));
        assert_eq!(limits.start("a", &limit, NOW), Ok(()));
        assert_eq!(limits.start("a", &limit, NOW), Err(LimitReached::Concurrency));
        assert_eq!(limits.start("b", &limit, NOW), Ok(()), "another key does not wait");
        limits.finish(&"a");
        assert_eq!((limits.running(&"a"), limits.start("a", &limit, NOW)), (1, Ok(())));
    }

    #[test]
    fn only_so_many_of_a_key_start_in_a_period() {
        let limit = Limit { concurrency: None, rate: Some("2/s".parse().expect("a rate")) };
        let mut limits = KeyLimits::default();
        assert_eq!([limits.start(1, &limit, NOW), limits.start(1, &limit, NOW)], [Ok(()), Ok(())]);
        let refused = limits.start(1, &limit, NOW);
        assert_eq!(refused, Err(LimitReached::Rate { wait: Duration::from_millis(500) }));
        assert_eq!(limits.start(1, &limit, Now::from_unix_ms(NOW.unix_ms() + 500)), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_by_an_hour_does_not_hold_a_rate_up() {
        const HOUR_MS: u64 = 3_600_000;
        let limit = Limit { concurrency: None, rate: Some("1/m".parse().expect("a rate")) };
        let mut limits = KeyLimits::default();
        let mut starts = |ms| limits.start(1, &limit, Now::from_unix_ms(ms)).is_ok();
        let now = NOW.unix_ms();
        let before_and_after = [starts(now), starts(now + HOUR_MS), starts(now + HOUR_MS), starts(now), starts(now)];
        assert_eq!(before_and_after, [true, true, false, true, false]);
        assert!(starts(now + 60_000));
    }

    #[test]
    fn the_keys_are_bounded_and_unused_ones_are_forgotten() {
        let limit = Limit { concurrency: Some(1), rate: Some("1/s".parse().expect("a rate")) };
        let mut limits = KeyLimits { keys_max: 2, ..KeyLimits::default() };
        assert_eq!([limits.start(1, &limit, NOW), limits.start(2, &limit, NOW)], [Ok(()), Ok(())]);
        assert_eq!(limits.start(3, &limit, NOW), Err(LimitReached::Keys));
        limits.finish(&1);
        assert_eq!(limits.start(3, &limit, NOW), Err(LimitReached::Keys), "its rate is still used");
        assert_eq!(limits.start(3, &limit, Now::from_unix_ms(NOW.unix_ms() + 1_000)), Ok(()));
    }
}
