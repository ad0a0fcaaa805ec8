//! How one host follows another on the same home without a connection being refused: the new one
//! gets the listening sockets from the old one, which then finishes and leaves. Whoever connects in
//! between waits in those sockets.
//!
//! The new one asks at `takeover.sock` in the home, prepares, and says `go`; the old one drains,
//! leaves the private PostgreSQL running, and ends, which frees the home. When the new one ends
//! before it has said `go`, nothing has happened.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const FILE: &str = "takeover.sock";

/// Of what both sides say; another one is not spoken to.
const PROTOCOL: u32 = 1;

/// Sockets of one host: some addresses on each of many cores. The kernel passes 253 at once.
const SOCKETS_MAX: usize = 250;

/// For what is said before the sockets have passed.
const PATIENCE: Duration = Duration::from_secs(5);

const GO: u8 = b'g';

/// A listening socket on its way from one host to the next.
#[derive(Debug)]
pub struct Handed {
    pub(crate) what: What,
    pub(crate) address: SocketAddr,
    pub(crate) socket: OwnedFd,
}

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Http,
    Tls,
    Operators,
}

#[derive(Serialize, Deserialize)]
struct Note {
    protocol: u32,
    version: String,
    process: u32,
    sockets: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    what: What,
    address: SocketAddr,
}

/// The host before, on the same home.
pub struct Predecessor {
    stream: UnixStream,
    note: Note,
    sockets: Vec<OwnedFd>,
}

impl Predecessor {
    /// Asks the host that runs on `home` for its sockets; None when there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be followed by this program.
    pub fn of(home: &Path) -> Result<Option<Self>> {
        let path = home.join(FILE);
        let stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        stream.set_read_timeout(Some(PATIENCE)).context("wait for the host before")?;
        let (note, sockets) = receive(&stream).context("ask the host before for its sockets")?;
        ensure!(
            note.protocol == PROTOCOL && note.sockets.len() == sockets.len(),
            "the host that runs here ({}) cannot be followed without a gap: stop it first",
            note.version
        );
        Ok(Some(Self { stream, note, sockets }))
    }

    pub fn process(&self) -> u32 {
        self.note.process
    }

    pub fn version(&self) -> &str {
        &self.note.version
    }

    /// Sends it away; from now on there is no way back.
    ///
    /// # Errors
    ///
    /// When it is gone already.
    pub fn go(mut self) -> Result<Vec<Handed>> {
        self.stream.write_all(&[GO]).context("send the host before away")?;
        let handed = self.note.sockets.into_iter().zip(self.sockets);
        let handed =
            handed.map(|(Listed { what, address }, socket)| Handed { what, address, socket });
        Ok(handed.collect())
    }
}

fn is_nobody(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::NotFound | K::ConnectionRefused)
}

/// A descriptor of each socket that this host listens with.
pub(crate) type Copies = Arc<dyn Fn() -> std::io::Result<Vec<Handed>> + Send + Sync>;

/// What a running host holds ready for the next one; taken back when dropped.
pub(crate) struct Offer {
    path: PathBuf,
    taken: watch::Receiver<Option<u32>>,
    answering: JoinHandle<()>,
}

impl Offer {
    /// Opens the way in `home`.
    ///
    /// # Errors
    ///
    /// When the path is too long for a socket, or the folder is not to be written to.
    pub(crate) fn open(home: &Path, copies: Copies) -> Result<Self> {
        let path = home.join(FILE);
        // The home is ours: what stands there was left by a host that was killed.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
        let strict = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, strict).with_context(|| path.display().to_string())?;
        let (sender, taken) = watch::channel(None);
        let answering = tokio::spawn(answer(listener, copies, sender));
        Ok(Self { path, taken, answering })
    }

    /// Resolves when another host follows, with its process.
    pub(crate) fn taken(&self) -> impl Future<Output = u32> + Send + use<> {
        let mut taken = self.taken.clone();
        async move {
            if let Ok(process) = taken.wait_for(Option::is_some).await
                && let Some(process) = *process
            {
                return process;
            }
            std::future::pending().await
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.answering.abort();
        // Somebody who asks too late finds nobody, and waits for the home.
        let _gone = std::fs::remove_file(&self.path);
    }
}

