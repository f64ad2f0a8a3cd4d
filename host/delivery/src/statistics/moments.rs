//! Mean and variance of a stream.

use serde::{Deserialize, Serialize};

/// Count, mean and variance of values that are not kept. B. P. Welford, 1962; merged by Chan, Golub and LeVeque, 1979.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Moments {
    count: u64,
    mean: f64,
    /// Sum of the squared distances to the mean.
    squares: f64,
}

impl Moments {
    /// Adds a value; one that is not a finite number is left out.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let distance = other.mean - self.mean;
        self.count += other.count;
        self.mean += distance * b / (a + b);
        self.squares += other.squares + distance * distance * a * b / (a + b);
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 for none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their variance, with `count - 1` below the line; 0 for fewer than two.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { self.squares / (self.count - 1) as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    #[test]
    fn moments_are_those_of_the_values_also_when_merged_and_far_from_zero() {
        for offset in [0.0, 1e9] {
            let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].map(|value| value + offset);
            let mut merged = of(&values[..3]);
            merged.merge(&of(&values[3..]));
            merged.merge(&Moments::default());
            for moments in [of(&values), merged] {
                assert_eq!(moments.count(), 8);
                assert!((moments.mean() - 5.0 - offset).abs() < 1e-6);
                assert!((moments.variance() - 32.0 / 7.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let moments = of(&[1.0, f64::NAN, f64::INFINITY]);
        assert_eq!((moments.count(), moments.mean(), moments.variance()), (1, 1.0, 0.0));
    }
}
