//! Pushing: what a manifest names first, then the manifest, then its signatures. Nothing that the
//! registry has already is sent again.

use super::wire::{Answer, Ask, move_to};
use super::{Reference, Registry, Right, refused};
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::error::Error;
use crate::oci::{self, Index};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};

impl Registry {
    /// Sends an artifact with its signatures, to the tag of the reference where it has one.
    /// Answers with the reference that names exactly these bytes.
    pub async fn push(
        &self,
        reference: &Reference,
        artifact: &Artifact,
    ) -> Result<Reference, Error> {
        let place = reference.at(artifact.digest());
        if reference.digest().is_some_and(|wanted| wanted != artifact.digest()) {
            let reason = format!("the artifact is {}", artifact.digest());
            return Err(Error::Registry { reference: reference.clone(), reason });
        }
        for (digest, bytes) in artifact.blobs() {
            self.put_blob(reference, digest, bytes).await?;
        }
        let kind = artifact.manifest_media_type();
        self.put_manifest(reference, &reference.manifest_name(), kind, artifact.manifest()).await?;
        for signature in artifact.signatures() {
            let referrer = signature.referrer(kind, artifact.manifest());
            for (digest, bytes) in &referrer.blobs {
                self.put_blob(reference, *digest, bytes).await?;
            }
            let name = referrer.descriptor.digest.to_string();
            let put =
                self.put_manifest(reference, &name, oci::MANIFEST, &referrer.manifest).await?;
            // A registry that keeps referrers says so; for the others we keep the list.
            if put.header("oci-subject").is_none() {
                let mut index = self.referrers(&place, artifact.digest()).await?;
                if !index.manifests.contains(&referrer.descriptor) {
                    index.manifests.push(referrer.descriptor);
                    let list = Bytes::from(oci::json(&Index::of(index.manifests)));
                    let tag = Reference::referrers_tag(&artifact.digest());
                    self.put_manifest(reference, &tag, oci::INDEX, &list).await?;
                }
            }
        }
        Ok(place)
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        name: &str,
        kind: &str,
        bytes: &Bytes,
    ) -> Result<Answer, Error> {
        let url = self.url(reference, &format!("manifests/{name}"))?;
        let mut ask = Ask::new(Method::PUT, url);
        let kind = HeaderValue::from_str(kind)
            .map_err(|_| Error::Manifest(format!("{kind:?} is no media type")))?;
        ask.headers.insert(CONTENT_TYPE, kind);
        ask.body = bytes.clone();
        let answer = self.ask(reference, Right::Push, ask).await?;
        if !answer.status.is_success() {
            return Err(refused(reference, &answer));
        }
        let (expected, said) = (Digest::of(bytes), answer.header("docker-content-digest"));
        if let Some(said) = said.filter(|said| *said != expected.to_string()) {
            let reason = format!("it has kept {said} where {expected} was sent");
            return Err(Error::Registry { reference: reference.clone(), reason });
        }
        Ok(answer)
    }

    async fn put_blob(
        &self,
        reference: &Reference,
        digest: Digest,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        let head = Ask::new(Method::HEAD, self.url(reference, &format!("blobs/{digest}"))?);
        let there = self.ask(reference, Right::Push, head).await?;
        if there.status == StatusCode::OK {
            return Ok(());
        }
        let mut begin = Ask::new(Method::POST, self.url(reference, "blobs/uploads/")?);
        begin.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let begun = self.ask(reference, Right::Push, begin.clone()).await?;
        let place = begun.header(LOCATION.as_str()).filter(|_| begun.status.is_success());
        let Some(place) = place else { return Err(refused(reference, &begun)) };
        let mut put = Ask::new(Method::PUT, begin.url);
        move_to(&mut put, place)
            .map_err(|reason| Error::Registry { reference: reference.clone(), reason })?;
        put.url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let kind = HeaderValue::from_static("application/octet-stream");
        put.headers.insert(CONTENT_TYPE, kind);
        put.body = bytes.clone();
        let kept = self.ask(reference, Right::Push, put).await?;
        if kept.status.is_success() { Ok(()) } else { Err(refused(reference, &kept)) }
    }
}
