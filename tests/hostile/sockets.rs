//! The real network code against links to another server on loopback: nobody ever connects to that one.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use mailkeeper::graph::transport::{ReqwestTransport, TransportOptions};
use mailkeeper::graph::{Client, Config, Error, Roots, SignIn};
use mailkeeper::model::GroupId;
use serde_json::json;

use super::script::{JumpingClock, TENANT, TOKEN};

/// Spellings of an address that hears: `{port}` is the one where nobody may come.
const LURES: &[&str] = &[
    "http://127.0.0.1:{port}/v1.0/users",
    "http://localhost:{port}/v1.0/users",
    "http://127.1:{port}/v1.0/users",
    "http://2130706433:{port}/v1.0/users",
    "http://0x7f000001:{port}/v1.0/users",
    "http://0177.0.0.1:{port}/v1.0/users",
    "http://[::ffff:127.0.0.1]:{port}/v1.0/users",
    "http://127.0.0.2:{port}/v1.0/users",
    "http://0.0.0.0:{port}/v1.0/users",
    "//127.0.0.1:{port}/v1.0/users",
    "http:\\\\127.0.0.1:{port}/v1.0/users",
    "http://{own}@127.0.0.1:{port}/v1.0/users",
    "http://{own}\\@127.0.0.1:{port}/v1.0/users",
    "http://{own}#@127.0.0.1:{port}/v1.0/users",
    "http://127.0.0.1:{port}\\@{own}/v1.0/users",
    "http://127.0.0.1:{port}\u{0}@{own}/v1.0/users",
    "http://127.0.0.1:{port}\r\nHost: {own}/v1.0/users",
    "http://\u{ff11}27.0.0.1:{port}/v1.0/users",
    "http://127\u{3002}0\u{3002}0\u{3002}1:{port}/v1.0/users",
    "HTTP://127.0.0.1:{port}/v1.0/users",
];

/// Answers sign-in with a token, and Graph with a page, or a redirect, that points to the lure.
fn serve(listener: &TcpListener, lure: &str, is_redirect: bool, requests: usize) {
    for _ in 0..requests {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let head = read_request(&mut stream);
        let (status, body) = if head.contains("/oauth2/v2.0/token") {
            ("200 OK", json!({ "access_token": TOKEN, "expires_in": 3599 }).to_string())
        } else if is_redirect {
            ("302 Found", String::new())
        } else {
            ("200 OK", json!({ "value": [], "@odata.nextLink": lure }).to_string())
        };
        let location: String = lure.chars().filter(|c| c.is_ascii_graphic()).collect();
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .expect("the client listens");
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).expect("the client sends");
        head.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&head).into_owned();
        let Some(end) = text.find("\r\n\r\n") else { continue };
        let length =
            text.to_ascii_lowercase().split("content-length: ").nth(1).map_or(0, |rest| {
                rest.split("\r\n").next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
            });
        if read == 0 || head.len() >= end + 4 + length {
            return text;
        }
    }
}

fn client(own: SocketAddr) -> Client {
    let roots = Roots::new(&format!("http://{own}/v1.0"), &format!("http://{own}")).expect("loopback");
    let sign_in = SignIn::ClientSecret { client_id: "app".to_owned(), secret: "secret".to_owned().into() };
    let transport = ReqwestTransport::new(TransportOptions::default()).expect("a client");
    Client::new(Config::new(TENANT, roots, sign_in), Arc::new(transport), Arc::new(JumpingClock::default()))
}

#[tokio::test]
async fn nobody_connects_to_another_server_of_the_same_machine() {
    let foreign = TcpListener::bind("0.0.0.0:0").expect("a port");
    foreign.set_nonblocking(true).expect("a socket");
    let port = foreign.local_addr().expect("bound").port();
    for lure in LURES {
        for is_redirect in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let own = listener.local_addr().expect("bound");
            let lure = lure.replace("{port}", &port.to_string()).replace("{own}", &own.to_string());
            let text = lure.clone();
            let server = std::thread::spawn(move || serve(&listener, &text, is_redirect, 2));
            let error = client(own).group_members(GroupId::from_u128(7)).next().await.expect_err(&lure);
            server.join().expect("served");
            let is_refused = match error {
                Error::HostileLink { .. } => !is_redirect,
                Error::Answer { answer, .. } => is_redirect && answer.status == 302,
                _ => false,
            };
            assert!(is_refused, "{lure}");
        }
    }
    let came = foreign.accept().map(|(_, from)| from).map_err(|error| error.kind());
    assert_eq!(came, Err(ErrorKind::WouldBlock), "somebody connected to the foreign server");
    // The foreign server does hear: else the silence above would mean nothing.
    TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    foreign.set_nonblocking(false).expect("a socket");
    foreign.accept().expect("it hears");
}
