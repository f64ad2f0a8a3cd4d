//! `wasi:http/types`. Requests go out through the capability `http`.

use super::named;
use crate::instance::InstanceState;
use crate::pricing::{HostLinker, Interface, List, Payload, Price, UnboundedSize, size, size_of_state};
use wasmtime::StoreContextMut;
use wasmtime::component::Resource;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, ErrorCode, HeaderError as WitHeaderError, Host as _, HostFields, HostFutureIncomingResponse,
    HostFutureTrailers, HostIncomingBody, HostIncomingRequest, HostIncomingResponse, HostOutgoingBody,
    HostOutgoingRequest, HostOutgoingResponse, HostRequestOptions, HostResponseOutparam, Method, Scheme,
};
use wasmtime_wasi_http::p2::{HeaderError, HttpError, body, types as resources};
use wasmtime_wasi_http::{FieldMap, RequestOptions, WasiHttpCtxView, WasiHttpView as _};
use wasmtime_wasi_io::streams::Error as IoError;

/// Units of fuel of a header field that is parsed, looked up or copied.
const FIELD: u64 = 1_000;

/// Units of fuel for each field that is there already when one is added or removed: where two handles share the fields,
/// they are copied before they change.
const SHARED_FIELD: u64 = 300;

/// Units of fuel of a request, response or body that is made.
const MADE: u64 = 5_000;

/// Header fields that a call takes or gives at most, and values of one field.
const FIELDS_MAX: usize = 4_096;

/// Bytes of an error in a response's place: the engine's are JSON of an exception, whose parts have limits.
const ERROR_BYTES_MAX: u64 = 512 << 10;

/// Units of fuel of a byte of that, which is parsed, mapped and logged.
const ERROR_BYTE: u64 = 15;

type Fields = Resource<FieldMap>;
type ResponseArguments =
    (Resource<resources::HostResponseOutparam>, Result<Resource<resources::HostOutgoingResponse>, ErrorCode>);

fn error_bytes((_, response): &ResponseArguments) -> u64 {
    response.as_ref().err().map_or(0, Payload::units)
}

impl Payload for Method {
    fn units(&self) -> u64 {
        if let Self::Other(name) = self { name.units() } else { 0 }
    }
}

impl Payload for Scheme {
    fn units(&self) -> u64 {
        if let Self::Other(name) = self { name.units() } else { 0 }
    }
}

impl Payload for WitHeaderError {}

impl Payload for ErrorCode {
    fn units(&self) -> u64 {
        match self {
            Self::DnsError(error) => error.rcode.units(),
            Self::TlsAlertReceived(alert) => alert.alert_message.units(),
            Self::HttpRequestHeaderSize(field) => field.as_ref().map_or(0, |field| field.field_name.units()),
            Self::HttpRequestTrailerSize(field)
            | Self::HttpResponseHeaderSize(field)
            | Self::HttpResponseTrailerSize(field) => field.field_name.units(),
            Self::HttpResponseTransferCoding(text)
            | Self::HttpResponseContentCoding(text)
            | Self::InternalError(text) => text.units(),
            _ => 0,
        }
    }
}

/// A host function's body of a function on what `wasi:http` has of an instance.
fn http<P, R: Payload>(
    body: impl Fn(&mut WasiHttpCtxView<'_>, P) -> wasmtime::Result<R> + Send + Sync + 'static,
) -> impl Fn(StoreContextMut<'_, InstanceState>, P) -> wasmtime::Result<(R,)> + Send + Sync + 'static {
    move |mut store, arguments| Ok((body(&mut store.data_mut().http(), arguments)?,))
}

/// The same, of one that gives nothing.
fn done<P>(
    body: impl Fn(&mut WasiHttpCtxView<'_>, P) -> wasmtime::Result<()> + Send + Sync + 'static,
) -> impl Fn(StoreContextMut<'_, InstanceState>, P) -> wasmtime::Result<()> + Send + Sync + 'static {
    move |mut store, arguments| body(&mut store.data_mut().http(), arguments)
}

/// The result of a function on header fields for the guest.
fn header<R>(result: Result<R, HeaderError>) -> wasmtime::Result<Result<R, WitHeaderError>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast().map(Err),
    }
}

/// The result of a function on a body for the guest.
fn outcome<R>(result: Result<R, HttpError>) -> wasmtime::Result<Result<R, ErrorCode>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => error.downcast().map(Err),
    }
}

