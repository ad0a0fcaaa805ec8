//! Which S3, and how to talk to it. Reads no environment: the host's configuration does.

use crate::name::invalid;
use crate::store::{BlobError, PART_BYTES_MIN};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use std::fmt;
use std::time::Duration;

/// Long-lived keys; temporary ones come with a session token.
#[derive(Clone)]
pub struct S3Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Credentials of {}", self.access_key_id)
    }
}

/// One physical bucket and the limits of its use. Start from [`S3Settings::new`].
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// None for Amazon's own, by region.
    pub endpoint: Option<String>,
    /// Where browsers and workers reach the same store, for signed URLs, if that differs.
    pub public_endpoint: Option<String>,
    pub bucket: String,
    pub region: String,
    pub credentials: S3Credentials,
    /// `https://host/bucket/key` rather than `https://bucket.host/key`: works everywhere.
    pub path_style: bool,
    /// A certificate authority beside the machine's own, in PEM.
    pub authority_pem: Option<Vec<u8>>,
    pub connect_timeout: Duration,
    /// From the start of a request to the first byte of its answer; covers sending a part.
    pub response_timeout: Duration,
    /// Tries of one request, the first one included; with backoff and jitter.
    pub attempts_max: u32,
    /// Larger objects are refused.
    pub object_bytes_max: u64,
    /// Larger bodies travel in parts of this size, which are what is tried again.
    pub part_bytes: u64,
    /// Upload buffers of all calls together.
    pub buffer_bytes_max: usize,
    /// Copies of larger objects are made of parts (S3: 5 GiB).
    pub copy_bytes_max: u64,
    /// Ask the store to keep the CRC32C of objects that travel in parts. Off for stores that do
    /// not know `x-amz-checksum-type: FULL_OBJECT`.
    pub full_object_crc32c: bool,
}

impl S3Settings {
    pub fn new(bucket: &str, region: &str, credentials: S3Credentials) -> Self {
        Self {
            endpoint: None,
            public_endpoint: None,
            bucket: bucket.into(),
            region: region.into(),
            credentials,
            path_style: true,
            authority_pem: None,
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(60),
            attempts_max: 3,
            object_bytes_max: 256 << 30,
            part_bytes: 8 << 20,
            buffer_bytes_max: 128 << 20,
            copy_bytes_max: 5 << 30,
            full_object_crc32c: true,
        }
    }

    pub(super) fn client(&self, endpoint: Option<&str>) -> Result<Client, BlobError> {
        if self.part_bytes < PART_BYTES_MIN || self.buffer_bytes_max < 2 * PART_BYTES_MIN as usize {
            return Err(invalid(format!("parts and buffers need at least {PART_BYTES_MIN} bytes")));
        }
        let S3Credentials { access_key_id, secret_access_key, session_token } =
            self.credentials.clone();
        let credentials =
            Credentials::new(access_key_id, secret_access_key, session_token, None, "settings");
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.response_timeout);
        // A guest that reads or writes slowly is no stalled network.
        let stalls = StalledStreamProtectionConfig::enabled()
            .upload_enabled(false)
            .grace_period(self.response_timeout);
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .region(Region::new(self.region.clone()))
            .credentials_provider(credentials)
            .force_path_style(self.path_style)
            .http_client(self.http_client(endpoint)?)
            .retry_config(RetryConfig::standard().with_max_attempts(self.attempts_max))
            .timeout_config(timeouts.build())
            .stalled_stream_protection(stalls.build())
            // We compute our own while the bytes pass, and compare them ourselves.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        config.set_endpoint_url(endpoint.map(str::to_owned));
        Ok(Client::from_conf(config.build()))
    }

    fn http_client(&self, endpoint: Option<&str>) -> Result<SharedHttpClient, BlobError> {
        if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
            return Ok(Builder::new().build_http());
        }
        let mut authorities = TrustStore::default();
        if let Some(pem) = &self.authority_pem {
            authorities = authorities.with_pem_certificate(pem.as_slice());
        }
        let context = TlsContext::builder().with_trust_store(authorities).build();
        let context = context.map_err(|e| invalid(format!("certificate authority: {e}")))?;
        let tls = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        Ok(tls.tls_context(context).build_https())
    }
}
