//! Who may open a store, and what those who may not are told.

use capability_key_value::{Embedded, EmbeddedSettings, KeyValue, KeyValueError, Store};
use nexus_runtime::{Capability as _, ComponentManifest, Manifest};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn component(lines: &str) -> Arc<ComponentManifest> {
    let text = format!(
        "spin_manifest_version = 2\n[application]\nname = \"suite\"\n\
         [component.catalog]\nsource = \"catalog.wasm\"\n{lines}\n"
    );
    Manifest::parse(&text, Path::new("spin.toml")).unwrap().components[0].clone()
}

fn capability() -> (KeyValue, TempDir) {
    let folder = TempDir::new().unwrap();
    let backend = Embedded::open(folder.path(), &EmbeddedSettings::default()).unwrap();
    (KeyValue::new(backend), folder)
}

#[test]
fn a_component_without_a_store_is_told_the_line_to_add() {
    let (capability, _folder) = capability();
    let denied = capability.admit(&component("")).unwrap_err().to_string();
    assert!(denied.contains("key_value_stores = [\"default\"]"), "{denied}");
    assert!(denied.contains("[component.catalog]"), "{denied}");
    assert_eq!(capability.admit(&component("key_value_stores = [\"default\"]")), Ok(()));
}

#[tokio::test]
async fn only_listed_labels_open() {
    let (capability, _folder) = capability();
    let catalog = component("key_value_stores = [\"default\", \"sessions\"]");
    let store = Store::open(capability.backend(), &catalog, "sessions").unwrap();
    store.set("key", "value".into()).await.unwrap();
    let refused = Store::open(capability.backend(), &catalog, "other").err().unwrap();
    assert!(matches!(refused, KeyValueError::Ungranted { .. }), "{refused}");
    assert!(refused.to_string().contains("key_value_stores of [component.catalog]"), "{refused}");
}

#[tokio::test]
async fn components_that_list_a_label_share_its_store() {
    let (capability, _folder) = capability();
    let catalog = component("key_value_stores = [\"default\"]");
    let stores = [(), ()].map(|()| Store::open(capability.backend(), &catalog, "default").unwrap());
    stores[0].set("key", "value".into()).await.unwrap();
    assert_eq!(stores[1].get("key").await.unwrap().unwrap(), "value");
}
