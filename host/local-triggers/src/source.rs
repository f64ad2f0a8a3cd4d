//! The component whose triggers run.

use elias_host::App;
use std::fmt;
use std::sync::Arc;

/// The component whose triggers run: always the same, or whichever is loaded at the time.
#[derive(Clone)]
pub struct ComponentSource(Arc<dyn Fn() -> Option<App> + Send + Sync>);

impl ComponentSource {
    /// A source that `current` gives the component of, for each run; none while none is loaded: runs are then tried
    /// again later.
    #[must_use]
    pub fn new(current: impl Fn() -> Option<App> + Send + Sync + 'static) -> Self {
        Self(Arc::new(current))
    }

    /// The component now.
    #[must_use]
    pub fn current(&self) -> Option<App> {
        (self.0)()
    }
}

impl From<App> for ComponentSource {
    fn from(app: App) -> Self {
        Self::new(move || Some(app.clone()))
    }
}

impl fmt::Debug for ComponentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComponentSource")
    }
}
