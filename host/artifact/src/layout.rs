//! How an artifact travels without a registry: an OCI image layout in a tar, which skopeo calls
//! `oci-archive:`, with its signatures as further entries of the index. Refuses to write anything
//! to disk: an archive is read in memory, within bounds.

use crate::artifact::{Artifact, SIGNATURES_MAX, WASM_BYTES_MAX};
use crate::digest::Digest;
use crate::error::Error;
use crate::oci::{self, Annotations, Descriptor, ImageManifest, Index};
use crate::signature::Signature;
use crate::tarball::{self, Bounds};
use bytes::Bytes;
use std::collections::BTreeMap;

/// The media type of an archive in HTTP.
pub const ARCHIVE: &str = "application/vnd.oci.image.layout.v1.tar";
/// The wasm is all that is large.
pub const ARCHIVE_BYTES_MAX: u64 = WASM_BYTES_MAX + (32 << 20);

/// An artifact has a dozen; other tools put several images into one.
const BOUNDS: Bounds = Bounds { files: 1_000, bytes: ARCHIVE_BYTES_MAX };
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

impl Artifact {
    /// The archive; the same for the same artifact with the same signatures.
    pub fn archive(&self) -> Vec<u8> {
        let mut blobs: BTreeMap<Digest, Bytes> =
            self.blobs().map(|(digest, bytes)| (digest, bytes.clone())).collect();
        blobs.insert(self.digest(), self.manifest().clone());
        let tag = self.version().unwrap_or("latest");
        let mut entries = vec![Descriptor {
            annotations: Some(Annotations::from([(oci::REF_NAME.into(), tag.into())])),
            ..Descriptor::of(self.manifest_media_type(), self.manifest())
        }];
        for signature in self.signatures() {
            let referrer = signature.referrer(self.manifest_media_type(), self.manifest());
            blobs.insert(referrer.descriptor.digest, referrer.manifest);
            blobs.extend(referrer.blobs);
            entries.push(referrer.descriptor);
        }
        let index = oci::json(&Index::of(entries));
        let blobs: Vec<_> = blobs.iter().map(|(digest, it)| (place(digest), it)).collect();
        let head = [
            ("oci-layout", LAYOUT),
            ("index.json", &index),
            ("blobs/", b""),
            ("blobs/sha256/", b""),
        ];
        let blobs = blobs.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
        tarball::write(head.into_iter().chain(blobs))
    }

    /// Reads an archive of ours or of another tool.
    ///
    /// # Errors
    ///
    /// When it is no layout, holds no component or several, is larger than hosts take, or any byte
    /// of it is not what its digest says.
    pub fn read_archive(archive: &[u8]) -> Result<Self, Error> {
        let bytes = archive.len() as u64;
        let bytes_max = ARCHIVE_BYTES_MAX;
        if bytes > bytes_max {
            return Err(Error::TooLarge { what: "the archive".into(), bytes, bytes_max });
        }
        let files = Files(tarball::read(archive, BOUNDS).map_err(Error::Archive)?);
        files.check_layout()?;
        let index = Index::read(files.named("index.json")?)?;
        let manifest = files.manifest(&index)?;
        let mut artifact = Self::assemble(manifest, |blob| files.blob(&blob.digest))?;
        let digest = artifact.digest();
        for entry in index.manifests.iter().filter(|it| it.digest != digest) {
            // What else another tool puts into an index is not ours to judge.
            let Some(bytes) = files.blob(&entry.digest) else { continue };
            if ImageManifest::read(&bytes).is_ok_and(|it| it.is_signature()) {
                entry.verify("a signature", &bytes)?;
                let blob = |layer: &Descriptor| files.blob(&layer.digest);
                let signature = Signature::read(&bytes, digest, blob)?;
                if artifact.signatures().len() == SIGNATURES_MAX {
                    let reason = format!("it has more than {SIGNATURES_MAX} signatures");
                    return Err(Error::Archive(reason));
                }
                if let Some(signature) = signature {
                    artifact.attach(signature);
                }
            }
        }
        Ok(artifact)
    }
}

fn place(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// What was in the tar.
struct Files(BTreeMap<String, Bytes>);

/// An index may name an index; nobody goes deeper.
const INDEXES_MAX: usize = 4;

impl Files {
    fn named(&self, name: &str) -> Result<&Bytes, Error> {
        let missing = || Error::Archive(format!("it has no {name}: it is no OCI image layout"));
        self.0.get(name).ok_or_else(missing)
    }

    fn blob(&self, digest: &Digest) -> Option<Bytes> {
        self.0.get(&place(digest)).cloned()
    }

    fn check_layout(&self) -> Result<(), Error> {
        let layout: serde_json::Value = serde_json::from_slice(self.named("oci-layout")?)
            .map_err(|error| Error::Archive(format!("oci-layout: {error}")))?;
        let version = layout["imageLayoutVersion"].as_str().unwrap_or_default();
        if !version.starts_with("1.") {
            return Err(Error::Archive(format!("its layout has the version {version:?}, not 1")));
        }
        Ok(())
    }

    /// The manifest of the one component, through indexes of platforms.
    fn manifest(&self, index: &Index) -> Result<Bytes, Error> {
        let mut index = self.without_referrers(index);
        for _ in 0..INDEXES_MAX {
            let chosen = index.choose()?;
            if chosen.size > oci::MANIFEST_BYTES_MAX {
                return Err(Error::TooLarge {
                    what: "the manifest".into(),
                    bytes: chosen.size,
                    bytes_max: oci::MANIFEST_BYTES_MAX,
                });
            }
            let missing = || Error::Archive(format!("{} is not in it", chosen.digest));
            let bytes = self.blob(&chosen.digest).ok_or_else(missing)?;
            chosen.verify("the manifest", &bytes)?;
            if ![oci::INDEX, oci::DOCKER_LIST].contains(&chosen.media_type.as_str()) {
                return Ok(bytes);
            }
            index = self.without_referrers(&Index::read(&bytes)?);
        }
        Err(Error::Archive("its indexes never end".into()))
    }

    /// Without what refers to something else, which tools may list without saying so.
    fn without_referrers(&self, index: &Index) -> Index {
        let refers = |entry: &Descriptor| {
            let bytes = self.blob(&entry.digest);
            let manifest = bytes.and_then(|bytes| ImageManifest::read(&bytes).ok());
            manifest.is_some_and(|manifest| manifest.subject.is_some())
        };
        let kept = index.manifests.iter().filter(|entry| !refers(entry)).cloned();
        Index::of(kept.collect())
    }
}
