//! The functions of `elias:jobs/jobs`, each with its price.

use super::Jobs;
use super::backend::NewJob;
use super::contract::{EnqueueRequest, Error, JobReply};
#[cfg(feature = "db")]
use crate::db::write_outbox;
#[cfg(not(feature = "db"))]
use crate::outbox::write_outbox;
use crate::trigger::{PAYLOAD_BYTES_MAX, Pending, check_json, link_pending, work_on};
use elias_host::capability::pricing::{Price, size};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::Resource;
use elias_host::capability::{HostLinker, InstanceState, wasmtime};
use futures::FutureExt;

/// Units of fuel of a job that is enqueued or cancelled, which is written to a store, and of a byte of its input, which
/// is read as JSON.
const JOB: u64 = 200_000;
const INPUT_BYTE: u64 = 60;

/// Units of fuel of a job in a transaction: of its statement, too. Its input is also written as a JSON string.
const JOB_IN: u64 = 300_000;
const INPUT_BYTE_IN: u64 = 80;

/// Defines the interface.
pub(super) fn init(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut jobs = linker.interface("elias:jobs/jobs@0.1.0")?;
    link_pending::<JobReply>(&mut jobs)?;
    let input = size("bytes of the input", |(request,): &(EnqueueRequest,)| request.input.len() as u64);
    jobs.func_async(
        "enqueue",
        Price::of(JOB).per(INPUT_BYTE, input.limited_to(PAYLOAD_BYTES_MAX)),
        |store, (request,): (EnqueueRequest,)| Box::new(enqueue(store, request)),
    )?;
    let input = size("bytes of the input", |(_, request): &(u32, EnqueueRequest)| request.input.len() as u64);
    jobs.func_async(
        "enqueue-in",
        Price::of(JOB_IN).per(INPUT_BYTE_IN, input.limited_to(PAYLOAD_BYTES_MAX)),
        |store, (transaction, request): (u32, EnqueueRequest)| Box::new(enqueue_in(store, transaction, request)),
    )?;
    jobs.func("cancel", Price::of(JOB), |mut store: StoreContextMut<'_, InstanceState>, (id,): (String,)| {
        let state = store.data_mut();
        let pending = state.context::<Jobs>().cancel(id);
        Ok((state.table().push(pending)?,))
    })
}

/// Checks all of a job.
async fn check(state: &mut InstanceState, request: EnqueueRequest) -> wasmtime::Result<Result<NewJob, Error>> {
    Ok(match state.context::<Jobs>().check(request) {
        Ok(mut job) => {
            let read = check_json(state.info(), std::mem::take(&mut job.input)).await?;
            read.map(|input| NewJob { input, ..job })
                .map_err(|why| Error::invalid(format!("the input is not JSON: {why}")))
        }
        Err(error) => Err(error),
    })
}

async fn enqueue(
    mut store: StoreContextMut<'_, InstanceState>,
    request: EnqueueRequest,
) -> wasmtime::Result<(Resource<Pending<JobReply>>,)> {
    let state = store.data_mut();
    let pending = match check(state, request).await? {
        Ok(job) => state.context::<Jobs>().enqueue(job),
        Err(error) => Pending::done(Err(error)),
    };
    Ok((state.table().push(pending)?,))
}

async fn enqueue_in(
    mut store: StoreContextMut<'_, InstanceState>,
    transaction: u32,
    request: EnqueueRequest,
) -> wasmtime::Result<(Resource<Pending<JobReply>>,)> {
    let state = store.data_mut();
    let row = match check(state, request).await? {
        Ok(job) => {
            let bytes = job.input.len();
            let write = state.context::<Jobs>().row(job);
            work_on(state.info(), bytes, write).await?
        }
        Err(error) => Err(error),
    };
    let pending = match row {
        Ok(row) => {
            let (id, call) = (row.id.clone(), state.context::<Jobs>().begin_call());
            let written = write_outbox(state, transaction, row);
            Pending::start(call, async move { written.await.map(|()| id).map_err(Error::from) }.boxed())
        }
        Err(error) => Pending::done(Err(error)),
    };
    Ok((state.table().push(pending)?,))
}
