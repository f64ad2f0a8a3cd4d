//! The tests drive the shipped binaries, over real sockets where there are sockets.

mod attacks;
mod attacks_web_apis;
mod bad_input;
mod building;
mod capability_cache;
mod capability_config;
mod capability_db;
mod capability_http;
mod command_line;
mod crypto;
mod embedding;
mod errors;
mod eval;
mod examples;
mod foreign;
mod http;
mod json;
mod multipart;
mod node_builtins;
mod packages;
mod plain_wasi_host;
mod platform_deploy;
mod serving;
mod signing;
mod uncaught;
