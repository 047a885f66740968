//! A command's end of the socket.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{Answers, Refusal, Reply, Request};

/// Asks a running daemon; `None` when none listens there.
pub async fn ask(socket: &Path, request: &Request) -> Option<Result<Answers, Refusal>> {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let message = format!(
                "a daemon may be running, but {} may not be opened by this user: use sudo, or join its group",
                socket.display()
            );
            return Some(Err(Refusal::failed(message)));
        }
        Err(_) => return None,
    };
    Some(exchange(stream, request).await.unwrap_or_else(|error| {
        Err(Refusal::failed(format!("the daemon went away before it answered: {error}")))
    }))
}

async fn exchange(mut stream: UnixStream, request: &Request) -> std::io::Result<Result<Answers, Refusal>> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    Ok(match serde_json::from_slice::<Reply>(&text)? {
        Reply::Answers(answers) => Ok(answers),
        Reply::Refused(refusal) => Err(refusal),
    })
}
