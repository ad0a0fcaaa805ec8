//! Who may open what.

use super::{Fixture, component, fixture, resolve, row, shown};
use crate::host::spin::postgres::postgres::{DbValue, Error};
use crate::places::State;
use crate::{OPEN_MAX, Postgres, own_service};
use nexus_runtime::Capability as _;
use std::path::PathBuf;
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Handle;

#[test]
fn our_own_address_is_told_from_every_other() {
    for (address, service) in [
        ("postgres://nexus.internal/catalog", Some("catalog")),
        ("postgresql://nexus.internal:5432/catalog?sslmode=disable", Some("catalog")),
        ("postgres://u:p@nexus.internal/catalog", Some("catalog")),
        ("postgres://nexus.internal", Some("")),
        ("postgres://nexus.internal.example.com/catalog", None),
        ("postgres://db.example/nexus.internal", None),
        ("postgres://db.example/d?host=nexus.internal", None),
        ("host=nexus.internal dbname=catalog", None),
    ] {
        assert_eq!(own_service(address), service, "{address}");
    }
}

/// A port that leads to the server's socket.
async fn door(socket: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move {
                tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
            });
        }
    });
    port
}

async fn told(fixture: &Fixture, hosts: &[&str], address: &str) -> String {
    let state = State::new(fixture.postgres.clone());
    match state.open(&component(hosts), address, None).await {
        Ok(_) => "opened".into(),
        Err(error) => shown(&Error::from(error)),
    }
}

#[tokio::test]
async fn a_component_opens_its_own_data_and_no_others() {
    let fixture = fixture().await;
    assert_eq!(told(&fixture, &[], "postgres://nexus.internal/alpha").await, "opened");
    let refused = told(&fixture, &["*://*:*"], "postgres://nexus.internal/beta").await;
    assert!(refused.contains("alpha may not open the data of \\\"beta\\\""), "{refused}");
    assert!(refused.contains("ConnectionFailed"), "{refused}");
    let session = fixture.open().await;
    let who = row(&session, "select session_user::text", vec![]).await;
    assert_eq!(shown(&who[0]), shown(&DbValue::Str("alpha".into())));
    drop(session);
    fixture.end().await;
}

#[tokio::test]
async fn another_server_needs_a_line_that_names_it() {
    let fixture = fixture().await;
    let role = format!("outside{}", uuid::Uuid::new_v4().simple());
    let host = fixture.database.host().await.unwrap();
    let name = fixture.database.name().to_owned();
    let make = format!(
        "create role {role} login password 'secret'; \
                        grant connect on database \"{name}\" to {role}"
    );
    host.batch(&make).await.unwrap();
    let port = door(fixture.home.join("pg/run/.s.PGSQL.5432")).await;
    let address = format!("postgres://{role}:secret@127.0.0.1:{port}/{name}");
    for (grant, expected) in [
        (format!("postgres://127.0.0.1:{port}"), "opened"),
        (format!("*://127.0.0.0/8:{port}"), "opened"),
        ("postgres://127.0.0.1:1".to_owned(), "add \\\"postgres://127.0.0.1:"),
        ("postgres://{{ pg_host }}:5432".to_owned(), "add \\\"postgres://127.0.0.1:"),
        ("http://127.0.0.1:5432".to_owned(), "add \\\"postgres://127.0.0.1:"),
        // A wildcard means the internet, whatever a name resolves to.
        ("*://*:*".to_owned(), "private range"),
        ("postgres://{{ nothing }}".to_owned(), "cannot be read"),
    ] {
        let told = told(&fixture, &[&grant], &address).await;
        assert!(told.contains(expected), "{grant}: {told}");
    }
    let refused = told(&fixture, &["*://*:*"], "host=/var/run/postgresql user=postgres").await;
    assert!(refused.contains("socket of this machine"), "{refused}");

    // Its rights there are its owner's business.
    let grant = format!("postgres://127.0.0.1:{port}");
    let state = State::new(fixture.postgres.clone());
    let open = state.open(&component(&[&grant]), &address, None).await.unwrap();
    open.line.execute("set work_mem = '1MB'", vec![]).await.unwrap();
    let who = row(&open, "select current_user::text", vec![]).await;
    assert_eq!(shown(&who[0]), shown(&DbValue::Str(role.clone())));
    drop((open, host));
    fixture.first.drop_database(&name).await.unwrap();
    let owner = fixture.first.host().await.unwrap();
    owner.batch(&format!("drop role {role}")).await.unwrap();
}

#[tokio::test]
async fn an_instance_holds_a_few_connections_and_others_wait_their_turn() {
    let fixture = fixture().await;
    let state = State::new(fixture.postgres.clone());
    let component = component(&[]);
    let address = "postgres://nexus.internal/alpha";
    let mut held = Vec::new();
    for _ in 0..OPEN_MAX {
        held.push(state.open(&component, address, None).await.unwrap());
    }
    let waiting = tokio::spawn({
        let (state, component) = (state.clone(), component.clone());
        async move { state.open(&component, address, None).await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    // What is asked in one statement holds nothing, and waits for nobody.
    let line = state.line(&component, address, None).await.unwrap();
    assert_eq!(line.query("select 1", vec![]).await.unwrap().rows.len(), 1);
    assert!(!waiting.is_finished());
    held.pop();
    assert!(waiting.await.unwrap());
    drop(held);
    fixture.end().await;
}

#[tokio::test]
async fn admission_says_which_line_is_missing() {
    let without = Postgres::new(None, resolve(), Handle::current());
    let denied = without.admit(&component(&[])).unwrap_err();
    assert!(denied.line.contains("allowed_outbound_hosts"), "{denied}");
    assert!(without.admit(&component(&["postgres://db.example.com"])).is_ok());
    assert!(without.admit(&component(&["postgres://a/b"])).is_err());
    let fixture = fixture().await;
    assert!(fixture.postgres.admit(&component(&[])).is_ok());
    let state = State::new(without);
    let refused = state.open(&component(&[]), "postgres://nexus.internal/alpha", None).await;
    assert!(refused.is_err());
    fixture.end().await;
}
