//! Runs an application's top level in the engine and takes the snapshot.

use crate::engine::{self, STACK_TOP};
use crate::image;
use crate::schemas::DescribedSchema;
use anyhow::{Context, Result, bail, ensure};
use elias_contract::base::Base;
use elias_host::engine::{Allocation, CompiledCache, wasmtime_config};
use rand::RngCore as _;
use rand::rngs::OsRng;
use serde::Deserialize;
use std::fmt::Write as _;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Trap};

/// Bytes of a unit in which memories are measured.
const PAGE_BYTES: usize = 64 << 10;

/// Fuel that an application's top level may use; some tens of seconds.
const FUEL: u64 = 50_000_000_000;

/// Fuel for telling what was running when that ended.
const FUEL_TO_TELL: u64 = 5_000_000;

/// The most random bytes that a top level may draw, where it may draw any.
const RANDOM_BYTES: usize = 65_536;

/// The name of the application's module in stack traces.
pub(crate) use elias_contract::stack::MODULE_NAME;

/// The application that is evaluated.
pub(crate) struct Application<'a> {
    /// The bundle.
    pub(crate) source: &'a str,
    /// The web modules that it uses: name and source, in order; without the source those that are evaluated already.
    pub(crate) modules: Vec<(String, &'a str)>,
    /// The time that Date shows at the top level, in seconds since 1970.
    pub(crate) source_date: u64,
    /// Short names of the imports that the component will have.
    pub(crate) imports: &'a [&'static str],
    /// Whether strings may be compiled as code.
    pub(crate) eval: bool,
    /// Which of its implementations is wanted, from 1.
    pub(crate) stage: Option<u32>,
    /// Whether it may draw random values.
    pub(crate) random: bool,
    /// The component's name.
    pub(crate) name: &'a str,
    /// The description of the functions that it imports from capabilities which the engine does not know.
    pub(crate) capabilities: &'a str,
}

/// The result of evaluating an application.
pub(crate) struct Evaluation {
    /// Memory after the top level; zeros where the stack was, which is dead once the call has returned.
    memory: Vec<u8>,
    /// The engine's report.
    pub(crate) report: Report,
}

impl Evaluation {
    /// The content of memory, by offset: all that is not zero.
    pub(crate) fn occupied(&self) -> Vec<(u32, &[u8])> {
        image::occupied(&self.memory, STACK_TOP)
    }

    /// The content of memory in which it differs from this base.
    pub(crate) fn difference(&self, base: &Base) -> Vec<(u32, &[u8])> {
        base.difference(&self.memory).into_iter().map(|(at, bytes)| (at as u32, bytes)).collect()
    }

    /// Memory's size in pages of 64 KiB.
    pub(crate) fn pages(&self) -> u64 {
        (self.memory.len() / PAGE_BYTES) as u64
    }
}

/// The engine's report on a top level.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    /// Names of the default export's handlers, sorted.
    pub(crate) handlers: Vec<String>,
    /// Those of its methods that are handlers elsewhere, and that nothing would ever call here.
    #[serde(default)]
    pub(crate) uncalled: Vec<String>,
    /// Names of the classes of service workers that it exports, sorted.
    #[serde(default)]
    pub(crate) workers: Vec<String>,
    /// Names and versions of packages that the source says it is made with.
    #[serde(default)]
    pub(crate) dependencies: Vec<String>,
    /// The JSON Schemas of what the implementation takes and gives.
    #[serde(default)]
    pub(crate) schemas: Vec<DescribedSchema>,
    /// The number of the implementation that this is.
    pub(crate) stage: u32,
    /// The highest number of an implementation in the source.
    pub(crate) of: u32,
    /// Warnings about acts of the top level that do not mean what they seem to.
    pub(crate) warnings: Vec<Warning>,
    /// The log lines of the top level.
    pub(crate) logs: Vec<LogLine>,
}

/// A warning of the engine.
#[derive(Debug, Deserialize)]
pub(crate) struct Warning {
    /// `clock-at-build`, `random-at-build`, `random-per-build`, `timer-at-build` or `environment-at-build`.
    pub(crate) kind: String,
    /// The stack, in positions of the bundle.
    pub(crate) stack: String,
}

/// A line that the top level logged.
#[derive(Debug, Deserialize)]
pub(crate) struct LogLine {
    /// 0 (trace) to 4 (error).
    pub(crate) level: u8,
    /// The formatted text.
    pub(crate) message: String,
}