/// How many fields there are already.
fn fields<P: 'static>(handle: fn(&P) -> &Fields) -> UnboundedSize<P> {
    size_of_state("fields there", move |state, arguments| {
        state.table.get(handle(arguments)).map_or(0, |fields| fields.len() as u64)
    })
}

pub(super) fn link(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut types = linker.interface(&named("wasi:http/types"))?;
    types.func(
        "http-error-code",
        Price::call(),
        http(|http, (error,): (Resource<IoError>,)| http.http_error_code(error)),
    )?;
    link_fields(&mut types)?;
    link_incoming(&mut types)?;
    link_outgoing_request(&mut types)?;
    link_outgoing_response(&mut types)?;
    link_options(&mut types)
}

fn link_fields(types: &mut Interface<'_>) -> wasmtime::Result<()> {
    let most = FIELDS_MAX as u64;
    types.resource::<FieldMap>("fields", |state, fields| HostFields::drop(&mut state.http(), fields))?;
    types.func("[constructor]fields", Price::call(), http(|http, ()| HostFields::new(http)))?;
    type Entries = (List<(String, Vec<u8>), FIELDS_MAX>,);
    types.func(
        "[static]fields.from-list",
        Price::call().per(FIELD, size("fields", |(list,): &Entries| list.0.len() as u64).at_most(most)),
        http(|http, (list,): Entries| header(HostFields::from_list(http, list.0))),
    )?;
    types.func(
        "[method]fields.get",
        Price::of(FIELD).per(SHARED_FIELD, fields(|(handle, _): &(Fields, String)| handle).limited_to(most)),
        http(|http, (handle, name)| HostFields::get(http, handle, name)),
    )?;
    types.func(
        "[method]fields.has",
        Price::of(FIELD),
        http(|http, (handle, name): (Fields, String)| HostFields::has(http, handle, name)),
    )?;
    type Values = (Fields, String, List<Vec<u8>, FIELDS_MAX>);
    types.func(
        "[method]fields.set",
        Price::of(FIELD)
            .per(SHARED_FIELD, fields(|(handle, ..): &Values| handle).limited_to(most))
            .per(FIELD, size("values", |(.., values): &Values| values.0.len() as u64).at_most(most)),
        http(|http, (handle, name, values): Values| header(HostFields::set(http, handle, name, values.0))),
    )?;
    types.func(
        "[method]fields.delete",
        Price::of(FIELD).per(SHARED_FIELD, fields(|(handle, _): &(Fields, String)| handle).limited_to(most)),
        http(|http, (handle, name)| header(HostFields::delete(http, handle, name))),
    )?;
    types.func(
        "[method]fields.append",
        Price::of(FIELD).per(SHARED_FIELD, fields(|(handle, ..): &(Fields, String, Vec<u8>)| handle).limited_to(most)),
        http(|http, (handle, name, value)| header(HostFields::append(http, handle, name, value))),
    )?;
    types.func(
        "[method]fields.entries",
        Price::of(FIELD).per(SHARED_FIELD, fields(|(handle,): &(Fields,)| handle).limited_to(most)),
        http(|http, (handle,)| HostFields::entries(http, handle)),
    )?;
    types.func("[method]fields.clone", Price::of(FIELD), http(|http, (handle,)| HostFields::clone(http, handle)))
}

