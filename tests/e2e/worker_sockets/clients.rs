//! The clients of tests/websocket: programs that take commands and say what comes.

use elias_tests::build::root;
use elias_tests::serve::{PATIENCE, Server};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// By `ws` of npm, and by Python's `websockets`.
pub(super) const PROGRAMS: [&str; 2] = ["client.mjs", "client.py"];

/// A client that runs.
pub(super) struct Client {
    process: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
}

impl Client {
    pub(super) fn start(program: &str, server: &Server, path: &str, protocol: Option<&str>) -> Self {
        let interpreter = match program {
            "client.py" => std::env::var("ELIAS_TEST_PYTHON").expect("run the tests with `make test`"),
            _ => "node".to_owned(),
        };
        let mut command = Command::new(interpreter);
        command.arg(root().join("tests/websocket").join(program)).arg(format!("ws://{}{path}", server.address));
        // It leaves nothing in the folder of the sources.
        command.args(protocol).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8");
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the interpreter is there");
        let commands = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, commands, lines }
    }

    /// Has it do something.
    pub(super) fn command(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("it runs");
    }

    /// What it says next.
    pub(super) fn line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it says something").trim_end().to_owned()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}
