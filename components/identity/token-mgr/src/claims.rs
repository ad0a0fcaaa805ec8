//! What signed tokens say (RFC 7519 §4.1, RFC 9068 §2.2), and the making of one. What a subject may
//! do does not stand in them: hosts know it, and know it at once when it changes.

use crate::jose::{self, Header};
use crate::kms::Algorithm;
use crate::limits::{ACCESS_SECONDS_MAX, TOKEN_SECONDS_MAX};
use crate::{keys, kms, opaque, store};
use identity_contract::TokenFamilyId;
use identity_contract::token_mgr::TokenId;
use nexus_sdk::prelude::*;
use serde_json::{Map, Value};

nexus_sdk::refusals! {
    TokenForm = 422,
        "a token is at+jwt (by ES256), JWT or logout+jwt, for a user or a service";
    TokenLifetime = 422,
        "a token lives a second at least; an access token an hour at most, any other a day";
    ClaimReserved = 422, "this claim is not the caller's to make"
}

/// The audience of tokens for this platform itself.
pub const AUDIENCE: &str = "nexus";
pub const ACCESS: &str = "at+jwt";

/// Claims that say who and for how long: they are made here, from what was proven.
const RESERVED: [&str; 17] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "tenant",
    "kind",
    "org",
    "sid",
    "scope",
    "client_id",
    "auth_time",
    "acr",
    "cnf",
    "permissions",
];

/// A token to be made.
pub struct Order<'a> {
    pub typ: &'a str,
    /// `user` or `service`.
    pub kind: &'a str,
    pub subject: &'a str,
    pub audience: &'a str,
    pub lifetime_seconds: i32,
    /// Unix seconds; it is over by then, however long it was to live.
    pub not_after: Option<i64>,
    pub scope: Option<&'a str>,
    pub session: Option<&'a str>,
    pub organisation: Option<&'a str>,
    pub client_id: Option<&'a str>,
    /// Unix seconds.
    pub auth_time: Option<i64>,
    pub acr: Option<&'a str>,
    pub family: Option<TokenFamilyId>,
    /// Thumbprint of the key that its sender has to prove (RFC 9449 §6.1).
    pub jkt: Option<&'a str>,
    pub algorithm: Algorithm,
    pub more: Map<String, Value>,
}

/// A token that was made; it is worth something from the commit on that `Write` is part of.
pub struct Token {
    pub text: String,
    pub jti: TokenId,
    pub expires_at: Time,
}

impl Order<'_> {
    pub fn check(&self, now: Time) -> Result<(), Refusal> {
        let kinds = ["user", "service"];
        if ![ACCESS, "JWT", "logout+jwt"].contains(&self.typ) || !kinds.contains(&self.kind) {
            return Err(TokenForm.at("typ"));
        }
        // Hosts verify access tokens, and know the keys of one algorithm.
        if self.typ == ACCESS && self.algorithm != Algorithm::Es256 {
            return Err(TokenForm.at("alg"));
        }
        let most = if self.typ == ACCESS { ACCESS_SECONDS_MAX } else { TOKEN_SECONDS_MAX };
        if !(1..=most).contains(&self.lifetime_seconds) {
            return Err(TokenLifetime.at("lifetime_seconds"));
        }
        if self.expires_at(now) <= now.timestamp() {
            return Err(TokenLifetime.at("not_after"));
        }
        // What a program may do that acts for itself stands nowhere but in its token.
        let own = self.kind == "service" && self.typ == ACCESS;
        let reserved = |name: &&String| {
            RESERVED.contains(&name.as_str()) && !(own && name.as_str() == "permissions")
        };
        match self.more.keys().find(reserved) {
            Some(name) => Err(ClaimReserved.at(format!("claims/{name}"))),
            None => Ok(()),
        }
    }

    /// Unix seconds: the instant in a token has no fraction.
    fn expires_at(&self, now: Time) -> i64 {
        let lived = now.timestamp() + i64::from(self.lifetime_seconds);
        self.not_after.map_or(lived, |latest| latest.min(lived))
    }

    fn claims(
        &self,
        issuer: &str,
        tenant: TenantId,
        jti: TokenId,
        now: Time,
    ) -> Map<String, Value> {
        let mut claims = self.more.clone();
        let mut say = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        };
        say("iss", Some(issuer.into()));
        say("aud", Some(self.audience.into()));
        say("sub", Some(self.subject.into()));
        say("tenant", Some(tenant.to_string().into()));
        say("kind", Some(self.kind.into()));
        say("jti", Some(jti.to_string().into()));
        say("iat", Some(now.timestamp().into()));
        say("exp", Some(self.expires_at(now).into()));
        say("org", self.organisation.map(Value::from));
        say("client_id", self.client_id.map(Value::from));
        say("sid", self.session.map(Value::from));
        say("scope", self.scope.map(Value::from));
        say("auth_time", self.auth_time.map(Value::from));
        say("acr", self.acr.map(Value::from));
        say("cnf", self.jkt.map(|jkt| json!({ "jkt": jkt })));
        claims
    }
}

