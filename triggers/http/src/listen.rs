//! Sockets that accept: one per address when the trigger is made, then one more for each further
//! shard, with SO_REUSEPORT, so that the kernel spreads connections over the shards.

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// Connections the kernel completes before we accept them.
const BACKLOG: i32 = 1024;
/// Finds peers that vanished without a word behind a silent stream.
const PEER_CHECK: Duration = Duration::from_secs(60);

/// An address that belongs to us, and whether TLS is spoken there.
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    first: Socket,
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
        Ok(Self { address: bound, tls, first })
    }

    /// One listener per shard.
    pub(crate) fn listeners(self, shards: usize) -> anyhow::Result<Vec<TcpListener>> {
        let address = self.address;
        let more = (1..shards).map(|_| listening(address));
        let sockets = std::iter::once(Ok(self.first)).chain(more);
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
}
