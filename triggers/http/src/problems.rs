//! Every answer of the data plane that is a problem: one row each, under `/problems/host/`.
//! Names are part of the API. Problems of a call itself are the runtime's.

use http::StatusCode as S;
use nexus_runtime::Problem;

const fn row(name: &'static str, status: S, title: &'static str) -> Problem {
    Problem::new(name, status, title)
}

pub(crate) const MALFORMED: Problem =
    row("malformed-request", S::BAD_REQUEST, "the request is not valid HTTP");
pub(crate) const INVALID_HOST: Problem =
    row("invalid-host", S::BAD_REQUEST, "the request names no host, several, or an invalid one");
pub(crate) const INVALID_IDEMPOTENCY_KEY: Problem = row(
    "invalid-idempotency-key",
    S::BAD_REQUEST,
    "an idempotency key takes 1 to 255 visible ASCII characters",
);
pub(crate) const INVALID_PIN: Problem = row(
    "invalid-pin",
    S::BAD_REQUEST,
    "`nexus-revision` lists components and numbers: `catalog=7, orders=3`",
);
pub(crate) const MAY_NOT_PIN: Problem = row(
    "may-not-pin",
    S::FORBIDDEN,
    "to ask for a revision takes the permission `platform:revisions:pin`",
);
pub(crate) const INVALID_TOKEN: Problem =
    row("invalid-token", S::UNAUTHORIZED, "the bearer token is not valid");
pub(crate) const INVALID_API_KEY: Problem =
    row("invalid-api-key", S::UNAUTHORIZED, "the API key is not valid");
pub(crate) const INVALID_SESSION: Problem =
    row("invalid-session", S::UNAUTHORIZED, "the session has ended: sign in again");
pub(crate) const INVALID_DPOP_PROOF: Problem =
    row("invalid-dpop-proof", S::UNAUTHORIZED, "the token's key is not proven to be there");
pub(crate) const API_KEYS_UNSUPPORTED: Problem =
    row("api-keys-unsupported", S::UNAUTHORIZED, "this host has no database to find API keys in");
pub(crate) const NOT_A_MEMBER: Problem =
    row("not-a-member", S::FORBIDDEN, "the credential does not act for this organisation");
pub(crate) const CROSS_SITE: Problem =
    row("cross-site", S::FORBIDDEN, "another site has sent this request with your session");
pub(crate) const TENANT_SUSPENDED: Problem =
    row("tenant-suspended", S::FORBIDDEN, "this tenant is suspended");
pub(crate) const IDENTITY_AWAY: Problem = row(
    "identity-away",
    S::SERVICE_UNAVAILABLE,
    "who is asking cannot be found out now: try again in a moment",
);
pub(crate) const ORIGIN_NOT_ALLOWED: Problem =
    row("origin-not-allowed", S::FORBIDDEN, "this origin may not call this host from a browser");
pub(crate) const NO_ROUTE: Problem = row("no-route", S::NOT_FOUND, "nothing answers at this path");
pub(crate) const PLAYBACK_DENIED: Problem =
    row("playback-denied", S::FORBIDDEN, "the playback token does not open this");
pub(crate) const MEDIA_AWAY: Problem = row(
    "media-away",
    S::SERVICE_UNAVAILABLE,
    "the media cannot be read now: try again in a moment",
);
pub(crate) const RANGE_NOT_SATISFIABLE: Problem =
    row("range-not-satisfiable", S::RANGE_NOT_SATISFIABLE, "no byte of the range is there");
pub(crate) const METHOD_NOT_ALLOWED: Problem =
    row("method-not-allowed", S::METHOD_NOT_ALLOWED, "this method is not allowed here");
pub(crate) const METHOD_NOT_IMPLEMENTED: Problem =
    row("method-not-implemented", S::NOT_IMPLEMENTED, "this host does not know the method");
pub(crate) const HEAD_TIMEOUT: Problem =
    row("head-timeout", S::REQUEST_TIMEOUT, "the request's head did not arrive in time");
pub(crate) const BODY_TIMEOUT: Problem =
    row("body-timeout", S::REQUEST_TIMEOUT, "the request's body arrives too slowly");
pub(crate) const BODY_TOO_LARGE: Problem =
    row("body-too-large", S::PAYLOAD_TOO_LARGE, "the request body is too large");
pub(crate) const URL_TOO_LONG: Problem =
    row("url-too-long", S::URI_TOO_LONG, "the URL is too long");
pub(crate) const EXPECTATION_FAILED: Problem = row(
    "expectation-failed",
    S::EXPECTATION_FAILED,
    "the only expectation this host meets is 100-continue",
);
pub(crate) const HEAD_TOO_LARGE: Problem = row(
    "header-section-too-large",
    S::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the header section is too large",
);
pub(crate) const TOO_MANY_HEADERS: Problem = row(
    "too-many-headers",
    S::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the request has too many header fields",
);
pub(crate) const RATE_LIMITED: Problem =
    row("rate-limited", S::TOO_MANY_REQUESTS, "too many requests");
pub(crate) const BAD_RESPONSE: Problem =
    row("bad-response", S::BAD_GATEWAY, "the component's response is not valid HTTP");
pub(crate) const NOT_READY: Problem =
    row("not-ready", S::SERVICE_UNAVAILABLE, "not everything is there yet");
pub(crate) const SERVICE_NOT_RUNNING: Problem =
    row("service-not-running", S::SERVICE_UNAVAILABLE, "no such service runs on this host");
pub(crate) const VERSION_NOT_SUPPORTED: Problem = row(
    "version-not-supported",
    S::HTTP_VERSION_NOT_SUPPORTED,
    "this host speaks HTTP/1.0, HTTP/1.1 and HTTP/2",
);
