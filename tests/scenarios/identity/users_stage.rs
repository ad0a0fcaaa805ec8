//! A host with the service of accounts alone, and ways of asking it that no client has: as another
//! component, as somebody who acts for an organisation.

use http_body_util::BodyExt as _;
use nexus_harness::prelude::*;
use nexus_runtime::{Call, ComponentId, DEFAULT_TENANT, Principal, PrincipalKind, full};
use std::sync::Arc;
use uuid::Uuid;

pub const USERS: &str = "/api/users/v1/users";
pub const ROLES: &str = "/api/users/v1/roles";
pub const BINDINGS: &str = "/api/users/v1/bindings";
pub const ORGANISATIONS: &str = "/api/users/v1/organisations";
/// Built-in roles (migration 0001 of users).
pub const ADMINISTRATOR: &str = "01890000-0000-7000-8000-00000000a001";
pub const MEMBER: &str = "01890000-0000-7000-8000-00000000a004";
pub const OWNER: &str = "01890000-0000-7000-8000-00000000a011";

pub struct Stage {
    pub nexus: Nexus,
}

/// What came back from inside.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub json: Value,
}

impl Told {
    #[track_caller]
    pub fn status(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json
    }

    /// Claims a problem of that name.
    #[track_caller]
    pub fn problem(self, status: u16, name: &str) {
        let kind = self.json["type"].as_str().unwrap_or_default();
        assert_eq!((self.status, kind.rsplit('/').next()), (status, Some(name)), "{self:?}");
    }
}

/// Somebody as a door sees them.
pub fn somebody(tenant: Uuid, subject: &str, permissions: &[&str]) -> Principal {
    let permissions = permissions.iter().map(|&it| it.to_owned()).collect();
    let subject = subject.to_owned();
    let mut principal = Principal::anonymous(tenant);
    principal.subject = subject;
    principal.kind = PrincipalKind::User;
    principal.permissions = permissions;
    principal
}

impl Stage {
    pub async fn start() -> Self {
        Self::of(&["users"]).await
    }

    /// With the service that writes letters.
    pub async fn with_mail() -> Self {
        Self::of(&["users", "email"]).await
    }

    async fn of(services: &[&str]) -> Self {
        Self { nexus: Nexus::setup().services(services).start().await }
    }

    /// Whoever runs the tenant.
    pub async fn administrator(&self) -> Client {
        self.nexus.member_with(["*"]).await
    }

    /// Asks as `component` would, or as the data plane does for `who`.
    pub async fn ask(
        &self,
        component: Option<&str>,
        who: &Principal,
        method: &str,
        path: &str,
        json: Option<Value>,
    ) -> Told {
        let call = Call::new(Uuid::now_v7().to_string(), Arc::new(who.clone()));
        let call = match component {
            Some(name) => call.onward(ComponentId::new(name).unwrap()),
            None => call,
        };
        let request = http::Request::builder().method(method).uri(path);
        let body = json.map(|json| json.to_string()).unwrap_or_default();
        let request = request.header("content-type", "application/json");
        let users = ComponentId::new("users").unwrap();
        let request = request.body(full(body)).unwrap();
        let answer = self.nexus.runtime().call(&users, request, call).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        Told { status, json: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// Asks as `user-auth` does for nobody.
    pub async fn login_asks(&self, method: &str, path: &str, json: Option<Value>) -> Told {
        let nobody = Principal::anonymous(DEFAULT_TENANT);
        self.ask(Some("user-auth"), &nobody, method, path, json).await
    }

    /// Registers somebody; the id of the account.
    pub async fn register(&self, email: &str) -> String {
        let draft = json!({ "email": email, "email_verified": true });
        let path = "/api/users/v1/internal/users";
        let made = self.login_asks("POST", path, Some(draft)).await.status(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Makes the first administrator.
    pub async fn first_administrator(&self, email: &str) -> String {
        let draft = json!({ "email": email, "display_name": "First" });
        let path = "/api/users/v1/internal/administrators";
        let made = self.login_asks("POST", path, Some(draft)).await.status(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// What the hosts know that somebody may do: their status and permissions.
    pub async fn projected(&self, user: &str) -> (String, Vec<String>) {
        let rows = self
            .rows(&format!(
                "select status, permissions from platform.subject where subject = '{user}'"
            ))
            .await;
        let row = rows.first().unwrap_or_else(|| panic!("the platform knows no {user}"));
        (row.get(0), row.get(1))
    }

    /// What the hosts know that somebody may do for an organisation.
    pub async fn projected_for(&self, user: &str, organisation: &str) -> Option<Vec<String>> {
        let rows = self
            .rows(&format!(
                "select permissions from platform.subject_organisation
                 where subject = '{user}' and organisation = '{organisation}'"
            ))
            .await;
        rows.first().map(|row| row.get(0))
    }

    pub async fn rows(&self, sql: &str) -> Vec<nexus_storage::tokio_postgres::Row> {
        let session = self.nexus.host().database().unwrap().host().await.unwrap();
        session.query(sql, &[]).await.unwrap()
    }
}
