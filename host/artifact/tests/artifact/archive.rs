//! Archives: the same for the same input, read back as they were, and refused when any byte is
//! not what it should be.

use crate::{FRAGMENT, catalog, migration, wasm};
use bytes::Bytes;
use nexus_artifact::{Artifact, Digest, Error, Parts, SigningKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A tar of these files.
fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A layout as another tool would write it: an index of these manifests, and these blobs.
fn layout(manifests: &[Value], blobs: &[&[u8]]) -> Vec<u8> {
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
    ];
    let named = |blob: &&[u8]| (format!("blobs/sha256/{}", Digest::of(blob).hex()), blob.to_vec());
    // Equal blobs are one file.
    files.extend(blobs.iter().map(named).collect::<BTreeMap<_, _>>());
    tar(&files)
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len() })
}

/// An archive of one manifest with these layers.
fn of_layers(manifest_kind: &str, layers: &[(&str, &[u8])]) -> Vec<u8> {
    let config = b"{}".as_slice();
    let listed: Vec<_> = layers.iter().map(|(kind, bytes)| descriptor(kind, bytes)).collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": manifest_kind,
        "config": descriptor("application/vnd.wasm.config.v0+json", config), "layers": listed });
    let manifest = manifest.to_string().into_bytes();
    let mut blobs = vec![config, &manifest[..]];
    blobs.extend(layers.iter().map(|(_, bytes)| *bytes));
    layout(&[descriptor(manifest_kind, &manifest)], &blobs)
}

fn told(archive: &[u8]) -> String {
    Artifact::read_archive(archive).unwrap_err().to_string()
}

#[test]
fn an_archive_is_read_back_with_everything_in_it() {
    let mut artifact = catalog("one");
    let key = SigningKey::generate();
    artifact.attach(key.sign(artifact.manifest()));
    let archive = artifact.archive();
    assert_eq!(archive, artifact.archive());
    let read = Artifact::read_archive(&archive).unwrap();
    assert_eq!(read.digest(), artifact.digest());
    assert_eq!((read.component(), read.version()), (Some("catalog"), Some("1.0.0")));
    assert_eq!(read.fragment(), Some(FRAGMENT));
    assert_eq!(read.migrations(), [migration(1), migration(2)]);
    assert_eq!(read.wasm(), &wasm("one"));
    assert_eq!(read.wasm_digest(), Digest::of(&wasm("one")));
    assert_eq!(read.signatures(), artifact.signatures());
    assert_eq!(read.archive(), archive);
    assert_eq!(read.interface().imports, ["spin:key-value/key-value@3.0.0"]);
}

#[test]
fn what_other_tools_make_of_wasm_alone_is_a_component_too() {
    let bytes = wasm("theirs");
    for (manifest, layer) in [
        (MANIFEST, "application/wasm"),
        ("application/vnd.docker.distribution.manifest.v2+json", "application/wasm"),
        (MANIFEST, "application/vnd.wasm.content.layer.v1+wasm"),
    ] {
        let read = Artifact::read_archive(&of_layers(manifest, &[(layer, &bytes)])).unwrap();
        assert_eq!(read.wasm(), &bytes);
        assert_eq!((read.component(), read.fragment()), (None, None));
        assert_eq!(read.manifest_media_type(), manifest);
    }
}

#[test]
fn layers_of_other_kinds_are_kept_and_told() {
    let bytes = wasm("one");
    let layers = [("application/wasm", &bytes[..]), ("application/spdx+json", b"{}")];
    let read = Artifact::read_archive(&of_layers(MANIFEST, &layers)).unwrap();
    let [unknown] = read.unknown_layers() else { panic!("{:?}", read.unknown_layers()) };
    assert_eq!(unknown.media_type, "application/spdx+json");
    let again = Artifact::read_archive(&read.archive()).unwrap();
    assert_eq!(again.digest(), read.digest());
    assert!(again.blobs().any(|(digest, _)| digest == unknown.digest));
}

#[test]
fn what_is_no_single_component_is_refused_with_the_reason() {
    let bytes = wasm("one");
    let wasm_layer = ("application/wasm", &bytes[..]);
    let fragment = "application/vnd.nexus.fragment.v1+toml";
    assert!(told(b"").contains("no oci-layout"));
    assert!(told(b"PK\x03\x04 no tar at all, but long enough to look at").contains("archive"));
    assert!(told(&of_layers(MANIFEST, &[])).contains("no layer of application/wasm"));
    assert!(told(&of_layers(MANIFEST, &[wasm_layer, wasm_layer])).contains("two layers"));
    let other =
        told(&of_layers(MANIFEST, &[wasm_layer, (fragment, b"[component.a]\n[component.b]")]));
    assert!(other.contains("2 components"), "{other}");
    assert!(told(&of_layers(MANIFEST, &[wasm_layer, (fragment, b"\xff")])).contains("UTF-8"));
    let module = wat::parse_str("(module)").unwrap();
    let module = told(&of_layers(MANIFEST, &[("application/wasm", &module)]));
    assert!(module.contains("core module"), "{module}");
    assert!(told(&of_layers("application/json", &[wasm_layer])).contains("no image"));
    let large = json!({ "mediaType": MANIFEST, "digest": Digest::of(b""), "size": u64::MAX });
    assert!(told(&layout(&[large], &[])).contains("at most"));
    let gone = descriptor(MANIFEST, b"gone");
    assert!(told(&layout(&[gone], &[])).contains("is not in it"));
}

