//! The documents of OCI: what they are called, and the fields of them that we read and write.
//! Refuses to know what a layer means to us.
//! Source: OCI image specification 1.1 (manifest, index, descriptor, image layout) and the CNCF's
//! "Wasm OCI artifact" for the configuration.

use crate::digest::Digest;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const WASM: &str = "application/wasm";
/// What others called a layer of wasm before there was a word for it.
pub(crate) const WASM_BEFORE: [&str; 2] = [
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];
/// The component's `component.toml`.
pub const FRAGMENT: &str = "application/vnd.nexus.fragment.v1+toml";
/// A tar of `NNNN_name.sql`.
pub const MIGRATIONS: &str = "application/vnd.nexus.migrations.v1.tar";
/// A signature: as artifact type of the referrer, and as media type of its one layer.
pub const SIGNATURE: &str = "application/vnd.nexus.signature.v1";

pub(crate) const TITLE: &str = "org.opencontainers.image.title";
pub(crate) const VERSION: &str = "org.opencontainers.image.version";
pub(crate) const CREATED: &str = "org.opencontainers.image.created";
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Registries must take manifests of 4 MiB (OCI distribution specification); nobody sends more.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 4 << 20;

pub(crate) type Annotations = BTreeMap<String, String>;

/// What points at bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
}

/// The machine that an image of an index is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
}

impl Descriptor {
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.into(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            platform: None,
            annotations: None,
        }
    }

    /// Says whether `bytes` are what it points at; `what` is for the message.
    pub(crate) fn verify(&self, what: &str, bytes: &[u8]) -> Result<(), Error> {
        let found = bytes.len() as u64;
        if found != self.size {
            return Err(Error::Size { what: what.into(), expected: self.size, found });
        }
        let found = Digest::of(bytes);
        if found != self.digest {
            let expected = self.digest;
            return Err(Error::Tampered { what: what.into(), expected, found });
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageManifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<Annotations>,
}

/// Layers of one artifact: ours are three.
const LAYERS_MAX: usize = 64;

impl ImageManifest {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Manifest(reason);
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| wrong(e.to_string()))?;
        if manifest.schema_version != 2 {
            return Err(wrong(format!("its schemaVersion is {}, not 2", manifest.schema_version)));
        }
        if manifest.layers.len() > LAYERS_MAX {
            return Err(wrong(format!("it has more than {LAYERS_MAX} layers")));
        }
        match manifest.media_type.as_deref() {
            None | Some(MANIFEST | DOCKER_MANIFEST) => Ok(manifest),
            Some(other) => Err(wrong(format!("it is {other}, not an image's manifest"))),
        }
    }

    /// As whom it is sent; OCI's own name may be left out of the document.
    pub(crate) fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or(MANIFEST)
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    pub(crate) fn is_signature(&self) -> bool {
        self.subject.is_some() && self.artifact_type.as_deref() == Some(SIGNATURE)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) manifests: Vec<Descriptor>,
}

/// Entries of one index: platforms of an image, or what refers to it.
const ENTRIES_MAX: usize = 256;

impl Index {
    pub(crate) fn of(manifests: Vec<Descriptor>) -> Self {
        Self { schema_version: 2, media_type: Some(INDEX.into()), manifests }
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let index: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::Manifest(format!("the index: {error}")))?;
        if index.schema_version != 2 || index.manifests.len() > ENTRIES_MAX {
            let reason = format!("an index of schemaVersion 2 with up to {ENTRIES_MAX} entries");
            return Err(Error::Manifest(format!("the index is not {reason}")));
        }
        Ok(index)
    }

    /// The one image of it that a host can run.
    pub(crate) fn choose(&self) -> Result<&Descriptor, Error> {
        let images: Vec<_> = self.manifests.iter().filter(|it| is_image(it)).collect();
        let for_wasm: Vec<_> = images.iter().copied().filter(|it| is_for_wasm(it)).collect();
        match (images.as_slice(), for_wasm.as_slice()) {
            ([one], _) | (_, [one]) => Ok(one),
            ([], _) => Err(Error::Manifest("the index names no image".into())),
            (several, _) => Err(Error::Manifest(format!(
                "the index names {} images, and not exactly one of them is for wasm; name it by \
                 its digest",
                several.len()
            ))),
        }
    }
}

fn is_image(descriptor: &Descriptor) -> bool {
    let image = [MANIFEST, DOCKER_MANIFEST, INDEX, DOCKER_LIST];
    let refers = descriptor.artifact_type.as_deref() == Some(SIGNATURE);
    image.contains(&descriptor.media_type.as_str()) && !refers
}

fn is_for_wasm(descriptor: &Descriptor) -> bool {
    let platform = descriptor.platform.as_ref();
    platform.is_some_and(|it| it.architecture == "wasm" || it.os.starts_with("wasi"))
}

/// The configuration of a wasm artifact.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmConfig<'a> {
    pub(crate) created: &'a str,
    pub(crate) architecture: &'a str,
    pub(crate) os: &'a str,
    pub(crate) layer_digests: Vec<Digest>,
    pub(crate) component: ConfigComponent<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConfigComponent<'a> {
    pub(crate) exports: &'a [String],
    pub(crate) imports: &'a [String],
    pub(crate) target: Option<&'a str>,
}

/// Bytes that are the same whenever and wherever they are written.
pub(crate) fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("texts and numbers can be written as JSON")
}