/// Why there is no snapshot.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An exception left the top level, or the engine found fault with the module.
    Thrown(ReportedException),
    /// The top level did not end within its fuel; with the stack of what was running.
    OutOfFuel(String),
    /// The engine itself failed.
    Engine(anyhow::Error),
}

/// The stack of what was running when the engine was ended.
#[derive(Debug, thiserror::Error)]
#[error("running:\n{0}")]
struct RunningStack(String);

/// An exception as the engine reports it.
#[derive(Debug, Deserialize)]
pub(crate) struct ReportedException {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) stack: String,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Self::OutOfFuel(
                error.downcast_ref::<RunningStack>().map(|running| running.0.clone()).unwrap_or_default(),
            ),
            _ => Self::Engine(error),
        }
    }
}

/// The engine, compiled, and the memory that every application starts from.
pub(crate) struct Evaluator {
    wasmtime: Engine,
    engine: Module,
    /// A module with a memory as large as the base, and nothing in it.
    blank: Module,
    base: Base,
}

impl Evaluator {
    /// Opens the engine; the first time on a machine it is compiled, which takes seconds, and kept in `cache`.
    ///
    /// `changed` are web modules that take the place of those in [`engine::BASE`]: name and source, in order.
    pub(crate) fn open(cache: Option<&CompiledCache>, changed: Option<&[(String, &str)]>) -> Result<Self> {
        let wasmtime = Engine::new(&wasmtime_config(&Allocation::OnDemand))?;
        let compile = |bytes: &[u8]| -> Result<Module> {
            Ok(match cache {
                Some(cache) => cache.module(&wasmtime, bytes)?,
                None => Module::new(&wasmtime, bytes)?,
            })
        };
        let engine = compile(engine::ENGINE)?;
        let base = match changed {
            None => Base::read(engine::BASE)?,
            Some(modules) => boot(&wasmtime, &engine, modules)?,
        };
        let blank = compile(&image::encode([], (base.memory.len() / PAGE_BYTES) as u64, &[]))?;
        Ok(Self { wasmtime, engine, blank, base })
    }

    /// The base with which images begin.
    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// Evaluates an application's top level.
    pub(crate) fn evaluate(&self, application: &Application<'_>) -> Result<Evaluation, Failure> {
        let mut run = Run::start(&self.wasmtime, &self.engine, &self.blank)?;
        run.set_memory(&self.base.memory)?;
        if !application.modules.is_empty() {
            let modules = application.modules.iter().flat_map(|(name, source)| [name.as_str(), source]);
            check(run.call("elias_load", modules)?)?;
        }
        let date = application.source_date.to_string();
        let imports = application.imports.join(" ");
        let eval = if application.eval { "eval" } else { "" };
        let stage = application.stage.unwrap_or(0).to_string();
        let random = if application.random { random_bytes() } else { String::new() };
        let Application { source, name, capabilities, .. } = application;
        let input = [MODULE_NAME, source, &date, &imports, eval, &stage, &random, name, capabilities];
        let result = run.call("elias_evaluate", input)?;
        let report = serde_json::from_str(&check(result)?).context("the engine's report").map_err(Failure::Engine)?;
        Ok(Evaluation { memory: run.memory(), report })
    }
}

