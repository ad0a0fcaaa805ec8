//! An artifact: the bytes of one component at one version, with what it asks for and what it does
//! to its tables, under one digest. The same input gives the same digest, wherever it is made.
//! Refuses to know where artifacts are kept and who may deploy one.

use crate::difference::Description;
use crate::digest::Digest;
use crate::error::Error;
use crate::grants::Grants;
use crate::interface::Interface;
use crate::migrations::{self, MIGRATIONS_BYTES_MAX, Migration};
use crate::oci::{self, Annotations, ConfigComponent, Descriptor, ImageManifest, WasmConfig};
use crate::signature::Signature;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The largest component of the suite has 6 MB; one that embeds its assets may have ten times that.
pub const WASM_BYTES_MAX: u64 = 128 << 20;
/// A `component.toml` has a page.
pub const FRAGMENT_BYTES_MAX: u64 = 256 << 10;
/// Says what layers hold; a few hundred names.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Layers that are not ours, each.
const OTHER_BYTES_MAX: u64 = 64 << 20;
/// Signatures that are kept with an artifact: one for each of a team's keys.
pub const SIGNATURES_MAX: usize = 16;
/// What stands for the time of making where none was given, so that the same input has the same
/// digest.
const NO_TIME: &str = "1970-01-01T00:00:00Z";

/// What an artifact is made from.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    pub component: &'a str,
    /// As the crate has it, e.g. `0.1.0`.
    pub version: Option<&'a str>,
    /// RFC 3339; part of the digest, so only where somebody asks for it.
    pub created: Option<&'a str>,
    pub wasm: Bytes,
    /// The text of its `component.toml`.
    pub fragment: Option<&'a str>,
    pub migrations: Vec<Migration>,
}

/// One component at one version. Cheap to clone: the bytes are shared.
#[derive(Debug, Clone)]
pub struct Artifact {
    manifest: Bytes,
    document: ImageManifest,
    digest: Digest,
    component: Option<String>,
    /// Configuration and layers, those that we do not know included.
    blobs: BTreeMap<Digest, Bytes>,
    wasm: Digest,
    fragment: Option<String>,
    migrations: Vec<Migration>,
    interface: Interface,
    unknown: Vec<Descriptor>,
    signatures: Vec<Signature>,
}

impl Artifact {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// When the wasm is no component, the fragment is not about `component`, or a part is larger
    /// than what hosts take.
    pub fn build(parts: Parts<'_>) -> Result<Self, Error> {
        check_name(parts.component)?;
        let interface = Interface::read(&parts.wasm)?;
        let mut layers = vec![(oci::WASM, parts.wasm)];
        if let Some(text) = parts.fragment {
            Grants::read(text, Some(parts.component))?;
            layers.push((oci::FRAGMENT, Bytes::copy_from_slice(text.as_bytes())));
        }
        let migrations = migrations::sorted(parts.migrations)?;
        if !migrations.is_empty() {
            layers.push((oci::MIGRATIONS, migrations::pack(&migrations).into()));
        }
        let layers: Vec<_> =
            layers.into_iter().map(|(kind, it)| (Descriptor::of(kind, &it), it)).collect();
        let config = oci::json(&WasmConfig {
            created: parts.created.unwrap_or(NO_TIME),
            architecture: "wasm",
            os: "wasip2",
            layer_digests: layers.iter().map(|(layer, _)| layer.digest).collect(),
            component: ConfigComponent {
                exports: &interface.exports,
                imports: &interface.imports,
                target: interface.world().as_deref(),
            },
        });
        let config = Bytes::from(config);
        let mut annotations = Annotations::from([(oci::TITLE.into(), parts.component.into())]);
        let given = [(oci::VERSION, parts.version), (oci::CREATED, parts.created)];
        let given = given.into_iter().filter_map(|(name, it)| Some((name.into(), it?.into())));
        annotations.extend(given);
        let document = ImageManifest {
            schema_version: 2,
            media_type: Some(oci::MANIFEST.into()),
            artifact_type: None,
            config: Descriptor::of(oci::WASM_CONFIG, &config),
            layers: layers.iter().map(|(layer, _)| layer.clone()).collect(),
            subject: None,
            annotations: Some(annotations),
        };
        let mut blobs: BTreeMap<_, _> =
            layers.into_iter().map(|(layer, bytes)| (layer.digest, bytes)).collect();
        blobs.insert(document.config.digest, config);
        Self::assemble(oci::json(&document).into(), |layer| blobs.get(&layer.digest).cloned())
    }

