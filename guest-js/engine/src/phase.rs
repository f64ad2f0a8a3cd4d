//! The phase that the engine is in, build or run, and the imports of the host that it may call.

use std::cell::Cell;

/// Imports that `elias-build` wires only into components whose source mentions what needs them.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Import {
    Log = 1,
    MonotonicClock = 2,
    WallClock = 4,
    Random = 8,
    Context = 16,
    Config = 32,
    Http = 64,
    Cache = 128,
    Db = 256,
    Crypto = 512,
    Jobs = 1024,
    Events = 2048,
    Workflow = 4096,
    Workers = 8192,
    Flags = 16384,
}

impl Import {
    /// The import's name in `guest-js/web/src/index.json`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "log" => Self::Log,
            "monotonic-clock" => Self::MonotonicClock,
            "wall-clock" => Self::WallClock,
            "random" => Self::Random,
            "context" => Self::Context,
            "config" => Self::Config,
            "http" => Self::Http,
            "cache" => Self::Cache,
            "db" => Self::Db,
            "crypto" => Self::Crypto,
            "jobs" => Self::Jobs,
            "events" => Self::Events,
            "workflow" => Self::Workflow,
            "workers" => Self::Workers,
            "flags" => Self::Flags,
            _ => return None,
        })
    }
}

/// The condition under which a component has an import.
pub(crate) struct Requirement {
    /// The WIT interface, without its version.
    pub(crate) name: &'static str,
    /// A statement that mentions it.
    pub(crate) mention: &'static str,
    /// The table of elias.toml that grants it, if it takes a grant.
    pub(crate) grant: Option<&'static str>,
}

impl Import {
    /// The condition for it.
    pub(crate) fn requirement(self) -> Requirement {
        let (name, mention, grant) = match self {
            Self::Log => ("elias:log/log", "void console;", None),
            Self::MonotonicClock => ("wasi:clocks/monotonic-clock", "void setTimeout;", None),
            Self::WallClock => ("wasi:clocks/wall-clock", "void Date;", None),
            Self::Random => ("wasi:random/random", "void Math.random;", None),
            Self::Context => ("elias:component/context", "void \"executionId\";", None),
            Self::Config => ("elias:config/config", "import \"elias/config\";", Some("[capabilities.config]")),
            Self::Http => ("wasi:http/outgoing-handler", "void fetch;", Some("[capabilities.http]")),
            Self::Cache => ("elias:cache/cache", "import \"elias/cache\";", Some("[capabilities.cache]")),
            Self::Db => ("elias:db/db", "import \"elias/db\";", Some("[capabilities.db]")),
            Self::Crypto => ("elias:crypto/crypto", "void crypto.subtle;", None),
            Self::Jobs => ("elias:jobs/jobs", "import \"elias/jobs\";", Some("[capabilities.jobs]")),
            Self::Events => ("elias:events/events", "import \"elias/events\";", Some("[capabilities.events]")),
            Self::Workflow => ("elias:workflow/steps", "import \"elias/workflow\";", Some("[capabilities.workflow]")),
            Self::Flags => ("elias:feature-flags/evaluation", "import \"elias/flags\";", Some("[capabilities.flags]")),
            Self::Workers => {
                ("elias:workers/workers", "import { workers } from \"elias/workers\";", Some("[capabilities.workers]"))
            }
        };
        Requirement { name, mention, grant }
    }
}

struct State {
    building: Cell<bool>,
    wired: Cell<u32>,
    /// Seconds since 1970 that Date shows while the application's top level runs.
    source_date: Cell<u64>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

static STATE: State = State { building: Cell::new(true), wired: Cell::new(0), source_date: Cell::new(0) };

/// Whether the snapshot is still being made.
pub(crate) fn building() -> bool {
    STATE.building.get()
}

/// Ends the build phase: what runs after this runs in an instance.
pub(crate) fn seal() {
    STATE.building.set(false);
}

/// Sets the imports that the component will have.
pub(crate) fn wire(imports: impl Iterator<Item = Import>) {
    STATE.wired.set(imports.fold(0, |all, import| all | import as u32));
}

/// Whether the component has this import.
pub(crate) fn wired(import: Import) -> bool {
    STATE.wired.get() & import as u32 != 0
}

pub(crate) fn set_source_date(seconds: u64) {
    STATE.source_date.set(seconds);
}

pub(crate) fn source_date() -> u64 {
    STATE.source_date.get()
}
