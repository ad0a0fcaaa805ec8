//! What the HTTP trigger and PostgreSQL tell operators: their snapshots as metric families and as
//! JSON. Stands here because neither may know the other, nor the admin surface.

mod backups;
mod work;

pub(crate) use backups::Backups;
pub(crate) use work::Work;

use crate::postgres;
use nexus_admin::{Condition, Conditions, Source};
use nexus_observability::Exposition;
use nexus_storage::{Database, PoolStats};
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use trigger_http::{ComponentTraffic, DURATION_BOUNDS, HttpMetrics, HttpSnapshot};

/// The public side, as its clients saw it.
pub(crate) struct Http {
    pub(crate) metrics: HttpMetrics,
    pub(crate) listens_on: Vec<String>,
    pub(crate) public_url: String,
}

/// The database, once it is there.
pub(crate) struct Postgres {
    pub(crate) database: Arc<OnceLock<Database>>,
    pub(crate) conditions: Conditions,
    /// Which server was chosen, without credentials.
    pub(crate) server: String,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

type Total = (&'static str, &'static str, fn(&HttpSnapshot) -> u64);

const TOTALS: [Total; 8] = [
    ("nexus_http_connections_total", "Connections accepted.", |s| s.connections),
    ("nexus_http_connections_refused_total", "Connections closed at once.", |s| {
        s.connections_refused
    }),
    ("nexus_http_tls_errors_total", "TLS handshakes that failed.", |s| s.tls_errors),
    ("nexus_http_rate_limited_total", "Requests above a rate limit.", |s| s.rate_limited),
    ("nexus_http_rate_alone_total", "Requests counted without the other hosts.", |s| s.rate_alone),
    ("nexus_http_unauthenticated_total", "Requests with a credential that is none.", |s| {
        s.unauthenticated
    }),
    ("nexus_http_timeouts_total", "Heads and bodies that came too slowly.", |s| s.timeouts),
    ("nexus_http_floods_total", "HTTP/2 connections closed for abandoned requests.", |s| s.floods),
];

impl Source for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn measure(&self, page: &mut Exposition) {
        let snapshot = self.metrics.snapshot();
        for (name, help, read) in TOTALS {
            page.counter(name, help).sample(&[], read(&snapshot) as f64);
        }
        page.gauge("nexus_http_connections_open", "Connections open now.")
            .sample(&[], snapshot.connections_open as f64);
        let mut requests = page.counter("nexus_http_requests_total", "Requests answered.");
        for (component, traffic) in &snapshot.components {
            for (class, count) in CLASSES.iter().zip(traffic.responses) {
                requests.sample(&[("component", component), ("class", class)], count as f64);
            }
        }
        durations(page, &snapshot);
        per_component(
            page,
            &snapshot,
            "nexus_http_response_bytes_total",
            "Bytes of response bodies.",
            |traffic| traffic.bytes_out,
        );
        per_component(
            page,
            &snapshot,
            "nexus_http_responses_broken_total",
            "Responses that ended before they were whole.",
            |traffic| traffic.broken,
        );
    }

    fn describe(&self) -> Value {
        let snapshot = self.metrics.snapshot();
        let requests: u64 = snapshot.components.values().map(ComponentTraffic::requests).sum();
        json!({
            "listens_on": self.listens_on,
            "public_url": self.public_url,
            "requests": requests,
            "connections_open": snapshot.connections_open,
        })
    }
}

/// From the request's head to the response's last byte.
fn durations(page: &mut Exposition, snapshot: &HttpSnapshot) {
    let help = "Time from a request's head to the last byte of its response.";
    let mut family = page.histogram("nexus_http_request_duration_seconds", help);
    for (component, traffic) in &snapshot.components {
        let buckets: Vec<_> = DURATION_BOUNDS.iter().copied().zip(traffic.buckets).collect();
        let over = traffic.buckets[DURATION_BOUNDS.len()];
        family.observations(&[("component", component)], &buckets, over, traffic.seconds);
    }
}

fn per_component(
    page: &mut Exposition,
    snapshot: &HttpSnapshot,
    name: &str,
    help: &str,
    read: fn(&ComponentTraffic) -> u64,
) {
    let mut family = page.counter(name, help);
    for (component, traffic) in &snapshot.components {
        family.sample(&[("component", component)], read(traffic) as f64);
    }
}

impl Source for Postgres {
    fn name(&self) -> &'static str {
        postgres::CONDITION
    }

    fn measure(&self, page: &mut Exposition) {
        let up = self.state().is_ok();
        page.gauge("nexus_postgresql_up", "1 when PostgreSQL answered at the last look.")
            .sample(&[], f64::from(u8::from(up)));
        let Some(database) = self.database.get() else { return };
        let max = database.limits().connections_max as f64;
        page.gauge("nexus_postgresql_connections_max", "Bound of this host's connections.")
            .sample(&[], max);
        let (services, host) = database.stats();
        let pools = [("services", &services), ("host", &host)];
        let help = "Connections of this host, by pool and state.";
        let mut family = page.gauge("nexus_postgresql_connections", help);
        for (pool, stats) in pools {
            let used = stats.open.saturating_sub(stats.idle);
            for (state, number) in [("used", used), ("idle", stats.idle)] {
                family.sample(&[("pool", pool), ("state", state)], number as f64);
            }
        }
        let help = "Callers waiting for a connection now.";
        let mut family = page.gauge("nexus_postgresql_waiting", help);
        for (pool, stats) in pools {
            family.sample(&[("pool", pool)], stats.waiting as f64);
        }
        totals(page, pools);
    }

    fn describe(&self) -> Value {
        let (up, detail) = match self.state() {
            Ok(detail) => (true, detail),
            Err(reason) => (false, reason),
        };
        let mut described = json!({ "server": self.server, "up": up, "detail": detail });
        if let Some(database) = self.database.get() {
            let (services, host) = database.stats();
            described["database"] = database.name().into();
            described["connections_max"] = database.limits().connections_max.into();
            described["services"] = pool(&services);
            described["host"] = pool(&host);
        }
        described
    }
}

impl Postgres {
    /// How it is there, or why it is not.
    fn state(&self) -> Result<String, String> {
        match self.conditions.all().remove(postgres::CONDITION) {
            Some(Condition::Met(detail)) => Ok(detail),
            Some(Condition::Waiting(reason)) => Err(reason),
            None => Err("not asked for".into()),
        }
    }
}

type PoolTotal = (&'static str, &'static str, fn(&PoolStats) -> u64);

const POOL_TOTALS: [PoolTotal; 4] = [
    ("nexus_postgresql_connections_opened_total", "Connections opened.", |s| s.opened),
    ("nexus_postgresql_saturated_total", "Callers that waited in vain.", |s| s.saturated),
    ("nexus_postgresql_evicted_total", "Idle connections closed for another's sake.", |s| {
        s.evicted
    }),
    ("nexus_postgresql_revoked_total", "Connections taken from a holder that did nothing.", |s| {
        s.revoked
    }),
];

fn totals(page: &mut Exposition, pools: [(&str, &PoolStats); 2]) {
    for (name, help, read) in POOL_TOTALS {
        let mut family = page.counter(name, help);
        for (pool, stats) in pools {
            family.sample(&[("pool", pool)], read(stats) as f64);
        }
    }
}

fn pool(stats: &PoolStats) -> Value {
    json!({
        "open": stats.open,
        "idle": stats.idle,
        "waiting": stats.waiting,
        "saturated": stats.saturated,
        "evicted": stats.evicted,
        "revoked": stats.revoked,
        "opened": stats.opened,
    })
}
