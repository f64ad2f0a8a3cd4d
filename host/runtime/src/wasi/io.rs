//! `wasi:io`, on the resource table alone: reading and writing bodies needs no `WasiCtx`.

use super::{named, on};
use crate::instance::InstanceState;
use crate::pricing::{HostLinker, Interface, List, Payload, Price, size};
use wasmtime::StoreContextMut;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi_io::bindings::wasi::io::error::HostError;
use wasmtime_wasi_io::bindings::wasi::io::poll::{Host as _, HostPollable};
use wasmtime_wasi_io::bindings::wasi::io::streams::{
    Host as _, HostInputStream, HostOutputStream, StreamError as WitError,
};
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, Error, StreamError};

/// Units of fuel for a look at whether something is ready.
const LOOK: u64 = 2_000;

/// Units of fuel for reading from or writing to a stream, beside the bytes.
const STREAM: u64 = 3_000;

/// Units of fuel for a byte that is copied once more than into or out of the guest.
const COPIED: u64 = 1;

/// Pollables that a guest can wait for at a time.
const POLLABLES_MAX: usize = 10_000;

/// Bytes that a call moves within the host at most: streams give and take less than they are asked for anyway.
const MOVED_BYTES_MAX: u64 = 1 << 20;

type Input = Resource<DynInputStream>;
type Output = Resource<DynOutputStream>;
type Pollable = Resource<DynPollable>;
type Store<'a> = StoreContextMut<'a, InstanceState>;

impl Payload for WitError {}

/// Defines a function on streams that can wait.
macro_rules! waiting {
    ($streams:ident, $name:literal, $price:expr, |$table:ident, $arguments:tt: $ty:ty| $call:expr) => {
        $streams.func_async($name, $price, |mut store: Store<'_>, $arguments: $ty| {
            Box::new(async move {
                let $table = &mut store.data_mut().table;
                let result = $call.await;
                Ok((told($table, result)?,))
            })
        })
    };
}

pub(super) fn link(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut error = linker.interface(&named("wasi:io/error"))?;
    error.resource::<Error>("error", |state, error| HostError::drop(&mut state.table, error))?;
    error.func(
        "[method]error.to-debug-string",
        Price::of(20_000),
        on(|state, (error,): (Resource<Error>,)| state.table.to_debug_string(error)),
    )?;

    let mut poll = linker.interface(&named("wasi:io/poll"))?;
    poll.resource::<DynPollable>("pollable", |state, pollable| HostPollable::drop(&mut state.table, pollable))?;
    let pollables = size("pollables", |(pollables,): &(List<Pollable, POLLABLES_MAX>,)| pollables.0.len() as u64);
    poll.func_async(
        "poll",
        Price::call().per(LOOK, pollables.at_most(POLLABLES_MAX as u64)),
        |mut store, (pollables,)| Box::new(async move { Ok((store.data_mut().table.poll(pollables.0).await?,)) }),
    )?;
    poll.func_async("[method]pollable.ready", Price::of(LOOK), |mut store, (pollable,): (Pollable,)| {
        Box::new(async move { Ok((store.data_mut().table.ready(pollable).await?,)) })
    })?;
    poll.func_async("[method]pollable.block", Price::of(LOOK), |mut store, (pollable,): (Pollable,)| {
        Box::new(async move { store.data_mut().table.block(pollable).await })
    })?;

    let mut streams = linker.interface(&named("wasi:io/streams"))?;
    link_input(&mut streams)?;
    link_output(&mut streams)
}

fn link_input(streams: &mut Interface<'_>) -> wasmtime::Result<()> {
    streams.resource_async::<DynInputStream>("input-stream", |state, stream| {
        Box::new(HostInputStream::drop(&mut state.table, stream))
    })?;
    streams.func(
        "[method]input-stream.read",
        Price::of(STREAM),
        in_table(|table, (stream, len): (Input, u64)| HostInputStream::read(table, stream, len.min(MOVED_BYTES_MAX))),
    )?;
    waiting!(
        streams,
        "[method]input-stream.blocking-read",
        Price::of(STREAM),
        |table, (stream, len): (Input, u64)| HostInputStream::blocking_read(table, stream, len.min(MOVED_BYTES_MAX))
    )?;
    let skipped = || size("bytes", |(_, len): &(Input, u64)| *len).limited_to(MOVED_BYTES_MAX);
    streams.func(
        "[method]input-stream.skip",
        Price::of(STREAM).per(COPIED, skipped()),
        in_table(|table, (stream, len): (Input, u64)| HostInputStream::skip(table, stream, len.min(MOVED_BYTES_MAX))),
    )?;
    waiting!(streams, "[method]input-stream.blocking-skip", Price::of(STREAM).per(COPIED, skipped()), |table,
                                                                                                       (
        stream,
        len,
    ): (
        Input,
        u64
    )| {
        HostInputStream::blocking_skip(table, stream, len.min(MOVED_BYTES_MAX))
    })?;
    streams.func(
        "[method]input-stream.subscribe",
        Price::of(LOOK),
        on(|state, (stream,): (Input,)| HostInputStream::subscribe(&mut state.table, stream)),
    )
}

