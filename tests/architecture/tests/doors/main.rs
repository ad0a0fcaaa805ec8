//! Every route of every service, against everybody who may not pass: nobody, a program of another
//! tenant, one without the permission, one whose token has expired, one whose token was revoked,
//! and, for what components ask each other, everybody who is no component. The routes are read from
//! the services themselves; a service of the manifest that is missing here fails the test.
#![allow(clippy::unwrap_used)]

use nexus::dev_tokens::Claims;
use nexus_harness::prelude::*;
use nexus_runtime::{DEFAULT_TENANT, PrincipalKind};
use nexus_sdk::{Door, Route, Service};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

fn services() -> Vec<(&'static str, Service)> {
    macro_rules! services {
        ($($service:ident),* $(,)?) => {
            vec![$(($service::FACTS.name, $service::service())),*]
        };
    }
    services![
        asset_pipeline,
        auth,
        content_cms,
        core_os,
        creator_dashboard,
        drm,
        email,
        frontend_app,
        gateway,
        kms,
        manifest_builder,
        media_metadata,
        nexus_stream,
        player_api,
        profiles,
        scheduler,
        session_mgr,
        streaming,
        thumbnailer,
        token_mgr,
        transcoder,
        uploader,
        user_auth,
        users,
    ]
}

/// A host of another tenant's.
const ELSEWHERE: &str = "elsewhere.example";

/// The whole suite behind a proxy, so that each request may come from an address of its own: what
/// is counted here is who passes, and not how often somebody tries.
struct Doors {
    nexus: Nexus,
    revoked: String,
    address: AtomicU32,
}

impl Doors {
    async fn stand() -> Self {
        let behind_a_proxy = "127.0.0.0/8".parse().unwrap();
        let nexus = Nexus::setup();
        let nexus = nexus.settings(move |settings| settings.trusted_proxies = vec![behind_a_proxy]);
        let nexus = nexus.start().await;
        let revoked = Uuid::now_v7().to_string();
        let doors = Self { nexus, revoked, address: AtomicU32::new(0) };
        doors.tell().await;
        doors
    }

    /// Revokes one subject's tokens and names another tenant's host, and waits until that is known.
    async fn tell(&self) {
        let database = self.nexus.host().database().expect("the host has a database");
        let session = database.host().await.unwrap();
        let facts = format!(
            "insert into platform.revocation (tenant_id, kind, key, issued_before, expires_at)
               values ('{DEFAULT_TENANT}', 'subject', '{subject}', now() + interval '1 minute',
                 now() + interval '1 hour');
             insert into platform.identity_notice (kind, tenant_id, key)
               values ('revocation', '{DEFAULT_TENANT}', 'subject:{subject}');
             insert into platform.tenant (id, slug, name, hosts)
               values ('{other}', 'elsewhere', 'Elsewhere', '{{{ELSEWHERE}}}');
             insert into platform.identity_notice (kind, tenant_id, key)
               values ('tenant', '{other}', 'elsewhere');",
            subject = self.revoked,
            other = Uuid::now_v7(),
        );
        session.batch(&facts).await.unwrap();
        eventually("the revocation and the other host are known", seconds(5), async || {
            let path = "/api/core-os/v1/flags";
            let revoked = self.request("GET", path, Some(&self.revoked_token())).send().await;
            let elsewhere = self.request("GET", path, Some(&self.token(&["*"])));
            let elsewhere = elsewhere.header("host", ELSEWHERE).send().await;
            revoked.status == 401 && elsewhere.status == 401
        })
        .await;
    }

    fn claims(&self, subject: &str, permissions: &[&str]) -> Claims {
        Claims {
            subject: subject.to_owned(),
            kind: PrincipalKind::User,
            permissions: permissions.iter().map(|&p| p.to_owned()).collect(),
            tenant: DEFAULT_TENANT,
            lifetime: Duration::from_secs(600),
        }
    }

    /// Somebody new each time.
    fn token(&self, permissions: &[&str]) -> String {
        self.nexus.token(&self.claims(&Uuid::now_v7().to_string(), permissions))
    }

    fn revoked_token(&self) -> String {
        self.nexus.token(&self.claims(&self.revoked, &["*"]))
    }

    fn expired_token(&self) -> String {
        let key = self.nexus.host().development_key().unwrap();
        let then = SystemTime::now() - Duration::from_secs(1_200);
        let claims = self.claims(&Uuid::now_v7().to_string(), &["*"]);
        key.mint_at(self.nexus.host().public_url(), &claims, then).unwrap()
    }