    /// Puts one together from its manifest and the bytes that `blob` finds for what the manifest
    /// names; every digest is checked. Layers of kinds that we do not know may be absent.
    pub fn assemble(
        manifest: Bytes,
        mut blob: impl FnMut(&Descriptor) -> Option<Bytes>,
    ) -> Result<Self, Error> {
        let document = ImageManifest::read(&manifest)?;
        if document.subject.is_some() {
            let reason = "it refers to another: a signature or an attestation, not a component";
            return Err(Error::Manifest(reason.into()));
        }
        let wanted = Wanted::of(&document)?;
        let mut blobs = BTreeMap::new();
        let mut load = |descriptor: &Descriptor, what: &str, needed: bool| {
            check_size(descriptor, what)?;
            let Some(bytes) = blob(descriptor) else {
                let reason = format!("{what} ({}) is not there", descriptor.digest);
                return if needed { Err(Error::Manifest(reason)) } else { Ok(Bytes::new()) };
            };
            descriptor.verify(what, &bytes)?;
            blobs.insert(descriptor.digest, bytes.clone());
            Ok(bytes)
        };
        load(&document.config, "the configuration", true)?;
        let wasm = load(wanted.wasm, "the wasm", true)?;
        let fragment = match wanted.fragment {
            None => None,
            Some(layer) => Some(text(load(layer, "the fragment", true)?)?),
        };
        let migrations = match wanted.migrations {
            None => Vec::new(),
            Some(layer) => migrations::unpack(&load(layer, "the migrations", true)?)?,
        };
        for layer in &wanted.unknown {
            load(layer, "a layer of another kind", false)?;
        }
        let title = document.annotation(oci::TITLE).filter(|name| check_name(name).is_ok());
        let component = match &fragment {
            Some(text) => Some(Grants::read(text, title)?.component),
            None => title.map(str::to_owned),
        };
        Ok(Self {
            component,
            digest: Digest::of(&manifest),
            interface: Interface::read(&wasm)?,
            wasm: wanted.wasm.digest,
            fragment,
            migrations,
            unknown: wanted.unknown.into_iter().cloned().collect(),
            blobs,
            manifest,
            document,
            signatures: Vec::new(),
        })
    }

    /// Of the manifest, and so of everything.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The exact bytes that `digest` names and that signatures are over.
    pub fn manifest(&self) -> &Bytes {
        &self.manifest
    }

    /// As what the manifest is sent.
    pub fn manifest_media_type(&self) -> &str {
        self.document.media_type()
    }

