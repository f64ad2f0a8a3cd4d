//! The base memories that a host was given, with which the memories of components begin.

use super::errors::{bad_image, image_not_stored};
use crate::compiled_cache::CompiledCache;
use crate::error::Error;
use crate::memory;
use elias_contract::ErrorCode;
use elias_contract::base::Base;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;

/// Read when the first component needs them: megabytes, whose digest takes milliseconds.
pub(crate) struct Bases {
    modules: Vec<Cow<'static, [u8]>>,
    loaded: Mutex<Option<Arc<[LoadedBase]>>>,
}

/// A base with its memory image.
struct LoadedBase {
    digest: String,
    base: Arc<memory::Base>,
}

impl Bases {
    /// Of these core modules.
    pub(crate) fn new(modules: Vec<Cow<'static, [u8]>>) -> Self {
        Self { modules, loaded: Mutex::default() }
    }

    /// Loads the bases at the first call.
    fn loaded(&self, cache: Option<&CompiledCache>) -> Result<Arc<[LoadedBase]>, Error> {
        let mut loaded = self.loaded.lock(); // it is set in one step
        if let Some(loaded) = &*loaded {
            return Ok(Arc::clone(loaded));
        }
        let all = self.modules.iter().map(|module| load(module, cache)).collect::<Result<_, _>>()?;
        Ok(Arc::clone(loaded.insert(all)))
    }

    /// The base that a component names.
    ///
    /// # Errors
    /// `unknown-base`, if the host does not have it.
    pub(crate) fn named(&self, digest: &str, cache: Option<&CompiledCache>) -> Result<Arc<memory::Base>, Error> {
        let loaded = self.loaded(cache)?;
        let named = loaded.iter().find(|loaded| loaded.digest == digest);
        named.map(|loaded| Arc::clone(&loaded.base)).ok_or_else(|| {
            let message = format!(
                "this host does not have the base {digest} of the component's memory; load the component's \
                 bundled form, or build it with the elias-build of this host's version"
            );
            Error::new(ErrorCode::UnknownBase, message)
        })
    }

    /// All bases.
    pub(crate) fn all(&self, cache: Option<&CompiledCache>) -> Result<Vec<Arc<memory::Base>>, Error> {
        Ok(self.loaded(cache)?.iter().map(|loaded| Arc::clone(&loaded.base)).collect())
    }
}

fn load(module: &[u8], cache: Option<&CompiledCache>) -> Result<LoadedBase, Error> {
    let Base { digest, memory } = Base::read(module).map_err(bad_image)?;
    let base = memory::Base::new(cache, &digest, &memory).map_err(|error| image_not_stored(&error))?;
    Ok(LoadedBase { digest, base: Arc::new(base) })
}
