//! The source of the components that respond, which can be replaced while requests are in flight.

use crate::local_gateway::LocalGateway;
use crate::{admin, console};
use axum::Router;
use elias_api::{
    DatabaseQuery, DatabaseResult, EnqueueRequest, EnqueuedJob, Error, EventRecord, ExecutionRecord, FollowedLine,
    JobRecord, ScheduleDetails, ScheduleRecord, SubscriptionRecord,
};
use elias_host::App;
use elias_local_workers::RunningWorkers;
use elias_names::ComponentName;
use elias_platform::{Follower, Platform};
use elias_triggers::event::Event;
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;

/// The component that a server serves, exchangeable at any time; a cheap handle.
///
/// A request keeps the component with which it began. There may be none yet, as when the first build in watch mode
/// fails: requests then get 503.
#[derive(Clone)]
pub struct AppSource {
    sender: Arc<watch::Sender<CurrentComponent>>,
    triggers: Option<Arc<dyn TriggerControl>>,
    workers: Option<Arc<RunningWorkers>>,
    project: Option<Arc<dyn ProjectControl>>,
}

/// Runs a component's triggers on request. In development mode the server calls it for requests to its path
/// `/__elias/trigger`.
pub trait TriggerControl: Send + Sync + 'static {
    /// Runs what the request names, and says what became of it; both are JSON whose members the implementation chooses.
    /// The error is a text for people. What was begun goes on if the future is dropped.
    fn run(&self, request: Value) -> BoxFuture<'static, Result<Value, String>>;
}

/// What the console of a development server shows of its project and does with it, beside requests and service workers.
/// In development mode the server has the console at `/__elias/`.
///
/// Records are as those of a platform's admin API; the tenant is `default`, and the environment `dev`.
pub trait ProjectControl: Send + Sync + 'static {
    /// The name of the component in the records.
    fn component(&self) -> ComponentName;

    /// The schedules, in the order of the configuration.
    fn schedules(&self) -> Vec<ScheduleRecord>;

    /// A schedule with its next due times and its last ticks.
    ///
    /// # Errors
    /// `not-found`.
    fn schedule(&self, name: &str) -> Result<ScheduleDetails, Error>;

    /// Runs a schedule now; gives the id of its tick.
    ///
    /// # Errors
    /// `not-found`; `wrong-state` without a component.
    fn run_schedule(&self, name: &str) -> Result<String, Error>;

    /// Jobs, ticks and deliveries of events, the newest first.
    fn jobs(&self) -> Vec<JobRecord>;

    /// Enqueues a job.
    ///
    /// # Errors
    /// `bad-input`, `too-large`; `idempotency-mismatch` if its unique key belongs to another job; `quota-exceeded`;
    /// `wrong-state` without a component.
    fn enqueue_job(&self, request: EnqueueRequest) -> Result<EnqueuedJob, Error>;

    /// Cancels, retries or discards a job.
    ///
    /// # Errors
    /// `not-found`; `wrong-state` if it is not in the state for it.
    fn change_job(&self, id: &str, change: JobChange) -> Result<(), Error>;

    /// Events that were published, the oldest first.
    fn events(&self) -> Vec<EventRecord>;

    /// Publishes an event; gives its id.
    ///
    /// # Errors
    /// `quota-exceeded`; `wrong-state` without a component.
    fn publish(&self, event: Event) -> Result<String, Error>;

    /// The subscriptions to events, in the order of the configuration.
    fn subscriptions(&self) -> Vec<SubscriptionRecord>;

    /// Runs a statement on the component's database, by the rules of the platform's console.
    ///
    /// # Errors
    /// `not-found` without a database; those of the statement.
    fn query(&self, query: DatabaseQuery) -> BoxFuture<'static, Result<DatabaseResult, Error>>;

    /// The runs of triggers, the newest first.
    fn runs(&self) -> Vec<ExecutionRecord>;

    /// Follows the component's log after a position; without one from the oldest line that is kept.
    fn follow_log(&self, after: Option<u64>) -> Follower<Arc<FollowedLine>>;

    /// The lines of an execution that are kept, each with its level.
    fn lines(&self, execution: &str) -> Vec<(String, String)>;
}

/// A change of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobChange {
    /// Ends a job that waits or runs.
    Cancel,
    /// Runs a dead job again, with all its attempts.
    Retry,
    /// Forgets a dead job.
    Discard,
}

/// The component that responds at the moment.
#[derive(Clone, Default)]
pub(crate) struct CurrentComponent {
    /// The component, if there is one.
    pub(crate) app: Option<App>,
    /// Why the newest version is not what responds: shown in development only.
    pub(crate) reason: Option<Arc<str>>,
    /// The routes and rules before it, if it has any.
    pub(crate) gateway: Option<Arc<LocalGateway>>,
}

impl AppSource {
    /// Serves `app`.
    #[must_use]
    pub fn new(app: App) -> Self {
        let source = Self::empty();
        source.swap(app);
        source
    }

    /// Serves nothing yet.
    #[must_use]
    pub fn empty() -> Self {
        let sender = Arc::new(watch::Sender::new(CurrentComponent::default()));
        Self { sender, triggers: None, workers: None, project: None }
    }