fn link_incoming(types: &mut Interface<'_>) -> wasmtime::Result<()> {
    types.resource::<resources::HostIncomingRequest>("incoming-request", |state, request| {
        HostIncomingRequest::drop(&mut state.http(), request)
    })?;
    types.func(
        "[method]incoming-request.method",
        Price::call(),
        http(|http, (request,)| HostIncomingRequest::method(http, request)),
    )?;
    types.func(
        "[method]incoming-request.path-with-query",
        Price::call(),
        http(|http, (request,)| HostIncomingRequest::path_with_query(http, request)),
    )?;
    types.func(
        "[method]incoming-request.scheme",
        Price::call(),
        http(|http, (request,)| HostIncomingRequest::scheme(http, request)),
    )?;
    types.func(
        "[method]incoming-request.authority",
        Price::call(),
        http(|http, (request,)| HostIncomingRequest::authority(http, request)),
    )?;
    types.func(
        "[method]incoming-request.headers",
        Price::call(),
        http(|http, (request,)| HostIncomingRequest::headers(http, request)),
    )?;
    types.func(
        "[method]incoming-request.consume",
        Price::of(MADE),
        http(|http, (request,)| HostIncomingRequest::consume(http, request)),
    )?;

    types.resource::<resources::HostIncomingResponse>("incoming-response", |state, response| {
        HostIncomingResponse::drop(&mut state.http(), response)
    })?;
    types.func(
        "[method]incoming-response.status",
        Price::call(),
        http(|http, (response,)| HostIncomingResponse::status(http, response)),
    )?;
    types.func(
        "[method]incoming-response.headers",
        Price::call(),
        http(|http, (response,)| HostIncomingResponse::headers(http, response)),
    )?;
    types.func(
        "[method]incoming-response.consume",
        Price::of(MADE),
        http(|http, (response,)| HostIncomingResponse::consume(http, response)),
    )?;

    types.resource::<body::HostIncomingBody>("incoming-body", |state, body| {
        HostIncomingBody::drop(&mut state.http(), body)
    })?;
    types.func(
        "[method]incoming-body.stream",
        Price::of(MADE),
        http(|http, (body,)| HostIncomingBody::stream(http, body)),
    )?;
    types.func(
        "[static]incoming-body.finish",
        Price::of(MADE),
        http(|http, (body,)| HostIncomingBody::finish(http, body)),
    )?;

    types.resource::<body::HostFutureTrailers>("future-trailers", |state, trailers| {
        HostFutureTrailers::drop(&mut state.http(), trailers)
    })?;
    types.func(
        "[method]future-trailers.subscribe",
        Price::call(),
        http(|http, (trailers,)| HostFutureTrailers::subscribe(http, trailers)),
    )?;
    types.func(
        "[method]future-trailers.get",
        Price::of(MADE),
        http(|http, (trailers,)| HostFutureTrailers::get(http, trailers)),
    )?;

    types.resource::<resources::HostFutureIncomingResponse>("future-incoming-response", |state, response| {
        HostFutureIncomingResponse::drop(&mut state.http(), response)
    })?;
    types.func(
        "[method]future-incoming-response.subscribe",
        Price::call(),
        http(|http, (response,)| HostFutureIncomingResponse::subscribe(http, response)),
    )?;
    types.func(
        "[method]future-incoming-response.get",
        Price::of(MADE),
        http(|http, (response,)| HostFutureIncomingResponse::get(http, response)),
    )
}

fn link_outgoing_request(types: &mut Interface<'_>) -> wasmtime::Result<()> {
    types.resource::<resources::HostOutgoingRequest>("outgoing-request", |state, request| {
        HostOutgoingRequest::drop(&mut state.http(), request)
    })?;
    types.func(
        "[constructor]outgoing-request",
        Price::of(MADE),
        http(|http, (headers,)| HostOutgoingRequest::new(http, headers)),
    )?;
    types.func(
        "[method]outgoing-request.body",
        Price::of(MADE),
        http(|http, (request,)| HostOutgoingRequest::body(http, request)),
    )?;
    types.func(
        "[method]outgoing-request.method",
        Price::call(),
        http(|http, (request,)| HostOutgoingRequest::method(http, request)),
    )?;
    types.func(
        "[method]outgoing-request.set-method",
        Price::of(FIELD),
        http(|http, (request, method)| HostOutgoingRequest::set_method(http, request, method)),
    )?;
    types.func(
        "[method]outgoing-request.path-with-query",
        Price::call(),
        http(|http, (request,)| HostOutgoingRequest::path_with_query(http, request)),
    )?;
    types.func(
        "[method]outgoing-request.set-path-with-query",
        Price::of(FIELD),
        http(|http, (request, path)| HostOutgoingRequest::set_path_with_query(http, request, path)),
    )?;
    types.func(
        "[method]outgoing-request.scheme",
        Price::call(),
        http(|http, (request,)| HostOutgoingRequest::scheme(http, request)),
    )?;
    types.func(
        "[method]outgoing-request.set-scheme",
        Price::of(FIELD),
        http(|http, (request, scheme)| HostOutgoingRequest::set_scheme(http, request, scheme)),
    )?;
    types.func(
        "[method]outgoing-request.authority",
        Price::call(),
        http(|http, (request,)| HostOutgoingRequest::authority(http, request)),
    )?;
    types.func(
        "[method]outgoing-request.set-authority",
        Price::of(FIELD),
        http(|http, (request, authority)| HostOutgoingRequest::set_authority(http, request, authority)),
    )?;
    types.func(
        "[method]outgoing-request.headers",
        Price::call(),
        http(|http, (request,)| HostOutgoingRequest::headers(http, request)),
    )
}

