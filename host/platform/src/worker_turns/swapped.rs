//! Workers of a release whose heaps belong to another version: they have the release's code, and run in the component
//! of that version, whose image their heaps are the difference to.

use super::ReleaseWorkers;
use crate::workers::HeapVersion;
use elias_host::{App, WorkerCode, WorkerHeap};
use elias_names::Digest;
use elias_store::ReleaseTarget;
use std::sync::{Arc, Weak};

/// Versions whose components are kept loaded for heaps that belong to them.
const IMAGES_MAX: usize = 4;

impl ReleaseWorkers {
    /// These workers with heaps of another version, such as this one: in that version's component, whose image they are
    /// the difference to, with the settings and the guard of this release.
    pub(super) async fn swapped_into(&self, heap: &[u8]) -> Result<(Self, WorkerCode), String> {
        let digest = WorkerHeap::component_of(heap).map_err(|error| error.to_string())?;
        let digest = digest.parse::<Digest>().map_err(|error| error.to_string())?;
        let image = self.image(&digest).await?;
        let code = image.swap_into(&self.app).map_err(|error| error.to_string())?;
        let swapped = Self {
            service: self.service.clone(),
            release: Arc::clone(&self.release),
            app: image,
            version: HeapVersion { number: self.version.number, digest },
            site: self.site.clone(),
            platform: Weak::clone(&self.platform),
            images: Arc::clone(&self.images),
        };
        Ok((swapped, code))
    }

    /// The component with this digest, with the settings of this release.
    async fn image(&self, digest: &Digest) -> Result<App, String> {
        if *digest == self.version.digest {
            return Ok(self.app.clone());
        }
        let known = self.images.lock().iter().find(|(known, _)| known == digest).map(|(_, app)| app.clone());
        if let Some(app) = known {
            return Ok(app);
        }
        let platform = self.platform.upgrade().ok_or_else(|| "the host is about to end".to_owned())?;
        let service = platform.serving.service(&self.service);
        let service = service.ok_or_else(|| format!("{} is not served by this host any more", self.service))?;
        // No version has this number: the releases of versions have their own settings.
        let target = ReleaseTarget { version: 0, digest: digest.clone(), ..self.release.target.clone() };
        let release = platform.serving.former_release(&service, target);
        let loaded = Self::load(&platform, &self.service, release, self.site.clone()).await;
        let app = loaded.map_err(|error| format!("the version of its heap cannot be loaded: {error}"))?.app;
        let mut images = self.images.lock();
        // Workers that woke at the same time have loaded it, too.
        images.retain(|(known, _)| known != digest);
        images.insert(0, (digest.clone(), app.clone()));
        images.truncate(IMAGES_MAX);
        drop(images);
        Ok(app)
    }
}
