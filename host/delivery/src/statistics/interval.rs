//! 95 % confidence intervals.
//!
//! They hold for one look. Whoever looks until the answer is the wished one will get it: `sequential` is for that.

use super::moments::Moments;
use serde::Serialize;
use utoipa::ToSchema;

/// The quantile of the normal distribution that leaves 2.5 % above it.
const Z: f64 = 1.959_963_984_540_054;

/// An estimate with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// The lower bound of the interval.
    pub low: f64,
    /// The upper bound of the interval.
    pub high: f64,
}

/// The mean, by Student's t. `None` for fewer than two values.
#[must_use]
pub fn mean(values: &Moments) -> Option<Interval> {
    if values.count() < 2 {
        return None;
    }
    let n = values.count() as f64;
    Some(around(values.mean(), t_quantile(n - 1.0) * (values.variance() / n).sqrt()))
}

/// The mean of `of` less that of `base`, whose variances need not be equal: Welch's interval, with the degrees of
/// freedom of Welch and Satterthwaite. `None` if either has fewer than two values.
#[must_use]
pub fn mean_difference(of: &Moments, base: &Moments) -> Option<Interval> {
    if of.count() < 2 || base.count() < 2 {
        return None;
    }
    let part = |values: &Moments| {
        let n = values.count() as f64;
        let error = values.variance() / n;
        (error, error * error / (n - 1.0))
    };
    let ((of_error, of_share), (base_error, base_share)) = (part(of), part(base));
    let error = of_error + base_error;
    let freedom = if error > 0.0 { error * error / (of_share + base_share) } else { f64::INFINITY };
    Some(around(of.mean() - base.mean(), t_quantile(freedom) * error.sqrt()))
}

/// The share of `hits` among `n`: E. B. Wilson's score interval, 1927. `None` for none.
#[must_use]
pub fn proportion(hits: u64, n: u64) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let n = n as f64;
    let share = (hits as f64 / n).min(1.0);
    let scale = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / scale;
    let radius = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends the bound is exact, and rounding must not put it beyond the estimate.
    Some(Interval {
        estimate: share,
        low: (centre - radius).clamp(0.0, share),
        high: (centre + radius).clamp(share, 1.0),
    })
}

/// One share less another: R. G. Newcombe's interval from the two Wilson intervals, 1998, method 10.
#[must_use]
pub fn proportion_difference(of: (u64, u64), base: (u64, u64)) -> Option<Interval> {
    let (of, base) = (proportion(of.0, of.1)?, proportion(base.0, base.1)?);
    let estimate = of.estimate - base.estimate;
    Some(Interval {
        estimate,
        low: estimate - (of.estimate - of.low).hypot(base.high - base.estimate),
        high: estimate + (of.high - of.estimate).hypot(base.estimate - base.low),
    })
}

fn around(estimate: f64, radius: f64) -> Interval {
    Interval { estimate, low: estimate - radius, high: estimate + radius }
}

/// The quantile of Student's t distribution that leaves 2.5 % above it: exact for one and two degrees of freedom, else
/// the expansion of Abramowitz and Stegun, 26.7.5, which is off by less than 0.6 % at three and by 0.01 % at nine.
fn t_quantile(freedom: f64) -> f64 {
    if freedom < 1.5 {
        return 12.706_204_736;
    }
    if freedom < 2.5 {
        return 4.302_652_73;
    }
    let (z, v) = (Z, freedom);
    let (z3, z5, z7, z9) = (z.powi(3), z.powi(5), z.powi(7), z.powi(9));
    z + (z3 + z) / (4.0 * v)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * v.powi(3))
        + (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z) / (92_160.0 * v.powi(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 2e-4
    }

    fn moments(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    #[test]
    fn t_quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [(1.0, 12.7062), (2.0, 4.3027), (9.0, 2.2622), (30.0, 2.0423), (f64::INFINITY, 1.96)]
        {
            assert!(near(t_quantile(freedom), expected), "{freedom}: {}", t_quantile(freedom));
        }
        assert!((t_quantile(3.0) - 3.1824).abs() < 0.02);
    }

    #[test]
    fn intervals_are_those_of_worked_examples() {
        // Newcombe's own table: 56 of 70 against 48 of 80.
        let difference = proportion_difference((56, 70), (48, 80)).unwrap();
        assert!(near(difference.low, 0.0524) && near(difference.high, 0.3339), "{difference:?}");
        let wilson = proportion(15, 148).unwrap();
        assert!(near(wilson.low, 0.0624) && near(wilson.high, 0.1605), "{wilson:?}");
        let none = proportion(0, 20).unwrap();
        assert_eq!(none.low, 0.0);
        assert!(near(none.high, 0.1611));
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        let student = mean(&moments(&ten)).unwrap();
        assert!(near(student.low, 3.3341) && near(student.high, 7.6659), "{student:?}");
    }

    #[test]
    fn welchs_interval_is_that_of_a_worked_example() {
        let a = moments(&[27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]);
        let b = moments(&[27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 30.5, 22.3]);
        let difference = mean_difference(&a, &b).unwrap();
        assert!((difference.estimate + 2.6933).abs() < 0.001, "{difference:?}");
        assert!(near(difference.low, -4.7328) && near(difference.high, -0.6539), "{difference:?}");
    }

    #[test]
    fn too_little_gives_no_interval() {
        assert!(mean(&moments(&[1.0])).is_none());
        assert!(mean_difference(&moments(&[1.0, 2.0]), &moments(&[1.0])).is_none());
        assert!(proportion_difference((0, 0), (1, 2)).is_none());
        let same = mean_difference(&moments(&[3.0; 5]), &moments(&[3.0; 5])).unwrap();
        assert_eq!((same.low, same.high), (0.0, 0.0));
    }
}