    /// What the manifest names, the configuration first; those of [`Artifact::unknown_layers`]
    /// may have no bytes in [`Artifact::blobs`].
    pub fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.document.config).chain(&self.document.layers)
    }

    /// Everything that the manifest names, by digest.
    pub fn blobs(&self) -> impl Iterator<Item = (Digest, &Bytes)> {
        self.blobs.iter().map(|(digest, bytes)| (*digest, bytes))
    }

    /// As its maker called it; artifacts of other tools have none, or a name that is no
    /// component's.
    pub fn component(&self) -> Option<&str> {
        self.component.as_deref()
    }

    pub fn version(&self) -> Option<&str> {
        self.document.annotation(oci::VERSION)
    }

    /// When it was made, where its maker has said so.
    pub fn created(&self) -> Option<&str> {
        self.document.annotation(oci::CREATED)
    }

    pub fn wasm(&self) -> &Bytes {
        &self.blobs[&self.wasm]
    }

    pub fn wasm_digest(&self) -> Digest {
        self.wasm
    }

    /// The text of the component's `component.toml`.
    pub fn fragment(&self) -> Option<&str> {
        self.fragment.as_deref()
    }

    /// In the order of their numbers.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Layers that this host makes nothing of; they are kept.
    pub fn unknown_layers(&self) -> &[Descriptor] {
        &self.unknown
    }

    /// Manifest, configuration and layers together.
    pub fn size_bytes(&self) -> u64 {
        let blobs: usize = self.blobs.values().map(Bytes::len).sum();
        (self.manifest.len() + blobs) as u64
    }

    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature, unless it is there already; says whether it was added. It is not judged.
    pub fn attach(&mut self, signature: Signature) -> bool {
        let room = self.signatures.len() < SIGNATURES_MAX;
        let new = room && !self.signatures.contains(&signature);
        if new {
            self.signatures.push(signature);
            self.signatures.sort();
        }
        new
    }

    /// What it asks for and does, to be compared with another; `fragment` where it has none of
    /// its own.
    pub fn describe(&self, fragment: Option<&str>) -> Result<Description, Error> {
        let grants = match self.fragment().or(fragment) {
            Some(text) => Grants::read(text, self.component())?,
            None => Grants::default(),
        };
        Ok(Description {
            interface: self.interface.clone(),
            grants,
            migrations: self.migrations.iter().map(|it| it.name.clone()).collect(),
        })
    }
}

/// Which layer is what.
struct Wanted<'a> {
    wasm: &'a Descriptor,
    fragment: Option<&'a Descriptor>,
    migrations: Option<&'a Descriptor>,
    unknown: Vec<&'a Descriptor>,
}

impl<'a> Wanted<'a> {
    fn of(document: &'a ImageManifest) -> Result<Self, Error> {
        let (mut wasm, mut fragment, mut migrations) = (None, None, None);
        let mut unknown = Vec::new();
        for layer in &document.layers {
            let kind = layer.media_type.as_str();
            let place = match kind {
                oci::FRAGMENT => &mut fragment,
                oci::MIGRATIONS => &mut migrations,
                _ if kind == oci::WASM || oci::WASM_BEFORE.contains(&kind) => &mut wasm,
                _ => {
                    unknown.push(layer);
                    continue;
                }
            };
            if place.replace(layer).is_some() {
                return Err(Error::Manifest(format!("it has two layers of {kind}")));
            }
        }
        let Some(wasm) = wasm else {
            let reason = format!("it has no layer of {}: it is no component", oci::WASM);
            return Err(Error::Manifest(reason));
        };
        Ok(Self { wasm, fragment, migrations, unknown })
    }
}

/// What a descriptor may announce, by its kind.
pub(crate) fn bytes_max(descriptor: &Descriptor) -> u64 {
    let kind = descriptor.media_type.as_str();
    match kind {
        oci::FRAGMENT => FRAGMENT_BYTES_MAX,
        // A tar adds a kilobyte to each file.
        oci::MIGRATIONS => MIGRATIONS_BYTES_MAX * 2,
        _ if kind == oci::WASM || oci::WASM_BEFORE.contains(&kind) => WASM_BYTES_MAX,
        _ if kind.ends_with("json") => CONFIG_BYTES_MAX,
        _ => OTHER_BYTES_MAX,
    }
}

pub(crate) fn check_size(descriptor: &Descriptor, what: &str) -> Result<(), Error> {
    let (bytes, bytes_max) = (descriptor.size, bytes_max(descriptor));
    if bytes > bytes_max {
        return Err(Error::TooLarge { what: what.into(), bytes, bytes_max });
    }
    Ok(())
}

/// The rule of `ComponentId` in `nexus-runtime`.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let kebab = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.ends_with('-')
        && !name.contains("--")
        && name.len() <= 63;
    if kebab { Ok(()) } else { Err(Error::Component(name.chars().take(80).collect())) }
}

fn text(bytes: Bytes) -> Result<String, Error> {
    String::from_utf8(bytes.into()).map_err(|_| Error::Fragment("it is not UTF-8".into()))
}
