//! The functions of `elias:jobs/jobs`, each with its price.

use super::Jobs;
use super::backend::NewJob;
use super::contract::{EnqueueRequest, Error, JobReply};
use crate::trigger::{PAYLOAD_BYTES_MAX, Pending, check_json, link_pending};
use elias_host::capability::pricing::{Price, size};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::Resource;
use elias_host::capability::{HostLinker, InstanceState, wasmtime};

/// Units of fuel of a job that is enqueued or cancelled, which is written to a store, and of a byte of its input, which
/// is read as JSON.
const JOB: u64 = 200_000;
const INPUT_BYTE: u64 = 60;

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
    jobs.func("cancel", Price::of(JOB), |mut store: StoreContextMut<'_, InstanceState>, (id,): (String,)| {
        let state = store.data_mut();
        let pending = state.context::<Jobs>().cancel(id);
        Ok((state.table().push(pending)?,))
    })
}

async fn enqueue(
    mut store: StoreContextMut<'_, InstanceState>,
    request: EnqueueRequest,
) -> wasmtime::Result<(Resource<Pending<JobReply>>,)> {
    let state = store.data_mut();
    let checked = match state.context::<Jobs>().check(request) {
        Ok(mut job) => {
            let read = check_json(state.info(), std::mem::take(&mut job.input)).await?;
            read.map(|input| NewJob { input, ..job })
                .map_err(|why| Error::invalid(format!("the input is not JSON: {why}")))
        }
        Err(error) => Err(error),
    };
    let pending = match checked {
        Ok(job) => state.context::<Jobs>().enqueue(job),
        Err(error) => Pending::done(Err(error)),
    };
    Ok((state.table().push(pending)?,))
}
