//! Identity as hosts read it: whatever order services commit in, no change is missed; what is
//! revoked is gone; the way in for the first administrator closes behind them.

use crate::server::{Fresh, brisk, platform, value};
use nexus_storage::identity::{CredentialKind, Identity, News, Notice, RevocationKind};
use nexus_storage::{Param, Session};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

const TENANT: Uuid = Uuid::from_u128(0x01890000_0000_7000_8000_000000000001);
const SERVICES: [&str; 4] = ["users", "session-mgr", "token-mgr", "user-auth"];

struct Ground {
    fresh: Fresh,
    identity: Identity,
}

impl Ground {
    async fn begin() -> Self {
        let fresh = crate::server::empty(brisk()).await;
        platform().apply(&fresh.database).await.unwrap();
        fresh.database.admit(&SERVICES).await.unwrap();
        let identity = Identity::new(fresh.database.clone());
        Self { fresh, identity }
    }

    async fn by(&self, service: &str) -> Session {
        self.fresh.database.service(service).await.unwrap()
    }

    async fn call(&self, service: &str, sql: &str, params: &[Param<'_>]) {
        let sql = format!("select platform.{sql}");
        self.by(service).await.execute(&sql, params).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn subject(&self, name: &str, permissions: &[&str]) {
        let sql = "identity_subject_put($1, $2, 'active', $3)";
        self.call("users", sql, &[&TENANT, &name, &permissions]).await;
    }

    async fn session(&self, id: Uuid, digest: &[u8; 32], subject: &str) {
        let sql = "identity_credential_put($1, $2, 'session', $3, $4, null, null, null, now(), \
                   'urn:nexus:acr:1fa', now() + interval '1 hour', 1800)";
        self.call("session-mgr", sql, &[&TENANT, &id, &digest.as_slice(), &subject]).await;
    }

    async fn host(&self) -> Session {
        self.fresh.database.host().await.unwrap()
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn changed(news: News) -> HashSet<Notice> {
    match news {
        News::Changed(notices) => notices.into_iter().collect(),
        News::Everything => panic!("only some of it has changed"),
    }
}

fn subject(name: &str) -> Notice {
    Notice::Subject { tenant: TENANT, subject: name.into() }
}

#[tokio::test]
async fn a_change_that_commits_late_is_told_and_none_is_told_twice() {
    let ground = Ground::begin().await;
    let mut notices = ground.identity.notices();
    assert_eq!(notices.look().await.unwrap(), News::Everything);
    let late = ground.by("users").await;
    late.execute("begin", &[]).await.unwrap();
    let sql = "select platform.identity_subject_put($1, $2, 'active', '{}')";
    late.execute(sql, &[&TENANT, &"late"]).await.unwrap();
    ground.subject("early", &[]).await;
    assert_eq!(changed(notices.look().await.unwrap()), HashSet::from([subject("early")]));
    assert!(changed(notices.look().await.unwrap()).is_empty(), "told once, beside an open one");
    late.execute("commit", &[]).await.unwrap();
    assert_eq!(changed(notices.look().await.unwrap()), HashSet::from([subject("late")]));
    assert!(changed(notices.look().await.unwrap()).is_empty());
    notices.forget();
    assert_eq!(notices.look().await.unwrap(), News::Everything);
    ground.fresh.end().await;
}

#[tokio::test]
async fn two_hosts_are_told_the_same_whatever_else_runs() {
    let ground = Ground::begin().await;
    let other = Identity::new(ground.fresh.elsewhere().await);
    let mut followers = [ground.identity.notices(), other.notices()];
    for follower in &mut followers {
        follower.look().await.unwrap();
    }
    let names: Vec<String> = (0..40).map(|n| format!("u-{n}")).collect();
    let users = &ground;
    let writers = names.chunks(10).map(|names| async move {
        for name in names {
            users.subject(name, &[]).await;
        }
    });
    let wanted: HashSet<Notice> = names.iter().map(|name| subject(name)).collect();
    let mut told = [HashSet::new(), HashSet::new()];
    let follow = async {
        while told.iter().any(|told| told.len() < wanted.len()) {
            for (follower, told) in followers.iter_mut().zip(&mut told) {
                told.extend(changed(follower.look().await.unwrap()));
            }
        }
    };
    let both = futures::future::join(futures::future::join_all(writers), follow);
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("everything is told");
    assert_eq!(told, [wanted.clone(), wanted]);
    ground.fresh.end().await;
}

#[tokio::test]
async fn a_credential_is_found_by_its_digest_until_it_is_revoked() {
    let ground = Ground::begin().await;
    let mut notices = ground.identity.notices();
    notices.look().await.unwrap();
    let id = Uuid::now_v7();
    let (old, new) = (digest("nxs_old"), digest("nxs_new"));
    ground.session(id, &old, "u-1").await;
    let found = ground.identity.credentials(&[old, new]).await.unwrap();
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!((found.digest, found.id, found.kind), (old, id, CredentialKind::Session));
    assert_eq!((found.tenant, found.subject.as_str()), (TENANT, "u-1"));
    assert_eq!(found.acr.as_deref(), Some("urn:nexus:acr:1fa"));
    assert_eq!((found.idle_seconds, &found.permission_limit), (Some(1800), &None));
    assert!(found.expires_at.unwrap() > found.seen_at && found.auth_time.is_some());
    assert_eq!(changed(notices.look().await.unwrap()), HashSet::from([Notice::Credential(id)]));

    ground.session(id, &new, "u-1").await;
    let found = ground.identity.credentials(&[old, new]).await.unwrap();
    assert_eq!(found.iter().map(|c| c.digest).collect::<Vec<_>>(), [new], "the old secret is none");
    ground.call("session-mgr", "identity_credential_revoke($1, $2)", &[&TENANT, &id]).await;
    assert!(ground.identity.credentials(&[old, new]).await.unwrap().is_empty());
    assert_eq!(changed(notices.look().await.unwrap()), HashSet::from([Notice::Credential(id)]));
    ground.fresh.end().await;
}

#[tokio::test]
async fn last_uses_only_move_forward() {
    let ground = Ground::begin().await;
    let (id, secret) = (Uuid::now_v7(), digest("nxs_seen"));
    ground.session(id, &secret, "u-1").await;
    let seen = async || ground.identity.credentials(&[secret]).await.unwrap()[0].seen_at;
    let made = seen().await;
    assert_eq!(ground.identity.seen(&[(id, made + 100)]).await.unwrap(), 1);
    assert_eq!(ground.identity.seen(&[(id, made + 50), (Uuid::nil(), 1)]).await.unwrap(), 0);
    assert_eq!(seen().await, made + 100);
    ground.fresh.end().await;
}

#[tokio::test]
async fn only_active_subjects_are_found_with_all_their_organisations() {
    let ground = Ground::begin().await;
    ground.subject("u-1", &["catalog:view"]).await;
    ground.subject("u-2", &[]).await;
    ground.subject("gone", &["*"]).await;
    let member = "identity_organisation_put($1, $2, $3, $4)";
    for (organisation, permissions) in [("o-1", ["catalog:edit"]), ("o-2", ["orders:view"])] {
        let permissions = permissions.as_slice();
        ground.call("users", member, &[&TENANT, &"u-1", &organisation, &permissions]).await;
    }
    let suspended = "identity_subject_put($1, $2, 'suspended', '{*}')";
    ground.call("users", suspended, &[&TENANT, &"gone"]).await;
    let wanted = ["u-1", "u-2", "gone", "nobody"].map(|name| (TENANT, name.to_owned()));
    let found = ground.identity.subjects(&wanted).await.unwrap();
    let names: Vec<_> = found.iter().map(|s| s.subject.as_str()).collect();
    assert_eq!(names, ["u-1", "u-2"]);
    assert_eq!(found[0].permissions, ["catalog:view"]);
    let organisations: HashSet<_> =
        found[0].organisations.iter().map(|o| (&*o.organisation, &*o.permissions[0])).collect();
    assert_eq!(organisations, HashSet::from([("o-1", "catalog:edit"), ("o-2", "orders:view")]));
    assert!(found[1].organisations.is_empty());
    let elsewhere = [(Uuid::nil(), "u-1".to_owned())];
    assert!(ground.identity.subjects(&elsewhere).await.unwrap().is_empty(), "another tenant's");
    ground.fresh.end().await;
}

#[tokio::test]
async fn keys_tenants_and_revocations_come_as_they_were_written() {
    let ground = Ground::begin().await;
    let mut notices = ground.identity.notices();
    notices.look().await.unwrap();
    let put = "identity_key_put('k-1', 'ES256', '{\"kty\":\"EC\"}', null)";
    ground.call("token-mgr", put, &[]).await;
    let keys = ground.identity.signing_keys().await.unwrap();
    assert_eq!((keys[0].kid.as_str(), keys[0].expires_at), ("k-1", None));
    ground.call("token-mgr", "identity_key_withdraw('k-1')", &[]).await;
    assert!(ground.identity.signing_keys().await.unwrap().is_empty());

    let brand = Uuid::now_v7();
    let put = "identity_tenant_put($1, 'brand', 'Brand', '{brand.example}', 'suspended')";
    ground.call("users", put, &[&brand]).await;
    let tenants = ground.identity.tenants().await.unwrap();
    let found = tenants.iter().find(|tenant| tenant.id == brand).unwrap();
    assert_eq!((found.hosts.as_slice(), found.suspended), (&["brand.example".into()][..], true));
    assert!(tenants.iter().any(|tenant| tenant.slug == "nexus" && !tenant.suspended));

    let revoke = "identity_revoke($1, 'subject', 'u-1', to_timestamp(100.5), now() + '1 h')";
    ground.call("users", revoke, &[&TENANT]).await;
    let revoke = "identity_revoke($1, 'token', 'j:1', null, now() + '1 h')";
    ground.call("token-mgr", revoke, &[&TENANT]).await;
    assert_eq!(ground.identity.revocations().await.unwrap().len(), 2);
    let named = [
        (TENANT, RevocationKind::Subject, "u-1".to_owned()),
        (TENANT, RevocationKind::Session, "u-1".to_owned()),
    ];
    let found = ground.identity.revocations_of(&named).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].kind, found[0].issued_before), (RevocationKind::Subject, Some(101)));
    let told = changed(notices.look().await.unwrap());
    let token =
        Notice::Revocation { tenant: TENANT, kind: RevocationKind::Token, key: "j:1".to_owned() };
    assert!(told.contains(&token) && told.contains(&Notice::Keys), "{told:?}");
    assert!(told.contains(&Notice::Tenants));
    ground.fresh.end().await;
}

#[tokio::test]
async fn a_set_up_link_is_made_until_somebody_may_do_everything() {
    let ground = Ground::begin().await;
    let link = ground.identity.setup_link(TENANT).await.unwrap().expect("nobody is there yet");
    assert_eq!(link.len(), 43, "32 bytes");
    let kept: i64 = value(&ground.host().await, "select count(*) from platform.setup").await;
    assert_eq!(kept, 1);
    let redeem = "select platform.identity_setup_redeem($1, $2)";
    let as_flow = ground.by("user-auth").await;
    let redeemed = async |secret: &str| -> bool {
        let rows = as_flow.query(redeem, &[&TENANT, &digest(secret).as_slice()]).await.unwrap();
        rows[0].try_get(0).unwrap()
    };
    assert!(!redeemed("another").await);
    assert!(redeemed(&link).await && !redeemed(&link).await, "once");
    ground.subject("somebody", &["users:view"]).await;
    assert!(ground.identity.setup_link(TENANT).await.unwrap().is_some());
    ground.subject("admin", &["*"]).await;
    assert_eq!(ground.identity.setup_link(TENANT).await.unwrap(), None);
    assert!(ground.identity.setup_link(Uuid::now_v7()).await.unwrap().is_some(), "another tenant");
    ground.fresh.end().await;
}

#[tokio::test]
async fn what_can_no_longer_matter_is_forgotten() {
    let ground = Ground::begin().await;
    let revoke = "identity_revoke($1, 'token', $2, null, now() + $3::text::interval)";
    ground.call("token-mgr", revoke, &[&TENANT, &"past", &"-1 s"]).await;
    ground.call("token-mgr", revoke, &[&TENANT, &"still", &"1 h"]).await;
    let id = Uuid::now_v7();
    ground.session(id, &digest("nxs_purge"), "u-1").await;
    let host = ground.host().await;
    host.batch("update platform.identity_notice set at = now() - interval '2 h'").await.unwrap();
    assert_eq!(ground.identity.purge(100).await.unwrap(), 4, "three notices, one revocation");
    assert_eq!(ground.identity.purge(100).await.unwrap(), 0);
    assert_eq!(ground.identity.revocations().await.unwrap()[0].key, "still");
    ground.fresh.end().await;
}
