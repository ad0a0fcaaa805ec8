//! A signature of an artifact: 64 bytes over the exact bytes of the manifest, and the manifest of
//! its own in which it refers to what it signs (OCI 1.1, `subject`). Refuses to judge whether a
//! key may sign (`keyring`).

use crate::digest::Digest;
use crate::error::Error;
use crate::keys::{KeyId, PublicKey};
use crate::oci::{self, Annotations, Descriptor, ImageManifest};
use bytes::Bytes;

/// Who signed, and what openssl calls the `sigfile`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    pub key_id: KeyId,
    pub bytes: [u8; 64],
}

/// Where the id of the key stands.
const KEY_ANNOTATION: &str = "org.nexus.signature.key";
/// The configuration of what has none.
const NO_CONFIG: &[u8] = b"{}";

/// A signature as it is kept beside what it signs: a manifest and the two blobs that it names.
#[derive(Debug, Clone)]
pub struct Referrer {
    pub manifest: Bytes,
    pub descriptor: Descriptor,
    pub blobs: Vec<(Digest, Bytes)>,
}

impl Signature {
    /// One that was made elsewhere, e.g. by `openssl pkeyutl -sign -rawin`.
    pub fn new(key_id: KeyId, bytes: &[u8]) -> Result<Self, Error> {
        let found = bytes.len();
        let bytes = bytes.try_into();
        let bytes = bytes.map_err(|_| {
            Error::Signature(format!("it has {found} bytes; an ed25519 signature has 64"))
        })?;
        Ok(Self { key_id, bytes })
    }

    /// Whether `key` has signed `manifest` with it.
    pub fn is_by(&self, key: &PublicKey, manifest: &[u8]) -> bool {
        key.verifies(manifest, &self.bytes)
    }

    /// The referrer of the artifact with this manifest.
    pub fn referrer(&self, manifest_media_type: &str, manifest: &[u8]) -> Referrer {
        let annotations = Annotations::from([(KEY_ANNOTATION.into(), self.key_id.to_string())]);
        let config = Bytes::from_static(NO_CONFIG);
        let layer = Bytes::copy_from_slice(&self.bytes);
        let document = ImageManifest {
            schema_version: 2,
            media_type: Some(oci::MANIFEST.into()),
            artifact_type: Some(oci::SIGNATURE.into()),
            config: Descriptor::of(oci::EMPTY, &config),
            layers: vec![Descriptor::of(oci::SIGNATURE, &layer)],
            subject: Some(Descriptor::of(manifest_media_type, manifest)),
            annotations: Some(annotations.clone()),
        };
        let blobs = vec![(document.config.digest, config), (document.layers[0].digest, layer)];
        let manifest = Bytes::from(oci::json(&document));
        let descriptor = Descriptor {
            artifact_type: Some(oci::SIGNATURE.into()),
            annotations: Some(annotations),
            ..Descriptor::of(oci::MANIFEST, &manifest)
        };
        Referrer { manifest, descriptor, blobs }
    }

    /// Reads a referrer; none when it is no signature of ours, or of something else.
    pub(crate) fn read(
        referrer: &[u8],
        subject: Digest,
        mut blob: impl FnMut(&Descriptor) -> Option<Bytes>,
    ) -> Result<Option<Self>, Error> {
        let document = ImageManifest::read(referrer)?;
        let ours = document.subject.as_ref().is_some_and(|it| it.digest == subject);
        if !ours || !document.is_signature() {
            return Ok(None);
        }
        let wrong = |reason: &str| Error::Signature(reason.into());
        let key = document.annotation(KEY_ANNOTATION);
        let key_id = KeyId::parse(key.ok_or_else(|| wrong("it does not name its key"))?)?;
        let [layer] = &document.layers[..] else { return Err(wrong("it has not one layer")) };
        if layer.size != 64 {
            return Err(wrong("its layer has not 64 bytes"));
        }
        let bytes = blob(layer).ok_or_else(|| wrong("its layer is not there"))?;
        layer.verify("the signature", &bytes)?;
        Self::new(key_id, &bytes).map(Some)
    }

    /// The layer that a referrer keeps the 64 bytes in.
    pub(crate) fn layer_of(referrer: &[u8]) -> Option<Descriptor> {
        let document = ImageManifest::read(referrer).ok()?;
        let signature = document.is_signature() && document.layers.len() == 1;
        let layer = document.layers.into_iter().next()?;
        (signature && layer.size == 64).then_some(layer)
    }
}
