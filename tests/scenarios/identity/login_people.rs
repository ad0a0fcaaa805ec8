//! What the stories of signing in share: the part of the suite that it takes, people with an
//! account and a browser, and the way from a mail back into the service.

use nexus_harness::RequestDraft;
use nexus_harness::prelude::*;

pub const PASSWORD: &str = "a sentence that nobody else has written";
pub const API: &str = "/api/user-auth/v1";

/// The services that a sign-in takes; the others would only make each start slower.
const SERVICES: [&str; 5] = ["users", "user-auth", "session-mgr", "kms", "email"];

/// The host with the services of a sign-in. A request may say where it comes from, as one that
/// comes through a proxy does.
pub async fn suite() -> Nexus {
    Nexus::setup()
        .services(&SERVICES)
        .settings(|settings| {
            settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        })
        .start()
        .await
}

/// Somebody at a browser.
#[derive(Clone)]
pub struct Browser {
    pub client: Client,
    pub cookie: Option<String>,
    pub csrf: String,
    agent: String,
}

impl Browser {
    /// Nobody, from an address of their own.
    pub fn at(nexus: &Nexus, address: &str) -> Self {
        let client = nexus.anonymous().header("x-forwarded-for", address);
        let agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0".to_owned();
        Self { client, cookie: None, csrf: String::new(), agent }
    }

    /// With another name of the browser.
    pub fn called(mut self, agent: &str) -> Self {
        self.agent = agent.to_owned();
        self
    }

    pub async fn post(&self, path: &str, json: Value) -> Answer {
        self.send(self.client.request(http::Method::POST, &format!("{API}{path}")).json(json)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.client.request(http::Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.client.request(http::Method::DELETE, &format!("{API}{path}"))).await
    }

    async fn send(&self, draft: RequestDraft<'_>) -> Answer {
        let draft = draft.header("user-agent", &self.agent);
        let draft = match &self.cookie {
            Some(cookie) => draft.header("cookie", cookie).header("x-csrf-token", &self.csrf),
            None => draft,
        };
        draft.send().await
    }

    /// Keeps the cookie of an entrance, as a browser does.
    pub fn enters(&self, answer: &Answer) -> Self {
        let body: Value = answer.json();
        assert_eq!(body["state"], "signed-in", "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let csrf = body["session"]["csrf_token"].as_str().unwrap().to_owned();
        Self { cookie: Some(cookie), csrf, ..self.clone() }
    }

    /// Whether the session lets its owner in.
    pub async fn is_in(&self) -> bool {
        self.get(&format!("{API}/mfa")).await.status == 200
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/login", json!({ "email": email, "password": password })).await
    }
}

/// The secret in the link of a mail.
pub fn token_of(link: &str) -> String {
    link.split_once("token=").unwrap_or_else(|| panic!("no token in {link}")).1.to_owned()
}

/// Registers and comes back with the link of the mail.
pub async fn account(nexus: &Nexus, email: &str) -> Browser {
    let browser = Browser::at(nexus, "198.51.100.7");
    let draft = json!({ "email": email, "password": PASSWORD, "display_name": "Ada" });
    browser.post("/register", draft).await.status(202);
    let token = token_of(nexus.mail(email).await.link());
    let answer = browser.post("/verify", json!({ "token": token })).await.ok();
    browser.enters(&answer)
}

/// One number out of the database of the host.
pub async fn count(nexus: &Nexus, sql: &str) -> i64 {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    session.query(sql, &[]).await.unwrap()[0].get(0)
}
