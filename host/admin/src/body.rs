//! Bodies of requests: small, JSON, and here within seconds.

use crate::problems;
use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use nexus_runtime::Problem;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::time::Duration;

/// From the head of a request to the end of its body.
const ARRIVAL_MAX: Duration = Duration::from_secs(15);

/// Reads a body of at most `bytes_max` as JSON of a form.
///
/// # Errors
///
/// A problem: too large, too slow, no JSON or not of this form.
pub(crate) async fn json<T: DeserializeOwned>(
    body: impl Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    bytes_max: usize,
) -> Result<T, Problem> {
    let bytes = bytes(body, bytes_max).await?;
    serde_json::from_slice(&bytes).map_err(|error| problems::BODY.detail(error.to_string()))
}

/// Reads a body of at most `bytes_max`.
///
/// # Errors
///
/// A problem: too large or too slow.
pub(crate) async fn bytes(
    body: impl Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let reading = Limited::new(body, bytes_max).collect();
    let read = match tokio::time::timeout(ARRIVAL_MAX, Box::pin(reading)).await {
        Ok(read) => read,
        Err(_) => return Err(problems::BODY.detail("it did not come in time")),
    };
    let read = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => problems::BODY_SIZE.detail(format!("at most {bytes_max} bytes")),
        false => problems::BODY.detail(error.to_string()),
    })?;
    Ok(read.to_bytes())
}