#[test]
fn a_layer_that_announces_too_much_is_refused_before_it_is_read() {
    let manifest = json!({ "schemaVersion": 2, "config": descriptor("application/json", b"{}"),
        "layers": [{ "mediaType": "application/wasm", "digest": Digest::of(b""),
            "size": 1_u64 << 40 }] });
    let mut asked = 0;
    let error = Artifact::assemble(Bytes::from(manifest.to_string()), |layer| {
        asked += 1;
        (layer.size == 2).then(|| Bytes::from_static(b"{}"))
    });
    assert!(matches!(error.unwrap_err(), Error::TooLarge { .. }));
    assert_eq!(asked, 1, "only the configuration");
}

#[test]
fn of_several_images_the_one_for_wasm_is_taken() {
    let own = catalog("one");
    let mut for_wasm = descriptor(MANIFEST, own.manifest());
    for_wasm["platform"] = json!({ "architecture": "wasm", "os": "wasip2" });
    let native = br#"{"schemaVersion":2,"layers":[],"config":{}}"#.as_slice();
    let mut other = descriptor(MANIFEST, native);
    other["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    let mut blobs: Vec<Bytes> = own.blobs().map(|(_, bytes)| bytes.clone()).collect();
    blobs.push(own.manifest().clone());
    let mut blobs: Vec<&[u8]> = blobs.iter().map(|bytes| &bytes[..]).collect();
    blobs.push(native);
    let read = Artifact::read_archive(&layout(&[other.clone(), for_wasm.clone()], &blobs)).unwrap();
    assert_eq!(read.digest(), own.digest());
    let list = json!({ "schemaVersion": 2, "manifests": [other, for_wasm] }).to_string();
    blobs.push(list.as_bytes());
    let entry = descriptor("application/vnd.oci.image.index.v1+json", list.as_bytes());
    let nested = Artifact::read_archive(&layout(&[entry], &blobs)).unwrap();
    assert_eq!(nested.digest(), own.digest());
    let two = [descriptor(MANIFEST, own.manifest()), descriptor(MANIFEST, native)];
    assert!(told(&layout(&two, &blobs)).contains("2 images"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_input_gives_the_same_digest_and_another_input_another(
        word in "[a-z]{1,8}", other in "[a-z]{1,8}", version in "[0-9]\\.[0-9]", count in 0_u32..5,
    ) {
        let make = |word: &str, migrations: Vec<_>| Artifact::build(Parts {
            component: "catalog",
            version: Some(&version),
            created: None,
            wasm: wasm(word),
            fragment: Some(FRAGMENT),
            migrations,
        }).unwrap();
        let forwards: Vec<_> = (1..=count).map(migration).collect();
        let backwards: Vec<_> = (1..=count).rev().map(migration).collect();
        let one = make(&word, forwards.clone());
        prop_assert_eq!(one.archive(), make(&word, backwards).archive());
        let changed = make(&other, forwards);
        prop_assert_eq!(one.digest() == changed.digest(), word == other);
    }

    #[test]
    fn no_byte_of_an_archive_can_be_changed_unseen(
        place in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let mut own = catalog("one");
        own.attach(SigningKey::generate().sign(own.manifest()));
        let mut archive = own.archive();
        let place = place.index(archive.len());
        archive[place] ^= flip;
        if let Ok(read) = Artifact::read_archive(&archive) {
            // Padding, dates, and which tag it has may change; what is deployed may not.
            prop_assert_eq!(read.digest(), own.digest());
            let blobs = |of: &Artifact| {
                let blobs = of.blobs().map(|(digest, bytes)| (digest, bytes.clone()));
                blobs.collect::<BTreeMap<_, _>>()
            };
            prop_assert_eq!(blobs(&read), blobs(&own));
            for signature in read.signatures() {
                prop_assert!(own.signatures().contains(signature));
            }
        }
    }

    #[test]
    fn an_archive_that_was_cut_off_is_none(share in 0.0..1.0_f64) {
        let own = catalog("one");
        let archive = own.archive();
        // The last thousand bytes of a tar are zeros that nobody needs.
        let length = ((archive.len() - 1_024) as f64 * share) as usize;
        if let Ok(read) = Artifact::read_archive(&archive[..length]) {
            prop_assert_eq!(read.digest(), own.digest());
        }
    }
}
