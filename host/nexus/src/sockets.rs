//! The sockets that a host listens with: those that the host before has left, the port that is held
//! until its number is known to all, and what is offered to the host that comes after.

use crate::home::Home;
use crate::settings::Settings;
use crate::takeover::{Handed, Offer, What};
use anyhow::{Context as _, Result};
use http::Uri;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use trigger_http::Sockets;

/// What this host listens with; gone with it.
pub(crate) struct Listening {
    pub(crate) http: Sockets,
    pub(crate) operators: Option<OwnedFd>,
    pub(crate) operators_address: SocketAddr,
}

/// What the host before has left.
#[derive(Default)]
pub(crate) struct Inherited {
    pub(crate) http: Vec<trigger_http::Inherited>,
    pub(crate) operators: Option<OwnedFd>,
}

impl Inherited {
    /// None where there is nothing.
    pub(crate) fn sort(handed: Vec<Handed>) -> Option<Self> {
        if handed.is_empty() {
            return None;
        }
        let mut sorted = Self::default();
        for Handed { what, address, socket } in handed {
            match what {
                What::Operators => sorted.operators = Some(socket),
                What::Http | What::Tls => {
                    let tls = what == What::Tls;
                    sorted.http.push(trigger_http::Inherited { address, tls, socket });
                }
            }
        }
        Some(sorted)
    }
}

impl Listening {
    /// Ready for the next host of this home. Without that the host works as well.
    pub(crate) fn offered(self: &Arc<Self>, home: &Home) -> Option<Offer> {
        let sockets = Arc::downgrade(self);
        let copies = move || sockets.upgrade().map_or_else(|| Ok(Vec::new()), |one| one.copies());
        let offer = Offer::open(home.folder(), Arc::new(copies));
        let why = |error: &anyhow::Error| {
            tracing::warn!(error = format!("{error:#}"), "no host can follow without a gap");
        };
        offer.inspect_err(why).ok()
    }

    fn copies(&self) -> std::io::Result<Vec<Handed>> {
        let http = self.http.copies()?.into_iter().map(|one| {
            let what = if one.tls { What::Tls } else { What::Http };
            Handed { what, address: one.address, socket: one.socket }
        });
        let mut all: Vec<_> = http.collect();
        if let Some(socket) = &self.operators {
            let (what, address) = (What::Operators, self.operators_address);
            all.push(Handed { what, address, socket: socket.try_clone()? });
        }
        Ok(all)
    }
}

/// The public URL and, where it names a port that the kernel picks, a socket that holds that port
/// until the trigger is bound to it.
pub(crate) struct Reserved {
    pub(crate) public_url: Uri,
    pub(crate) socket: Option<Socket>,
}

impl Reserved {
    /// Replaces port 0 of the first address when the public URL is to be that address.
    pub(crate) fn for_settings(settings: &mut Settings) -> Result<Self> {
        if let Some(public_url) = settings.public_url.clone() {
            return Ok(Self { public_url, socket: None });
        }
        let first = settings.listen.first_mut().context("there is no address to listen on")?;
        let socket = (first.port() == 0).then(|| reserve(first)).transpose()?;
        let public_url = format!("http://{first}").parse().context("name the host by its port")?;
        Ok(Self { public_url, socket })
    }
}

/// Binds without listening: nobody else gets the port, and no connection comes here.
fn reserve(address: &mut SocketAddr) -> Result<Socket> {
    let place = || "reserve a port".to_owned();
    let domain = Domain::for_address(*address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).with_context(place)?;
    socket.set_reuse_address(true).with_context(place)?;
    socket.set_reuse_port(true).with_context(place)?;
    socket.bind(&(*address).into()).with_context(place)?;
    let bound = socket.local_addr().with_context(place)?;
    *address = bound.as_socket().context("the port has a number")?;
    Ok(socket)
}
