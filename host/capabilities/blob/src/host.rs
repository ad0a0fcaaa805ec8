//! The guest's side: `nexus:blob/buckets` in terms of [`crate::Store`]. Decides which buckets a
//! component may open; knows no backend.

mod values;

use crate::name::{Attributes, BucketName, Key, Place};
use crate::store::{BlobError, NamedPart, Store, Upload};
use crate::stream::{self, Incoming, Outflow};
use crate::{Blob, BlobState, TRANSFERS_MAX};
use buckets::Error;
use nexus_runtime::{Has, View};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Result;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit/nexus-blob@0.1.0",
        world: "nexus:blob/blob",
        imports: { default: trappable },
        with: { "nexus:blob/buckets.bucket": super::Bucket },
    });
}

use bindings::nexus::blob::buckets;
pub(crate) use buckets::add_to_linker;

/// How long a call waits for one of its instance's transfers to end.
const TRANSFER_WAIT_MAX: Duration = Duration::from_secs(10);

/// A bucket that was granted.
pub struct Bucket {
    name: BucketName,
}

/// What a call needs, taken from the store in one go.
struct Opened {
    state: BlobState,
    bucket: BucketName,
}

impl Opened {
    fn new<T: Send + 'static>(
        accessor: &Accessor<T, Has<Blob>>,
        bucket: &Resource<Bucket>,
    ) -> Result<Self> {
        accessor.with(|mut access| Self::within(&access.get(), bucket))
    }

    fn within(view: &View<'_, Blob>, bucket: &Resource<Bucket>) -> Result<Self> {
        let bucket = view.table.get(bucket)?.name.clone();
        Ok(Self { state: view.state.clone(), bucket })
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.state.store
    }

    fn place(&self, key: &str) -> std::result::Result<Place, BlobError> {
        Ok(Place { bucket: self.bucket.clone(), key: Key::new(key)? })
    }

    fn upload(&self, key: &str, id: String) -> std::result::Result<Upload, BlobError> {
        Ok(Upload { place: self.place(key)?, id })
    }

    async fn transfer(&self) -> std::result::Result<OwnedSemaphorePermit, BlobError> {
        let waiting = self.state.transfers.clone().acquire_owned();
        match tokio::time::timeout(TRANSFER_WAIT_MAX, waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(BlobError::Unavailable(format!(
                "{TRANSFERS_MAX} transfers of this instance are open already"
            ))),
        }
    }

    async fn put(
        &self,
        key: &str,
        incoming: Incoming,
        options: buckets::PutOptions,
    ) -> std::result::Result<buckets::Stored, BlobError> {
        let (place, put) = (self.place(key)?, options.try_into()?);
        let _transfer = self.transfer().await?;
        let (body, ending) = incoming.split();
        ending.of(self.store().put(&place, put, body)).await.map(Into::into)
    }

    async fn upload_part(
        &self,
        upload: Upload,
        number: u32,
        incoming: Incoming,
        options: buckets::PartOptions,
    ) -> std::result::Result<buckets::Stored, BlobError> {
        let part = values::part(number, &options)?;
        let _transfer = self.transfer().await?;
        let (body, ending) = incoming.split();
        ending.of(self.store().upload_part(&upload, part, body)).await.map(Into::into)
    }
}

impl buckets::Host for View<'_, Blob> {}

impl buckets::HostBucket for View<'_, Blob> {
    fn drop(&mut self, bucket: Resource<Bucket>) -> Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

/// A bucket's contents on their way to the guest.
type Reading = (buckets::Object, StreamReader<u8>, FutureReader<std::result::Result<(), Error>>);

