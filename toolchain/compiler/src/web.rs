//! The web APIs' JavaScript half, and what of it an application needs.

use crate::api_usage::ApiUsage;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

include!(concat!(env!("OUT_DIR"), "/web_modules.rs"));

/// The entry of one module in `guest-js/web/src/index.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebModule {
    /// The file; none for what QuickJS itself brings, such as Date.
    file: Option<String>,
    /// Whether every component has it, and every request uses it.
    #[serde(default)]
    core: bool,
    /// Whether every component has it. It is evaluated into the image that all start from, so that it costs an
    /// instance nothing until it is used.
    #[serde(default)]
    base: bool,
    /// The globals that it defines.
    #[serde(default)]
    globals: Vec<String>,
    /// The words in a bundle that make it needed, beside its globals: its imports are wired, and it is loaded if it is
    /// not in every component.
    #[serde(default)]
    words: Vec<String>,
    /// The names that make it needed where they are read as variables of the global scope, and not as properties of
    /// something else.
    #[serde(default)]
    reads: Vec<String>,
    /// The names that make it needed where they are members that an object or a class of the bundle has: handlers.
    #[serde(default)]
    keys: Vec<String>,
    /// Words one of which must be there too for `words` to count; none: they count by themselves.
    #[serde(default)]
    beside: Vec<String>,
    /// The exports, for a module that an application can import by the word that begins with [`IMPORTABLE_PREFIX`].
    #[serde(default)]
    exports: Vec<String>,
    /// Files that must be loaded before it.
    #[serde(default)]
    needs: Vec<String>,
    /// Short names of the imports that using it calls.
    #[serde(default)]
    imports: Vec<String>,
}

/// Names a folder, `guest-js/web/src` of a checkout, whose files take the place of the web modules in this binary: for
/// whoever works on `guest-js/web` and wants to try a change without compiling. What was bundled from npm is looked
/// for in `target/web` of the same checkout.
const SOURCES_VARIABLE: &str = "ELIAS_WEB_SOURCES";

static SOURCES_FOLDER: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os(SOURCES_VARIABLE).map(PathBuf::from));

static INDEX: LazyLock<Vec<WebModule>> = LazyLock::new(|| match &*SOURCES_FOLDER {
    Some(_) => serde_json::from_str(&from_folder("index.json").expect("index.json")).expect("index.json is valid"),
    // Ours, and read by a test: a mistake in it is found before it ships.
    None => serde_json::from_str(include_str!("../../../guest-js/web/src/index.json")).unwrap_or_default(),
});

fn from_folder(file: &str) -> Option<String> {
    let folder = SOURCES_FOLDER.as_ref()?;
    let path = match file.strip_prefix(VENDORED) {
        Some(bundled) => folder.join("../../../target/web").join(bundled),
        None => folder.join(file),
    };
    std::fs::read_to_string(path).ok()
}

/// The prefix of the names of web modules that are bundled from npm.
const VENDORED: &str = "vendor/";

/// The short names of imports, and the interface that each stands for.
const IMPORTS: [(&str, &str); 15] = [
    ("log", "elias:log/log@0.1.0"),
    ("monotonic-clock", "wasi:clocks/monotonic-clock@0.2.12"),
    ("wall-clock", "wasi:clocks/wall-clock@0.2.12"),
    ("random", "wasi:random/random@0.2.12"),
    ("context", "elias:component/context@0.1.0"),
    ("config", "elias:config/config@0.1.0"),
    ("http", "wasi:http/outgoing-handler@0.2.12"),
    ("cache", "elias:cache/cache@0.1.0"),
    ("db", "elias:db/db@0.1.0"),
    ("crypto", "elias:crypto/crypto@0.1.0"),
    ("jobs", "elias:jobs/jobs@0.1.0"),
    ("events", "elias:events/events@0.1.0"),
    ("workflow", "elias:workflow/steps@0.1.0"),
    ("workers", "elias:workers/workers@0.1.0"),
    ("flags", "elias:feature-flags/evaluation@0.1.0"),
];

/// The interfaces that waiting for anything takes.
const WAITING: [&str; 1] = ["wasi:io/poll@0.2.12"];

