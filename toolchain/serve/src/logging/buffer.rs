//! Log lines on their way out: all threads append to one buffer, and one thread writes it in batches.
//!
//! `tracing-subscriber` formats a line in a buffer of its thread, so that the lock here is held for a copy of some
//! hundred bytes. A buffer for each thread would need no common lock, but would lose the order of lines: an execution
//! moves between threads. A channel, as in `tracing-appender`, costs an allocation, a wake and a write for each line.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a single write, if it has several lines: what Linux writes to a pipe as one piece (`PIPE_BUF`). So nothing
/// that others write to the same pipe, such as the message of a panic, stands within a line.
const WRITE_BYTES: usize = 4096;
/// Bytes of memory that the buffer keeps after a burst.
const KEPT_BYTES: usize = 1 << 20;
/// How long to wait for an output that is non-blocking and full.
const RETRY: Duration = Duration::from_millis(10);

/// Lines that wait to be written.
pub(crate) struct LogBuffer {
    queue: Mutex<Queue>,
    /// Wakes the thread that writes.
    ready: Condvar,
    /// Wakes those that wait in `flush`.
    progress: Condvar,
    /// Bytes that may wait.
    capacity: usize,
    /// How long a line may wait for others.
    interval: Duration,
}

#[derive(Default)]
struct Queue {
    /// Whole lines.
    lines: Vec<u8>,
    /// Bytes that were accepted, and those of them that were written or could not be.
    accepted: u64,
    written: u64,
    /// Lines that were not accepted.
    dropped: u64,
    /// Whether the thread that writes waits for a line, and not for the end of an interval.
    idle: bool,
    /// Whether the present interval is to end early.
    urgent: bool,
    /// Whether no more lines are accepted.
    closed: bool,
}

impl LogBuffer {
    /// A buffer, and a thread that writes it to `output`. Of `capacity` bytes that wait, lines are dropped and counted.
    ///
    /// # Panics
    /// If no thread can be started.
    pub(crate) fn start(output: impl Write + Send + 'static, capacity: usize, interval: Duration) -> Arc<Self> {
        let this = Arc::new(Self {
            queue: Mutex::default(),
            ready: Condvar::new(),
            progress: Condvar::new(),
            capacity,
            interval,
        });
        let buffer = Arc::clone(&this);
        let thread = std::thread::Builder::new().name("log-writer".to_owned());
        thread.spawn(move || buffer.run(output)).expect("a thread can be started");
        this
    }

    /// Waits until all lines so far are written, at most as long as `timeout`. Returns whether they are.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let mut queue = self.lock();
        let accepted = queue.accepted;
        if queue.written < accepted {
            queue.urgent = true;
            self.ready.notify_one();
        }
        let waits = |queue: &mut Queue| queue.written < accepted;
        self.progress.wait_while_for(&mut queue, waits, timeout);
        queue.written >= accepted
    }

    /// Accepts no more lines, and flushes: lines that come later are dropped.
    pub(crate) fn close(&self, timeout: Duration) -> bool {
        self.lock().closed = true;
        self.ready.notify_one();
        self.flush(timeout)
    }

    /// How many lines were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn append(&self, line: &[u8]) {
        let mut queue = self.lock();
        if queue.closed || queue.lines.len().saturating_add(line.len()) > self.capacity {
            queue.dropped += 1;
            return;
        }
        queue.lines.extend_from_slice(line);
        queue.accepted += line.len() as u64;
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if idle {
            self.ready.notify_one();
        }
    }

    /// Writes until the buffer is closed. The first line after a pause is written at once. Those of the interval that
    /// follows wait for its end, and wake nobody.
    fn run(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        let mut queue = self.lock();
        loop {
            queue.idle = queue.lines.is_empty();
            let waits = |queue: &mut Queue| queue.lines.is_empty() && !queue.closed;
            self.ready.wait_while(&mut queue, waits);
            queue.idle = false;
            if queue.lines.is_empty() {
                return;
            }
            std::mem::swap(&mut queue.lines, &mut batch);
            drop(queue);
            write_lines(&mut output, &batch);
            let bytes = batch.len() as u64;
            batch.clear();
            batch.shrink_to(KEPT_BYTES);
            queue = self.lock();
            queue.written += bytes;
            self.progress.notify_all();
            let waits = |queue: &mut Queue| !queue.urgent && !queue.closed;
            self.ready.wait_while_for(&mut queue, waits, self.interval);
            queue.urgent = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock() // whole after every operation
    }
}