impl<T: Send + 'static> buckets::HostBucketWithStore<T> for Has<Blob> {
    async fn open(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> Result<std::result::Result<Resource<Bucket>, Error>> {
        accessor.with(|mut access| {
            let view = access.get();
            if !view.component.buckets.contains(&name) {
                let (id, line) = (&view.component.id, format!("buckets = [{name:?}]"));
                let denied = format!("add `{line}` to [component.{id}.tool.nexus]");
                return Ok(Err(Error::AccessDenied(denied)));
            }
            match BucketName::new(&name) {
                Ok(name) => Ok(Ok(view.table.push(Bucket { name })?)),
                Err(error) => Ok(Err(error.into())),
            }
        })
    }

    async fn put(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        body: StreamReader<u8>,
        options: buckets::PutOptions,
    ) -> Result<std::result::Result<buckets::Stored, Error>> {
        let (inflow, incoming) = stream::inflow();
        let opened = accessor.with(|mut access| {
            body.pipe(&mut access, inflow)?;
            Opened::within(&access.get(), &bucket)
        })?;
        Ok(opened.put(&key, incoming, options).await.map_err(Into::into))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        options: buckets::GetOptions,
    ) -> Result<std::result::Result<Reading, Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        let begin = async {
            let place = opened.place(&key)?;
            let transfer = opened.transfer().await?;
            let download = opened.store().get(&place, options.into()).await?;
            Ok::<_, BlobError>((transfer, download))
        };
        let (transfer, download) = match begin.await {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error.into())),
        };
        let object = download.object.into();
        let (outflow, outcome) = Outflow::new(download.body, transfer);
        accessor.with(|mut access| {
            let stream = StreamReader::new(&mut access, outflow)?;
            let outcome = FutureReader::new(&mut access, async move {
                // A guest that drops the stream before its end has had what it wanted.
                let outcome = outcome.await.unwrap_or(Ok(()));
                wasmtime::error::Ok(outcome.map_err(Error::from))
            })?;
            Ok(Ok((object, stream, outcome)))
        })
    }

    async fn head(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<std::result::Result<buckets::Object, Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async { Ok(opened.store().head(&opened.place(&key)?).await?.into()) }).await
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<std::result::Result<(), Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async { opened.store().delete(&opened.place(&key)?).await }).await
    }

    async fn delete_many(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<std::result::Result<Vec<(String, Error)>, Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async {
            let keys = keys.iter().map(|key| Key::new(key)).collect::<Result<_, _>>()?;
            let stayed = opened.store().delete_many(&opened.bucket, keys).await?;
            Ok(stayed.into_iter().map(|(key, error)| (key.to_string(), error.into())).collect())
        })
        .await
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        options: buckets::ListOptions,
    ) -> Result<std::result::Result<buckets::Page, Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async { Ok(opened.store().list(&opened.bucket, options.into()).await?.into()) })
            .await
    }

    async fn copy(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        to: Resource<Bucket>,
        to_key: String,
        options: buckets::CopyOptions,
    ) -> Result<std::result::Result<buckets::Stored, Error>> {
        let (from, to) = (Opened::new(accessor, &bucket)?, Opened::new(accessor, &to)?);
        answer(async {
            let (source, target) = (from.place(&key)?, to.place(&to_key)?);
            Ok(from.store().copy(&source, &target, options.try_into()?).await?.into())
        })
        .await
    }

    async fn create_upload(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        attributes: buckets::Attributes,
    ) -> Result<std::result::Result<String, Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async {
            let attributes = Attributes::try_from(attributes)?;
            opened.store().create_upload(&opened.place(&key)?, attributes).await
        })
        .await
    }

    async fn upload_part(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        upload_id: String,
        number: u32,
        body: StreamReader<u8>,
        options: buckets::PartOptions,
    ) -> Result<std::result::Result<buckets::Stored, Error>> {
        let (inflow, incoming) = stream::inflow();
        let opened = accessor.with(|mut access| {
            body.pipe(&mut access, inflow)?;
            Opened::within(&access.get(), &bucket)
        })?;
        answer(async {
            let upload = opened.upload(&key, upload_id)?;
            opened.upload_part(upload, number, incoming, options).await
        })
        .await
    }

    async fn list_parts(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        upload_id: String,
        after: u32,
    ) -> Result<std::result::Result<buckets::PartPage, Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async {
            let upload = opened.upload(&key, upload_id)?;
            Ok(opened.store().list_parts(&upload, after).await?.into())
        })
        .await
    }

    async fn complete_upload(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        upload_id: String,
        parts: Vec<buckets::Part>,
        condition: Option<buckets::Condition>,
    ) -> Result<std::result::Result<buckets::Stored, Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async {
            let upload = opened.upload(&key, upload_id)?;
            let parts = parts.into_iter().map(NamedPart::from).collect();
            let condition = condition.map(Into::into);
            Ok(opened.store().complete_upload(&upload, parts, condition).await?.into())
        })
        .await
    }

    async fn abort_upload(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        upload_id: String,
    ) -> Result<std::result::Result<(), Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async { opened.store().abort_upload(&opened.upload(&key, upload_id)?).await }).await
    }

    async fn sign(
        accessor: &Accessor<T, Self>,
        bucket: Resource<Bucket>,
        key: String,
        permission: buckets::Permission,
        expires_seconds: u32,
    ) -> Result<std::result::Result<buckets::SignedUrl, Error>> {
        let opened = Opened::new(accessor, &bucket)?;
        answer(async {
            let lifetime = Duration::from_secs(expires_seconds.into());
            let place = opened.place(&key)?;
            Ok(opened.store().sign(&place, permission.into(), lifetime).await?.into())
        })
        .await
    }
}

/// No error of a store is a reason to trap.
async fn answer<V>(
    work: impl Future<Output = std::result::Result<V, BlobError>> + Send,
) -> Result<std::result::Result<V, Error>> {
    Ok(work.await.map_err(Error::from))
}
