//! The web APIs' JavaScript half, and what of it an application needs.

use crate::uses::Uses;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::LazyLock;

include!(concat!(env!("OUT_DIR"), "/web_modules.rs"));

/// What `guest-js/web/src/index.json` says of one module.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The file; none for what QuickJS itself brings, such as Date.
    file: Option<String>,
    /// Whether every component has it.
    #[serde(default)]
    core: bool,
    /// The globals that it defines.
    #[serde(default)]
    globals: Vec<String>,
    /// The words in a bundle that make it needed, beside its globals.
    #[serde(default)]
    words: Vec<String>,
    /// Files that must be loaded before it.
    #[serde(default)]
    needs: Vec<String>,
    /// Short names of the imports that using it calls.
    #[serde(default)]
    imports: Vec<String>,
}

static INDEX: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    // Ours, and read by a test: a mistake in it is found before it ships.
    serde_json::from_str(include_str!("../../../guest-js/web/src/index.json")).unwrap_or_default()
});

/// The short names of imports, and the interface that each stands for.
const IMPORTS: [(&str, &str); 5] = [
    ("log", "elias:log/log@0.1.0"),
    ("monotonic-clock", "wasi:clocks/monotonic-clock@0.2.12"),
    ("wall-clock", "wasi:clocks/wall-clock@0.2.12"),
    ("random", "wasi:random/random@0.2.12"),
    ("context", "elias:component/context@0.1.0"),
];

/// The interfaces that waiting for anything takes.
const WAITING: [&str; 1] = ["wasi:io/poll@0.2.12"];

/// The interfaces that HTTP takes.
const HTTP: [&str; 4] =
    ["wasi:http/types@0.2.12", "wasi:io/error@0.2.12", "wasi:io/poll@0.2.12", "wasi:io/streams@0.2.12"];

/// The interface behind each handler.
pub(crate) fn export_of(handler: &str) -> Option<&'static str> {
    match handler {
        "fetch" => Some("wasi:http/incoming-handler@0.2.12"),
        "call" => Some("elias:component/call@0.1.0"),
        _ => None,
    }
}

/// What an application needs of the web APIs.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Files beyond the core, in the order in which they are evaluated.
    files: BTreeSet<usize>,
    /// Short names of imports.
    pub(crate) imports: Vec<&'static str>,
}

impl Needs {
    /// What the words of a bundle make needed.
    pub(crate) fn of(uses: &Uses) -> Self {
        let mut needs = Self::default();
        let mut imports = BTreeSet::new();
        for (index, entry) in INDEX.iter().enumerate() {
            if entry.globals.iter().chain(&entry.words).any(|word| uses.mentions(word)) {
                imports.extend(entry.imports.iter().map(String::as_str));
                needs.add(index);
            }
        }
        needs.imports = IMPORTS.iter().map(|(name, _)| *name).filter(|name| imports.contains(name)).collect();
        needs
    }

    fn add(&mut self, index: usize) {
        let entry = &INDEX[index];
        if entry.file.is_none() || entry.core || !self.files.insert(index) {
            return;
        }
        for need in &entry.needs {
            if let Some(index) = INDEX.iter().position(|other| other.file.as_ref() == Some(need)) {
                self.add(index);
            }
        }
    }

    /// The modules beyond the core: name and source, in order.
    pub(crate) fn modules(&self) -> Vec<(String, &'static str)> {
        self.files.iter().filter_map(|&index| module(&INDEX[index])).collect()
    }

    /// The WIT interfaces that a component with these needs and handlers imports, sorted.
    pub(crate) fn interfaces(&self, handlers: &[String]) -> Vec<String> {
        let named = IMPORTS.iter().filter(|(name, _)| self.imports.contains(name)).map(|(_, interface)| *interface);
        let mut all: BTreeSet<&str> = named.collect();
        if self.imports.contains(&"monotonic-clock") {
            all.extend(WAITING);
        }
        if handlers.iter().any(|handler| handler == "fetch") {
            all.extend(HTTP);
        }
        all.into_iter().map(str::to_owned).collect()
    }
}

/// The web modules that every component has: name and source, in order.
pub(crate) fn core_modules() -> Vec<(String, &'static str)> {
    INDEX.iter().filter(|entry| entry.core).filter_map(module).collect()
}

fn module(entry: &Entry) -> Option<(String, &'static str)> {
    let file = entry.file.as_deref()?;
    let (_, source) = SOURCES.iter().find(|(name, _)| *name == file)?;
    Some((format!("elias:web/{file}"), source))
}