/// The imports whose use can mean waiting.
const WAITS: [&str; 7] = ["monotonic-clock", "cache", "db", "jobs", "events", "workflow", WORKERS_IMPORT];

/// The import by which handlers call workers.
const WORKERS_IMPORT: &str = "workers";

/// The interfaces that HTTP takes.
const HTTP: [&str; 4] =
    ["wasi:http/types@0.2.12", "wasi:io/error@0.2.12", "wasi:io/poll@0.2.12", "wasi:io/streams@0.2.12"];

/// What stands for service workers among the handlers, though no default export has it.
pub(crate) const WORKER: &str = "worker";

/// The interfaces behind each handler.
pub(crate) fn exports_of(handler: &str) -> &'static [&'static str] {
    match handler {
        "fetch" => &["wasi:http/incoming-handler@0.2.12", "elias:component/fetch@0.1.0"],
        "call" => &["elias:component/call@0.1.0"],
        "scheduled" => &["elias:triggers/schedule@0.1.0"],
        "job" => &["elias:triggers/job@0.1.0"],
        "event" => &["elias:triggers/event@0.1.0"],
        "events" => &["elias:triggers/events@0.1.0"],
        WORKER => &["elias:triggers/worker@0.1.0"],
        _ => &[],
    }
}

/// The web APIs that an application needs.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Files that are used, by their place in the index, which is the order in which they are evaluated.
    files: BTreeSet<usize>,
    /// Short names of imports.
    pub(crate) imports: Vec<&'static str>,
}

impl Needs {
    /// The needs of a bundle, by its identifiers.
    pub(crate) fn of(uses: &ApiUsage) -> Self {
        let mut needs = Self::default();
        let mut imports = BTreeSet::new();
        (0..INDEX.len()).filter(|&index| INDEX[index].core).for_each(|index| needs.add(index));
        for (index, entry) in INDEX.iter().enumerate() {
            let mentions = |words: &[String]| words.iter().any(|word| uses.mentions(word));
            let counts = entry.beside.is_empty() || mentions(&entry.beside);
            let mentioned = mentions(&entry.globals) || (counts && mentions(&entry.words));
            let read = entry.reads.iter().any(|name| uses.reads_global(name));
            if mentioned || read || entry.keys.iter().any(|name| uses.has_key(name)) {
                imports.extend(entry.imports.iter().map(String::as_str));
                needs.add(index);
            }
        }
        needs.imports = IMPORTS.iter().map(|(name, _)| *name).filter(|name| imports.contains(name)).collect();
        needs
    }

    fn add(&mut self, index: usize) {
        let entry = &INDEX[index];
        if entry.file.is_none() || !self.files.insert(index) {
            return;
        }
        for need in &entry.needs {
            if let Some(index) = INDEX.iter().position(|other| other.file.as_ref() == Some(need)) {
                self.add(index);
            }
        }
    }

    /// Whether the component may be made by one of the forms, and so without a default export.
    pub(crate) fn has_forms(&self) -> bool {
        self.has(FORMS)
    }

    /// Whether the component may have service workers, and so no default export.
    pub(crate) fn has_workers(&self) -> bool {
        self.has(WORKERS)
    }

    fn has(&self, file: &str) -> bool {
        self.files.iter().any(|&index| INDEX[index].file.as_deref() == Some(file))
    }

    /// The modules that are used: name and source, in order. Those that every component has come without their source,
    /// for they are evaluated already.
    pub(crate) fn modules(&self) -> Vec<(String, &'static str)> {
        let used = self.files.iter().map(|&index| &INDEX[index]);
        used.filter_map(|entry| {
            let (name, source) = module(entry)?;
            Some((name, if entry.is_everywhere() { "" } else { source }))
        })
        .collect()
    }

    /// The WIT interfaces that a component with these needs and handlers imports, sorted.
    pub(crate) fn interfaces(&self, handlers: &[String]) -> Vec<String> {
        // Workers themselves call each other in their turns: only what has other handlers needs the capability.
        let is_needed = |name: &str| name != WORKERS_IMPORT || !handlers.is_empty();
        let named = IMPORTS.iter().filter(|(name, _)| self.imports.contains(name) && is_needed(name));
        let named = named.map(|(_, interface)| *interface);
        let mut all: BTreeSet<&str> = named.collect();
        if WAITS.iter().any(|import| self.imports.contains(import)) {
            all.extend(WAITING);
        }
        if handlers.iter().any(|handler| handler == "fetch") || self.imports.contains(&"http") {
            all.extend(HTTP);
        }
        all.into_iter().map(str::to_owned).collect()
    }
}

