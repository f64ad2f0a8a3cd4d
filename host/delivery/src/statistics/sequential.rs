//! Confidence bounds that hold at every moment at once ("time-uniform", "anytime-valid").
//!
//! A usual confidence bound is wrong with probability `alpha` at one look. Whoever looks after each request and stops
//! at the first alarm is wrong far more often. These bounds are wrong with probability `alpha` at any look, however
//! many there are.
//!
//! *Proportions.* Robbins' method of mixtures. Of `n` requests `k` failed. If the true probability is `p`, then
//!
//! ```text
//! E = B(k + 1/2, n - k + 1/2) / B(1/2, 1/2) / (p^k (1 - p)^(n-k))
//! ```
//!
//! (how much better the Jeffreys mixture of all probabilities explains what was seen than `p` does) is a martingale
//! that starts at 1, and by Ville's inequality it ever reaches `1 / alpha` with probability `alpha` at most. The bounds
//! are where it does. The price against a bound for one look is about `ln(n) / 2` in the exponent. H. Robbins,
//! "Statistical methods related to the law of the iterated logarithm", 1970; S. Howard, A. Ramdas, J. McAuliffe, J.
//! Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", 2021.
//!
//! *Means.* The same with a normal mixture, for large `n`: I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas,
//! "Time-uniform central limit theory and asymptotic confidence sequences", 2021.
//!
//! Both take requests for independent of each other. Where one client's requests fail together, there are fewer
//! independent ones than are counted.

/// The lowest probability that `hits` of `n` do not refute.
pub(crate) fn lower_bound(hits: u64, n: u64, alpha: f64) -> f64 {
    let (hits, n) = (hits.min(n), n);
    if hits == 0 {
        return 0.0;
    }
    let refuted = |p: f64| evidence(p, hits, n) >= -alpha.ln();
    bisect(0.0, hits as f64 / n as f64, refuted)
}

/// The highest probability that `hits` of `n` do not refute.
pub(crate) fn upper_bound(hits: u64, n: u64, alpha: f64) -> f64 {
    1.0 - lower_bound(n - hits.min(n), n, alpha)
}

/// By how much the mean of `n` values with this standard deviation may be off, either way.
pub(crate) fn mean_radius(deviation: f64, n: u64, alpha: f64) -> f64 {
    // Tightest at about 100 values.
    const RHO_SQUARED: f64 = 0.1;
    if n == 0 {
        return f64::INFINITY;
    }
    let n = n as f64;
    let scale = n * RHO_SQUARED + 1.0;
    deviation * (2.0 * scale / (n * n * RHO_SQUARED) * (scale.sqrt() / alpha).ln()).sqrt()
}

/// The natural logarithm of `E` above.
fn evidence(p: f64, hits: u64, n: u64) -> f64 {
    let (hits, misses) = (hits as f64, (n - hits) as f64);
    let log_beta = ln_gamma(hits + 0.5) + ln_gamma(misses + 0.5) - ln_gamma(hits + misses + 1.0);
    log_beta - std::f64::consts::PI.ln() - term(hits, p) - term(misses, 1.0 - p)
}

/// `count * ln(p)`, and nothing for no count.
fn term(count: f64, p: f64) -> f64 {
    if count == 0.0 { 0.0 } else { count * p.ln() }
}

/// Where `holds` ends between `low`, where it holds, and `high`, where it does not.
fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The natural logarithm of the gamma function, for `x > 0`: Stirling's series (DLMF 5.11.1) from 8 on, and the
/// recurrence below. Good to 10 digits.
fn ln_gamma(mut x: f64) -> f64 {
    let mut product = 1.0;
    while x < 8.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn ln_gamma_is_that_of_the_tables() {
        for (x, expected) in [(0.5, 0.572_364_942_9), (1.0, 0.0), (10.0, 12.801_827_480_1), (1e6, 12_815_504.569_1)] {
            assert!((ln_gamma(x) - expected).abs() < 1e-4_f64.min(expected.abs() * 1e-9 + 1e-9), "{x}");
        }
    }

    #[test]
    fn bounds_enclose_what_was_seen_and_close_in_on_it() {
        assert_eq!(lower_bound(0, 0, 0.01), 0.0);
        assert_eq!(upper_bound(0, 0, 0.01), 1.0);
        assert_eq!(lower_bound(0, 50, 0.01), 0.0);
        assert_eq!(upper_bound(70, 50, 0.01), 1.0, "more hits than requests are as many");
        for (hits, n, low, high) in [(5, 50, 0.01, 0.33), (500, 5_000, 0.08, 0.12), (50, 50, 0.8, 1.0)] {
            let (below, above) = (lower_bound(hits, n, 0.01), upper_bound(hits, n, 0.01));
            let seen = hits as f64 / n as f64;
            assert!(low < below && below <= seen && seen <= above && above <= high, "{below} {seen} {above}");
        }
    }

    #[test]
    fn whoever_looks_after_each_request_is_hardly_ever_wrong() {
        let mut random = StdRng::seed_from_u64(1);
        let wrong = (0..2_000)
            .filter(|_| {
                let mut hits = 0;
                (1..=2_000u64).any(|n| {
                    let hit = random.gen_bool(0.05);
                    hits += u64::from(hit);
                    // A hit is the only thing that raises the lower bound.
                    hit && evidence(0.05, hits, n) >= -0.05_f64.ln() && hits as f64 > 0.05 * n as f64
                })
            })
            .count();
        assert!(wrong < 100, "{wrong} of 2,000 where 5 % were allowed");
    }
}
