//! The context of one instance: its budget, and how it asks the queue.

use super::backend::{JobQueue, NewJob};
use super::contract::{EnqueueRequest, Error, ErrorCode, JobReply};
use super::grant::JobsGrant;
use super::outbox;
use crate::outbox::new_id;
use crate::trigger::{Clock, MakeRow, Origin, Pending, Submit, check_text};
use crate::turn::{TurnCall, TurnCalls};
use elias_host::capability::{CallMeter, HostCall};
use std::sync::Arc;

/// Bytes of a job's name, of a unique key or a concurrency key, and of a job's id or a component's name.
const NAME_BYTES_MAX: usize = 128;
const KEY_BYTES_MAX: usize = 256;
const ID_BYTES_MAX: usize = 256;

/// Jobs that one may wait for.
const AFTER_MAX: usize = 100;

/// The state of one instance for the queue.
pub struct JobsContext {
    queue: Arc<dyn JobQueue>,
    grant: Arc<JobsGrant>,
    origin: Arc<Origin>,
    /// The jobs that the execution has enqueued.
    asked: u64,
    calls: CallMeter,
    /// The turn of a service worker that the execution is.
    turn: Option<TurnCalls>,
}

impl JobsContext {
    pub(super) fn new(queue: Arc<dyn JobQueue>, grant: Arc<JobsGrant>, origin: Arc<Origin>, calls: CallMeter) -> Self {
        Self { queue, grant, origin, asked: 0, calls, turn: None }
    }

    /// The same, where the execution is a turn of a service worker.
    pub(super) fn in_turn(self, turn: Option<TurnCalls>) -> Self {
        Self { turn, ..self }
    }

    /// Takes one of the operations that the execution may ask for.
    fn take_one(&mut self) -> Result<(), Error> {
        if self.asked >= self.grant.enqueues {
            let message = format!("one execution may enqueue or cancel {} jobs (enqueues)", self.grant.enqueues);
            return Err(Error::new(ErrorCode::QuotaExceeded, message));
        }
        self.asked += 1;
        Ok(())
    }

    /// Cancels a job.
    pub(super) fn cancel(&mut self, id: String) -> Pending<JobReply> {
        let checked = check_text("the id", &id, ID_BYTES_MAX).map_err(Error::invalid);
        if let Err(error) = checked.and_then(|()| self.take_one()) {
            return Pending::done(Err(error));
        }
        let component = &self.origin.component;
        let call = self.turn.as_ref().map(|turn| turn.begin(component, "jobs.cancel", &[id.as_bytes()]));
        if let Some(reply) = call.as_ref().and_then(TurnCall::recorded) {
            return Pending::done(reply);
        }
        let cancelled = self.queue.cancel(Arc::clone(&self.origin), id.clone());
        let calls = self.calls.begin().named("cancel");
        let pending = Pending::start(calls, Box::pin(async move { cancelled.await.map(|()| id) }));
        pending.recorded_by(call)
    }
}

impl Submit for JobsContext {
    type Request = EnqueueRequest;
    type Item = NewJob;
    type Error = Error;

    fn check(&mut self, request: EnqueueRequest) -> Result<NewJob, Error> {
        let job = check(&self.grant, &self.origin.component, request)?;
        self.take_one()?;
        Ok(job)
    }

    fn payload(job: &mut NewJob) -> &mut String {
        &mut job.input
    }

    fn turn_call(&self, job: &mut NewJob) -> Option<TurnCall> {
        let NewJob { name, input, key, target, .. } = &*job;
        let texts = [Some(name), Some(input), key.as_ref(), target.as_ref()];
        let arguments = texts.map(|text| text.map_or(&[][..], String::as_bytes));
        let call = self.turn.as_ref()?.begin(&self.origin.component, "jobs.enqueue", &arguments);
        job.key.get_or_insert_with(|| call.key().to_owned());
        Some(call)
    }

    fn not_json(why: &str) -> Error {
        Error::invalid(format!("the input is not JSON: {why}"))
    }

    fn submit(&self, job: NewJob) -> Pending<JobReply> {
        let mut call = self.calls.begin().named("enqueue");
        call.text("messaging.destination.name", &job.name);
        Pending::start(call, self.queue.enqueue(Arc::clone(&self.origin), job))
    }

    fn row(&self, job: NewJob) -> Result<MakeRow<Error>, Error> {
        let (id, origin, now) = (new_id(), Arc::clone(&self.origin), Clock::system().now());
        Ok(Box::new(move || {
            let row = outbox::row(id, job, &origin, now);
            row.map_err(|why| Error::invalid(format!("the job cannot be written as JSON: {why}")))
        }))
    }

    fn begin_call(&self) -> HostCall {
        self.calls.begin().named("enqueue")
    }
}

/// Checks all of a job that a component enqueues, but that its input is JSON.
pub(super) fn check(grant: &JobsGrant, component: &str, request: EnqueueRequest) -> Result<NewJob, Error> {
    let job = request.into_job()?;
    check_text("the job's name", &job.name, NAME_BYTES_MAX).map_err(Error::invalid)?;
    if job.input.len() as u64 > grant.payload_bytes {
        let (bytes, most) = (job.input.len(), grant.payload_bytes);
        return Err(Error::new(ErrorCode::TooLarge, format!("the input has {bytes} bytes; payload-bytes is {most}")));
    }
    if let Some(key) = &job.key {
        check_text("the key", key, KEY_BYTES_MAX).map_err(Error::invalid)?;
    }
    if let Some(key) = &job.concurrency_key {
        check_text("the concurrency key", key, KEY_BYTES_MAX).map_err(Error::invalid)?;
    }
    if job.after.len() > AFTER_MAX {
        let message = format!("the job waits for {} others; at most {AFTER_MAX} are allowed", job.after.len());
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    for id in &job.after {
        check_text("an id in after", id, ID_BYTES_MAX).map_err(Error::invalid)?;
    }
    if let Some(target) = &job.target
        && *target != component
        && !grant.targets.contains(target)
    {
        let message = "the target is not one of those that the component was granted (targets)";
        return Err(Error::new(ErrorCode::NotFound, message));
    }
    Ok(job)
}
