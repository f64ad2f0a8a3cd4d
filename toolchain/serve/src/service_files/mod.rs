//! The service workers of a platform as files, for clients of 9P:
//! `/services/COMPONENT[@ENVIRONMENT]/CLASS/NAME/{ctl,status,state,mailbox,events,log,files}`.
//!
//! - [`ServiceFiles`]: the namespace, with who has attached; `tree`: its directories and which file is which;
//! - `texts`: files with what is so when they are opened, and `ctl`; `mailbox`: messages and their answers; `streams`:
//!   events and log lines as they come; `subtree`: files that a worker serves itself;
//! - `names`: names of workers as those of files; `errors`: which error number a refusal has; `share`: what tenants may
//!   hold in memory.
//!
//! Whatever is asked for, it is checked first that the token is still valid and may do this.

mod errors;
mod mailbox;
mod names;
mod share;
mod streams;
mod subtree;
mod texts;
mod tree;

use elias_names::{ServiceId, TenantId};
use elias_nine_p::{AttachRequest, Errno, FileError, FileResult, Namespace, Node};
use elias_platform::access::Permission;
use elias_platform::{Platform, Session};
use errors::refused;
use futures::FutureExt;
use futures::future::BoxFuture;
use share::{Share, Shares};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tree::{Location, TreeNode, WorkerPath};

/// How often it is asked whether the token of a read that waits is still valid, and looked for events.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The service workers of a platform as files.
pub(crate) struct ServiceFiles {
    platform: Platform,
    shares: Shares,
    /// Numbers of files are hashes of their paths, with a key that nobody knows: two of the same number would need
    /// luck.
    numbers: RandomState,
}

impl ServiceFiles {
    pub(crate) fn new(platform: Platform) -> Self {
        Self { platform, shares: Shares::default(), numbers: RandomState::new() }
    }

    async fn attach(&self, request: AttachRequest<'_>) -> FileResult<Arc<dyn Node>> {
        let AttachRequest { token, scope, peer } = request;
        let session = self.platform.authenticate(token, peer).await.map_err(refused)?;
        let tenant = match scope {
            None => session.principal.tenant.clone(),
            Some(scope) => scope.parse::<TenantId>().map_err(|_| denied())?,
        };
        session.require(Permission::Read, &tenant, None).map_err(refused)?;
        let share = self.shares.take(&tenant)?;
        let (platform, numbers) = (self.platform.clone(), self.numbers.clone());
        let visit = Arc::new(Visit { platform, session, tenant, share, numbers });
        Ok(Arc::new(TreeNode::new(visit, Location::Root)))
    }
}

impl Namespace for ServiceFiles {
    fn attach<'a>(&'a self, request: AttachRequest<'a>) -> BoxFuture<'a, FileResult<Arc<dyn Node>>> {
        ServiceFiles::attach(self, request).boxed()
    }
}

fn denied() -> FileError {
    FileError::new(Errno::AccessDenied, "permission denied")
}

/// Someone who has attached, and whose files are looked at.
struct Visit {
    platform: Platform,
    session: Session,
    tenant: TenantId,
    share: Share,
    numbers: RandomState,
}

impl Visit {
    /// Checks that the token is still valid and may do this on a service.
    async fn confirm(&self, permission: Permission, service: &ServiceId) -> FileResult<()> {
        self.platform.confirm(&self.session, permission, &service.tenant, service).await.map_err(refused)
    }

    /// A file of a worker is opened to read what the worker does, which may start it.
    async fn open(&self, permission: Permission, worker: &WorkerPath) -> FileResult<()> {
        let WorkerPath { service, key } = worker;
        self.confirm(permission, service).await?;
        self.platform.open_worker(&self.session, service, key).await.map_err(refused)
    }

    /// The same of reading what is the tenant's as a whole.
    async fn confirm_tenant(&self) -> FileResult<()> {
        self.platform.confirm(&self.session, Permission::Read, &self.tenant, None).await.map_err(refused)
    }

    /// The number of the file with this path.
    fn number(&self, path: &str) -> u64 {
        self.numbers.hash_one((self.tenant.as_str(), path))
    }
}
