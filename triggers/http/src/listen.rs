//! Sockets that accept: one per address when the trigger is made, then one more for each further
//! shard, with SO_REUSEPORT, so that the kernel spreads connections over the shards. Or those of
//! the host before, with the connections that wait in them.

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Connections the kernel completes before we accept them.
const BACKLOG: i32 = 1024;
/// Finds peers that vanished without a word behind a silent stream.
const PEER_CHECK: Duration = Duration::from_secs(60);

/// An address that belongs to us, and whether TLS is spoken there.
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    /// At least one.
    sockets: Vec<Socket>,
}

/// A listening socket that one host hands to the next.
#[derive(Debug)]
pub struct Inherited {
    pub address: SocketAddr,
    /// TLS is spoken there.
    pub tls: bool,
    pub socket: OwnedFd,
}

/// The sockets that a trigger listens with, for whoever hands them on. Empty once it drains: what
/// nobody was given is closed then.
#[derive(Clone, Default)]
pub struct Sockets(Arc<Mutex<Vec<Inherited>>>);

impl Sockets {
    /// A descriptor of each.
    ///
    /// # Errors
    ///
    /// When the process is out of descriptors.
    pub fn copies(&self) -> io::Result<Vec<Inherited>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|one| one.copy()).collect()
    }

    pub(crate) fn keep(
        &self,
        address: SocketAddr,
        tls: bool,
        socket: &TcpListener,
    ) -> io::Result<()> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.push(Inherited { address, tls, socket });
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Inherited {
    fn copy(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { address: self.address, tls: self.tls, socket })
    }
}

impl Bound {
    /// Binds `address`. Unless `share` is set, another process's listener there is an error, even
    /// one that shares its port: half of the traffic would silently go to it.
    pub(crate) fn new(address: SocketAddr, tls: bool, share: bool) -> anyhow::Result<Self> {
        if !share && address.port() != 0 {
            let probe = socket(address)?;
            probe
                .bind(&address.into())
                .with_context(|| format!("listen on {address}: is another host running?"))?;
        }
        // Listening at once: whoever connects while the host starts waits instead of being refused,
        // and the next host's probe finds us.
        let first = listening(address)?;
        let bound = first.local_addr()?.as_socket().context("read the listener's address")?;
        Ok(Self { address: bound, tls, sockets: vec![first] })
    }

    /// The sockets among `inherited` that listen on `address`, taken out; otherwise new ones.
    pub(crate) fn inherit_or_new(
        address: SocketAddr,
        tls: bool,
        share: bool,
        inherited: &mut Vec<Inherited>,
    ) -> anyhow::Result<Self> {
        let wanted = |one: &mut Inherited| one.address == address && one.tls == tls;
        let sockets: Vec<Socket> =
            inherited.extract_if(.., wanted).map(|one| Socket::from(one.socket)).collect();
        match sockets.is_empty() {
            true => Self::new(address, tls, share),
            false => Ok(Self { address, tls, sockets }),
        }
    }

    /// At least one listener per shard; more where a host with more shards has left them.
    pub(crate) fn listeners(self, shards: usize) -> anyhow::Result<Vec<TcpListener>> {
        let address = self.address;
        let more = (self.sockets.len()..shards).map(|_| listening(address));
        let sockets = self.sockets.into_iter().map(Ok).chain(more);
        sockets.map(|socket| Ok(TcpListener::from(socket?))).collect()
    }
}

fn socket(address: SocketAddr) -> anyhow::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .context("open a socket")?;
    // Connections of an earlier process in TIME_WAIT must not keep us from starting.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` means IPv6 here: whoever wants both names both.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn listening(address: SocketAddr) -> anyhow::Result<Socket> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Linux hands these on to accepted sockets.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(PEER_CHECK))?;
    socket
        .bind(&address.into())
        .and_then(|()| socket.listen(BACKLOG))
        .with_context(|| format!("listen on {address}"))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_a_port_and_a_second_host_does_not() {
        let any = "127.0.0.1:0".parse().unwrap();
        let bound = Bound::new(any, false, false).unwrap();
        let address = bound.address;
        let listeners = bound.listeners(3).unwrap();
        assert!(listeners.iter().all(|one| one.local_addr().unwrap() == address));
        assert!(Bound::new(address, false, false).is_err());
        assert!(Bound::new(address, false, true).is_ok(), "asked to share");
        drop(listeners);
        assert!(Bound::new(address, false, false).is_ok());
    }

    #[test]
    fn whoever_waits_to_be_accepted_by_one_host_is_accepted_by_the_next() {
        let bound = Bound::new("127.0.0.1:0".parse().unwrap(), false, false).unwrap();
        let address = bound.address;
        let old = bound.listeners(2).unwrap();
        let held = Sockets::default();
        for socket in &old {
            held.keep(address, false, socket).unwrap();
        }
        let waiting: Vec<_> =
            (0..20).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let mut inherited = held.copies().unwrap();
        held.close();
        drop(old);
        let foreign = inherited.len();
        let other = "127.0.0.1:0".parse().unwrap();
        Bound::inherit_or_new(other, false, false, &mut inherited).unwrap();
        assert_eq!(inherited.len(), foreign, "another address takes none of them");
        let next = Bound::inherit_or_new(address, false, false, &mut inherited).unwrap();
        assert!(inherited.is_empty());
        let listeners = next.listeners(1).unwrap();
        assert_eq!(listeners.len(), 2, "a socket with waiting clients is never closed");
        let mut accepted = 0;
        while accepted < waiting.len() {
            for listener in &listeners {
                match listener.accept() {
                    Ok(_) => accepted += 1,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
        }
    }
}
