//! The functions of `elias:jobs/jobs`, each with its price.

use super::Jobs;
use super::contract::{EnqueueRequest, JobReply};
use crate::trigger::{PAYLOAD_BYTES_MAX, link_pending, submit, submit_in};
use elias_host::capability::pricing::{Price, size};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{HostLinker, InstanceState, wasmtime};

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
        |store, (request,): (EnqueueRequest,)| Box::new(submit::<Jobs>(store, request)),
    )?;
    let input = size("bytes of the input", |(_, request): &(u32, EnqueueRequest)| request.input.len() as u64);
    jobs.func_async(
        "enqueue-in",
        Price::of(JOB_IN).per(INPUT_BYTE_IN, input.limited_to(PAYLOAD_BYTES_MAX)),
        |store, (transaction, request): (u32, EnqueueRequest)| Box::new(submit_in::<Jobs>(store, transaction, request)),
    )?;
    jobs.func("cancel", Price::of(JOB), |mut store: StoreContextMut<'_, InstanceState>, (id,): (String,)| {
        let state = store.data_mut();
        let pending = state.context::<Jobs>().cancel(id);
        Ok((state.table().push(pending)?,))
    })
}
