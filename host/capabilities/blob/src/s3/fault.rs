//! What S3 and the way to it can say, in the store's words. Decides by code and status, never by
//! the text of a message. Source: "Error responses" in the Amazon S3 API reference.

use crate::store::BlobError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use std::error::Error;

/// S3's limit for one PUT; the size that `EntityTooLarge` speaks of.
const PUT_BYTES_MAX: u64 = 5 << 30;

pub(super) fn fault<E>(error: SdkError<E, HttpResponse>, bucket: &str) -> BlobError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let text = || DisplayErrorContext(&error).to_string();
    match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => BlobError::Unavailable(text()),
        SdkError::ResponseError(response) if is_passing(response.raw().status().as_u16()) => {
            BlobError::Unavailable(text())
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or_default();
            match by_code(code, service.err().message(), bucket) {
                BlobError::Other(_) => by_status(status, text),
                known => known,
            }
        }
        _ => BlobError::Other(text()),
    }
}

/// By S3's error code; [`BlobError::Other`] when it is not one we know.
pub(super) fn by_code(code: &str, message: Option<&str>, bucket: &str) -> BlobError {
    let said = || format!("{code}: {}", message.unwrap_or("no more is said"));
    match code {
        "NoSuchBucket" => BlobError::NoSuchBucket(bucket.to_owned()),
        "NoSuchKey" | "NotFound" => BlobError::NoSuchKey,
        "NoSuchUpload" => BlobError::NoSuchUpload,
        "PreconditionFailed" | "ConditionalRequestConflict" => BlobError::PreconditionFailed,
        "InvalidRange" => BlobError::RangeNotSatisfiable,
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" => BlobError::ChecksumMismatch,
        "EntityTooLarge" => BlobError::TooLarge { limit: PUT_BYTES_MAX },
        "IncompleteBody" => BlobError::Incomplete,
        "AccessDenied"
        | "AllAccessDisabled"
        | "ExpiredToken"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "SignatureDoesNotMatch" => BlobError::AccessDenied(said()),
        "EntityTooSmall" | "InvalidArgument" | "InvalidPart" | "InvalidPartOrder"
        | "InvalidRequest" | "KeyTooLongError" | "MetadataTooLarge" => BlobError::Invalid(said()),
        "InternalError" | "OperationAborted" | "RequestTimeout" | "ServiceUnavailable"
        | "SlowDown" => BlobError::Unavailable(said()),
        _ => BlobError::Other(said()),
    }
}

/// An answer to HEAD has no body and so no code.
fn by_status(status: u16, text: impl Fn() -> String) -> BlobError {
    match status {
        403 => BlobError::AccessDenied(text()),
        404 => BlobError::NoSuchKey,
        412 => BlobError::PreconditionFailed,
        416 => BlobError::RangeNotSatisfiable,
        status if is_passing(status) => BlobError::Unavailable(text()),
        _ => BlobError::Other(text()),
    }
}

fn is_passing(status: u16) -> bool {
    status >= 500 || status == 429
}
