//! The checks of `elias doctor`: whether a platform is in order.

use crate::access::Permission;
use crate::data_dir;
use crate::platform::Platform;
use crate::serving::CircuitKind;
use crate::session::Session;
use crate::triggers::events_kept_ms;
use elias_api::{Code, Error, Finding, Result};
use elias_delivery::supervision::Health;
use elias_names::TenantId;
use elias_store::TargetFilter;
use std::collections::HashSet;
use std::future::Future;
use std::io::Write;
use std::time::Instant;

/// Bytes that the store may need for a deployment: its log grows before it is written back.
const STORE_BYTES: u64 = 32 << 20;
/// How long events may stay that are not kept any more, in milliseconds.
const EVENTS_OVERDUE_MS: i64 = 6 * 3_600_000;

impl Platform {
    /// Checks the store, the log, the disk, the modes of files, the artifacts of the served versions, the services'
    /// health, and whether executions are recorded and old events deleted.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn examine(&self, session: &Session) -> Result<Vec<Finding>> {
        session.require(Permission::Backup, &TenantId::system(), None)?;
        let mut findings = vec![
            finding("store", self.examine_store()).await,
            finding("transparency log", self.examine_log()).await,
            finding("data directory", async { self.examine_disk() }).await,
            finding("file modes", self.examine_modes()).await,
            finding("artifacts", self.examine_artifacts()).await,
            finding("services", self.examine_services()).await,
            finding("executions", async { self.examine_executions() }).await,
            finding("events", self.examine_events()).await,
        ];
        if let Some(advisories) = self.advisories() {
            findings.push(finding("advisories", advisories.examine()).await);
        }
        Ok(findings)
    }

    async fn examine_store(&self) -> Result<String> {
        let started = Instant::now();
        self.store().ping().await?;
        let read = started.elapsed().as_secs_f64() * 1e3;
        self.store().check_write().await?;
        let written = started.elapsed().as_secs_f64() * 1e3 - read;
        let kind = if self.store().is_shared() { "PostgreSQL" } else { "SQLite" };
        let identity = self.store().identity().await?;
        Ok(format!("{kind}, {identity}, reads in {read:.1} ms and commits in {written:.1} ms"))
    }

    async fn examine_log(&self) -> Result<String> {
        let size = self.store().check_log().await?;
        let known = self.store().host_read().await?.log_hashes(&elias_transparency::root_needs(size)).await?;
        elias_transparency::root(size, &known).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        Ok(format!("{size} versions, and its hashes are whole"))
    }

    fn examine_disk(&self) -> Result<String> {
        let folder = &self.config().data_dir;
        let path = folder.join(format!("doctor.{}", ulid::Ulid::new()));
        let written = std::fs::File::create_new(&path).and_then(|mut file| {
            file.write_all(&[0; 4096])?;
            file.sync_all()
        });
        let _ = std::fs::remove_file(&path);
        written?;
        let disk = rustix::fs::statvfs(folder).map_err(std::io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let all = disk.f_blocks.saturating_mul(disk.f_frsize).max(1);
        let used = 100 - (free.saturating_mul(100) / all).min(100);
        // An upload is written once, and the store's log grows with what is deployed then.
        let needed = self.artifact_bytes_max().saturating_add(STORE_BYTES);
        let (free_mb, needed_mb, shown) = (free / 1_000_000, needed / 1_000_000, folder.display());
        if free < needed {
            let message = format!(
                "the disk of {shown} has {free_mb} MB left ({used} % are used), and an upload may take {needed_mb} MB: \
                make room, or let uploads be smaller (component-bytes)"
            );
            return Err(Error::new(Code::NoSpaceLeft, message));
        }
        if disk.f_files > 0 && disk.f_favail == 0 {
            return Err(Error::new(Code::NoSpaceLeft, format!("the disk of {shown} has no inodes left: delete files")));
        }
        Ok(format!("{shown} can be written to, with {free_mb} MB left ({used} % are used)"))
    }

    async fn examine_modes(&self) -> Result<String> {
        let folder = self.config().data_dir.clone();
        let shown = folder.display().to_string();
        let open = tokio::task::spawn_blocking(move || data_dir::open_to_others(&folder)).await;
        let open = open.map_err(|panic| Error::new(Code::Internal, format!("looking at files: {panic}")))??;
        match open.first() {
            None => Ok("files and folders are for their owner alone".to_owned()),
            Some(first) => {
                let (count, first) = (open.len(), first.display());
                let message = format!(
                    "{count} files and folders are open to others, such as {first}: chmod -R u=rwX,go= {shown}, as \
                    their owner"
                );
                Err(Error::new(Code::WrongState, message))
            }
        }
    }

    async fn examine_artifacts(&self) -> Result<String> {
        if let Some(why) = self.meet_hosts().await? {
            return Err(Error::new(Code::WrongState, why));
        }
        let table = self.serving().table.load_full();
        let mut checked = 0;
        for service in table.services.values() {
            self.artifacts().get(&service.state().snapshot.target.release.digest).await?;
            checked += 1;
        }
        Ok(format!("those of {checked} services are there and unaltered"))
    }

    async fn examine_services(&self) -> Result<String> {
        let stored: HashSet<_> = {
            let mut scope = self.store().host_read().await?;
            scope.targets(TargetFilter::All).await?.into_iter().map(|target| target.id).collect()
        };
        let table = self.serving().table.load_full();
        let mut unknown: Vec<_> =
            table.services.keys().filter(|id| !stored.contains(id)).map(ToString::to_string).collect();
        unknown.sort();
        if let Some(first) = unknown.first() {
            let count = unknown.len();
            let message = format!(
                "{count} are served as this host knows them, and the store does not know them, such as {first}: it was \
                put back to an earlier state. Deploy them again, or stop the host and delete their files in `services`"
            );
            return Err(Error::new(Code::WrongState, message));
        }
        let now = self.serving().clock.now();
        let mut ill = Vec::new();
        for service in table.services.values() {
            let state = service.state();
            for circuit in CircuitKind::ALL {
                let health = state.release.breaker(circuit).health(now);
                if health.state != Health::Healthy {
                    let (id, circuit) = (&service.id, circuit.as_str());
                    ill.push(format!("the circuit of {circuit} of {id} is {:?}: {}", health.state, health.reason));
                }
            }
        }
        ill.truncate(10);
        if ill.is_empty() {
            return Ok(format!("all {} are healthy", table.services.len()));
        }
        Err(Error::new(
            Code::WrongState,
            format!("{}; see `elias status` and `elias executions --failed`", ill.join("; ")),
        ))
    }

    async fn examine_events(&self) -> Result<String> {
        let mut scope = self.store().host_read().await?;
        let kept_ms = events_kept_ms(&scope.event_retentions().await?);
        let (segments, overdue_ms) = scope.event_segments(kept_ms).await?;
        if overdue_ms.is_some_and(|ms| ms > EVENTS_OVERDUE_MS) {
            let message = "those that are not kept any more are not deleted: the log says why, such as a backup of the \
                           database that does not end";
            return Err(Error::new(Code::WrongState, message));
        }
        Ok(format!("the log of events has {segments} segments"))
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
