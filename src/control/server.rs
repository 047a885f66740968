//! The daemon's end of the socket: one JSON line in, one JSON line out, who asks from the peer's credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::fleet::{Fleet, told};

use super::{Person, Refusal, Reply, Request};

/// A question is a few hundred bytes; whoever sends more is not a command of ours.
const LONGEST_QUESTION: u64 = 64 * 1024;

/// A command asks as soon as it is connected; who does not keeps a file of ours open.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Before the next try to accept.
const REST: Duration = Duration::from_millis(100);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error("the control socket {path} cannot be opened")]
pub struct Error {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// A listening socket that removes its file at the end.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Opens the socket. A file left over by a daemon that is gone is replaced; a living daemon's is not.
    pub fn open(path: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let at_path = |source| Error { path: path.to_owned(), source };
        if path.exists() {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                let source = std::io::Error::new(
                    std::io::ErrorKind::AddrInUse,
                    "another mailkeeper listens on it; stop that one first",
                );
                return Err(at_path(source));
            }
            std::fs::remove_file(path).map_err(at_path)?;
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            std::fs::create_dir_all(folder).map_err(at_path)?;
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o750)).map_err(at_path)?;
        }
        let listener = UnixListener::bind(path).map_err(at_path)?;
        // The group may ask, too: operators need not be the service's own user.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(at_path)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Answers until told to stop.
    pub async fn serve(self, fleet: Arc<Fleet>, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let fleet = Arc::clone(&fleet);
                        tokio::spawn(async move {
                            if let Err(error) = answer(stream, &fleet).await {
                                tracing::debug!(%error, "a command went away");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the control socket does not accept");
                        // Out of files, most likely: that does not pass in an instant.
                        tokio::time::sleep(REST).await;
                    }
                },
                () = told(&mut stopping) => return,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(stream: UnixStream, fleet: &Fleet) -> std::io::Result<()> {
    let person = Person::of_uid(stream.peer_cred()?.uid());
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut asked = BufReader::new(reader.take(LONGEST_QUESTION));
    tokio::time::timeout(LONGEST_WAIT, asked.read_line(&mut line)).await??;
    let reply = match serde_json::from_str::<Request>(&line) {
        Ok(request) => match fleet.ask(&request, &person).await {
            Ok(answers) => Reply::Answers(answers),
            Err(refusal) => Reply::Refused(refusal),
        },
        Err(error) => Reply::Refused(Refusal::usage(format!("not a question of this version: {error}"))),
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    writer.write_all(&text).await?;
    writer.shutdown().await
}