/// Signs it. The write belongs into the commit after which the token may be shown.
///
/// # Errors
/// What `check` refuses; 503 when kms is away.
pub async fn make(by: &Ctx, order: &Order<'_>) -> Result<(Token, Write)> {
    order.check(by.now())?;
    let issuer = by.variable("public_url").await?;
    let key = keys::signer(by, order.algorithm).await?;
    let jti: TokenId = by.new_id();
    let header = Header { typ: order.typ, alg: order.algorithm.name(), kid: &key.kid };
    let claims = order.claims(&issuer, by.tenant(), jti, by.now());
    let text = kms::sign(order.algorithm, jose::signing_input(&header, &claims), key.version);
    let text = text.await?;
    let expires_at = Time::from_timestamp(order.expires_at(by.now()), 0).unwrap_or(by.now());
    let made = store::issued::Made {
        jti,
        digest: opaque::digest(&text),
        family: order.family,
        subject: order.subject,
        session: order.session,
        client_id: order.client_id,
        expires_at,
    };
    Ok((Token { text, jti, expires_at }, store::issued::insert(&made)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order<'a>() -> Order<'a> {
        Order {
            typ: ACCESS,
            kind: "user",
            subject: "ada",
            audience: AUDIENCE,
            lifetime_seconds: 600,
            not_after: None,
            scope: None,
            session: Some("s"),
            organisation: None,
            client_id: Some("nexus"),
            auth_time: Some(90),
            acr: None,
            family: None,
            jkt: None,
            algorithm: Algorithm::Es256,
            more: Map::new(),
        }
    }

    fn now() -> Time {
        Time::from_timestamp(100, 999_000_000).unwrap()
    }

    fn with(name: &str) -> Map<String, Value> {
        Map::from_iter([(name.to_owned(), json!(["x"]))])
    }

    #[test]
    fn an_access_token_says_what_rfc_9068_asks_for_and_leaves_out_what_is_not_known() {
        let tenant: TenantId = Uuid::from_u128(1).into();
        let claims =
            order().claims("http://localhost:8080", tenant, Uuid::from_u128(2).into(), now());
        assert_eq!(
            Value::Object(claims),
            json!({
                "iss": "http://localhost:8080", "aud": "nexus", "sub": "ada", "kind": "user",
                "tenant": "00000000-0000-0000-0000-000000000001",
                "jti": "00000000-0000-0000-0000-000000000002",
                "iat": 100, "exp": 700, "client_id": "nexus", "sid": "s", "auth_time": 90,
            })
        );
    }

    #[test]
    fn a_caller_adds_claims_but_says_nothing_that_is_ours_to_say() {
        let checked = |order: Order<'_>| order.check(now()).map_err(|refusal| refusal.name);
        assert_eq!(checked(Order { more: with("nonce"), ..order() }), Ok(()));
        for name in RESERVED {
            let refused = checked(Order { more: with(name), ..order() });
            assert_eq!(refused, Err("ClaimReserved"), "{name}");
        }
        let service = Order { kind: "service", more: with("permissions"), ..order() };
        assert_eq!(checked(service), Ok(()));
        let id_token = Order { kind: "service", typ: "JWT", more: with("permissions"), ..order() };
        assert_eq!(checked(id_token), Err("ClaimReserved"));
    }

    #[test]
    fn a_token_has_a_known_form_and_a_short_life() {
        let checked = |order: Order<'_>| order.check(now()).map_err(|refusal| refusal.name);
        assert_eq!(checked(Order { typ: "jwt", ..order() }), Err("TokenForm"));
        assert_eq!(checked(Order { kind: "operator", ..order() }), Err("TokenForm"));
        let algorithm = Algorithm::Rs256;
        assert_eq!(checked(Order { algorithm, ..order() }), Err("TokenForm"));
        assert_eq!(checked(Order { algorithm, typ: "JWT", ..order() }), Ok(()));
        assert_eq!(checked(Order { lifetime_seconds: 0, ..order() }), Err("TokenLifetime"));
        assert_eq!(checked(Order { lifetime_seconds: 3601, ..order() }), Err("TokenLifetime"));
        assert_eq!(checked(Order { typ: "JWT", lifetime_seconds: 86_400, ..order() }), Ok(()));
    }

    #[test]
    fn a_token_is_over_when_it_was_to_be_however_long_it_could_live() {
        let until = |not_after| Order { not_after: Some(not_after), ..order() };
        assert_eq!(until(160).expires_at(now()), 160);
        assert_eq!(until(9_000).expires_at(now()), 700);
        assert!(until(101).check(now()).is_ok());
        let refused = until(100).check(now()).map_err(|refusal| refusal.name);
        assert_eq!(refused, Err("TokenLifetime"));
    }
}
