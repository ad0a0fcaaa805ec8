//! Objects on any S3. One physical bucket holds all logical ones, as prefixes `<bucket>/…`.
//! Knows S3's requests and limits; refuses to know guests, and which server it talks to.
//! Source: the Amazon S3 API reference; signature version 4; path-style addresses by default.

mod fault;
mod parted;
mod passing;
mod read;
mod settings;
mod upload;
mod write;

pub use settings::{S3Credentials, S3Settings};

use crate::body;
use crate::name::{Attributes, BucketName, Key, Place, invalid};
use crate::signed::attachment;
use crate::store::{
    ArrivedPart, BlobError, Body, Condition, Copying, Download, Entry, Get, NamedPart, Object,
    PAGE_MAX, Page, PartPage, PartPut, Permission, Put, Query, SignedUrl, Store, Stored, Upload,
    rules,
};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use fault::fault;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use write::Budget;

/// The S3 backend; clones share it.
#[derive(Clone)]
pub struct S3 {
    remote: Arc<Remote>,
    /// Where requests run: connections belong to this runtime, and its threads do the TLS and the
    /// hashing. A shard only waits.
    home: Handle,
}

/// The way to the store, and what bounds its use.
struct Remote {
    client: Client,
    /// Signs URLs with the address that clients outside can reach.
    signing: Client,
    settings: S3Settings,
    budget: Budget,
}

impl S3 {
    /// Prepares the client; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`BlobError::Invalid`] for settings that cannot work.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(settings: S3Settings) -> Result<Self, BlobError> {
        let client = settings.client(settings.endpoint.as_deref())?;
        let outside = settings.public_endpoint.as_deref().or(settings.endpoint.as_deref());
        let signing = settings.client(outside)?;
        let budget = Budget::new(settings.buffer_bytes_max);
        let remote = Arc::new(Remote { client, signing, settings, budget });
        Ok(Self { remote, home: Handle::current() })
    }

    /// Bytes of uploads that wait in memory now, and the most there have ever been.
    pub fn buffered_bytes(&self) -> (usize, usize) {
        self.remote.budget.used()
    }

    /// Runs a request on the home runtime; dropping the future aborts it.
    async fn at_home<T, W>(&self, work: W) -> Result<T, BlobError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, BlobError>> + Send + 'static,
    {
        body::joined(AbortOnDropHandle::new(self.home.spawn(work)).await)
    }
}

impl Remote {
    fn bucket(&self) -> &str {
        &self.settings.bucket
    }

    fn key(place: &Place) -> String {
        format!("{}/{}", place.bucket, place.key)
    }