/// The random numbers for a top level, in hexadecimal.
fn random_bytes() -> String {
    let mut bytes = vec![0_u8; RANDOM_BYTES];
    OsRng.fill_bytes(&mut bytes);
    bytes.iter().fold(String::with_capacity(2 * RANDOM_BYTES), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

/// Runs the engine's own start, with these web modules.
fn boot(wasmtime: &Engine, engine: &Module, modules: &[(String, &str)]) -> Result<Base> {
    let data = engine::DATA.iter().copied();
    let blank = Module::new(wasmtime, image::encode(data, engine::MEMORY_PAGES, &[]))?;
    let mut run = Run::start(wasmtime, engine, &blank)?;
    let modules = modules.iter().flat_map(|(name, source)| [name.as_str(), source]);
    match check(run.call("elias_boot", modules)?) {
        Ok(_) => {}
        Err(Failure::Thrown(ReportedException { name, message, stack })) => {
            bail!("a web module failed: {name}: {message}\n{stack}")
        }
        Err(other) => bail!("the engine did not start: {other:?}"),
    }
    // No host has it, so nobody may name it.
    Ok(Base { digest: String::new(), memory: run.memory() })
}

/// An exception in place of a result becomes an error.
fn check(result: String) -> Result<String, Failure> {
    if result.starts_with("{\"elias\":") {
        return Err(match serde_json::from_str(&result) {
            Ok(thrown) => Failure::Thrown(thrown),
            Err(error) => Failure::Engine(error.into()),
        });
    }
    Ok(result)
}

/// The engine at work on one memory. Its imports are traps: nothing of the outside gets into a snapshot.
struct Run {
    store: Store<()>,
    engine: Instance,
    memory: Memory,
}

impl Run {
    fn start(wasmtime: &Engine, engine: &Module, image: &Module) -> Result<Self> {
        let mut store = Store::new(wasmtime, ());
        store.set_fuel(FUEL)?;
        let image = Instance::new(&mut store, image, &[])?;
        let memory = image.get_memory(&mut store, image::MEMORY_EXPORT).context("the image has no memory")?;
        let table = image.get_table(&mut store, image::TABLE_EXPORT).context("the image has no table")?;
        let mut linker = Linker::new(wasmtime);
        linker.define(&store, "env", "memory", memory)?;
        linker.define(&store, "env", image::TABLE_EXPORT, table)?;
        linker.define_unknown_imports_as_traps(engine)?;
        let engine = linker.instantiate(&mut store, engine)?;
        Ok(Self { store, engine, memory })
    }

    /// Calls one of the engine's build exports with strings; returns its JSON.
    fn call<'s>(&mut self, export: &str, input: impl IntoIterator<Item = &'s str>) -> Result<String> {
        let mut bytes = Vec::new();
        for string in input {
            bytes.extend_from_slice(&u32::try_from(string.len())?.to_le_bytes());
            bytes.extend_from_slice(string.as_bytes());
        }
        let length = u32::try_from(bytes.len())?;
        let allocate = self.engine.get_typed_func::<u32, u32>(&mut self.store, "elias_allocate")?;
        let address = allocate.call(&mut self.store, length)?;
        self.memory.write(&mut self.store, address as usize, &bytes)?;
        let function = self.engine.get_typed_func::<(u32, u32), u32>(&mut self.store, export)?;
        let result = match function.call(&mut self.store, (address, length)) {
            Ok(result) => result,
            Err(error) => {
                let running = self.running().unwrap_or_default();
                return Err(anyhow::Error::from(error).context(RunningStack(running)));
            }
        };

        // The stack pointer is the engine's only mutable global: back at its start, nothing but memory holds state.
        let stack = self.engine.get_global(&mut self.store, "__stack_pointer").context("the engine hides its stack")?;
        let stack = stack.get(&mut self.store).i32();
        ensure!(stack == Some(STACK_TOP as i32), "the engine left its stack in use: no snapshot can hold that");

        self.text(result)
    }

    /// The stack of the code that was running when the engine was ended, which is called for nothing else after that.
    fn running(&mut self) -> Result<String> {
        self.store.set_fuel(FUEL_TO_TELL)?;
        let tell = self.engine.get_typed_func::<(), u32>(&mut self.store, "elias_running")?;
        let told = tell.call(&mut self.store, ())?;
        self.text(told)
    }

    /// The text whose address and length stand at `result`.
    fn text(&self, result: u32) -> Result<String> {
        let result = result as usize;
        let memory = self.memory.data(&self.store);
        let word = |at: usize| -> Result<usize> {
            let bytes = memory.get(at..at + 4).context("the engine's result lies outside of its memory")?;
            Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
        };
        let (at, length) = (word(result)?, word(result + 4)?);
        let text = memory.get(at..at + length).context("the engine's result lies outside of its memory")?;
        Ok(String::from_utf8(text.to_vec())?)
    }

    /// Fills memory, but for the stack.
    fn set_memory(&mut self, bytes: &[u8]) -> Result<()> {
        let memory = self.memory.data_mut(&mut self.store).get_mut(STACK_TOP..bytes.len());
        memory.context("the base is larger than its memory")?.copy_from_slice(&bytes[STACK_TOP..]);
        Ok(())
    }

    fn memory(&self) -> Vec<u8> {
        let mut memory = self.memory.data(&self.store).to_vec();
        memory[..STACK_TOP].fill(0);
        memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web;

    /// `toolchain/setup/base.mjs` makes the one, this crate the other.
    #[test]
    fn the_base_is_what_the_engine_makes_of_the_web_modules() {
        let wasmtime = Engine::new(&wasmtime_config(&Allocation::OnDemand)).expect("the configuration is valid");
        let engine = Module::new(&wasmtime, engine::ENGINE).expect("the engine is valid");
        let made = boot(&wasmtime, &engine, &web::base_modules()).expect("the engine starts");
        let shipped = Base::read(engine::BASE).expect("the base is valid");
        assert!(made.memory == shipped.memory);
    }
}
