//! Redis and S3, each by a round trip.

use super::{Check, Finding, Ground};
use crate::assembly;
use crate::settings::Objects;
use bytes::Bytes;
use capability_blob::{BucketName, Get, Key, Place, Put, S3, Store as _};
use futures::StreamExt as _;
use nexus_redis_link::{Address, Link, Reach, Repeat, Reply};
use std::collections::BTreeMap;
use tokio::runtime::Handle;

pub(super) const CHECKS: &[Check] = &[
    Check::asking("redis", "reachable", |ground| {
        Box::pin(async move {
            match info(ground).await {
                Some(Ok(_)) => Finding::ok("it answers"),
                Some(Err(reason)) => Finding::fail(reason, "start it, or correct REDIS_URL"),
                None => Finding::skip("REDIS_URL is not set: the host keeps these itself"),
            }
        })
    }),
    Check::asking("redis", "version", |ground| Box::pin(told(ground, version))),
    Check::asking("redis", "eviction", |ground| Box::pin(told(ground, eviction))),
    Check::asking("redis", "memory", |ground| Box::pin(told(ground, memory))),
    Check::asking("redis", "role", |ground| Box::pin(told(ground, role))),
    Check::plain("objects", "credentials", |ground| match objects(ground) {
        Some(_) => credentials(ground),
        None => Finding::skip("objects are in the home"),
    }),
    Check::asking("objects", "round trip", |ground| {
        Box::pin(async move {
            match objects(ground) {
                Some(objects) => round_trip(objects, &ground.environment).await,
                None => Finding::skip("objects are in the home"),
            }
        })
    }),
];

type Facts = BTreeMap<String, String>;

/// What `INFO` says; None without `REDIS_URL`.
async fn info(ground: &Ground) -> Option<Result<Facts, String>> {
    let url = ground.settings.as_ref().ok()?.redis_url.clone()?;
    Some(
        async {
            let address = Address::parse(&url).map_err(|error| error.to_string())?;
            let link = Link::new(address, Reach::Anywhere, Handle::current());
            let answer =
                link.send(&["INFO"], Repeat::Safe).await.map_err(|error| error.to_string())?;
            let text = match answer {
                Reply::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Reply::Status(text) => text,
                _ => return Err("what answers is no Redis".to_owned()),
            };
            Ok(facts(&text))
        }
        .await,
    )
}

fn facts(text: &str) -> Facts {
    let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn told(ground: &Ground, judge: fn(&Facts) -> Finding) -> Finding {
    match info(ground).await {
        Some(Ok(facts)) => judge(&facts),
        Some(Err(_)) => Finding::skip("Redis is away"),
        None => Finding::skip("REDIS_URL is not set"),
    }
}

fn word<'a>(facts: &'a Facts, name: &str) -> &'a str {
    facts.get(name).map_or("", String::as_str)
}

fn version(facts: &Facts) -> Finding {
    let version = word(facts, "redis_version");
    match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(7..) => Finding::ok(version),
        Some(_) => Finding::fail(version, "7 or newer is needed"),
        None => Finding::skip("it does not say"),
    }
}

fn eviction(facts: &Facts) -> Finding {
    match word(facts, "maxmemory_policy") {
        "" => Finding::skip("it does not say"),
        "noeviction" => Finding::ok("noeviction"),
        policy => Finding::warn(
            policy,
            "`config set maxmemory-policy noeviction`: sessions and counters must not vanish",
        ),
    }
}

fn memory(facts: &Facts) -> Finding {
    let number = |name: &str| word(facts, name).parse::<u64>().unwrap_or_default();
    let (used, most) = (number("used_memory"), number("maxmemory"));
    let found = format!(
        "{} MiB of {}",
        used >> 20,
        match most {
            0 => "what there is".to_owned(),
            most => format!("{} MiB", most >> 20),
        }
    );
    match most > 0 && used * 10 > most * 9 {
        true => Finding::warn(found, "raise maxmemory: writes will be refused"),
        false => Finding::ok(found),
    }
}

fn role(facts: &Facts) -> Finding {
    match word(facts, "role") {
        "master" => Finding::ok("it takes writes"),
        "" => Finding::skip("it does not say"),
        other => Finding::fail(other, "name the primary in REDIS_URL"),
    }
}

fn objects(ground: &Ground) -> Option<&Objects> {
    ground.settings.as_ref().ok()?.objects.as_ref()
}

