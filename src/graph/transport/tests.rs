//! The real transport against listeners on loopback.

use super::*;

#[test]
fn debug_shows_neither_credentials_nor_bodies() {
    let request = HttpRequest::new(Method::Post, "https://login/x?claims=hunter2")
        .with_header("Authorization", "Bearer hunter2")
        .with_body("text/plain", b"client_secret=hunter2".to_vec());
    let text = format!("{request:?}");
    assert_eq!(text, r#"HttpRequest(POST https://login/x ["authorization", "content-type"], 21 bytes)"#);
    let response = HttpResponse::new(200).with_json(&serde_json::json!({ "access_token": "hunter2" }));
    assert_eq!(format!("{response:?}"), r#"HttpResponse(200 ["content-type"], 26 bytes)"#);
}

/// Over real sockets on loopback: what the seam promises, of the implementation that production uses.
mod over_sockets {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every connection with these bytes and closes it.
    async fn server(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let _read = stream.read(&mut request).await;
                let _sent = stream.write_all(&answer).await;
            }
        });
        format!("http://{address}/v1.0/users")
    }

    async fn get(answer: &[u8], options: TransportOptions) -> Result<HttpResponse, TransportError> {
        let url = server(answer.to_vec()).await;
        let transport = ReqwestTransport::new(options).expect("certificates of the platform");
        transport.send(HttpRequest::new(Method::Get, url)).await
    }

    fn small() -> TransportOptions {
        TransportOptions { body_limit_bytes: 100, ..TransportOptions::default() }
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_followed() {
        let answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        let response = get(answer, small()).await.expect("an answer");
        assert_eq!((response.status, response.header("location")), (302, Some("http://127.0.0.1:1/")));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_not_read() {
        let answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n".as_slice(), &[b'a'; 101]].concat();
        assert_eq!(get(&answer, small()).await, Err(TransportError::TooLarge { limit_bytes: 100 }));
        let answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".as_slice(), &[b'a'; 100]].concat();
        assert_eq!(get(&answer, small()).await.expect("just fits").body.len(), 100);
    }

    #[tokio::test]
    async fn a_compressed_body_counts_as_what_it_expands_to() {
        // 100,000 zero bytes, gzipped to 133.
        let bomb = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, GZIPPED_ZEROS)
            .expect("base64");
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
        let options = TransportOptions { body_limit_bytes: 50_000, ..TransportOptions::default() };
        let answer = [head.as_bytes(), &bomb].concat();
        assert_eq!(get(&answer, options).await, Err(TransportError::TooLarge { limit_bytes: 50_000 }));
        assert_eq!(get(&answer, TransportOptions::default()).await.expect("fits").body.len(), 100_000);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_broken() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf";
        assert!(matches!(get(answer, small()).await, Err(TransportError::Broken(_))));
    }

    #[tokio::test]
    async fn a_silent_server_times_out_and_a_closed_port_does_not_connect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let options = TransportOptions { total_timeout: Duration::from_millis(100), ..small() };
        let transport = ReqwestTransport::new(options).expect("certificates of the platform");
        let silent = transport.send(HttpRequest::new(Method::Get, &url)).await;
        assert_eq!(silent, Err(TransportError::Timeout(Duration::from_millis(100))));
        drop(listener);
        let closed = transport.send(HttpRequest::new(Method::Get, &url)).await;
        assert!(matches!(closed, Err(TransportError::Connect(_))), "{closed:?}");
    }

    #[tokio::test]
    async fn connections_are_kept_until_a_503_and_then_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        // Each connection answers its own number in the body; the second request on the first one is refused.
        tokio::spawn(async move {
            for connection in 1.. {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                tokio::spawn(async move {
                    for request in 1.. {
                        if !matches!(stream.read(&mut [0; 4096]).await, Ok(read) if read > 0) {
                            return;
                        }
                        let status = if (connection, request) == (1, 2) { "503 Busy" } else { "200 OK" };
                        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 1\r\n\r\n{connection}");
                        let _sent = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        let transport = ReqwestTransport::new(small()).expect("certificates of the platform");
        let mut seen = Vec::new();
        for _ in 0..4 {
            let response = transport.send(HttpRequest::new(Method::Get, &url)).await.expect("an answer");
            seen.push((response.status, String::from_utf8(response.body).expect("a digit")));
        }
        let expected = [(200, "1"), (503, "1"), (200, "2"), (200, "2")];
        assert_eq!(seen, expected.map(|(status, body)| (status, body.to_owned())));
        // A late 503 over the old connections changes nothing more.
        transport.direct.renew(&transport.options, 0);
        assert_eq!(transport.direct.current().number, 1);
    }

    const GZIPPED_ZEROS: &str = "H4sIAAAAAAACA+3BMQEAAADCoPVPbQ0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIBXA32VEdSghgEA";
}