fn link_output(streams: &mut Interface<'_>) -> wasmtime::Result<()> {
    streams.resource_async::<DynOutputStream>("output-stream", |state, stream| {
        Box::new(HostOutputStream::drop(&mut state.table, stream))
    })?;
    streams.func(
        "[method]output-stream.check-write",
        Price::call(),
        in_table(|table, (stream,): (Output,)| HostOutputStream::check_write(table, stream)),
    )?;
    streams.func(
        "[method]output-stream.write",
        Price::of(STREAM),
        in_table(|table, (stream, bytes): (Output, Vec<u8>)| HostOutputStream::write(table, stream, bytes)),
    )?;
    waiting!(streams, "[method]output-stream.blocking-write-and-flush", Price::of(STREAM), |table,
                                                                                            (stream, bytes): (
        Output,
        Vec<u8>
    )| {
        HostOutputStream::blocking_write_and_flush(table, stream, bytes)
    })?;
    let zeroes = || size("bytes", |(_, len): &(Output, u64)| *len).at_most(MOVED_BYTES_MAX);
    streams.func(
        "[method]output-stream.write-zeroes",
        Price::of(STREAM).per(COPIED, zeroes()),
        in_table(|table, (stream, len): (Output, u64)| HostOutputStream::write_zeroes(table, stream, len)),
    )?;
    waiting!(
        streams,
        "[method]output-stream.blocking-write-zeroes-and-flush",
        Price::of(STREAM).per(COPIED, zeroes()),
        |table, (stream, len): (Output, u64)| HostOutputStream::blocking_write_zeroes_and_flush(table, stream, len)
    )?;
    streams.func(
        "[method]output-stream.flush",
        Price::of(STREAM),
        in_table(|table, (stream,): (Output,)| HostOutputStream::flush(table, stream)),
    )?;
    waiting!(streams, "[method]output-stream.blocking-flush", Price::of(STREAM), |table, (stream,): (Output,)| {
        HostOutputStream::blocking_flush(table, stream)
    })?;
    let spliced = || size("bytes", |(_, _, len): &(Output, Input, u64)| *len).limited_to(MOVED_BYTES_MAX);
    streams.func(
        "[method]output-stream.splice",
        Price::of(2 * STREAM).per(COPIED, spliced()),
        in_table(|table, (to, from, len): (Output, Input, u64)| {
            HostOutputStream::splice(table, to, from, len.min(MOVED_BYTES_MAX))
        }),
    )?;
    waiting!(
        streams,
        "[method]output-stream.blocking-splice",
        Price::of(2 * STREAM).per(COPIED, spliced()),
        |table, (to, from, len): (Output, Input, u64)| HostOutputStream::blocking_splice(
            table,
            to,
            from,
            len.min(MOVED_BYTES_MAX)
        )
    )?;
    streams.func(
        "[method]output-stream.subscribe",
        Price::of(LOOK),
        on(|state, (stream,): (Output,)| HostOutputStream::subscribe(&mut state.table, stream)),
    )
}

/// A host function's body of a function on streams.
fn in_table<P, R: Payload>(
    body: impl Fn(&mut ResourceTable, P) -> Result<R, StreamError> + Send + Sync + 'static,
) -> impl Fn(Store<'_>, P) -> wasmtime::Result<(Result<R, WitError>,)> + Send + Sync + 'static {
    move |mut store, arguments| {
        let table = &mut store.data_mut().table;
        let result = body(table, arguments);
        Ok((told(table, result)?,))
    }
}

/// The result of a function on streams for the guest.
fn told<R>(table: &mut ResourceTable, result: Result<R, StreamError>) -> wasmtime::Result<Result<R, WitError>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => table.convert_stream_error(error).map(Err),
    }
}