    /// The key inside its logical bucket.
    fn local<'k>(bucket: &BucketName, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(bucket.as_str())?.strip_prefix('/')
    }

    async fn ready(&self) -> Result<(), BlobError> {
        let found = self.client.head_bucket().bucket(self.bucket()).send().await;
        let Err(error) = found else { return Ok(()) };
        match fault(error, self.bucket()) {
            BlobError::NoSuchBucket(_) | BlobError::NoSuchKey => {}
            error => return Err(error),
        }
        let made = self.client.create_bucket().bucket(self.bucket()).send().await;
        made.map(|_| ()).map_err(|e| fault(e, self.bucket()))
    }

    async fn delete(&self, place: &Place) -> Result<(), BlobError> {
        let request = self.client.delete_object().bucket(self.bucket()).key(Self::key(place));
        match request.send().await.map_err(|e| fault(e, self.bucket())) {
            Ok(_) | Err(BlobError::NoSuchKey) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delete_many(
        &self,
        bucket: &BucketName,
        keys: Vec<Key>,
    ) -> Result<Vec<(Key, BlobError)>, BlobError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let named = keys.into_iter().map(|key| {
            let key = Self::key(&Place { bucket: bucket.clone(), key });
            ObjectIdentifier::builder().key(key).build().expect("it has a key")
        });
        let delete = Delete::builder().set_objects(Some(named.collect())).quiet(true).build();
        let request = self.client.delete_objects().bucket(self.bucket());
        let request = request.delete(delete.expect("it has objects"));
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        let failed = answer.errors().iter().filter_map(|error| {
            let key = Key::new(Self::local(bucket, error.key()?)?).ok()?;
            let (code, message) = (error.code(), error.message());
            Some((key, fault::by_code(code.unwrap_or_default(), message, self.bucket())))
        });
        Ok(failed.filter(|(_, error)| *error != BlobError::NoSuchKey).collect())
    }

    async fn list(&self, bucket: &BucketName, query: Query) -> Result<Page, BlobError> {
        let request = self.client.list_objects_v2().bucket(self.bucket());
        let request = request
            .prefix(format!("{bucket}/{}", query.prefix))
            .set_delimiter(query.delimiter)
            .set_continuation_token(query.cursor)
            .max_keys(query.limit as i32);
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        let entries = answer.contents().iter().filter_map(|object| {
            Some(Entry {
                key: Self::local(bucket, object.key()?)?.to_owned(),
                size: read::bytes(object.size()),
                etag: read::etag(object.e_tag()),
                modified: read::time(object.last_modified()),
            })
        });
        let prefixes = answer
            .common_prefixes()
            .iter()
            .filter_map(|common| Some(Self::local(bucket, common.prefix()?)?.to_owned()));
        let (entries, prefixes) = (entries.collect(), prefixes.collect());
        let more = answer.is_truncated() == Some(true);
        let next = answer.next_continuation_token.filter(|_| more);
        Ok(Page { entries, prefixes, next })
    }

    async fn list_parts(&self, upload: &Upload, after: u32) -> Result<PartPage, BlobError> {
        let request = self.client.list_parts().bucket(self.bucket());
        let request = request
            .key(Self::key(&upload.place))
            .upload_id(&upload.id)
            .part_number_marker(after.to_string())
            .max_parts(PAGE_MAX as i32);
        let answer = request.send().await.map_err(|e| fault(e, self.bucket()))?;
        let parts = answer.parts().iter().map(|part| ArrivedPart {
            number: part.part_number().and_then(|number| number.try_into().ok()).unwrap_or(0),
            size: read::bytes(part.size()),
            etag: read::etag(part.e_tag()),
        });
        // Some servers neither sort nor honour the marker.
        let mut parts: Vec<_> = parts.filter(|part| part.number > after).collect();
        parts.sort_unstable_by_key(|part| part.number);
        let cut = parts.len() > PAGE_MAX;
        parts.truncate(PAGE_MAX);
        let more = cut || answer.is_truncated() == Some(true);
        let next = parts.last().map(|part| part.number).filter(|_| more);
        Ok(PartPage { parts, next })
    }

    async fn sign(
        &self,
        place: &Place,
        permission: Permission,
        lifetime: Duration,
    ) -> Result<SignedUrl, BlobError> {
        let (bucket, key) = (self.bucket(), Self::key(place));
        let now = SystemTime::now();
        let config = PresigningConfig::builder().start_time(now).expires_in(lifetime).build();
        let config = config.map_err(|e| invalid(e.to_string()))?;
        let length = |size: Option<u64>| {
            let signed = size.map(i64::try_from).transpose();
            signed.map_err(|_| invalid("a size is below 2^63 bytes".into()))
        };
        let (method, signed) = match permission {
            Permission::Download { file_name, content_type } => {
                let disposition = file_name.as_deref().map(attachment);
                let request = self.signing.get_object().bucket(bucket).key(key);
                let request = request.set_response_content_disposition(disposition);
                let request = request.set_response_content_type(content_type);
                ("GET", request.presigned(config).await.map_err(|e| fault(e, bucket))?)
            }
            Permission::Upload { content_type, size } => {
                let request = self.signing.put_object().bucket(bucket).key(key);
                let request = request.set_content_type(content_type);
                let request = request.set_content_length(length(size)?);
                ("PUT", request.presigned(config).await.map_err(|e| fault(e, bucket))?)
            }
            Permission::Part { upload_id, number, size } => {
                let request = self.signing.upload_part().bucket(bucket).key(key);
                let request = request.upload_id(upload_id).part_number(number as i32);
                let request = request.set_content_length(length(size)?);
                ("PUT", request.presigned(config).await.map_err(|e| fault(e, bucket))?)
            }
        };
        let headers = signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = headers.collect();
        Ok(SignedUrl { url: signed.uri().to_owned(), method, headers, expires: now + lifetime })
    }
}

