//! Where workers find objects: a seam, because this crate may know no object store. The host puts
//! the same store behind it that components use.

use async_trait::async_trait;

/// Signs URLs that are good for one object and for minutes.
#[async_trait]
pub trait ObjectUrls: Send + Sync + 'static {
    /// A URL to read an object that is there.
    ///
    /// # Errors
    ///
    /// [`ObjectUrlError`].
    async fn read(&self, bucket: &str, key: &str) -> Result<ReadUrl, ObjectUrlError>;

    /// A URL to write an object, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`ObjectUrlError`].
    async fn write(
        &self,
        bucket: &str,
        key: &str,
        content_type: Option<&str>,
        size: Option<u64>,
    ) -> Result<WriteUrl, ObjectUrlError>;
}

/// A URL for GET, and what is known of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadUrl {
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    pub content_type: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteUrl {
    pub method: &'static str,
    pub url: String,
    /// To be sent exactly so.
    pub headers: Vec<(String, String)>,
}

/// Why there is no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectUrlError {
    #[error("there is no such object")]
    NoSuchObject,
    #[error("no object can be called so: {0}")]
    Invalid(String),
    #[error("the object store is away: {0}")]
    Unavailable(String),
    #[error("the object store failed: {0}")]
    Failed(String),
}