/// The modules that an application can import by name: `elias/db` and the like.
pub(crate) fn importable() -> impl Iterator<Item = &'static str> {
    let modules = INDEX.iter().filter(|entry| !entry.exports.is_empty());
    modules.flat_map(|entry| &entry.words).map(String::as_str).filter(|word| word.starts_with(IMPORTABLE_PREFIX))
}

/// Whether Node.js's module `name`, given without `node:`, is one of the web modules.
pub(crate) fn node_module(name: &str) -> bool {
    let words = INDEX.iter().flat_map(|entry| &entry.words);
    words.filter_map(|word| word.strip_prefix("node:")).any(|word| word == name)
}

/// The module `elias`: what the importable modules export, but for those that are imported by their own name alone.
pub(crate) fn sdk_module() -> String {
    let mut module = String::new();
    for entry in INDEX.iter().filter(|entry| !entry.exports.is_empty()) {
        let name = entry.words.iter().find(|word| word.starts_with(IMPORTABLE_PREFIX)).map_or("", String::as_str);
        if BY_NAME_ALONE.contains(&name) {
            continue;
        }
        module.push_str(&format!("export {{ {} }} from \"{name}\";\n", entry.exports.join(", ")));
    }
    // A namespace, so that `sdk.db` is as good as `db`: a member that is not used is not in the component.
    module.push_str("export * as default from \"elias\";\n");
    module
}

/// Modules whose exports `elias` does not have: that of test files, for which a component has no use, and that of
/// services, whose names would say too little there.
const BY_NAME_ALONE: [&str; 2] = ["elias/test", "elias/eiasw"];

/// The web module that makes components in other ways than by a default export.
const FORMS: &str = "forms/index.js";

/// The web module that runs the turns of service workers.
const WORKERS: &str = "workers/turns.js";

/// The prefix of the names of [`importable`] modules.
pub(crate) const IMPORTABLE_PREFIX: &str = "elias/";

/// The web modules that every component has, if others than this binary's are wanted: name and source, in order, first
/// those that every request uses. (`toolchain/setup/base.mjs` takes this binary's in the same order.)
pub(crate) fn changed_base_modules() -> Option<Vec<(String, &'static str)>> {
    SOURCES_FOLDER.as_ref().map(|_| base_modules())
}

/// The same of this binary.
pub(crate) fn base_modules() -> Vec<(String, &'static str)> {
    let (core, others): (Vec<&WebModule>, Vec<&WebModule>) =
        INDEX.iter().filter(|entry| entry.is_everywhere()).partition(|entry| entry.core);
    core.into_iter().chain(others).filter_map(module).collect()
}

impl WebModule {
    /// Whether every component has it.
    fn is_everywhere(&self) -> bool {
        self.core || self.base
    }
}

