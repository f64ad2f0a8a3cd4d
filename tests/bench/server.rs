//! Servers under load: ours and the rivals.

use elias_tests::build::{Project, binary, root};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server that is ended when dropped.
pub(crate) struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Starts a server that says its URL in its first line.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says its URL");
        let url = line.trim().rsplit("http://").next().map(|rest| format!("http://{rest}/")).unwrap_or_default();
        Self { process, url }
    }

    /// Starts `elias serve` with these arguments.
    pub(crate) fn elias(arguments: &[&str]) -> Self {
        let mut command = Command::new(binary("elias"));
        Self::start(command.env("ELIAS_LOG", "off").arg("serve").args(arguments).args(["--listen", "127.0.0.1:0"]))
    }

    /// Starts `elias serve --platform` in this data directory, with a filter of log lines; gives the address of its
    /// admin API too. Log lines are discarded after they were written, since only what they cost is of interest.
    pub(crate) fn platform(data_dir: &Path, flags: &[&str], log: &str) -> (Self, String) {
        let mut command = Command::new(binary("elias"));
        command.args(["serve", "--platform", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).args(flags);
        command.arg("--data-dir").arg(data_dir).env("ELIAS_LOG", log).stdout(Stdio::piped());
        if log != "off" {
            command.stderr(Stdio::null());
        }
        let mut process = command.spawn().expect("the server starts");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut address = || {
            let line = lines.next().expect("it says where it listens").expect("UTF-8");
            let (_, rest) = line.split_once("http://").expect("a URL");
            rest.split('/').next().unwrap_or_default().to_owned()
        };
        let (services, admin) = (address(), address());
        (Self { process, url: format!("http://{services}/") }, admin)
    }

    /// Starts workerd with one worker of this script.
    pub(crate) fn workerd(project: &Project, script: &[u8]) -> Self {
        Self::workerd_of(project, "workerd.capnp", script)
    }

    /// The same by another configuration of the rivals.
    pub(crate) fn workerd_of(project: &Project, config: &str, script: &[u8]) -> Self {
        let rivals = root().join("tests/bench/rivals");
        project.write(config, std::fs::read(rivals.join(config)).expect("it is there"));
        project.write("worker.js", script);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let process = Command::new(rivals.join("node_modules/@cloudflare/workerd-linux-64/bin/workerd"))
            .arg("serve")
            .arg(project.path(config))
            .arg(format!("--socket-addr=http=127.0.0.1:{port}"))
            .spawn()
            .expect("`make packages` installed workerd");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, url: format!("http://127.0.0.1:{port}/") }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its address and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }

    /// The response to a GET, head and body.
    pub(crate) fn get(&self) -> String {
        self.get_path("/")
    }

    /// The same of a path.
    pub(crate) fn get_path(&self, path: &str) -> String {
        let host = self.address();
        let mut stream = TcpStream::connect(host).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Bytes of memory that the process has resident.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Seconds of CPU that the process has used, all threads, in the system too. See proc_pid_stat(5).
    pub(crate) fn cpu_seconds(&self) -> f64 {
        const TICKS_PER_SECOND: f64 = 100.0; // Linux's USER_HZ on every architecture that we run on
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
        let after_name = stat.rsplit(") ").next().expect("the name is in parentheses");
        let ticks = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}