async fn answer(listener: UnixListener, copies: Copies, taken: watch::Sender<Option<u32>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let copies = copies.clone();
        // On a thread of its own: the next host prepares for as long as it takes.
        let asked = tokio::task::spawn_blocking(move || {
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            hand_over(&stream, &copies)
        });
        match asked.await.map_err(anyhow::Error::from).flatten() {
            Ok(Some(process)) => {
                taken.send_replace(Some(process));
                return;
            }
            Ok(None) => tracing::info!("whoever wanted to follow this host did not"),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "nobody can follow"),
        }
    }
}

/// Sends the sockets, and waits until they are used; None when they are not.
fn hand_over(mut stream: &UnixStream, copies: &Copies) -> Result<Option<u32>> {
    let peer = socket_peercred(stream).context("see who asks")?;
    let own = rustix::process::geteuid();
    ensure!(peer.uid == own || peer.uid.is_root(), "another user asks for this host's sockets");
    let process = peer.pid.as_raw_nonzero().get().unsigned_abs();
    let sockets = copies().context("copy the sockets")?;
    send(stream, &sockets)?;
    drop(sockets);
    let mut word = [0];
    match stream.read(&mut word).context("wait for the next host")? {
        1 if word == [GO] => Ok(Some(process)),
        _ => Ok(None),
    }
}

fn send(stream: &UnixStream, sockets: &[Handed]) -> Result<()> {
    ensure!(sockets.len() <= SOCKETS_MAX, "{} sockets are too many", sockets.len());
    let list = sockets.iter().map(|one| Listed { what: one.what, address: one.address });
    let note = Note {
        protocol: PROTOCOL,
        version: crate::VERSION.into(),
        process: std::process::id(),
        sockets: list.collect(),
    };
    let text = serde_json::to_vec(&note).context("write a note")?;
    let length = u32::try_from(text.len()).context("the note is too long")?.to_be_bytes();
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(|one| one.socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ensure!(
        descriptors.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)),
        "the sockets do not fit a message"
    );
    sendmsg(stream, &[IoSlice::new(&length)], &mut ancillary, SendFlags::NOSIGNAL)
        .context("send the sockets")?;
    (&*stream).write_all(&text).context("say what they are")
}

fn receive(mut stream: &UnixStream) -> Result<(Note, Vec<OwnedFd>)> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let slices = &mut [IoSliceMut::new(&mut length)];
    let got = recvmsg(stream, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    ensure!(got.bytes == length.len(), "it says nothing");
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sockets.extend(descriptors);
        }
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > 1 << 20 {
        bail!("what answers there is no host");
    }
    let mut text = vec![0; length];
    stream.read_exact(&mut text)?;
    Ok((serde_json::from_slice(&text)?, sockets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn offer(home: &Path) -> (Offer, SocketAddr, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let held = listener.try_clone().unwrap();
        let copies: Copies = Arc::new(move || {
            let socket = held.try_clone()?.into();
            Ok(vec![Handed { what: What::Http, address, socket }])
        });
        (Offer::open(home, copies).unwrap(), address, listener)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_next_host_accepts_who_waited_for_the_last_one() {
        let home = tempfile::tempdir().unwrap();
        let (offer, address, listener) = offer(home.path());
        let _waiting = TcpStream::connect(address).unwrap();
        let predecessor = Predecessor::of(home.path()).unwrap().expect("a host");
        assert_eq!(predecessor.process(), std::process::id());
        let handed = predecessor.go().unwrap();
        assert_eq!(offer.taken().await, std::process::id());
        drop((offer, listener));
        assert_eq!((handed[0].what, handed[0].address), (What::Http, address));
        let inherited = TcpListener::from(handed.into_iter().next().unwrap().socket);
        inherited.accept().expect("the connection was waiting");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_host_stays_when_its_successor_thinks_better_of_it() {
        let home = tempfile::tempdir().unwrap();
        let (offer, ..) = offer(home.path());
        drop(Predecessor::of(home.path()).unwrap().expect("a host"));
        // The next one is answered, so the first was forgotten.
        let second = Predecessor::of(home.path()).unwrap().expect("a host");
        assert!(offer.taken.borrow().is_none());
        second.go().unwrap();
        offer.taken().await;
    }

    #[tokio::test]
    async fn where_no_host_runs_nobody_is_followed() {
        let home = tempfile::tempdir().unwrap();
        assert!(Predecessor::of(home.path()).unwrap().is_none());
        let (offer, ..) = offer(home.path());
        drop(offer);
        assert!(Predecessor::of(home.path()).unwrap().is_none());
    }
}
