//! Drafts: projects that users edit on the platform, and build into versions.

use crate::access::Permission;
use crate::draft_builder::{BuiltDraft, DraftBuilder, DraftComponent};
use crate::platform::Platform;
use crate::session::Session;
use bytes::Bytes;
use elias_api::{
    Code, Diagnostic, Draft, DraftBuild, DraftBuildRequest, DraftContent, DraftSummary, Error, Result, UploadedVersion,
    check_draft_files,
};
use elias_names::{ComponentName, Digest, TenantId};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

/// The end of a save.
#[derive(Debug)]
pub enum DraftSave {
    /// It was saved.
    Saved(Draft),
    /// It was not: somebody else saved it before, as it is here.
    Conflict(Draft),
}

impl Platform {
    /// The drafts of a tenant that the session may see, by name.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn drafts(&self, session: &Session, tenant: &TenantId) -> Result<Vec<DraftSummary>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let mut drafts = scope.drafts().await?;
        drop(scope);
        drafts.retain(|draft| session.require(Permission::Read, tenant, Some(&draft.draft)).is_ok());
        Ok(drafts)
    }

    /// A draft with its files.
    ///
    /// # Errors
    /// `forbidden`, `not-found`, `store-unavailable`.
    pub async fn draft(&self, session: &Session, tenant: &TenantId, name: &ComponentName) -> Result<Draft> {
        let mut scope = self.read(session, Permission::Read, tenant, Some(name)).await?;
        scope.draft(name).await?.ok_or_else(|| missing(name))
    }

    /// Saves all files of a draft, which is new, or still at `revision`.
    ///
    /// # Errors
    /// `bad-input`, `too-large`; `not-found` for the revision of a draft that is not there; `quota-exceeded`;
    /// `builds-unavailable` for a template on a host without any.
    pub async fn save_draft(
        &self,
        session: &Session,
        tenant: &TenantId,
        name: &ComponentName,
        content: DraftContent,
        revision: Option<u64>,
    ) -> Result<DraftSave> {
        session.require(Permission::Upload, tenant, Some(name))?;
        let files = match content {
            DraftContent { files: Some(files), template: None } => files,
            DraftContent { files: None, template: Some(template) } => {
                let files = self.draft_builder()?.template(&template, name);
                files.ok_or_else(|| {
                    let shown: String = template.chars().take(40).collect();
                    let message = format!("unknown template `{}`; `hello` is one", shown.escape_debug());
                    Error::new(Code::BadInput, message)
                })?
            }
            DraftContent { .. } => {
                let message = "a draft is saved with `files`, or is new with `template`: send one of the two";
                return Err(Error::new(Code::BadInput, message));
            }
        };
        check_draft_files(&files)?;
        let mut scope = self.store().write(tenant).await?;
        scope.this_tenant().await?;
        let before = scope.draft(name).await?;
        if revision != before.as_ref().map(|before| before.revision) {
            return before.map(DraftSave::Conflict).ok_or_else(|| missing(name));
        }
        match scope.save_draft(name, &files, before.as_ref(), &session.actor()).await? {
            Some(saved) => {
                scope.commit().await?;
                Ok(DraftSave::Saved(saved))
            }
            // Another host was faster.
            None => scope.draft(name).await?.map(DraftSave::Conflict).ok_or_else(|| missing(name)),
        }
    }

    /// Deletes a draft, if it is still at `revision` where one is given. Its versions stay.
    ///
    /// # Errors
    /// `forbidden`, `not-found`, `stale`.
    pub async fn delete_draft(
        &self,
        session: &Session,
        tenant: &TenantId,
        name: &ComponentName,
        revision: Option<u64>,
    ) -> Result<()> {
        let mut scope = self.write(session, Permission::Upload, tenant, Some(name)).await?;
        scope.delete_draft(name, revision, &session.actor()).await?;
        Ok(scope.commit().await?)
    }

    /// Builds a draft, and makes a version of it unless it is only checked. Waits for the tenant's other builds, and
    /// for no other tenant's.
    ///
    /// What the sources or the version are refused for is among the diagnostics.
    ///
    /// # Errors
    /// `forbidden`, `not-found`, `stale`, `builds-unavailable`, `build-limit`, `quota-exceeded` for too many builds,
    /// `overloaded`, `store-unavailable`.
    pub async fn build_draft(
        &self,
        session: &Session,
        tenant: &TenantId,
        name: &ComponentName,
        request: &DraftBuildRequest,
    ) -> Result<DraftBuild> {
        session.require(Permission::Upload, tenant, Some(name))?;
        let builder = Arc::clone(self.draft_builder()?);
        let _turn = self.inner.builds.turn(tenant).await?;
        let mut scope = self.store().read(tenant).await?;
        let draft = scope.draft(name).await?.ok_or_else(|| missing(name))?;
        let settings = scope.this_tenant().await?.settings;
        drop(scope);
        if request.revision.is_some_and(|revision| revision != draft.revision) {
            return Err(Error::new(Code::Stale, format!("the draft {name} was saved meanwhile: read it again")));
        }
        let started = Instant::now();
        // A package that the tenant does not take is not fetched.
        let examined = match builder.packages(&draft.files) {
            Ok(packages) => self.examine_listed(Some(&packages), &settings).await,
            Err(error) => Err(error),
        };
        let BuiltDraft { component, mut diagnostics } = match examined {
            Ok(()) => builder.build(&draft.files).await?,
            Err(error) if error.code().status() < 500 => {
                BuiltDraft { component: None, diagnostics: vec![refusal(&error)] }
            }
            Err(error) => return Err(error),
        };
        let (built, bytes) =
            (component.is_some(), component.as_ref().map_or(0, |component| component.wasm.len() as u64));
        let mut version = None;
        if let Some(component) = component.filter(|_| !request.check) {
            match self.version_of_draft(session, tenant, name, component).await {
                Ok(number) => version = Some(number),
                Err(error) if error.code().status() < 500 => diagnostics.push(refusal(&error)),
                Err(error) => return Err(error),
            }
        }
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (draft, revision) = (draft.draft, draft.revision);
        Ok(DraftBuild { draft, revision, built, version, diagnostics, bytes, duration_ms })
    }

    /// Stores what was built, and makes a version of it as an upload would.
    async fn version_of_draft(
        &self,
        session: &Session,
        tenant: &TenantId,
        name: &ComponentName,
        component: DraftComponent,
    ) -> Result<u32> {
        let DraftComponent { wasm, mut settings, files } = component;
        let mut stored = BTreeMap::new();
        for (path, bytes) in files {
            stored.insert(path, self.store_bytes(session, tenant, bytes).await?);
        }
        settings.files = stored;
        let digest = self.store_bytes(session, tenant, wasm).await?;
        let uploaded = UploadedVersion { digest, settings, signature: None };
        Ok(self.create_version(session, tenant, name, &uploaded).await?.number)
    }

    async fn store_bytes(&self, session: &Session, tenant: &TenantId, bytes: Bytes) -> Result<Digest> {
        let digest = Digest::of(&bytes);
        let chunks = futures::stream::once(async move { Ok::<_, Infallible>(bytes) });
        self.put_artifact(session, tenant, &digest, chunks).await?;
        Ok(digest)
    }

    fn draft_builder(&self) -> Result<&Arc<dyn DraftBuilder>> {
        self.config().drafts.as_ref().ok_or_else(|| {
            let message = "this host builds no drafts: build on your own machine, with: elias deploy";
            Error::new(Code::BuildsUnavailable, message)
        })
    }
}

fn missing(name: &ComponentName) -> Error {
    Error::not_listed(format_args!("draft `{name}`"), "elias drafts list")
}

/// Why the platform takes no version of what was built.
fn refusal(error: &Error) -> Diagnostic {
    let (severity, code) = ("error".to_owned(), error.code().as_str().to_owned());
    Diagnostic { severity, code, message: error.to_string(), ..Diagnostic::default() }
}
