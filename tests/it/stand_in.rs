//! A few lines of HTTP/1.1 on loopback in front of a function: for answers that neither Graph nor its simulation would
//! give, and for seeing who connects at all.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use mailkeeper::graph::transport::{HttpRequest, HttpResponse, Method};

type Answer = dyn Fn(HttpRequest) -> HttpResponse + Send + Sync;

/// Listens until dropped.
pub struct StandIn {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl StandIn {
    pub fn start(answer: impl Fn(HttpRequest) -> HttpResponse + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (connections, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let stand_in = Self { address, connections: Arc::clone(&connections), is_over: Arc::clone(&is_over) };
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                // A client that goes away in the middle is its own affair.
                thread::spawn(move || stream.and_then(|stream| talk(&stream, &*answer)));
            }
        });
        stand_in
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were ever made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// One request, one answer, and goodbye.
fn talk(stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    let request = read(&mut BufReader::new(stream))?;
    write(stream, &answer(request))
}

fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<HttpRequest> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = match words.next().ok_or_else(malformed)? {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return Err(malformed()),
    };
    let mut request = HttpRequest::new(method, words.next().ok_or_else(malformed)?);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        request = request.with_header(name, value.trim());
    }
    let host = request.header("host").ok_or_else(malformed)?;
    request.url = format!("http://{host}{}", request.url);
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut request.body)?;
    Ok(request)
}

fn write(mut stream: &TcpStream, response: &HttpResponse) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Answer\r\nconnection: close\r\n", response.status);
    for (name, value) in response.headers.iter().filter(|(name, _)| name != "content-length") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", response.body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(&response.body)
}