fn module(entry: &WebModule) -> Option<(String, &'static str)> {
    let file = entry.file.as_deref()?;
    let source = match from_folder(file) {
        Some(changed) => changed.leak(), // once in a build
        None => SOURCES.iter().find(|(name, _)| *name == file)?.1,
    };
    Some((format!("elias:web/{file}"), source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api_usage, engine};

    /// The capabilities among the interfaces that a component with this source and these handlers imports, and whether
    /// it has the web module of triggers.
    fn needs(code: &str, handlers: &[&str]) -> (Vec<String>, bool) {
        let needs = Needs::of(&api_usage::scan(code, false));
        let handlers: Vec<String> = handlers.iter().map(|&handler| handler.to_owned()).collect();
        let mut interfaces = needs.interfaces(&handlers);
        interfaces.retain(|interface| interface.starts_with("elias:") || interface.starts_with("wasi:io/poll"));
        (interfaces, needs.modules().iter().any(|(name, _)| name == "elias:web/component/triggers.js"))
    }

    #[test]
    fn triggers_are_for_components_that_have_their_handlers() {
        let none = Vec::<String>::new;
        assert_eq!(needs("export default { scheduled(tick) {} }", &["scheduled"]), (none(), true));
        assert_eq!(needs("export default { job: async ({ input }) => input }", &["job"]), (none(), true));
        assert_eq!(needs("export default { async event(event) {} }", &["event"]), (none(), true));
        assert_eq!(needs("export default { async events(batch) {} }", &["events"]), (none(), true));
        assert_eq!(needs("export default { call: (event) => event.job }", &["call"]), (none(), false));
    }

    #[test]
    fn the_modules_of_jobs_events_and_steps_bring_their_imports() {
        let poll = "wasi:io/poll@0.2.12";
        for (source, interface) in [
            ("import { jobs } from 'elias/jobs'; jobs.enqueue('a')", "elias:jobs/jobs@0.1.0"),
            ("import { events } from 'elias/events'; events.publish('a')", "elias:events/events@0.1.0"),
            ("import { step } from 'elias/workflow'; step.sleep('a', 1)", "elias:workflow/steps@0.1.0"),
        ] {
            assert_eq!(needs(source, &["call"]).0, [interface, poll], "{source}");
        }
    }

    #[test]
    fn an_evaluation_of_flags_waits_for_nothing() {
        let source = "import { flags } from 'elias/flags'; flags.getBooleanValue('a', false)";
        assert_eq!(needs(source, &["call"]).0, ["elias:feature-flags/evaluation@0.1.0"]);
    }

    #[test]
    fn the_modules_of_workers_are_for_components_that_import_them() {
        let needs = |code: &str| Needs::of(&api_usage::scan(code, false));
        let loaded = |needs: &Needs| needs.modules().iter().any(|(name, _)| name.starts_with("elias:web/workers/"));
        let with = needs("import { worker } from 'elias/workers'; export class Cart extends worker.Worker {}");
        assert!(with.has_workers() && loaded(&with));
        let interfaces = with.interfaces(&[]);
        assert_eq!(interfaces, ["wasi:clocks/monotonic-clock@0.2.12", "wasi:io/poll@0.2.12"]);
        let without = needs("class Worker {} export default { call: (worker) => new worker.Worker() }");
        assert!(!without.has_workers() && !loaded(&without));
        assert!(without.imports.is_empty());
    }

    #[test]
    fn services_are_workers_that_call_each_other() {
        let code = "import { registry } from 'elias/eiasw'; registry.register('a', {});";
        assert!(Needs::of(&api_usage::scan(code, false)).has_workers());
        let (interface, poll) = ("elias:workers/workers@0.1.0".to_owned(), "wasi:io/poll@0.2.12".to_owned());
        assert_eq!(needs(code, &["call"]).0, [interface, poll.clone()]);
        assert_eq!(needs(code, &[]).0, [poll]);
        assert!(importable().any(|name| name == "elias/eiasw") && !sdk_module().contains("eiasw"));
    }

    #[test]
    fn only_handlers_that_call_workers_import_them() {
        let calls = "import { worker, workers } from 'elias/workers'; export class A extends worker.Worker {}
            export default { call: () => workers.get(A, 'a').b() }";
        let (interface, poll) = ("elias:workers/workers@0.1.0".to_owned(), "wasi:io/poll@0.2.12".to_owned());
        assert_eq!(needs(calls, &["call"]).0, [interface, poll.clone()]);
        assert_eq!(needs(calls, &[]).0, std::slice::from_ref(&poll), "workers call each other without it");
        let has = "import { worker } from 'elias/workers'; export class A extends worker.Worker {}";
        assert_eq!(needs(has, &["call"]).0, [poll]);
        assert_eq!(needs("const workers = 5; export default { call: () => workers }", &["call"]).0, [""; 0]);
    }

    #[test]
    fn the_engine_has_what_is_named_here() {
        for handler in ["call", "event", "events", "fetch", "job", "scheduled", WORKER] {
            let exports = exports_of(handler);
            assert!(!exports.is_empty(), "{handler}");
            for export in exports {
                let function = format!("{export}#");
                assert!(engine::EXPORTS.iter().any(|(name, _)| name.starts_with(&function)), "{export}");
            }
        }
        for (_, interface) in IMPORTS {
            assert!(engine::IMPORTS.iter().any(|import| import.module == interface), "{interface}");
        }
    }
}