#[async_trait]
impl Store for S3 {
    async fn ready(&self) -> Result<(), BlobError> {
        let remote = self.remote.clone();
        self.at_home(async move { remote.ready().await }).await
    }

    async fn put(&self, place: &Place, put: Put, body: Body) -> Result<Stored, BlobError> {
        let put = rules::put(put)?;
        let (remote, place) = (self.remote.clone(), place.clone());
        self.at_home(async move { remote.put(&place, put, body).await }).await
    }

    async fn get(&self, place: &Place, get: Get) -> Result<Download, BlobError> {
        let (remote, place) = (self.remote.clone(), place.clone());
        self.at_home(async move { remote.get(&place, get).await }).await
    }

    async fn head(&self, place: &Place) -> Result<Object, BlobError> {
        let (remote, place) = (self.remote.clone(), place.clone());
        self.at_home(async move { Ok(remote.head(&place).await?.object) }).await
    }

    async fn delete(&self, place: &Place) -> Result<(), BlobError> {
        let (remote, place) = (self.remote.clone(), place.clone());
        self.at_home(async move { remote.delete(&place).await }).await
    }

    async fn delete_many(
        &self,
        bucket: &BucketName,
        keys: Vec<Key>,
    ) -> Result<Vec<(Key, BlobError)>, BlobError> {
        rules::keys(&keys)?;
        let (remote, bucket) = (self.remote.clone(), bucket.clone());
        self.at_home(async move { remote.delete_many(&bucket, keys).await }).await
    }

    async fn list(&self, bucket: &BucketName, query: Query) -> Result<Page, BlobError> {
        rules::query(&query)?;
        let (remote, bucket) = (self.remote.clone(), bucket.clone());
        self.at_home(async move { remote.list(&bucket, query).await }).await
    }

    async fn copy(&self, from: &Place, to: &Place, copying: Copying) -> Result<Stored, BlobError> {
        let attributes = copying.attributes.map(Attributes::checked).transpose()?;
        let copying = Copying { attributes, ..copying };
        let (remote, from, to) = (self.remote.clone(), from.clone(), to.clone());
        self.at_home(async move { remote.copy(&from, &to, copying).await }).await
    }

    async fn create_upload(&self, place: &Place, with: Attributes) -> Result<String, BlobError> {
        let (remote, place, with) = (self.remote.clone(), place.clone(), with.checked()?);
        self.at_home(async move { remote.create_upload(&place, &with, None).await }).await
    }

    async fn upload_part(
        &self,
        upload: &Upload,
        part: PartPut,
        body: Body,
    ) -> Result<Stored, BlobError> {
        rules::part(&part)?;
        let (remote, upload) = (self.remote.clone(), upload.clone());
        self.at_home(async move { remote.upload_part(&upload, part, body).await }).await
    }

    async fn list_parts(&self, upload: &Upload, after: u32) -> Result<PartPage, BlobError> {
        let (remote, upload) = (self.remote.clone(), upload.clone());
        self.at_home(async move { remote.list_parts(&upload, after).await }).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: Vec<NamedPart>,
        condition: Option<Condition>,
    ) -> Result<Stored, BlobError> {
        rules::named_parts(&parts)?;
        let (remote, upload) = (self.remote.clone(), upload.clone());
        self.at_home(async move { remote.complete_upload(&upload, parts, condition).await }).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), BlobError> {
        let (remote, upload) = (self.remote.clone(), upload.clone());
        self.at_home(async move { remote.abort_upload(&upload).await }).await
    }

    async fn sign(
        &self,
        place: &Place,
        permission: Permission,
        lifetime: Duration,
    ) -> Result<SignedUrl, BlobError> {
        rules::permission(&permission, lifetime)?;
        let (remote, place) = (self.remote.clone(), place.clone());
        self.at_home(async move { remote.sign(&place, permission, lifetime).await }).await
    }
}