    fn request(&self, method: &str, path: &str, token: Option<&str>) -> Asking {
        let client = self.nexus.anonymous();
        let client = match token {
            Some(token) => client.bearer(token),
            None => client,
        };
        let from = Ipv4Addr::from(0x0A00_0000 + self.address.fetch_add(1, Relaxed));
        Asking { client, method: method.parse().unwrap(), path: path.to_owned(), headers: vec![] }
            .header("x-forwarded-for", &from.to_string())
    }

    /// What a route says to whoever shows `token`.
    async fn ask(&self, route: &Route, token: Option<&str>) -> Answer {
        self.request(route.method, &path_of(route), token).send().await
    }
}

struct Asking {
    client: Client,
    method: http::Method,
    path: String,
    headers: Vec<(String, String)>,
}

impl Asking {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    async fn send(self) -> Answer {
        let mut draft = self.client.request(self.method.clone(), &self.path);
        if !matches!(self.method, http::Method::GET | http::Method::DELETE) {
            draft = draft.json(json!({}));
        }
        for (name, value) in &self.headers {
            draft = draft.header(name, value);
        }
        draft.send().await
    }
}

/// A path of that form; what it names is nowhere.
fn path_of(route: &Route) -> String {
    let part = |part: &str| match part.starts_with('{') {
        true => Uuid::now_v7().to_string(),
        false => part.to_owned(),
    };
    route.path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn claim(answer: &Answer, statuses: &[u16], route: &Route, who: &str) {
    let passed = statuses.contains(&answer.status.as_u16());
    let Route { method, path, .. } = route;
    assert!(passed, "{method} {path} for {who}, not {statuses:?}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_passes_a_door_that_is_not_theirs() {
    let doors = Doors::stand().await;
    let services = services();
    let known: BTreeSet<&str> = services.iter().map(|(name, _)| *name).collect();
    let running = doors.nexus.runtime().snapshot();
    let running: BTreeSet<&str> = running.iter().map(|c| c.component.as_str()).collect();
    assert_eq!(known, running, "the services of this test and of the manifest");
    let (revoked, mut guarded) = (doors.revoked_token(), 0);
    for (_, service) in &services {
        for route in service.routes() {
            if !matches!(route.door(), Door::Allowed(_) | Door::SignedIn) {
                continue;
            }
            guarded += 1;
            claim(&doors.ask(route, None).await, &[401], route, "nobody");
            let expired = doors.expired_token();
            claim(&doors.ask(route, Some(&expired)).await, &[401], route, "an expired token");
            claim(&doors.ask(route, Some(&revoked)).await, &[401], route, "a revoked token");
            let elsewhere =
                doors.request(route.method, &path_of(route), Some(&doors.token(&["*"])));
            let elsewhere = elsewhere.header("host", ELSEWHERE).send().await;
            claim(&elsewhere, &[401], route, "another tenant's token");
            if let Door::Allowed(_) = route.door() {
                let powerless = doors.token(&["nothing:at-all"]);
                let answer = doors.ask(route, Some(&powerless)).await;
                claim(&answer, &[403], route, "one without the permission");
            }
        }
    }
    assert!(guarded > 100, "{guarded} guarded routes are too few to be all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_components_ask_each_other_is_there_for_nobody_else() {
    let doors = Doors::stand().await;
    let mut inner = 0;
    for (name, service) in services() {
        for route in service.routes() {
            let Door::Called(callers) = route.door() else { continue };
            inner += 1;
            claim(&doors.ask(route, None).await, &[404], route, "nobody");
            let mighty = doors.token(&["*"]);
            claim(&doors.ask(route, Some(&mighty)).await, &[404], route, "an administrator");
            let caller = if callers[0] == "*" { name } else { callers[0] };
            let spoofed = doors.request(route.method, &path_of(route), Some(&mighty));
            let spoofed = spoofed.header("nexus-caller", caller).send().await;
            claim(&spoofed, &[404], route, "one who claims to be a component");
        }
    }
    assert!(inner > 10, "{inner} inner routes are too few to be all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_door_answers_strangers_without_failing() {
    let doors = Doors::stand().await;
    for (_, service) in services() {
        for route in service.routes() {
            if matches!(route.door(), Door::Public | Door::Open) {
                let answer = doors.ask(route, None).await;
                let honest = answer.status.as_u16() == 503 && route.path.starts_with("/services/");
                let Route { method, path, .. } = route;
                let failed = answer.status.is_server_error() && !honest;
                assert!(!failed, "{method} {path} for nobody: {answer:?}");
            }
        }
    }
}
