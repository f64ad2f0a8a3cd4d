//! Services, deployments, rollouts and experiments.

use crate::error::{Code, Error, Result};
use elias_delivery::experiment::{Comparison, Experiment, ResponseDifference};
use elias_delivery::rollout::{FlagRule, RolloutPlan, RolloutStatus, VersionMetrics};
use elias_delivery::supervision::HealthState;
use elias_names::{ComponentName, Environment};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::str::FromStr;

/// A service: the versions of a component that serve requests in an environment.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Service {
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The revision. It increases with each change and is the `ETag`.
    pub revision: u64,
    /// The number of the version that serves.
    pub version: u32,
    /// The id of the deployment through which the version serves.
    pub deployment: String,
    /// The id of the canary's deployment; null without a rollout.
    pub canary: Option<String>,
    /// Whether the service was stopped by an operator.
    pub stopped: bool,
    /// The targeting rules, which assign versions to certain callers. The first rule that matches a request decides.
    pub flags: Vec<FlagRule>,
    /// The running experiment, with the serving version as its baseline; null without an experiment.
    #[serde(default, rename = "stages")]
    pub experiment: Option<Experiment>,
}

impl Service {
    /// Refuses a change that was made for another revision than this one; none is for whichever there is.
    ///
    /// # Errors
    /// `stale`.
    pub fn require_revision(&self, wanted: Option<u64>) -> Result<()> {
        if wanted.is_none_or(|wanted| wanted == self.revision) {
            return Ok(());
        }
        let Self { component, environment, revision, .. } = self;
        let message = format!("{component} in {environment} is at revision {revision} by now; look at it again");
        Err(Error::new(Code::Stale, message))
    }
}

/// A deployment: the act through which a version gets requests in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Deployment {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. Ids sort by time.
    pub id: String,
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The number of the deployed version.
    pub version: u32,
    /// The number of the version that served before; null for the first deployment.
    pub replaces: Option<u32>,
    /// The state.
    pub state: DeploymentState,
    /// The reason of the deployment or of its last change of state; it may be empty.
    pub reason: String,
    /// The plan and the progress of the rollout; null if the version got all requests at once.
    #[schema(value_type = Option<Object>)]
    pub rollout: Option<Value>,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The identity that deployed: the token's id, a user of the identity provider, or `host` for the host itself.
    pub created_by: String,
    /// The time since when the deployment gets no requests, in milliseconds since 1970-01-01 UTC; null while it gets
    /// requests.
    pub ended_at: Option<i64>,
    /// The differences of the schedules, subscriptions, webhooks and jobs to those of the version that served before,
    /// each as `path: before -> after`. Only in the response to the deployment or the rollback itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trigger_changes: Vec<String>,
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentState {
    /// The version gets a part of the requests, next to the version that it is to replace.
    Canary,
    /// The version gets all requests.
    Active,
    /// Another deployment has replaced this one.
    Superseded,
    /// The deployment was a canary and was aborted or rolled back.
    RolledBack,
}

impl DeploymentState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::RolledBack => "rolled-back",
        }
    }
}

impl FromStr for DeploymentState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Canary, Self::Active, Self::Superseded, Self::RolledBack]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                Error::new(Code::BadName, "a deployment's state must be canary, active, superseded or rolled-back")
            })
    }
}

/// The version to deploy, and how. Exactly one of `version`, `stage` and `promote_from` is required.
#[derive(Debug, Clone, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The number of the version to deploy.
    #[serde(default)]
    pub version: Option<u32>,
    /// The name of the variant of the running experiment whose version is to get all requests. The experiment ends.
    #[serde(default)]
    pub stage: Option<String>,
    /// The environment whose serving version is deployed here too.
    #[serde(default)]
    pub promote_from: Option<Environment>,
    /// The plan of a canary rollout; null or absent to switch all requests to the version at once.
    #[serde(default)]
    pub rollout: Option<RolloutPlan>,
    /// The reason, for the history of deployments: at most 500 characters; longer ones are cut off.
    #[serde(default)]
    pub reason: String,
    /// The revision of the service that this deployment is based on. The request fails with `stale` if the service has
    /// another one by now; 0 if it must not exist yet; null or absent for no check.
    #[serde(default)]
    pub revision: Option<u64>,
}

/// A change of a running rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RolloutAction {
    /// Send all requests to the canary now and end the rollout.
    Promote,
    /// Stay at the current step. The health of the canary is still watched.
    Pause,
    /// Continue a paused rollout.
    Resume,
    /// End the rollout and send all requests to the previous version.
    Abort,
}

/// The status of a service on this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ServiceStatus {
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The revision of the service. It increases with each change.
    pub revision: u64,
    /// Whether the service was stopped by an operator.
    pub stopped: bool,
    /// The service's own host name, without a port, such as `shop.acme.localhost`.
    pub host: String,
    /// The URL at which clients reach the service, with scheme and port; null while the platform does not know its
    /// public URL.
    pub url: Option<String>,
    /// The version that serves.
    pub release: ReleaseStatus,
    /// The version under rollout, which gets a part of the requests; null without a rollout.
    pub canary: Option<ReleaseStatus>,
    /// The targeting rules, which assign versions to certain callers. The first rule that matches a request decides.
    pub flags: Vec<FlagRule>,
    /// The running experiment, with the serving version as its baseline; null without an experiment.
    #[serde(rename = "stages")]
    pub experiment: Option<Experiment>,
    /// The versions that only targeting rules or the experiment use: neither the serving one nor the canary.
    pub beside: Vec<ReleaseStatus>,
    /// The progress of the rollout; null without a rollout.
    pub rollout: Option<RolloutStatus>,
    /// The ids of the executions that are running on this host.
    pub executions: Vec<String>,
    /// Whether this host rolled the service back while the store was unavailable and has not stored that yet.
    pub pending: bool,
}

/// The status of a version on this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReleaseStatus {
    /// The number of the version.
    pub version: u32,
    /// The SHA-256 of the component, as 64 lower-case hexadecimal digits.
    pub digest: String,
    /// The id of the deployment through which the version gets requests.
    pub deployment: String,
    /// Whether the component is in memory. If not, the next request loads it.
    pub loaded: bool,
    /// The error code and message of the last failed attempt to load the component; null if it can be loaded.
    pub problem: Option<String>,
    /// The health according to the circuit breaker of requests.
    pub health: HealthState,
    /// The health according to the circuit breaker of triggers: while its circuit is open, ticks, jobs and deliveries
    /// of events wait.
    pub trigger_health: HealthState,
    /// The measurements on this host since the version was first loaded.
    pub figures: VersionMetrics,
}

/// The state of an experiment, for all hosts together.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ExperimentReport {
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The experiment: its variants and when it started.
    #[serde(rename = "stages")]
    pub experiment: Experiment,
    /// The measurements of the variants and how they compare with the baseline.
    pub comparison: Comparison,
    /// The results of mirrored requests for each variant, in the order of the plan.
    #[serde(rename = "copies")]
    pub mirroring: Vec<MirroringReport>,
}

/// The results of mirrored requests for a variant.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct MirroringReport {
    /// The name of the variant.
    pub name: String,
    /// The number of requests that were to be mirrored to the variant but were not: the body was too large, the client
    /// disconnected, the host was busy, or the circuit of the variant was open.
    pub skipped: u64,
    /// The latest responses that differ from the baseline's, newest first; at most 20.
    pub differences: Vec<ResponseDifference>,
}
