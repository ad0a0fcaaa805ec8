//! Everything that can stop an outbound request before a server answers, in our words; and the
//! `wasi:http` error code a guest sees for it.

use nexus_runtime::ComponentId;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use wasmtime_wasi_http::Error as Wasi;

/// Why the outbound side cannot start, or did not send a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    #[error("allowed_outbound_hosts: {line:?} grants nothing: {reason}")]
    Grant { line: String, reason: String },
    #[error("cannot use the certificate authorities in {path}: {reason}")]
    CertificateAuthorities { path: PathBuf, reason: String },
    #[error("outbound HTTP: this machine has no certificate authorities, so https cannot be used")]
    NoCertificateAuthorities,
    #[error("outbound HTTP: the request cannot be sent: {0}")]
    Unsendable(&'static str),
    #[error("{component} may not reach {destination}: write `{line}` in [component.{component}]")]
    NotGranted { component: ComponentId, destination: String, line: String },
    #[error(
        "{component} may not reach {destination} at {address}, which is not a public address: \
         write `{line}` in [component.{component}]"
    )]
    NotPublic { component: ComponentId, destination: String, address: IpAddr, line: String },
    #[error(
        "{component} made more than {max} outbound requests in one call: \
         raise `outbound_max` in [component.{component}.tool.nexus]"
    )]
    TooManyRequests { component: ComponentId, max: u32 },
    #[error("{component} has {max} outbound requests under way, as many as one component may")]
    TooManyAtOnce { component: ComponentId, max: usize },
    #[error("self requests need the address of the front door, which is not known")]
    NoFrontDoor,
}

impl OutboundError {
    /// What the guest is told.
    pub(crate) fn to_wasi(&self) -> Wasi {
        match self {
            Self::NotGranted { .. } => Wasi::HttpRequestDenied,
            Self::NotPublic { .. } => Wasi::DestinationIpProhibited,
            Self::TooManyRequests { .. } | Self::TooManyAtOnce { .. } => {
                Wasi::ConnectionLimitReached
            }
            Self::Unsendable(_) => Wasi::HttpRequestUriInvalid,
            Self::NoFrontDoor => Wasi::DestinationUnavailable,
            Self::Grant { .. }
            | Self::CertificateAuthorities { .. }
            | Self::NoCertificateAuthorities => Wasi::ConfigurationError,
        }
    }
}

/// A failure of the connection, before or while a response head is awaited.
pub(crate) fn of_hyper(error: hyper::Error) -> Wasi {
    // The request body's own error, which wasmtime finds inside.
    let of_body = std::error::Error::source(&error).is_some_and(|cause| cause.is::<Wasi>());
    if of_body {
        Wasi::Hyper(error)
    } else if error.is_parse_too_large() {
        Wasi::HttpResponseHeaderSectionSize(None)
    } else if error.is_parse() {
        Wasi::HttpProtocolError
    } else if error.is_timeout() {
        Wasi::ConnectionReadTimeout
    } else if error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || error.is_body_write_aborted()
        || io_cause(&error).is_some()
    {
        Wasi::ConnectionTerminated
    } else {
        Wasi::HttpProtocolError
    }
}

/// As [`of_hyper`], once the response has begun.
pub(crate) fn of_response_body(error: hyper::Error) -> Wasi {
    match of_hyper(error) {
        Wasi::ConnectionTerminated => Wasi::HttpResponseIncomplete,
        other => other,
    }
}

fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// No address of the destination took the connection.
pub(crate) fn of_connect(error: &io::Error) -> Wasi {
    use io::ErrorKind as K;
    match error.kind() {
        K::ConnectionRefused => Wasi::ConnectionRefused,
        K::TimedOut => Wasi::ConnectionTimeout,
        K::HostUnreachable | K::NetworkUnreachable => Wasi::DestinationIpUnroutable,
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe => Wasi::ConnectionTerminated,
        _ => Wasi::DestinationUnavailable,
    }
}

/// The name has no address.
pub(crate) fn of_lookup(error: &io::Error) -> Wasi {
    Wasi::DnsError { rcode: Some(error.to_string()), info_code: None }
}

/// The TLS handshake failed.
pub(crate) fn of_tls(error: &io::Error) -> Wasi {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => Wasi::TlsCertificateError,
        Some(rustls::Error::AlertReceived(alert)) => Wasi::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        Some(_) => Wasi::TlsProtocolError,
        None => Wasi::ConnectionTerminated,
    }
}
