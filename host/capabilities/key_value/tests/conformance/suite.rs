//! What every key-value store does, whoever asks: the cases need only the trait [`Store`], so the
//! host's backends and a guest with the imported interface run the same ones.
//! Refuses to know backends.

use futures::future::join_all;
use std::collections::BTreeSet;

/// A store as a guest sees it. Errors are the text that the interface carries.
pub trait Store {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String>;
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), String>;
    async fn delete(&self, key: &str) -> Result<(), String>;
    async fn exists(&self, key: &str) -> Result<bool, String>;
    async fn keys(&self) -> Result<Vec<String>, String>;
}

/// The name of a case and what was wrong.
pub type Outcome = (&'static str, Result<(), String>);

macro_rules! suite {
    ($($case:ident)*) => {
        /// Runs every case on two empty stores with different labels.
        pub async fn suite<S: Store>(store: &S, other: &S) -> Vec<Outcome> {
            vec![$((stringify!($case), $case(store, other).await)),*]
        }
    };
}

suite! {
    an_empty_store_lists_nothing
    a_missing_key_is_nothing_and_not_an_error
    a_value_is_read_back_byte_for_byte
    a_written_value_replaces_the_old_one
    a_deleted_key_is_gone_and_can_be_deleted_again
    a_key_is_any_text
    stores_with_different_labels_share_nothing
    the_longest_key_and_the_largest_value_fit
    one_byte_more_is_refused_and_says_the_limit
    writers_at_the_same_time_do_not_disturb_each_other
    ten_thousand_keys_are_listed_once_each
    keys_that_stay_are_listed_while_others_come_and_go
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

type Case = Result<(), String>;

/// Kept in step with the constants of the crate by a test there.
pub const KEY_BYTES_MAX: usize = 1024;
pub const VALUE_BYTES_MAX: usize = 4 << 20;

async fn clear<S: Store>(store: &S) -> Case {
    let keys = store.keys().await?;
    for page in keys.chunks(500) {
        join_all(page.iter().map(|key| store.delete(key))).await.into_iter().collect::<Case>()?;
    }
    Ok(())
}

async fn an_empty_store_lists_nothing<S: Store>(store: &S, _: &S) -> Case {
    let keys = store.keys().await?;
    ensure!(keys.is_empty(), "it lists {keys:?}");
    Ok(())
}

async fn a_missing_key_is_nothing_and_not_an_error<S: Store>(store: &S, _: &S) -> Case {
    ensure!(store.get("missing").await?.is_none(), "get found something");
    ensure!(!store.exists("missing").await?, "it exists");
    store.delete("missing").await
}

async fn a_value_is_read_back_byte_for_byte<S: Store>(store: &S, _: &S) -> Case {
    let every_byte: Vec<u8> = (0..=255).collect();
    for value in [&b""[..], b"text", &every_byte, b"\r\n$-1\r\n"] {
        store.set("value", value).await?;
        let read = store.get("value").await?;
        ensure!(read.as_deref() == Some(value), "{value:?} became {read:?}");
        ensure!(store.exists("value").await?, "{value:?} does not exist");
    }
    clear(store).await
}

async fn a_written_value_replaces_the_old_one<S: Store>(store: &S, _: &S) -> Case {
    store.set("key", b"a long first value").await?;
    store.set("key", b"second").await?;
    let read = store.get("key").await?;
    ensure!(read.as_deref() == Some(b"second"), "read {read:?}");
    let keys = store.keys().await?;
    ensure!(keys == ["key"], "listed {keys:?}");
    clear(store).await
}

async fn a_deleted_key_is_gone_and_can_be_deleted_again<S: Store>(store: &S, _: &S) -> Case {
    store.set("key", b"value").await?;
    store.delete("key").await?;
    ensure!(store.get("key").await?.is_none(), "still readable");
    ensure!(!store.exists("key").await?, "still exists");
    ensure!(store.keys().await?.is_empty(), "still listed");
    store.delete("key").await
}

async fn a_key_is_any_text<S: Store>(store: &S, _: &S) -> Case {
    let keys = ["", " ", "a:b", "*", "a?[b]\\", "Ä😀", "line\r\nbreak", "\0", "nexus:kv:x:y"];
    for key in keys {
        store.set(key, key.as_bytes()).await?;
    }
    for key in keys {
        let read = store.get(key).await?;
        ensure!(read.as_deref() == Some(key.as_bytes()), "{key:?} holds {read:?}");
    }
    let listed: BTreeSet<String> = store.keys().await?.into_iter().collect();
    let expected: BTreeSet<String> = keys.into_iter().map(String::from).collect();
    ensure!(listed == expected, "listed {listed:?}");
    clear(store).await
}

async fn stores_with_different_labels_share_nothing<S: Store>(store: &S, other: &S) -> Case {
    store.set("key", b"mine").await?;
    ensure!(other.get("key").await?.is_none(), "the other store reads it");
    ensure!(other.keys().await?.is_empty(), "the other store lists it");
    other.set("key", b"theirs").await?;
    let read = store.get("key").await?;
    ensure!(read.as_deref() == Some(b"mine"), "read {read:?}");
    other.delete("key").await?;
    ensure!(store.exists("key").await?, "the other store deleted it");
    clear(store).await
}

async fn the_longest_key_and_the_largest_value_fit<S: Store>(store: &S, _: &S) -> Case {
    let key = "k".repeat(KEY_BYTES_MAX);
    let value = vec![7; VALUE_BYTES_MAX];
    store.set(&key, &value).await?;
    ensure!(store.get(&key).await? == Some(value), "another value came back");
    ensure!(store.keys().await? == [key], "another key is listed");
    clear(store).await
}

async fn one_byte_more_is_refused_and_says_the_limit<S: Store>(store: &S, _: &S) -> Case {
    let key = "k".repeat(KEY_BYTES_MAX + 1);
    let refusals = [
        (store.get(&key).await.err(), KEY_BYTES_MAX),
        (store.set(&key, b"").await.err(), KEY_BYTES_MAX),
        (store.delete(&key).await.err(), KEY_BYTES_MAX),
        (store.exists(&key).await.err(), KEY_BYTES_MAX),
        (store.set("key", &vec![0; VALUE_BYTES_MAX + 1]).await.err(), VALUE_BYTES_MAX),
    ];
    for (refusal, limit) in refusals {
        let text = refusal.ok_or("something was accepted")?;
        ensure!(text.contains(&limit.to_string()), "{text:?} does not say {limit}");
    }
    ensure!(store.keys().await?.is_empty(), "something was stored");
    Ok(())
}

async fn writers_at_the_same_time_do_not_disturb_each_other<S: Store>(store: &S, _: &S) -> Case {
    let keys: Vec<String> = (0..200).map(|n| format!("writer-{n}")).collect();
    let write = async |key: &String| {
        for round in 0..5 {
            store.set(key, format!("{key} {round}").as_bytes()).await?;
            store.set("shared", key.as_bytes()).await?;
        }
        let expected = format!("{key} 4").into_bytes();
        let read = store.get(key).await?;
        ensure!(read.as_ref() == Some(&expected), "{key} holds {read:?}");
        Ok(())
    };
    join_all(keys.iter().map(write)).await.into_iter().collect::<Case>()?;
    let shared = store.get("shared").await?.unwrap_or_default();
    let shared = String::from_utf8(shared).map_err(|e| e.to_string())?;
    ensure!(keys.contains(&shared), "the last writer is {shared:?}");
    clear(store).await
}

async fn ten_thousand_keys_are_listed_once_each<S: Store>(store: &S, _: &S) -> Case {
    let keys: BTreeSet<String> = (0..10_000).map(|n| format!("key-{n:05}")).collect();
    fill(store, &keys).await?;
    let listed = store.keys().await?;
    ensure!(listed.len() == keys.len(), "{} keys are listed", listed.len());
    ensure!(listed.into_iter().collect::<BTreeSet<_>>() == keys, "other keys are listed");
    clear(store).await
}

async fn keys_that_stay_are_listed_while_others_come_and_go<S: Store>(store: &S, _: &S) -> Case {
    let staying: BTreeSet<String> = (0..2_000).map(|n| format!("staying-{n}")).collect();
    let passing: BTreeSet<String> = (0..2_000).map(|n| format!("passing-{n}")).collect();
    fill(store, &staying).await?;
    let disturb = async {
        fill(store, &passing).await?;
        for key in &passing {
            store.delete(key).await?;
        }
        Ok::<_, String>(())
    };
    let list = async {
        let mut lists = Vec::new();
        for _ in 0..10 {
            lists.push(store.keys().await?);
        }
        Ok::<_, String>(lists)
    };
    let (disturbed, lists) = futures::join!(disturb, list);
    disturbed?;
    for list in lists? {
        let known: BTreeSet<&String> = list.iter().collect();
        ensure!(known.len() == list.len(), "a key is listed twice");
        let lost = staying.iter().find(|key| !known.contains(key));
        ensure!(lost.is_none(), "{lost:?} is not listed");
    }
    clear(store).await
}

async fn fill<S: Store>(store: &S, keys: &BTreeSet<String>) -> Case {
    let keys: Vec<&String> = keys.iter().collect();
    for page in keys.chunks(500) {
        let writes = page.iter().map(|key| store.set(key, key.as_bytes()));
        join_all(writes).await.into_iter().collect::<Case>()?;
    }
    Ok(())
}
