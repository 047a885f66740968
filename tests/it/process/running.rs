//! A running daemon: its log, its pages, its signals, and the socket on which systemd would listen.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use crate::site::{Site, binary};
use crate::wait::{self, LONG};

/// Killed when dropped, with its log shown if the test failed.
pub struct Daemon {
    child: Child,
    log: mpsc::Receiver<String>,
    pages: SocketAddr,
    systemd: mpsc::Receiver<String>,
}

impl Daemon {
    /// Starts it and waits until it says that it is ready.
    pub fn start(site: &Site) -> Self {
        let socket = site.path("notify.sock");
        let _ = std::fs::remove_file(&socket);
        let systemd = messages(UnixDatagram::bind(&socket).expect("the path is short enough"));
        let mut child = binary()
            .args(["run", "--config"])
            .arg(site.path("mailkeeper.yaml"))
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "200000")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (lines, log) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|l| lines.send(l))
        });
        let pages = served_at(&log);
        let daemon = Self { child, log, pages, systemd };
        daemon.hears("READY=1");
        daemon
    }

    /// The next message to systemd with this line in it.
    pub fn hears(&self, wanted: &str) -> String {
        loop {
            let message = self.systemd.recv_timeout(LONG);
            let message = message.unwrap_or_else(|_| panic!("systemd never heard {wanted}"));
            if message.lines().any(|line| line == wanted) {
                return message;
            }
        }
    }

    /// Waits for a line of the log with these words.
    pub fn logs(&self, words: &str) {
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains(words)) {
            match self.log.recv_timeout(LONG) {
                Ok(line) => seen.push(line),
                Err(_) => panic!("the log never said {words:?}:\n{}", seen.join("\n")),
            }
        }
    }

    /// Status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.pages).expect("the pages are served");
        stream.set_read_timeout(Some(LONG)).expect("a timeout can be set");
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.pages).expect("the request is sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the answer is text");
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status line"), body.to_owned())
    }

    /// The sum over the series of a metric; `None` when there is none.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").1;
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
        });
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    /// Waits until so many passes were made since the start.
    pub fn passes(&self, count: u32) {
        wait::until(&format!("{count} passes"), || {
            let made = self.metric("mailkeeper_pass_duration_seconds_count")?;
            (made >= f64::from(count)).then_some(())
        });
    }

    /// `kill` is a builtin of every shell, so this needs no further program.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().expect("there is a shell");
        assert!(status.success(), "{command}");
    }

    /// Waits for the end; the exit code.
    pub fn ends(&mut self) -> Option<i32> {
        wait::until("the daemon ends", || self.child.try_wait().expect("the child is ours")).code()
    }

    /// What it has written to its log since the last look.
    pub fn log(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// SIGKILL: no drain, no goodbye.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("the child is ours");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.log.try_iter().for_each(|line| eprintln!("daemon: {line}"));
        }
    }
}

/// What arrives on systemd's socket. Read all the time, as systemd does: a full queue would block the sender.
fn messages(socket: UnixDatagram) -> mpsc::Receiver<String> {
    let (heard, messages) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            if heard.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    messages
}

/// The address that the log names. Fails with the log when the daemon ends before.
fn served_at(log: &mpsc::Receiver<String>) -> SocketAddr {
    let mut seen = Vec::new();
    loop {
        let Ok(line) = log.recv_timeout(LONG) else {
            panic!("the daemon did not start:\n{}", seen.join("\n"))
        };
        let fields = serde_json::from_str::<Value>(&line).unwrap_or_default();
        let address = fields["address"].as_str().or_else(|| fields["fields"]["address"].as_str());
        if let Some(address) = address.and_then(|address| address.parse().ok()) {
            return address;
        }
        seen.push(line);
    }
}
