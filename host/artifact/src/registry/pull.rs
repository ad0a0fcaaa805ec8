//! Pulling: a tag becomes a digest, once; then the manifest, what it names, and who has signed it.

use super::{Reference, Registry, Right, manifest_ask, refused};
use crate::artifact::{Artifact, SIGNATURES_MAX, check_size};
use crate::digest::Digest;
use crate::error::Error;
use crate::layout::ARCHIVE_BYTES_MAX;
use crate::oci::{self, Descriptor, ImageManifest, Index};
use crate::signature::Signature;
use bytes::Bytes;
use http::{Method, StatusCode};
use std::collections::BTreeMap;

use super::wire::Ask;

/// An index may name an index; nobody goes deeper.
const INDEXES_MAX: u32 = 4;

impl Registry {
    /// What a tag stands for now. A reference with a digest is its own answer.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, Error> {
        match reference.digest() {
            Some(digest) => Ok(digest),
            // The registry's own word for the digest is not needed: the bytes are small.
            None => Ok(Digest::of(&self.manifest(reference).await?)),
        }
    }

    /// Gets an artifact with its signatures.
    ///
    /// # Errors
    ///
    /// When it is not there, is no component, is larger than hosts take, or when any byte is not
    /// what its digest says.
    pub async fn pull(&self, reference: &Reference) -> Result<Artifact, Error> {
        let digest = self.resolve(reference).await?;
        let mut digest = digest;
        for _ in 0..INDEXES_MAX {
            let place = reference.at(digest);
            let manifest = self.manifest(&place).await?;
            match Index::read(&manifest) {
                Ok(index) => digest = index.choose()?.digest,
                Err(_) => return self.artifact(&place, manifest).await,
            }
        }
        let reason = "its indexes never end".into();
        Err(Error::Registry { reference: reference.clone(), reason })
    }

    /// The bytes that a tag or a digest names.
    async fn manifest(&self, reference: &Reference) -> Result<Bytes, Error> {
        let name = reference.manifest_name();
        let ask = manifest_ask(self.url(reference, &format!("manifests/{name}"))?);
        let answer = self.ask(reference, Right::Pull, ask).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(reference, &answer));
        }
        let found = Digest::of(&answer.body);
        match reference.digest() {
            Some(resolved) if resolved != found => {
                Err(Error::Moved { reference: reference.clone(), resolved, found })
            }
            _ => Ok(answer.body),
        }
    }

    async fn artifact(&self, place: &Reference, manifest: Bytes) -> Result<Artifact, Error> {
        let document = ImageManifest::read(&manifest)?;
        let wanted: Vec<_> = std::iter::once(&document.config).chain(&document.layers).collect();
        let bytes = wanted.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        let bytes_max = ARCHIVE_BYTES_MAX;
        if bytes > bytes_max {
            return Err(Error::TooLarge { what: place.to_string(), bytes, bytes_max });
        }
        let mut blobs = BTreeMap::new();
        for layer in wanted {
            check_size(layer, &layer.media_type)?;
            if !blobs.contains_key(&layer.digest) {
                blobs.insert(layer.digest, self.blob(place, layer).await?);
            }
        }
        let mut artifact = Artifact::assemble(manifest, |it| blobs.get(&it.digest).cloned())?;
        for signature in self.signatures(place, artifact.digest()).await? {
            artifact.attach(signature);
        }
        Ok(artifact)
    }

    async fn blob(&self, place: &Reference, layer: &Descriptor) -> Result<Bytes, Error> {
        let url = self.url(place, &format!("blobs/{}", layer.digest))?;
        let mut ask = Ask::new(Method::GET, url);
        ask.bytes_max = layer.size;
        let answer = self.ask(place, Right::Pull, ask).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(place, &answer));
        }
        layer.verify(&format!("{} of {place}", layer.digest), &answer.body)?;
        Ok(answer.body)
    }

    /// Who says to have signed `digest`. What is no signature of ours, or none that can be read,
    /// is left out: it counts for nothing.
    async fn signatures(&self, place: &Reference, digest: Digest) -> Result<Vec<Signature>, Error> {
        let listed = self.referrers(place, digest).await?;
        let mut found = Vec::new();
        let of_ours = |it: &&Descriptor| {
            it.media_type == oci::MANIFEST
                && it.artifact_type.as_deref().is_none_or(|kind| kind == oci::SIGNATURE)
        };
        for entry in listed.manifests.iter().filter(of_ours).take(SIGNATURES_MAX) {
            let referrer = self.manifest(&place.at(entry.digest)).await?;
            let Some(layer) = Signature::layer_of(&referrer) else { continue };
            let blob = self.blob(place, &layer).await?;
            match Signature::read(&referrer, digest, |_| Some(blob.clone())) {
                Ok(signature) => found.extend(signature),
                Err(error) => tracing::warn!(%error, %place, "a signature counts for nothing"),
            }
        }
        Ok(found)
    }

    /// What refers to `digest`: by the API of 1.1, or by the tag of registries before it.
    pub(super) async fn referrers(
        &self,
        place: &Reference,
        digest: Digest,
    ) -> Result<Index, Error> {
        let path = format!("referrers/{digest}?artifactType={}", oci::SIGNATURE);
        let mut ask = manifest_ask(self.url(place, &path)?);
        for by_tag in [false, true] {
            if by_tag {
                let tag = Reference::referrers_tag(&digest);
                ask = manifest_ask(self.url(place, &format!("manifests/{tag}"))?);
            }
            let answer = self.ask(place, Right::Pull, ask.clone()).await?;
            match answer.status {
                StatusCode::OK => return Index::read(&answer.body),
                // Registries before 1.1 do not know the path, and say so in several ways.
                StatusCode::NOT_FOUND
                | StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_IMPLEMENTED => {}
                _ => return Err(refused(place, &answer)),
            }
        }
        Ok(Index::of(Vec::new()))
    }
}
