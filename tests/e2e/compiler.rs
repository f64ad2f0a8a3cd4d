//! The process that compiles what tenants upload: what it takes at most, and how it ends when it would take more.

use elias_tests::build::binary;
use elias_tests::serve::PATIENCE;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const OUT_OF_CPU_TIME: i32 = 24;

/// A component with one function of so many loops, about 14 bytes each. The compiler takes longer for each of them the
/// more there are.
pub(crate) fn bomb(loops: usize) -> Vec<u8> {
    let step = "loop local.get 0 i32.const 1 i32.add local.set 0 local.get 0 br_if 0 end ";
    let text = format!("(component (core module (func (param i32) {})))", step.repeat(loops));
    wat::parse_str(text).expect("valid text")
}

/// Starts a compiler as a platform does; it waits for what it is to compile.
fn compiler(cpu_seconds: u64, memory_bytes: u64) -> Child {
    let mut command = Command::new(binary("elias-serve"));
    command.args(["compile-worker", "component", &cpu_seconds.to_string(), &memory_bytes.to_string()]);
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

fn compile(mut compiler: Child, bytes: &[u8]) -> Output {
    let mut input = compiler.stdin.take().expect("it has one");
    let _ = input.write_all(bytes); // it may have ended before it read all
    drop(input);
    compiler.wait_with_output().expect("it ends")
}

/// What the system says of a process; none once it has ended.
fn of_process(process: u32, file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{process}/{file}")).ok()
}

/// A field of `/proc/PID/stat`, counted from the state, which is behind the program's name in brackets; see
/// proc_pid_stat(5).
fn stat(process: u32, field: usize) -> Option<String> {
    let stat = of_process(process, "stat")?;
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(field)).map(str::to_owned)
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a compiler has limited itself: its priority is the last of it.
fn wait_until_limited(process: u32) {
    const NICE: usize = 16;
    wait_until("the compiler does not limit itself", || stat(process, NICE).as_deref() == Some("19"));
}

#[test]
fn a_compiler_limits_itself_before_it_reads_anything() {
    let memory: u64 = 200 << 20;
    let compiler = compiler(7, memory);
    wait_until_limited(compiler.id());
    let limits = of_process(compiler.id(), "limits").expect("it waits for its input");
    let limit = |name: &str| {
        let line =
            limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {limits}"));
        line.split_whitespace().take(2).map(|number| number.parse().expect("a number")).collect::<Vec<u64>>()
    };
    assert_eq!(limit("Max cpu time"), [7, 8]);
    assert_eq!(limit("Max core file size"), [0, 0]);
    assert_eq!(limit("Max data size"), [memory; 2]);
    assert_eq!(limit("Max address space"), [memory + (4 << 30); 2]);
    let compiled = compile(compiler, &wat::parse_str("(component)").expect("valid text"));
    assert!(compiled.status.success() && compiled.stdout.first() == Some(&0), "{:?}", compiled.status);
}

#[test]
fn a_compiler_that_reaches_a_limit_is_ended_by_the_system() {
    let ended = compile(compiler(1, 1 << 30), &bomb(18_000));
    assert_eq!(ended.status.signal(), Some(OUT_OF_CPU_TIME), "{:?}", ended.status);
    // The same memory is enough for a small component.
    let memory = 200 << 20;
    let small = compile(compiler(60, memory), &bomb(1));
    assert!(small.status.success() && small.stdout.first() == Some(&0), "{:?}", small.status);
    // Where the memory ends decides whether it aborts or panics.
    let ended = compile(compiler(60, memory), &bomb(150_000));
    assert!(!ended.status.success() && ended.stdout.first() != Some(&0), "{:?}", ended.status);
}

#[test]
fn what_is_no_component_is_told_and_not_compiled() {
    let all: [&[u8]; 4] = [b"", b"\0asm", b"no component", &[0xff; 100_000]];
    for bytes in all {
        let told = compile(compiler(60, 1 << 30), bytes);
        assert!(told.status.success() && told.stdout.first() == Some(&1), "{:?}", told.status);
        assert!((2..20_000).contains(&told.stdout.len()), "{} bytes of why", told.stdout.len());
    }
}

#[test]
fn a_compiler_ends_with_its_parent() {
    // The shell is the parent; its own input, which stays open, is the compiler's.
    let script = r#"exec 3<&0; "$0" compile-worker component 600 1073741824 <&3 >/dev/null & echo $!; wait"#;
    let mut parent = Command::new("/bin/sh");
    parent.arg("-c").arg(script).arg(binary("elias-serve"));
    let mut parent = parent.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is a shell");
    let input = parent.stdin.take();
    let mut output = parent.stdout.take().expect("it has one");
    let (mut number, mut byte) = (String::new(), [0]);
    while output.read(&mut byte).expect("it writes") > 0 && byte[0] != b'\n' {
        number.push(char::from(byte[0]));
    }
    let compiler: u32 = number.parse().expect("the number of a process");
    wait_until_limited(compiler);
    parent.kill().expect("it is ours");
    parent.wait().expect("it is ours");
    // Whoever inherits it may not have asked for its end yet.
    wait_until("the compiler goes on without its parent", || stat(compiler, 0).is_none_or(|state| state == "Z"));
    drop(input);
}
