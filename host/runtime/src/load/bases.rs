//! The bases of images that a host was given.

use super::refusal::{bad_image, no_room};
use crate::cache::CompiledCache;
use crate::error::{Error, ErrorCode};
use crate::memory;
use elias_contract::base::Base;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

/// Read when the first component needs them: megabytes, whose digest takes milliseconds.
pub(crate) struct Bases {
    modules: Vec<Cow<'static, [u8]>>,
    read: Mutex<Option<Arc<[Known]>>>,
}

struct Known {
    digest: String,
    base: Arc<memory::Base>,
}

impl Bases {
    /// Of these core modules.
    pub(crate) fn new(modules: Vec<Cow<'static, [u8]>>) -> Self {
        Self { modules, read: Mutex::default() }
    }

    fn known(&self, cache: Option<&CompiledCache>) -> Result<Arc<[Known]>, Error> {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner); // it is set whole
        if let Some(known) = &*known {
            return Ok(Arc::clone(known));
        }
        let all = self.modules.iter().map(|module| read(module, cache)).collect::<Result<_, _>>()?;
        Ok(Arc::clone(known.insert(all)))
    }

    /// The base that a component names.
    ///
    /// # Errors
    /// `unknown-base`, if the host does not have it.
    pub(crate) fn named(&self, digest: &str, cache: Option<&CompiledCache>) -> Result<Arc<memory::Base>, Error> {
        let known = self.known(cache)?;
        let named = known.iter().find(|known| known.digest == digest);
        named.map(|known| Arc::clone(&known.base)).ok_or_else(|| {
            let message = format!(
                "this host does not have the base {digest} of the component's memory; load the component's \
                 self-contained form, or build it with the elias-build of this host's version"
            );
            Error::new(ErrorCode::UnknownBase, message)
        })
    }

    /// All that there are.
    pub(crate) fn all(&self, cache: Option<&CompiledCache>) -> Result<Vec<Arc<memory::Base>>, Error> {
        Ok(self.known(cache)?.iter().map(|known| Arc::clone(&known.base)).collect())
    }
}

fn read(module: &[u8], cache: Option<&CompiledCache>) -> Result<Known, Error> {
    let Base { digest, memory } = Base::read(module).map_err(bad_image)?;
    let base = memory::Base::new(cache, &digest, &memory).map_err(|error| no_room(&error))?;
    Ok(Known { digest, base: Arc::new(base) })
}
