//! Several hosts and one Redis: one count for all of them, and none of them waits for it.

use crate::clients::{ask, get};
use crate::host::Host;
use crate::platform::{Issuer, Platform};
use crate::tokens::proof;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use nexus_harness::Redis;
use nexus_redis_link::{Address, Link, Reach};
use serde_json::json;
use std::time::{Duration, Instant};
use trigger_http::RateClass;

fn link(redis: &Redis) -> Link {
    let address = Address::parse(&redis.url()).unwrap();
    Link::new(address, Reach::Anywhere, tokio::runtime::Handle::current())
}

fn counting(redis: &Redis) -> Host {
    Host::with(|config| {
        config.redis = Some(link(redis));
        config.rate.classes.push(RateClass::new("tight", 10, Duration::from_secs(3600)));
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_count_together_where_there_is_redis_and_alone_where_it_is_away() {
    let mut redis = Redis::start().await;
    let hosts = [counting(&redis), counting(&redis)];
    // Counted together from the first request on that Redis has answered in time.
    let together = |host: &Host| host.snapshot().rate_alone;
    let mut allowed = 0;
    for n in 0..16 {
        let answer = ask(hosts[n % 2].address(), get("/limited")).await;
        allowed += i32::from(answer.status == 200);
        assert_eq!(answer.field("ratelimit-policy"), "\"tight\";q=10;w=3600");
    }
    let alone: u64 = hosts.iter().map(together).sum();
    assert!(allowed >= 10 && allowed <= 10 + i32::try_from(alone).unwrap(), "{allowed}, {alone}");
    if alone == 0 {
        let answer = ask(hosts[0].address(), get("/limited")).await;
        answer.is_problem(429, "rate-limited");
        assert_eq!(answer.field("retry-after"), "360");
    }
    redis.kill();
    let fresh = counting(&redis);
    let began = std::time::Instant::now();
    for status in [200; 10].into_iter().chain([429]) {
        assert_eq!(ask(fresh.address(), get("/limited")).await.status, status);
    }
    assert_eq!(fresh.snapshot().rate_alone, 10);
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waits for Redis");
    for host in hosts.into_iter().chain([fresh]) {
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_one_host_has_taken_is_used_for_all_of_them() {
    let redis = Redis::start().await;
    let platform = Platform::new().await;
    let (issuer, holder) = (Issuer::new("k-1"), Issuer::new("holder"));
    platform.publish(&issuer).await;
    platform.subject("u-1", &[]).await;
    let jwk: Jwk = serde_json::from_value(holder.jwk.clone()).unwrap();
    let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256);
    let bound = issuer.token("u-1", &json!({ "cnf": { "jkt": thumbprint } }));
    let mut followers = Vec::new();
    let mut hosts = Vec::new();
    for _ in 0..2 {
        let (identities, follower) = platform.identities().await;
        followers.push(follower);
        hosts.push(Host::with(|config| {
            config.identities = Some(identities);
            config.redis = Some(link(&redis));
        }));
    }
    let began = Instant::now();
    // A host that got no answer from Redis in time decides alone, so more than one try may be due.
    loop {
        let proof = proof(&holder, "GET", "/echo/x", &bound);
        let with = || {
            get("/echo/x").header("authorization", format!("DPoP {bound}")).header("dpop", &proof)
        };
        assert_eq!(ask(hosts[0].address(), with()).await.status, 200);
        let second = ask(hosts[1].address(), with()).await;
        if second.status != 200 {
            second.is_problem(401, "invalid-dpop-proof");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the other host takes it every time");
    }
    for host in hosts {
        host.stop().await;
    }
    followers.iter().for_each(|follower| follower.abort());
    platform.end().await;
}
