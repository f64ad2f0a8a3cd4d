//! The fuel that turns of a service's workers use in an hour, against what the service gives them.

use elias_api::{Code, Error};
use elias_delivery::supervision::GcraLimiter;
use elias_names::ServiceId;
use parking_lot::Mutex;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// The fuel of the turns of a service on this host: `fuel-per-hour` of `[workers.limits]`. What was used counts on from
/// version to version, unless another one says another number.
#[derive(Default)]
pub(crate) struct WorkerFuel(Mutex<Option<(u64, GcraLimiter)>>);

impl WorkerFuel {
    /// Why no turn may begin now, if `most` units an hour are used up; 0 is no limit.
    pub(crate) fn refusal(&self, service: &ServiceId, most: u64, now_ms: u64) -> Option<Error> {
        let wait = self.with_limiter(most, |limiter| limiter.check(now_ms).err())??;
        let seconds = wait.as_secs().saturating_add(1);
        let message = format!(
            "the service workers of {service} have used up their fuel-per-hour of {most} ([workers.limits]); the next \
             turn can begin in {seconds} seconds"
        );
        Some(Error::new(Code::QuotaExceeded, message))
    }

    /// Counts the fuel of a turn.
    pub(crate) fn spend(&self, most: u64, fuel: u64, now_ms: u64) {
        self.with_limiter(most, |limiter| limiter.spend(fuel, now_ms));
    }

    /// Does something with the limiter of so many units, which is made anew where there is one of others.
    fn with_limiter<T>(&self, most: u64, act: impl FnOnce(&GcraLimiter) -> T) -> Option<T> {
        let mut kept = self.0.lock();
        if kept.as_ref().is_none_or(|(units, _)| *units != most) {
            *kept = GcraLimiter::new(most, HOUR).map(|limiter| (most, limiter));
        }
        kept.as_ref().map(|(_, limiter)| act(limiter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;

    fn service() -> ServiceId {
        let name = |name: &str| name.parse().expect("a name");
        ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: name("shop"),
            environment: Environment::Production,
        }
    }

    #[test]
    fn turns_are_refused_once_the_fuel_of_an_hour_is_used_and_it_comes_back() {
        let fuel = WorkerFuel::default();
        let refusal = |most, now_ms| fuel.refusal(&service(), most, now_ms).map(|error| error.to_string());
        assert_eq!(refusal(3_600, 0), None);
        fuel.spend(3_600, 3_600, 0);
        let refused = refusal(3_600, 0).expect("it is used up");
        assert!(refused.contains("acme/shop/production") && refused.contains("fuel-per-hour of 3600"), "{refused}");
        assert_eq!(refusal(3_600, 2_000), None, "a unit a second comes back");
        fuel.spend(3_600, 100, 2_000);
        assert!(refusal(3_600, 2_000).is_some());
        assert_eq!(refusal(7_200, 2_000), None, "another version gives more");
        assert_eq!(refusal(0, 2_000), None, "no limit");
    }
}