    /// Adds the control that runs the component's triggers by hand.
    #[must_use]
    pub fn with_triggers(self, triggers: Arc<dyn TriggerControl>) -> Self {
        Self { triggers: Some(triggers), ..self }
    }

    /// The source with the component's service workers, which take WebSockets at `/workers/{class}/{name}`.
    #[must_use]
    pub fn with_workers(self, workers: Arc<RunningWorkers>) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Adds the control by which the console of a development server shows the project.
    #[must_use]
    pub fn with_project(self, project: Arc<dyn ProjectControl>) -> Self {
        Self { project: Some(project), ..self }
    }

    /// Serves `app` from the next request on.
    pub fn swap(&self, app: App) {
        self.sender.send_modify(|current| (current.app, current.reason) = (Some(app), None));
    }

    /// Sets the routes and rules for requests from the next one on; `None` removes them.
    pub fn set_gateway(&self, gateway: Option<Arc<LocalGateway>>) {
        self.sender.send_modify(|current| current.gateway = gateway);
    }

    /// Sets the reason for which the newest version cannot be served. In development mode the server shows it, in place
    /// of a missing component, and over the pages of an older one. The next [`swap`](Self::swap) or
    /// [`settle`](Self::settle) clears it.
    pub fn explain(&self, reason: impl Into<Arc<str>>) {
        let reason = reason.into();
        self.sender.send_modify(|current| current.reason = Some(reason));
    }

    /// Clears that reason: the served version is the newest one after all.
    pub fn settle(&self) {
        self.sender.send_if_modified(|current| current.reason.take().is_some());
    }

    /// The component that is served now.
    #[must_use]
    pub fn current(&self) -> Option<App> {
        self.sender.borrow().app.clone()
    }

    /// The service workers, if they run.
    pub(crate) fn workers(&self) -> Option<&Arc<RunningWorkers>> {
        self.workers.as_ref()
    }

    /// The component that responds, and every change of it.
    pub(crate) fn changes(&self) -> watch::Receiver<CurrentComponent> {
        self.sender.subscribe()
    }

    /// A reader for one connection.
    pub(crate) fn reader(&self) -> Reader {
        let mut receiver = self.sender.subscribe();
        let current = receiver.borrow_and_update().clone();
        Reader { receiver, current }
    }
}

/// The destination of a listener's requests.
#[derive(Clone)]
pub enum Ingress {
    /// To one component.
    Component(AppSource),
    /// To whichever of a platform's components their routes name.
    Platform(Platform),
    /// To the admin API of a platform, and its web console.
    Admin(Box<Router>),
}

impl Ingress {
    /// The admin API of a platform, and its web console.
    #[must_use]
    pub fn admin(platform: Platform) -> Self {
        Self::Admin(Box::new(admin::router(platform.clone()).merge(console::router(platform))))
    }

    /// Whether it is the admin API, and not components.
    pub(crate) fn is_admin(&self) -> bool {
        matches!(self, Self::Admin(_))
    }

    /// A reader for one connection.
    pub(crate) fn reader(&self) -> Reader {
        match self {
            Self::Component(source) => source.reader(),
            Self::Platform(_) | Self::Admin(_) => AppSource::empty().reader(),
        }
    }

    /// The control that runs the triggers of the only component by hand, if there is one.
    pub(crate) fn triggers(&self) -> Option<Arc<dyn TriggerControl>> {
        match self {
            Self::Component(source) => source.triggers.clone(),
            Self::Platform(_) | Self::Admin(_) => None,
        }
    }

    /// The service workers of the only component, if they run.
    pub(crate) fn workers(&self) -> Option<&Arc<RunningWorkers>> {
        match self {
            Self::Component(source) => source.workers.as_ref(),
            Self::Platform(_) | Self::Admin(_) => None,
        }
    }

    /// The source of the only component, and what the console of a development server shows of its project.
    pub(crate) fn project(&self) -> Option<(&AppSource, &Arc<dyn ProjectControl>)> {
        match self {
            Self::Component(source) => source.project.as_ref().map(|project| (source, project)),
            Self::Platform(_) | Self::Admin(_) => None,
        }
    }

    /// The component that is served, and every change of it; nothing where there are many.
    pub(crate) fn changes(&self) -> watch::Receiver<CurrentComponent> {
        match self {
            Self::Component(source) => source.changes(),
            Self::Platform(_) | Self::Admin(_) => AppSource::empty().changes(),
        }
    }
}

impl From<AppSource> for Ingress {
    fn from(source: AppSource) -> Self {
        Self::Component(source)
    }
}

impl From<Platform> for Ingress {
    fn from(platform: Platform) -> Self {
        Self::Platform(platform)
    }
}

/// One connection's view: as long as nothing changes, reading it is one atomic load and takes no lock.
pub(crate) struct Reader {
    receiver: watch::Receiver<CurrentComponent>,
    current: CurrentComponent,
}

impl Reader {
    /// The component that responds now.
    pub(crate) fn current(&mut self) -> &CurrentComponent {
        // An error means that the source is gone, and so that nothing will change any more.
        if self.receiver.has_changed().unwrap_or(false) {
            self.current = self.receiver.borrow_and_update().clone();
        }
        &self.current
    }
}
