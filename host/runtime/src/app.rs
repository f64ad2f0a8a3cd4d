//! A component, ready to run.

use crate::body::Body;
use crate::call::{self, Answer, Call, CallExport, CallOptions};
use crate::capability::{Capability, ErasedCapability, ErasedGrant};
use crate::error::{Error, ErrorCode};
use crate::fetch::{self, Fetch, FetchExport};
use crate::instance::SECRET_BYTES_MIN;
use crate::limits::Limits;
use crate::log::{self, Budget, Observer};
use crate::memory::Image;
use crate::recycling::Idle;
use crate::schedule::Share;
use bytes::Bytes;
use elias_contract::manifest::Manifest;
use elias_contract::stack::{self, SourceMap};
use std::any::TypeId;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;

/// A loaded component. Cloning it is cheap; each request finds the memory as the build left it.
#[derive(Clone)]
pub struct App {
    pub(crate) inner: Arc<AppInner>,
    /// Its idle instances, by what is called in them. Apart from `inner`, to which the executions in them lead back.
    pub(crate) fetches: Arc<Idle<Fetch>>,
    pub(crate) calls: Arc<Idle<Call>>,
}

pub(crate) struct AppInner {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) digest: String,
    pub(crate) manifest: Option<Manifest>,
    pub(crate) limits: Limits,
    pub(crate) engine: Engine,
    /// What its memory holds when an execution begins; none for components of other toolchains.
    pub(crate) image: Option<Arc<Image>>,
    pub(crate) fetch: Option<FetchExport>,
    pub(crate) call: Option<CallExport>,
    pub(crate) granted: Vec<Granted>,
    pub(crate) source_map: SourceMapSlot,
    /// What its instances may still log.
    pub(crate) log: Arc<Budget>,
    /// Who else sees that.
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) executions: Arc<Semaphore>,
    /// Whose CPU its executions use.
    pub(crate) share: Arc<Share>,
}

/// A capability that the component imports, and what it was granted of it.
pub(crate) struct Granted {
    pub(crate) capability: Arc<dyn ErasedCapability>,
    pub(crate) grant: ErasedGrant,
}

/// The component's source map, parsed when the first exception needs it.
pub(crate) struct SourceMapSlot {
    json: Option<String>,
    parsed: OnceLock<Option<SourceMap<'static>>>,
}

impl SourceMapSlot {
    pub(crate) fn new(json: Option<String>) -> Self {
        Self { json, parsed: OnceLock::new() }
    }

    fn get(&self) -> Option<&SourceMap<'static>> {
        self.parsed.get_or_init(|| self.json.as_deref().and_then(stack::read_positions)).as_ref()
    }
}

impl AppInner {
    /// A stack of the bundle in positions of the original sources.
    pub(crate) fn original_stack(&self, stack: &str) -> String {
        self.source_map.get().map_or_else(|| stack.to_owned(), |map| stack::remap_stack(stack, map))
    }

    /// Text with the stacks in it in positions of the original sources.
    pub(crate) fn original_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match stack::may_have_frames(text).then(|| self.source_map.get()).flatten() {
            Some(map) => Cow::Owned(stack::remap_text(text, map)),
            None => Cow::Borrowed(text),
        }
    }

    /// `text` without the secrets that the component was granted; see [`crate::capability::InstanceInfo::redact`].
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        log::redact(text, self.secrets(), usize::MAX)
    }

    /// The secrets that the component was granted, and that are long enough to be looked for.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> + Clone {
        let secrets = self.granted.iter().flat_map(|granted| granted.capability.secrets(&granted.grant));
        secrets.filter(|secret| secret.len() >= SECRET_BYTES_MIN)
    }

    /// A permit for one of the component's concurrent executions.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.executions).try_acquire_owned().map_err(|_| {
            let message = format!("{} executions of {} are under way", self.limits.concurrent_executions, self.name);
            Error::new(ErrorCode::Overloaded, message)
        })
    }
}

impl App {
    /// What the component says of itself; none for components of other toolchains.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.inner.manifest.as_ref()
    }

    /// SHA-256 of the component's file, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// The component's name: the manifest's, else the first digits of its digest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The component's version: the manifest's, else `0.0.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// What its executions may take.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// A stack that JavaScript gave, in positions of the original sources, where the component has a source map.
    #[must_use]
    pub fn original_stack(&self, stack: &str) -> String {
        self.inner.original_stack(stack)
    }

    /// What the component was granted of a capability, for an embedder that uses the same resources beside its
    /// executions; none if it does not import the capability.
    #[must_use]
    pub fn grant<C: Capability>(&self) -> Option<Arc<C::Grant>> {
        let is_wanted = |granted: &&Granted| ErasedCapability::type_id(&*granted.capability) == TypeId::of::<C>();
        let granted = self.inner.granted.iter().find(is_wanted)?;
        Arc::clone(&granted.grant).downcast::<C::Grant>().ok()
    }

    /// Answers an HTTP request. A [`crate::Caller`] and a [`crate::Running`] in its extensions say on whose behalf, and can cancel it.
    ///
    /// The request's URI should be absolute, or the request have a `host` header. The guest runs while this future and then
    /// the response's [`Body`] are polled; dropping either ends it. The response's extensions hold a [`crate::Running`].
    ///
    /// # Errors
    /// Whatever ended the guest before it answered; see [`ErrorCode`].
    pub async fn fetch<B>(&self, request: http::Request<B>) -> Result<http::Response<Body>, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        fetch::fetch(self, request).await
    }

    /// Calls the component's `call` handler for nobody in particular.
    ///
    /// # Errors
    /// Whatever ended the guest before it answered; see [`ErrorCode`].
    pub async fn call(&self, input: &serde_json::Value) -> Result<Answer, Error> {
        self.call_with(input, CallOptions::default()).await
    }

    /// Calls the component's `call` handler.
    ///
    /// # Errors
    /// As [`Self::call`]; `cancelled`, if [`crate::Running::cancel`] ended it.
    pub async fn call_with(&self, input: &serde_json::Value, options: CallOptions) -> Result<Answer, Error> {
        call::call(self, input, options).await
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "App({} {} {})", self.name(), self.version(), self.digest())
    }
}
