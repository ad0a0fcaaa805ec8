//! The answers that are problems (RFC 9457), one row each, under `/problems/host/`.

use http::StatusCode as S;
use nexus_runtime::Problem;

pub(crate) const NO_CREDENTIAL: Problem = Problem::new(
    "admin-token-required",
    S::UNAUTHORIZED,
    "operators show their token: `authorization: Bearer …` (NEXUS_ADMIN_TOKEN)",
);
pub(crate) const WRONG_CREDENTIAL: Problem =
    Problem::new("admin-token-wrong", S::UNAUTHORIZED, "this is not the operators' token");
pub(crate) const NOT_FOUND: Problem =
    Problem::new("no-admin-route", S::NOT_FOUND, "nothing for operators is at this path");
pub(crate) const NO_COMPONENT: Problem =
    Problem::new("no-such-component", S::NOT_FOUND, "the manifest has no such component");
pub(crate) const METHOD: Problem =
    Problem::new("method-not-allowed", S::METHOD_NOT_ALLOWED, "this path is read with GET");
pub(crate) const NOT_READY: Problem =
    Problem::new("not-ready", S::SERVICE_UNAVAILABLE, "the host is not ready");
