//! Instructions of a request, and how many of them are due to the prices of host functions. QEMU counts them while it
//! emulates this machine's processor, with a plugin (`instructions.c`). That takes no performance counter, which many
//! machines lack, and valgrind gives up where guests change to their own stacks.
//!
//! A host function without a price cannot be linked, so a request without prices cannot be measured. What they cost is
//! instead the calls that a request makes, times the instructions that a call of a function of ours takes beyond those
//! of the same function on wasmtime's own linker.

use crate::bare::Bare;
use crate::http_load::{build, hello};
use crate::in_process::fetch;
use crate::report::Report;
use elias_capabilities::{Config, Log};
use elias_host::capability::pricing::{Price, SAMPLED_ONE_IN, size};
use elias_host::capability::{Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState};
use elias_host::engine::{Allocation, wasmtime_config};
use elias_host::{App, Grants, Host, LoadOptions};
use elias_tests::build::{Project, root};
use elias_tests::serve::example;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime::{Engine, StoreContextMut};

/// The argument with which this program is started in the emulator; another says in which folder its components are.
pub(crate) const COUNTED: &str = "counted";

/// Requests before the first that is counted, and those that are counted. Of their calls one in 127 is measured.
const WARM_UP: usize = 200;
const REQUESTS: usize = 50 * SAMPLED_ONE_IN as usize;
/// Calls of a host function in one call of the component, and twice as many in another.
const CALLS: usize = 10_000;

const PROGRAMS: [(&str, &str); 2] = [("hello", "hello.wasm"), ("Hono router", "router.wasm")];
const INTERFACE: &str = "bench:prices/length@1.0.0";

pub(crate) fn run(report: &mut Report) {
    let project = Project::new(&[]);
    match count(&project) {
        Ok(counted) => counted.report(report),
        Err(error) => report.row("instructions of a request", &format!("not measured: {error}"), "", None),
    }
}

/// The counted instructions.
struct Counted {
    /// Instructions of a request, and its calls of host functions, by program.
    requests: [(f64, f64); PROGRAMS.len()],
    /// Instructions that the price of a call takes.
    price: f64,
}

impl Counted {
    fn report(&self, report: &mut Report) {
        let price = self.price;
        for ((what, _), (instructions, calls)) in PROGRAMS.iter().zip(self.requests) {
            let measured = format!("{instructions:.0}, {calls:.2} calls of host functions");
            report.row(&format!("instructions of a request, `app.fetch`, {what}"), &measured, "", None);
            let percent = calls * price / (instructions - calls * price) * 100.0;
            report.row(
                &format!("prices of host functions: more instructions for `app.fetch`, {what}"),
                &format!("{percent:.2} % ({calls:.2} calls, {price:.0} instructions each)"),
                "2 %",
                Some(percent <= 2.0),
            );
        }
    }
}

/// Runs this program in the emulator.
///
/// # Errors
/// Why nothing could be counted.
fn count(project: &Project) -> Result<Counted, String> {
    let emulator = format!("qemu-{}", std::env::consts::ARCH);
    if Command::new(&emulator).arg("--version").output().is_err() {
        return Err(format!("{emulator} is not there"));
    }
    let plugin = project.path("instructions.so");
    let fits = |version: &u8| {
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O2", &format!("-DPLUGIN_VERSION={version}"), "-o"]).arg(&plugin);
        let compiled = compile.arg(root().join("tests/bench/instructions.c")).status().expect("a C compiler");
        assert!(compiled.success(), "the plugin does not compile");
        let tried = Command::new(&emulator).arg("-plugin").arg(&plugin).arg("/bin/true").output();
        tried.expect("the emulator starts").status.success()
    };
    if ![1, 2].iter().any(fits) {
        return Err(format!("{emulator} takes no plugin of version 1 or 2"));
    }
    hello(project);
    build(project, &example("router-hono").join("src/index.js"), "router.wasm");
    // Compiling takes minutes in the emulator, which finds all in the cache.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let host = host(&project.path("."));
        for (_, file) in PROGRAMS {
            host.load_file(&project.path(file)).await.expect("it loads");
        }
    });
    let mut command = Command::new(&emulator);
    command.args(["-cpu", "max", "-plugin"]).arg(&plugin).arg(std::env::current_exe().expect("it has a file"));
    let output = command.arg(COUNTED).arg(project.path(".")).output().expect("the emulator starts");
    let (said, marks) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(format!(
            "{emulator}: {}",
            marks.lines().find(|line| !line.starts_with("instructions ")).unwrap_or_default()
        ));
    }
    let marks = marks.lines().filter_map(|line| line.strip_prefix("instructions ")?.parse::<u64>().ok());
    let marks: Vec<u64> = marks.collect();
    let between: Vec<f64> = marks.chunks_exact(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let calls: Vec<f64> = said.lines().filter_map(|line| line.strip_prefix("calls ")?.parse().ok()).collect();
    let ([hello, router, priced, bare, priced_twice, bare_twice], [of_hello, of_router]) = (&between[..], &calls[..])
    else {
        return Err(format!("{emulator} said {marks:?}, and the program {said}"));
    };
    let each = |instructions: &f64| instructions / REQUESTS as f64;
    Ok(Counted {
        requests: [(each(hello), *of_hello), (each(router), *of_router)],
        price: ((priced_twice - priced) - (bare_twice - bare)) / CALLS as f64,
    })
}