fn credentials(ground: &Ground) -> Finding {
    let lacking = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let lacking: Vec<&str> =
        lacking.into_iter().filter(|name| ground.set(name).is_none()).collect();
    match lacking.is_empty() {
        true => Finding::ok("set"),
        false => Finding::fail("they are not complete", format!("set {}", lacking.join(" and "))),
    }
}

/// Writes an object, reads it, and takes it away.
async fn round_trip(objects: &Objects, environment: &[(String, String)]) -> Finding {
    let tried = async {
        let settings = assembly::s3(objects, environment).map_err(|error| format!("{error:#}"))?;
        let store = S3::new(settings).map_err(|error| error.to_string())?;
        let words = |error: capability_blob::BlobError| error.to_string();
        let place = Place {
            bucket: BucketName::new("nexus-doctor").map_err(words)?,
            key: Key::new(&format!("{}", uuid::Uuid::now_v7())).map_err(words)?,
        };
        let body = futures::stream::iter([Ok(Bytes::from_static(b"nexus doctor"))]).boxed();
        let put = Put { size: Some(12), ..Put::default() };
        store.put(&place, put, body).await.map_err(words)?;
        let read = async {
            let mut body = store.get(&place, Get::default()).await.map_err(words)?.body;
            let mut bytes = Vec::new();
            while let Some(chunk) = body.next().await {
                bytes.extend_from_slice(&chunk.map_err(words)?);
            }
            Ok::<_, String>(bytes)
        };
        let read = read.await;
        store.delete(&place).await.map_err(words)?;
        match read? == b"nexus doctor" {
            true => Ok(()),
            false => Err("it gives back something else than it was given".to_owned()),
        }
    };
    match tried.await {
        Ok(()) => Finding::ok(format!("bucket {} takes, gives and forgets", objects.bucket)),
        Err(reason) => Finding::fail(
            reason,
            "correct NEXUS_S3_ENDPOINT, NEXUS_S3_BUCKET, NEXUS_S3_REGION or the AWS variables",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;
    use nexus_harness::Redis;

    #[test]
    fn what_redis_says_of_itself_is_judged() {
        let at = |judge: fn(&Facts) -> Finding, text: &str| judge(&facts(text)).outcome;
        assert_eq!(
            (at(version, "redis_version:6.2.1"), at(version, "redis_version:7.0.15\r")),
            (Fail, Ok)
        );
        assert_eq!(at(eviction, "maxmemory_policy:allkeys-lru"), Warn);
        assert_eq!(at(eviction, "maxmemory_policy:noeviction"), Ok);
        assert_eq!(at(memory, "used_memory:95\r\nmaxmemory:100"), Warn);
        assert_eq!(at(memory, "used_memory:95\r\nmaxmemory:0"), Ok);
        assert_eq!((at(role, "role:slave"), at(role, "role:master")), (Fail, Ok));
        assert_eq!(at(role, ""), Skipped);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_real_redis_answers_until_it_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = Ground::bare(folder.path());
        let mut redis = Redis::start().await;
        ground.settings.as_mut().unwrap().redis_url = Some(redis.url());
        for check in CHECKS.iter().filter(|check| check.area == "redis") {
            let found = check.run(&ground).await;
            assert_eq!(found.outcome, Ok, "{}: {found:?}", check.name);
        }
        redis.kill();
        assert_eq!(CHECKS[0].run(&ground).await.outcome, Fail);
    }

    #[tokio::test]
    async fn a_store_without_credentials_or_without_a_server_fails() {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = Ground::bare(folder.path());
        let objects = Objects {
            endpoint: Some("http://127.0.0.1:9".into()),
            public_endpoint: None,
            bucket: "suite".into(),
            region: "us-east-1".into(),
        };
        assert_eq!(credentials(&ground).outcome, Fail);
        let found = round_trip(&objects, &ground.environment).await;
        assert!(found.outcome == Fail && found.found.contains("AWS_ACCESS_KEY_ID"), "{found:?}");
        let pair = |name: &str| (name.to_owned(), "x".repeat(20));
        ground.environment = vec![pair("AWS_ACCESS_KEY_ID"), pair("AWS_SECRET_ACCESS_KEY")];
        assert_eq!(credentials(&ground).outcome, Ok);
        assert_eq!(round_trip(&objects, &ground.environment).await.outcome, Fail);
    }
}