/// Takes one whole line with each call, as `tracing-subscriber` writes them.
impl Write for &LogBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines, as many at a time as a pipe takes as one piece.
fn write_lines(output: &mut impl Write, mut lines: &[u8]) {
    while !lines.is_empty() {
        let (piece, rest) = lines.split_at(piece_bytes(lines));
        // Whoever closed standard error does not want to know.
        let _ = write_piece(output, piece);
        lines = rest;
    }
    let _ = output.flush();
}

/// Bytes of the lines that are written at once: a line at least.
fn piece_bytes(lines: &[u8]) -> usize {
    if lines.len() <= WRITE_BYTES {
        return lines.len();
    }
    let (head, tail) = lines.split_at(WRITE_BYTES);
    let ends = |byte: &u8| *byte == b'\n';
    let last = head.iter().rposition(ends);
    let end = last.or_else(|| tail.iter().position(ends).map(|at| WRITE_BYTES + at));
    end.map_or(lines.len(), |at| at + 1)
}

/// `write_all`, also if the output is non-blocking: another process may have made standard error so, and full it is
/// soon.
fn write_piece(output: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Longer than any test.
    const FOREVER: Duration = Duration::from_secs(3600);

    /// Reports each write, and ends it when the test says so or has dropped the other end.
    struct GatedOutput {
        writes: Sender<String>,
        gate: Receiver<()>,
    }

    impl GatedOutput {
        fn new() -> (Self, Receiver<String>, Sender<()>) {
            let ((writes, written), (open, gate)) = (channel(), channel());
            (Self { writes, gate }, written, open)
        }

        /// An output that never waits.
        fn open() -> (Self, Receiver<String>) {
            let (output, written, _) = Self::new();
            (output, written)
        }
    }

    impl Write for GatedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.writes.send(String::from_utf8_lossy(bytes).into_owned());
            let _ = self.gate.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Gives the results that are queued, then takes everything.
    struct ScriptedOutput {
        results: Vec<io::Result<usize>>,
        taken: Vec<u8>,
    }

    impl Write for ScriptedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.results.pop().unwrap_or(Ok(bytes.len()))?;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn append(buffer: &LogBuffer, line: &str) {
        let mut writer = buffer;
        writer.write_all(line.as_bytes()).expect("a buffer takes or drops");
    }

    fn next(written: &Receiver<String>) -> String {
        written.recv_timeout(FOREVER).expect("something is written")
    }

    #[test]
    fn no_line_of_many_threads_is_lost_torn_or_out_of_order() {
        let (output, written) = GatedOutput::open();
        let buffer = LogBuffer::start(output, usize::MAX, Duration::ZERO);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let buffer = &buffer;
                scope.spawn(move || (0..2_000).for_each(|line| append(buffer, &format!("{thread} {line}\n"))));
            }
        });
        assert!(buffer.close(FOREVER));
        let mut lines = [0; 4];
        for piece in written.try_iter() {
            assert!(piece.len() <= WRITE_BYTES && piece.ends_with('\n'), "{piece}");
            for line in piece.lines() {
                let (thread, line) = line.split_once(' ').expect("a line is whole");
                let next = &mut lines[thread.parse::<usize>().expect("a thread")];
                assert_eq!(line.parse::<u32>(), Ok(*next), "lines of thread {thread}");
                *next += 1;
            }
        }
        assert_eq!((lines, buffer.dropped()), ([2_000; 4], 0));
    }

    #[test]
    fn the_first_line_is_written_at_once_and_others_with_the_end_of_the_interval() {
        let (output, written) = GatedOutput::open();
        let buffer = LogBuffer::start(output, usize::MAX, FOREVER);
        append(&buffer, "first\n");
        assert_eq!(next(&written), "first\n");
        for line in ["second\n", "third\n"] {
            append(&buffer, line);
        }
        assert!(buffer.flush(FOREVER), "a flush ends the interval");
        assert_eq!(written.try_iter().collect::<Vec<_>>(), ["second\nthird\n"]);
        assert!(buffer.flush(Duration::ZERO), "nothing waits");
        assert!(buffer.close(FOREVER));

        let (output, written) = GatedOutput::open();
        let buffer = LogBuffer::start(output, usize::MAX, Duration::from_nanos(1));
        for line in ["first\n", "second\n", "third\n"] {
            append(&buffer, line);
            assert_eq!(next(&written), line, "the interval's end is enough");
        }
        assert!(buffer.close(FOREVER));
    }

    #[test]
    fn lines_that_come_while_others_are_written_are_the_next_batch() {
        let (output, written, open) = GatedOutput::new();
        let buffer = LogBuffer::start(output, usize::MAX, FOREVER);
        append(&buffer, "first\n");
        assert_eq!(next(&written), "first\n");
        append(&buffer, "second\n");
        append(&buffer, "third\n");
        assert!(!buffer.flush(Duration::ZERO), "the output has not taken the first yet");
        drop(open);
        assert!(buffer.close(FOREVER));
        assert_eq!(written.try_iter().collect::<Vec<_>>(), ["second\nthird\n"]);
    }

    #[test]
    fn lines_over_the_capacity_are_dropped_and_counted() {
        let (output, written, open) = GatedOutput::new();
        let buffer = LogBuffer::start(output, 10, Duration::ZERO);
        append(&buffer, "first\n");
        assert_eq!(next(&written), "first\n");
        for line in ["12345\n", "long\n", "789\n", "\n"] {
            append(&buffer, line);
        }
        assert_eq!(buffer.dropped(), 2);
        drop(open);
        assert!(buffer.flush(FOREVER));
        append(&buffer, "room\n");
        assert!(buffer.close(FOREVER));
        assert_eq!(written.try_iter().collect::<String>(), "12345\n789\nroom\n");
        append(&buffer, "late\n");
        assert_eq!(buffer.dropped(), 3, "nobody writes after the end");
        assert!(written.recv().is_err(), "the thread has ended");
    }

    #[test]
    fn a_write_is_as_many_whole_lines_as_a_pipe_takes_as_one_piece() {
        assert_eq!(piece_bytes(b"a\nb\n"), 4);
        let line = |bytes: usize| "x".repeat(bytes - 1) + "\n";
        assert_eq!(piece_bytes(line(WRITE_BYTES).repeat(2).as_bytes()), WRITE_BYTES);
        assert_eq!(piece_bytes(line(1000).repeat(5).as_bytes()), 4000);
        assert_eq!(piece_bytes((line(WRITE_BYTES + 1) + &line(5)).as_bytes()), WRITE_BYTES + 1, "a longer line");
        assert_eq!(piece_bytes(&[b'x'; WRITE_BYTES + 7]), WRITE_BYTES + 7, "no line at all");
    }

    #[test]
    fn an_output_that_is_interrupted_full_or_fails_loses_no_other_lines() {
        let results = vec![Err(ErrorKind::Interrupted.into()), Ok(2), Err(ErrorKind::WouldBlock.into()), Ok(1)];
        let mut output = ScriptedOutput { results, taken: Vec::new() };
        write_lines(&mut output, b"a line\n");
        assert_eq!(output.taken, b"a line\n");

        let lines = "x".repeat(WRITE_BYTES - 1) + "\nnext\n";
        for result in [Err(ErrorKind::BrokenPipe.into()), Ok(0)] {
            let mut output = ScriptedOutput { results: vec![result], taken: Vec::new() };
            write_lines(&mut output, lines.as_bytes());
            assert_eq!(output.taken, b"next\n");
        }
    }
}