/// The program in the emulator: one thread, which marks where counting begins and ends.
pub(crate) fn counted(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let host = host(folder);
        for (_, file) in PROGRAMS {
            let app = host.load_file(&folder.join(file)).await.expect("it loads");
            for _ in 0..WARM_UP {
                fetch(&app).await;
            }
            let before = measured_calls(&host);
            mark();
            for _ in 0..REQUESTS {
                fetch(&app).await;
            }
            mark();
            let calls = (measured_calls(&host) - before) * u64::from(SAMPLED_ONE_IN);
            println!("calls {}", calls as f64 / REQUESTS as f64);
        }
        for times in [CALLS, 2 * CALLS] {
            let component = caller(times);
            let options = LoadOptions { grants: Grants::none().with("length", json!({})), ..LoadOptions::default() };
            let app = host.load_with(&component, &options).await.expect("it loads");
            let bare = bare(&component);
            // The first call of either is not like the others.
            for is_counted in [false, true] {
                if is_counted {
                    mark();
                }
                call(&app).await;
                if is_counted {
                    mark();
                    mark();
                }
                assert_eq!(bare.call("null").await, "null");
                if is_counted {
                    mark();
                }
            }
        }
    });
}

async fn call(app: &App) {
    assert_eq!(app.call(&Value::Null).await.expect("an answer").value, Value::Null);
}

/// Has the plugin say how many instructions there were.
fn mark() {
    let _ = std::os::unix::process::parent_id(); // the plugin waits for this system call
}

/// A host for few instances: the emulator keeps a table of all address space that is reserved.
fn host(folder: &Path) -> Host {
    let host = Host::builder().instances(4).cores(1).cache_dir(folder.join("cache")).capability(Length);
    // As `elias serve` has them.
    host.capability(Config).capability(Log).build().expect("a host")
}

fn measured_calls(host: &Host) -> u64 {
    host.functions().iter().map(|function| function.times().count()).sum()
}

/// The capability `length`: a function that does next to nothing, with a price for its argument, as most have one.
struct Length;

impl Capability for Length {
    type Grant = ();
    type Context = ();

    fn name(&self) -> &'static str {
        "length"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["bench:prices/length"]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        let bytes = size("bytes", |(text,): &(String,)| text.len() as u64).at_most(1024);
        let mut interface = linker.interface(INTERFACE)?;
        interface.func(
            "length",
            Price::call().per(1, bytes),
            |_: StoreContextMut<'_, InstanceState>, (text,): (String,)| Ok((text.len() as u32,)),
        )
    }

    async fn configure(&self, _: &ComponentInfo, _: Option<&Value>) -> Result<(), ConfigureError> {
        Ok(())
    }

    fn prepare(&self, _: &InstanceInfo, _: &Arc<()>) {}
}

/// A component that imports that function, on wasmtime's linker and without a host.
fn bare(component: &[u8]) -> Bare {
    let engine = Engine::new(&wasmtime_config(&Allocation::OnDemand)).expect("the configuration is valid");
    let mut linker = Linker::<()>::new(&engine);
    let mut interface = linker.instance(INTERFACE).expect("nothing else has this name");
    let linked = interface.func_wrap_async("length", |_: StoreContextMut<'_, ()>, (text,): (String,)| {
        let result: wasmtime::Result<(u32,)> = Ok((text.len() as u32,));
        Box::new(std::future::ready(result))
    });
    linked.expect("nothing else has this name");
    Bare::link(engine, &linker, component)
}

/// A component whose `call` handler asks for the length of a text so often, and answers with its input.
fn caller(times: usize) -> Vec<u8> {
    let text = format!(
        r#"
(component
  (import "{INTERFACE}" (instance $prices (export "length" (func (param "text" string) (result u32)))))
  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 64) "a text")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $length (canon lower (func $prices "length") (memory $bytes)))
  (core module $main
    (import "" "memory" (memory 1))
    (import "" "length" (func $length (param i32 i32) (result i32)))
    (func (export "call") (param i32 i32) (result i32) (local $n i32)
      (loop $again
        (drop (call $length (i32.const 64) (i32.const 6)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const {times}))))
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (local.get 0))
      (i32.store (i32.const 24) (local.get 1))
      (i32.const 16)))
  (core instance $main (instantiate $main
    (with "" (instance (export "memory" (memory $bytes)) (export "length" (func $length))))))
  (type $exception (record (field "name" string) (field "message" string) (field "stack" string)))
  (func $call (param "input" string) (result (result string (error $exception)))
    (canon lift (core func $main "call") (memory $bytes) (realloc $realloc)))
  (component $interface
    (type $record (record (field "name" string) (field "message" string) (field "stack" string)))
    (import "import-exception" (type $imported (eq $record)))
    (import "import-call" (func $call (param "input" string) (result (result string (error $imported)))))
    (export $exception "exception" (type $imported))
    (export "call" (func $call) (func (param "input" string) (result (result string (error $exception))))))
  (instance $interface (instantiate $interface
    (with "import-exception" (type $exception)) (with "import-call" (func $call))))
  (export "elias:component/call@0.1.0" (instance $interface)))
"#
    );
    wat::parse_str(text).expect("valid text")
}
