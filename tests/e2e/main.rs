//! The tests drive the shipped binaries, over real sockets where there are sockets.

mod plain_wasi_host;
