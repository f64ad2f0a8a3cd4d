//! Whether a platform is in order.

use crate::access::Permission;
use crate::error::{Code, Error, Result};
use crate::name::TenantId;
use crate::platform::Platform;
use crate::session::Session;
use crate::supervision::Health;
use crate::transparency;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::io::Write;
use std::time::Instant;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// What.
    pub subject: String,
    /// Whether it is in order.
    pub good: bool,
    /// What was found, and what to do if it is not good.
    pub detail: String,
}

impl Platform {
    /// Looks at the store, the log, the disk, the artifacts of what serves, and the services' health.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn examine(&self, session: &Session) -> Result<Vec<Finding>> {
        session.require(Permission::Backup, &TenantId::system(), None)?;
        let mut findings = vec![
            finding("store", self.examine_store()).await,
            finding("transparency log", self.examine_log()).await,
            finding("data directory", async { self.examine_disk() }).await,
            finding("artifacts", self.examine_artifacts()).await,
            finding("services", async { self.examine_services() }).await,
            finding("executions", async { self.examine_executions() }).await,
        ];
        if let Some(advisories) = self.advisories() {
            findings.push(finding("advisories", advisories.examine()).await);
        }
        Ok(findings)
    }

    async fn examine_store(&self) -> Result<String> {
        let started = Instant::now();
        self.store().ping().await?;
        let kind = if self.store().is_shared() { "PostgreSQL" } else { "SQLite" };
        Ok(format!("{kind} answers in {:.1} ms", started.elapsed().as_secs_f64() * 1e3))
    }

    async fn examine_log(&self) -> Result<String> {
        let size = self.store().check_log().await?;
        let known = self.store().host_read().await?.log_hashes(&transparency::root_needs(size)).await?;
        transparency::root(size, &known).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        Ok(format!("{size} versions, and its hashes are whole"))
    }

    fn examine_disk(&self) -> Result<String> {
        let path = self.config().data_dir.join(format!("doctor.{}", ulid::Ulid::new()));
        let written = std::fs::File::create_new(&path).and_then(|mut file| {
            file.write_all(&[0; 4096])?;
            file.sync_all()
        });
        let _ = std::fs::remove_file(&path);
        written?;
        Ok(format!("{} can be written to", self.config().data_dir.display()))
    }

    async fn examine_artifacts(&self) -> Result<String> {
        let table = self.serving().table.load_full();
        let mut checked = 0;
        for service in table.services.values() {
            self.artifacts().get(&service.state().known.target.release.digest).await?;
            checked += 1;
        }
        Ok(format!("those of {checked} services are there and unaltered"))
    }

    fn examine_services(&self) -> Result<String> {
        let now = self.serving().clock.now();
        let table = self.serving().table();
        let ill = |service: &&std::sync::Arc<crate::serving::Service>| {
            let state = service.state();
            let health = state.release.breaker.health(now);
            (health.state != Health::Healthy)
                .then(|| format!("{} is {:?}: {}", service.id, health.state, health.reason))
        };
        let ill: Vec<_> = table.services.values().filter_map(|service| ill(&service)).take(10).collect();
        if ill.is_empty() {
            return Ok(format!("all {} are healthy", table.services.len()));
        }
        Err(Error::new(
            Code::WrongState,
            format!("{}; see `elias status` and `elias executions --failed`", ill.join("; ")),
        ))
    }

    fn examine_executions(&self) -> Result<String> {
        match self.serving().recorder.dropped() {
            0 => Ok("all that were to be recorded are".to_owned()),
            dropped => {
                Err(Error::new(Code::WrongState, format!("{dropped} were not recorded: the store does not keep up")))
            }
        }
    }
}

async fn finding(subject: &str, examination: impl Future<Output = Result<String>>) -> Finding {
    let found = examination.await;
    let good = found.is_ok();
    Finding {
        subject: subject.to_owned(),
        good,
        detail: found.unwrap_or_else(|error| format!("{}: {error}", error.code())),
    }
}
