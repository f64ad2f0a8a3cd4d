//! `wasi:filesystem` and `wasi:sockets`, which give a component no file and no socket.
//!
//! Libraries of other toolchains import them whether they are used or not. A function that takes a handle cannot be
//! called, for there is none to be had, beside that of the network, which only leads to refusals.

use super::{named, on};
use crate::pricing::{HostLinker, Price};
use wasmtime::component::{Resource, Val};

/// A type without handles.
enum Nothing {}

/// The network's handle.
struct Network;

/// Of `wasi:filesystem/types.descriptor`.
const DESCRIPTOR: [&str; 26] = [
    "read-via-stream",
    "write-via-stream",
    "append-via-stream",
    "advise",
    "sync-data",
    "get-flags",
    "get-type",
    "set-size",
    "set-times",
    "read",
    "write",
    "read-directory",
    "sync",
    "create-directory-at",
    "stat",
    "stat-at",
    "set-times-at",
    "link-at",
    "open-at",
    "readlink-at",
    "remove-directory-at",
    "rename-at",
    "symlink-at",
    "unlink-file-at",
    "is-same-object",
    "metadata-hash",
];

/// Of `wasi:sockets/tcp.tcp-socket`.
const TCP: [&str; 28] = [
    "start-bind",
    "finish-bind",
    "start-connect",
    "finish-connect",
    "start-listen",
    "finish-listen",
    "accept",
    "local-address",
    "remote-address",
    "is-listening",
    "address-family",
    "set-listen-backlog-size",
    "keep-alive-enabled",
    "set-keep-alive-enabled",
    "keep-alive-idle-time",
    "set-keep-alive-idle-time",
    "keep-alive-interval",
    "set-keep-alive-interval",
    "keep-alive-count",
    "set-keep-alive-count",
    "hop-limit",
    "set-hop-limit",
    "receive-buffer-size",
    "set-receive-buffer-size",
    "send-buffer-size",
    "set-send-buffer-size",
    "subscribe",
    "shutdown",
];

/// Of `wasi:sockets/udp.udp-socket`.
const UDP: [&str; 13] = [
    "start-bind",
    "finish-bind",
    "stream",
    "local-address",
    "remote-address",
    "address-family",
    "unicast-hop-limit",
    "set-unicast-hop-limit",
    "receive-buffer-size",
    "set-receive-buffer-size",
    "send-buffer-size",
    "set-send-buffer-size",
    "subscribe",
];

/// An error of a function that says why by an enum.
fn error(code: &str) -> Val {
    Val::Result(Err(Some(Box::new(Val::Enum(code.to_owned())))))
}

/// `list<tuple<descriptor, string>>` and `option<error-code>`, of which there are none.
fn no_folders() -> Val {
    Val::List(Vec::new())
}

fn none() -> Val {
    Val::Option(None)
}

fn not_supported() -> Val {
    error("not-supported")
}

fn access_denied() -> Val {
    error("access-denied")
}

pub(super) fn link(linker: &mut HostLinker) -> wasmtime::Result<()> {
    link_filesystem(linker)?;
    link_sockets(linker)
}

fn link_filesystem(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut types = linker.interface(&named("wasi:filesystem/types"))?;
    types.resource::<Nothing>("descriptor", |_, _| Ok(()))?;
    types.resource::<Nothing>("directory-entry-stream", |_, _| Ok(()))?;
    for method in DESCRIPTOR {
        types.absent(&format!("[method]descriptor.{method}"), None)?;
    }
    types.absent("[method]descriptor.metadata-hash-at", None)?;
    types.absent("[method]directory-entry-stream.read-directory-entry", None)?;
    types.absent("filesystem-error-code", Some(none))?;
    linker.interface(&named("wasi:filesystem/preopens"))?.absent("get-directories", Some(no_folders))
}

fn link_sockets(linker: &mut HostLinker) -> wasmtime::Result<()> {
    linker.interface(&named("wasi:sockets/network"))?.resource::<Network>("network", |state, network| {
        state.table.delete(network)?;
        Ok(())
    })?;
    linker.interface(&named("wasi:sockets/instance-network"))?.func(
        "instance-network",
        Price::call(),
        on(|state, ()| -> wasmtime::Result<Resource<Network>> { Ok(state.table.push(Network)?) }),
    )?;

    let mut tcp = linker.interface(&named("wasi:sockets/tcp"))?;
    tcp.resource::<Nothing>("tcp-socket", |_, _| Ok(()))?;
    for method in TCP {
        tcp.absent(&format!("[method]tcp-socket.{method}"), None)?;
    }
    let mut create = linker.interface(&named("wasi:sockets/tcp-create-socket"))?;
    create.absent("create-tcp-socket", Some(not_supported))?;

    let mut udp = linker.interface(&named("wasi:sockets/udp"))?;
    udp.resource::<Nothing>("udp-socket", |_, _| Ok(()))?;
    udp.resource::<Nothing>("incoming-datagram-stream", |_, _| Ok(()))?;
    udp.resource::<Nothing>("outgoing-datagram-stream", |_, _| Ok(()))?;
    for method in UDP {
        udp.absent(&format!("[method]udp-socket.{method}"), None)?;
    }
    udp.absent("[method]incoming-datagram-stream.receive", None)?;
    udp.absent("[method]incoming-datagram-stream.subscribe", None)?;
    udp.absent("[method]outgoing-datagram-stream.check-send", None)?;
    udp.absent("[method]outgoing-datagram-stream.send", None)?;
    udp.absent("[method]outgoing-datagram-stream.subscribe", None)?;
    let mut create = linker.interface(&named("wasi:sockets/udp-create-socket"))?;
    create.absent("create-udp-socket", Some(not_supported))?;

    let mut lookup = linker.interface(&named("wasi:sockets/ip-name-lookup"))?;
    lookup.resource::<Nothing>("resolve-address-stream", |_, _| Ok(()))?;
    lookup.absent("[method]resolve-address-stream.resolve-next-address", None)?;
    lookup.absent("[method]resolve-address-stream.subscribe", None)?;
    lookup.absent("resolve-addresses", Some(access_denied))
}
