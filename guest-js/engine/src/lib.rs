//! The engine of every component: QuickJS, an event loop, and the native half of each web API.
//!
//! It lives through two phases. In the *build phase*, inside `elias-build`, the exports of [`build`] evaluate the web
//! APIs and the application's top level; no import is called. The memory is then kept as the application's image. In
//! the *run phase* the engine finds itself in a copy of that memory and only calls handlers, through the exports of
//! [`run`].

// What `bindings::export!` expands to is public.
#![allow(unreachable_pub)]

mod application;
mod build;
mod build_report;
mod error;
mod event_loop;
mod heap;
mod json;
mod libc;
mod log;
mod native;
mod phase;
mod run;
mod runtime;
mod schemas;
mod trap_report;
mod uncaught;
mod web_modules;

use run::Component;

#[allow(missing_docs)] // generated from wit/
mod bindings {
    wit_bindgen::generate!({
        world: "elias:component/engine",
        path: "../../wit",
        generate_all,
        export_macro_name: "export",
        pub_export_macro: true,
    });
}

bindings::export!(Component with_types_in bindings);