fn link_outgoing_response(types: &mut Interface<'_>) -> wasmtime::Result<()> {
    types.resource::<resources::HostResponseOutparam>("response-outparam", |state, out| {
        HostResponseOutparam::drop(&mut state.http(), out)
    })?;
    types.func(
        "[static]response-outparam.set",
        Price::of(MADE).per(ERROR_BYTE, size("bytes of an error", error_bytes).at_most(ERROR_BYTES_MAX)),
        done(|http, (out, response): ResponseArguments| HostResponseOutparam::set(http, out, response)),
    )?;

    types.resource::<resources::HostOutgoingResponse>("outgoing-response", |state, response| {
        HostOutgoingResponse::drop(&mut state.http(), response)
    })?;
    types.func(
        "[constructor]outgoing-response",
        Price::of(MADE),
        http(|http, (headers,)| HostOutgoingResponse::new(http, headers)),
    )?;
    types.func(
        "[method]outgoing-response.body",
        Price::of(MADE),
        http(|http, (response,)| HostOutgoingResponse::body(http, response)),
    )?;
    types.func(
        "[method]outgoing-response.status-code",
        Price::call(),
        http(|http, (response,)| HostOutgoingResponse::status_code(http, response)),
    )?;
    types.func(
        "[method]outgoing-response.set-status-code",
        Price::call(),
        http(|http, (response, status)| HostOutgoingResponse::set_status_code(http, response, status)),
    )?;
    types.func(
        "[method]outgoing-response.headers",
        Price::call(),
        http(|http, (response,)| HostOutgoingResponse::headers(http, response)),
    )?;

    types.resource::<body::HostOutgoingBody>("outgoing-body", |state, body| {
        HostOutgoingBody::drop(&mut state.http(), body)
    })?;
    types.func(
        "[method]outgoing-body.write",
        Price::of(MADE),
        http(|http, (body,)| HostOutgoingBody::write(http, body)),
    )?;
    types.func(
        "[static]outgoing-body.finish",
        Price::of(MADE),
        http(|http, (body, trailers)| outcome(HostOutgoingBody::finish(http, body, trailers))),
    )
}

fn link_options(types: &mut Interface<'_>) -> wasmtime::Result<()> {
    type Set = (Resource<RequestOptions>, Option<types::Duration>);
    types.resource::<RequestOptions>("request-options", |state, options| {
        HostRequestOptions::drop(&mut state.http(), options)
    })?;
    types.func("[constructor]request-options", Price::call(), http(|http, ()| HostRequestOptions::new(http)))?;
    types.func(
        "[method]request-options.connect-timeout",
        Price::call(),
        http(|http, (options,)| HostRequestOptions::connect_timeout(http, options)),
    )?;
    types.func(
        "[method]request-options.set-connect-timeout",
        Price::call(),
        http(|http, (options, time): Set| HostRequestOptions::set_connect_timeout(http, options, time)),
    )?;
    types.func(
        "[method]request-options.first-byte-timeout",
        Price::call(),
        http(|http, (options,)| HostRequestOptions::first_byte_timeout(http, options)),
    )?;
    types.func(
        "[method]request-options.set-first-byte-timeout",
        Price::call(),
        http(|http, (options, time): Set| HostRequestOptions::set_first_byte_timeout(http, options, time)),
    )?;
    types.func(
        "[method]request-options.between-bytes-timeout",
        Price::call(),
        http(|http, (options,)| HostRequestOptions::between_bytes_timeout(http, options)),
    )?;
    types.func(
        "[method]request-options.set-between-bytes-timeout",
        Price::call(),
        http(|http, (options, time): Set| HostRequestOptions::set_between_bytes_timeout(http, options, time)),
    )
}
