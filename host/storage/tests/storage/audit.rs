//! The journal: whoever writes, from however many hosts, the chain has no gap; what was changed,
//! taken out or cut off is found; operators are known by the digest of their token alone.

use crate::server::{Fresh, brisk, platform};
use nexus_storage::audit::{
    Audit, AuditFilter, Broken, Entry, Operators, Outcome, Role, digest_of, hex,
};
use sha2::{Digest as _, Sha256};

async fn ground() -> (Fresh, Audit) {
    let fresh = crate::server::empty(brisk()).await;
    platform().apply(&fresh.database).await.unwrap();
    let audit = Audit::new(fresh.database.clone());
    (fresh, audit)
}

fn entry(actor: &str, action: &str) -> Entry {
    Entry::new("2027-01-31T03:15:00Z", actor, action, Outcome::Done)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_write_at_once_leave_one_chain_without_a_gap() {
    let (fresh, audit) = ground().await;
    let other = Audit::new(fresh.elsewhere().await);
    let writers = (0..8).map(|n| {
        let audit = if n % 2 == 0 { audit.clone() } else { other.clone() };
        tokio::spawn(async move {
            for turn in 0..10 {
                audit
                    .append(&entry(&format!("writer-{n}"), &format!("turn {turn}")))
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let verified = audit.verify().await.unwrap();
    assert_eq!((verified.entries, verified.broken), (80, None));
    fresh.end().await;
}

#[tokio::test]
async fn nobody_changes_an_entry_not_even_the_owner_and_no_service_writes_one() {
    let (fresh, audit) = ground().await;
    audit.append(&entry("ada", "POST freezes")).await.unwrap();
    let host = fresh.database.host().await.unwrap();
    for sql in [
        "update platform.audit set entry = '{}'",
        "delete from platform.audit",
        "truncate platform.audit",
        "delete from platform.audit_head",
        "truncate platform.audit_head",
        "update platform.audit_head set position = 0",
        "update platform.audit_head set position = position + 1",
    ] {
        let refused = host.execute(sql, &[]).await.expect_err(sql);
        assert_eq!(refused.code().map(|code| code.code()), Some("23001"), "{sql}: {refused}");
    }
    fresh.database.admit(&["alpha"]).await.unwrap();
    let service = fresh.as_alpha().await;
    for sql in [
        "select platform.audit_append('{}')",
        "select * from platform.audit",
        "select * from platform.operator",
        "insert into platform.audit values (2, '{}', '')",
    ] {
        let refused = service.execute(sql, &[]).await.expect_err(sql);
        assert_eq!(refused.code().map(|code| code.code()), Some("42501"), "{sql}: {refused}");
    }
    fresh.end().await;
}

#[tokio::test]
async fn whoever_takes_the_locks_off_is_found_at_the_entry_they_touched() {
    let (fresh, audit) = ground().await;
    for turn in 0..6 {
        audit.append(&entry("ada", &format!("turn {turn}"))).await.unwrap();
    }
    let whole = audit.verify().await.unwrap();
    let host = fresh.database.host().await.unwrap();
    host.batch("alter table platform.audit disable trigger user").await.unwrap();
    let tampered =
        "update platform.audit set entry = replace(entry, 'ada', 'bob') where position = 3";
    let mended =
        "update platform.audit set entry = replace(entry, 'bob', 'ada') where position = 3";
    host.execute(tampered, &[]).await.unwrap();
    let broken = audit.verify().await.unwrap().broken.unwrap();
    assert_eq!((broken.position, broken.why), (3, "the entry, or one before it, was changed"));
    host.execute(mended, &[]).await.unwrap();
    assert_eq!(audit.verify().await.unwrap(), whole);
    host.execute("delete from platform.audit where position = 6", &[]).await.unwrap();
    let cut = Broken { position: 6, why: "the end of the journal is missing" };
    assert_eq!(audit.verify().await.unwrap().broken, Some(cut));
    host.execute("delete from platform.audit where position = 2", &[]).await.unwrap();
    let gap = Broken { position: 2, why: "the entry is missing" };
    assert_eq!(audit.verify().await.unwrap().broken, Some(gap));
    fresh.end().await;
}

#[tokio::test]
async fn an_export_is_checked_with_nothing_but_its_lines() {
    let (fresh, audit) = ground().await;
    let mut second = entry("bob", "DELETE freezes/{id}");
    second.reason = Some("the \"release\" is out: ü".into());
    audit.append(&entry("ada", "POST freezes")).await.unwrap();
    audit.append(&second).await.unwrap();
    let mut before = vec![0; 32];
    for written in audit.after(0, 100).await.unwrap() {
        let line: serde_json::Value = serde_json::from_str(&written.to_line()).unwrap();
        // A reader knows the parsed entry only; its keys come sorted.
        let again = serde_json::to_string(&line["entry"]).unwrap();
        before = Sha256::digest([&before[..], again.as_bytes()].concat()).to_vec();
        assert_eq!(line["hash"], hex(&before));
    }
    fresh.end().await;
}

#[tokio::test]
async fn the_journal_is_read_backwards_and_by_what_is_looked_for() {
    let (fresh, audit) = ground().await;
    for (actor, action) in [("ada", "a"), ("bob", "b"), ("ada", "b")] {
        audit.append(&entry(actor, action)).await.unwrap();
    }
    let positions = async |filter: AuditFilter, before| {
        let found = audit.list(&filter, before, 10).await.unwrap();
        found.iter().map(|written| written.position).collect::<Vec<_>>()
    };
    let ada = AuditFilter { actor: Some("ada".into()), ..AuditFilter::default() };
    let both = AuditFilter { action: Some("b".into()), ..ada.clone() };
    assert_eq!(positions(AuditFilter::default(), None).await, [3, 2, 1]);
    assert_eq!(positions(AuditFilter::default(), Some(3)).await, [2, 1]);
    assert_eq!(positions(ada, None).await, [3, 1]);
    assert_eq!(positions(both, None).await, [3]);
    let later = Some("2027-01-31T03:15:01Z".to_owned());
    let since = AuditFilter { since: later.clone(), ..AuditFilter::default() };
    let until = AuditFilter { before: later, ..AuditFilter::default() };
    assert!(positions(since, None).await.is_empty());
    assert_eq!(positions(until, None).await.len(), 3);
    fresh.end().await;
}

#[tokio::test]
async fn an_operator_is_known_by_a_digest_until_taken_away() {
    let (fresh, _) = ground().await;
    let operators = Operators::new(fresh.database.clone());
    let digest = digest_of("nx-operator-1");
    assert!(operators.add("ada", Role::Operator, &digest, "root").await.unwrap());
    assert!(!operators.add("ada", Role::Admin, &digest_of("x"), "root").await.unwrap());
    assert!(operators.add("root", Role::Admin, &digest_of("y"), "root").await.is_err());
    let known = operators.known_by(&digest).await.unwrap().unwrap();
    assert_eq!((known.name.as_str(), known.role), ("ada", Role::Operator));
    assert!(operators.known_by(&digest_of("nx-operator-2")).await.unwrap().is_none());
    assert!(operators.list().await.unwrap()[0].last_used_at.is_some());
    assert!(operators.remove("ada").await.unwrap());
    assert!(!operators.remove("ada").await.unwrap());
    assert!(operators.known_by(&digest).await.unwrap().is_none());
    fresh.end().await;
}
