//! Several hosts and one Redis: one count for all of them, and none of them waits for it.

use crate::clients::{ask, get};
use crate::host::Host;
use nexus_redis_link::server::RedisServer;
use nexus_redis_link::{Address, Link, Reach};
use std::time::Duration;
use trigger_http::RateClass;

fn counting(redis: &RedisServer) -> Host {
    let address = Address::parse(&redis.url()).unwrap();
    let link = Link::new(address, Reach::Anywhere, tokio::runtime::Handle::current());
    Host::with(|config| {
        config.redis = Some(link);
        config.rate.classes.push(RateClass::new("tight", 10, Duration::from_secs(3600)));
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_count_together_where_there_is_redis_and_alone_where_it_is_away() {
    let mut redis = RedisServer::start().await;
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
