//! Senders: by whom a tenant's mail is, and how much of it may go out.

use crate::address::{Address, is_domain};
use crate::domain::Allowance;
use crate::render::one_line;
use crate::{Manage, View, store};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    SenderName = 422, "a sender's name takes 1 to 80 characters";
    LinkOrigin = 422, "an origin is a scheme and a host, such as https://nexus.example";
    SandboxAllow = 422, "a sandbox names at most 100 addresses or `@domain`s";
    RecipientRate = 422, "one address gets 1 to 1000 messages an hour"
}

const NAME_CHARS_MAX: usize = 80;
const ORIGIN_BYTES_MAX: usize = 200;
const ALLOWED_MAX: usize = 100;
const HOUR_MAX: std::ops::RangeInclusive<i32> = 1..=1000;
/// Nobody who signs in needs more; whoever floods somebody does.
const RECIPIENT_HOUR_MAX: i32 = 30;
/// What a message is signed with where nobody has chosen a name.
const BRAND: &str = "Nexus";

/// As operators set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub from_address: String,
    pub from_name: String,
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Where servers return what they cannot deliver; `from_address` if absent.
    #[serde(default)]
    pub return_path: Option<String>,
    /// Origin of links that are put into mail here; the installation's own if absent.
    #[serde(default)]
    pub link_origin: Option<String>,
    /// Nothing goes out but to whom `sandbox_allow` names.
    #[serde(default)]
    pub sandbox: bool,
    /// Addresses, or `@domain` for all of a domain.
    #[serde(default)]
    pub sandbox_allow: Vec<String>,
    #[serde(default = "recipient_hour_max")]
    pub recipient_hour_max: i32,
}

fn recipient_hour_max() -> i32 {
    RECIPIENT_HOUR_MAX
}

/// As it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    pub from_address: String,
    pub from_name: String,
    pub reply_to: Option<String>,
    pub return_path: Option<String>,
    pub link_origin: Option<String>,
    pub sandbox: bool,
    pub sandbox_allow: Vec<String>,
    pub recipient_hour_max: i32,
}

/// Settings that a message can be made with.
#[derive(Debug)]
pub struct Sender {
    pub from: Address,
    pub reply_to: Option<Address>,
    pub return_path: Address,
    /// Without a slash at its end.
    pub link_origin: String,
    settings: Settings,
}

impl Sender {
    pub fn name(&self) -> &str {
        &self.settings.from_name
    }

    pub fn allowance(&self) -> Allowance<'_> {
        let settings = &self.settings;
        Allowance {
            recipient_hour_max: settings.recipient_hour_max,
            sandbox_allow: settings.sandbox.then_some(&settings.sandbox_allow[..]),
        }
    }
}

/// The sender of whoever `ctx` is about.
pub async fn of(ctx: &Ctx) -> Result<Sender> {
    let public_url = ctx.variable("public_url").await?;
    let settings = store::senders::find(ctx.db()).await?;
    Ok(sender(settings.unwrap_or_else(|| default(&public_url)), &public_url)?)
}

fn default(public_url: &str) -> Settings {
    let host = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    // An address of a machine is no domain that mail can come from.
    let is_name = is_domain(host) && host.parse::<std::net::IpAddr>().is_err();
    let domain = if is_name { host } else { "localhost" };
    Settings {
        from_address: format!("no-reply@{domain}"),
        from_name: BRAND.into(),
        reply_to: None,
        return_path: None,
        link_origin: None,
        sandbox: false,
        sandbox_allow: Vec::new(),
        recipient_hour_max: RECIPIENT_HOUR_MAX,
    }
}

fn sender(settings: Settings, public_url: &str) -> Result<Sender, Refusal> {
    let from = Address::read(&settings.from_address)?;
    let reply_to = settings.reply_to.as_deref().map(Address::read).transpose()?;
    let return_path = settings.return_path.as_deref().map(Address::read).transpose()?;
    let origin = settings.link_origin.as_deref().unwrap_or(public_url);
    Ok(Sender {
        return_path: return_path.unwrap_or_else(|| from.clone()),
        link_origin: origin.trim_end_matches('/').to_owned(),
        from,
        reply_to,
        settings,
    })
}

impl Draft {
    fn check(self) -> Result<Settings, Refusal> {
        let address = |text: &str, field: &str| {
            let read = Address::read(text).map_err(|why| why.at(field))?;
            Ok::<_, Refusal>(read.as_str().to_owned())
        };
        let optional =
            |text: Option<String>, field: &str| text.map(|text| address(&text, field)).transpose();
        let from_name = one_line(&self.from_name);
        if !(1..=NAME_CHARS_MAX).contains(&from_name.chars().count()) {
            return Err(SenderName.at("from_name"));
        }
        let link_origin = self.link_origin.map(|text| origin(&text)).transpose()?;
        if self.sandbox_allow.len() > ALLOWED_MAX {
            return Err(SandboxAllow.at("sandbox_allow"));
        }
        if !HOUR_MAX.contains(&self.recipient_hour_max) {
            return Err(RecipientRate.at("recipient_hour_max"));
        }
        Ok(Settings {
            from_address: address(&self.from_address, "from_address")?,
            from_name,
            reply_to: optional(self.reply_to, "reply_to")?,
            return_path: optional(self.return_path, "return_path")?,
            link_origin,
            sandbox: self.sandbox,
            sandbox_allow: allowed(self.sandbox_allow)?,
            recipient_hour_max: self.recipient_hour_max,
        })
    }
}

fn origin(text: &str) -> Result<String, Refusal> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let (host, port) = match rest.map(|rest| rest.split_once(':').unwrap_or((rest, "443"))) {
        Some(parts) => parts,
        None => return Err(LinkOrigin.at("link_origin")),
    };
    let fits = is_domain(host) && port.parse::<u16>().is_ok() && text.len() <= ORIGIN_BYTES_MAX;
    if fits { Ok(text) } else { Err(LinkOrigin.at("link_origin")) }
}

fn allowed(patterns: Vec<String>) -> Result<Vec<String>, Refusal> {
    let one = |(at, pattern): (usize, String)| {
        let wrong = || SandboxAllow.at(format!("sandbox_allow/{at}"));
        match pattern.strip_prefix('@') {
            Some(domain) if is_domain(domain) => Ok(pattern.to_ascii_lowercase()),
            Some(_) => Err(wrong()),
            None => Address::read(&pattern).map(|it| it.folded()).map_err(|_| wrong()),
        }
    };
    patterns.into_iter().enumerate().map(one).collect()
}

pub fn router() -> Router {
    Router::new().route("/sender", get(show).put(replace))
}

async fn show(by: Allowed<View>) -> Result<Json<Settings>> {
    let settings = store::senders::find(by.db()).await?;
    Ok(Json(match settings {
        Some(settings) => settings,
        None => default(&by.variable("public_url").await?),
    }))
}

async fn replace(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Json<Settings>> {
    let settings = draft.check()?;
    let subject = &by.principal().subject;
    by.commit(store::senders::put(&settings, subject, by.now())).await?;
    Ok(Json(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(more: serde_json::Value) -> Result<Settings, Refusal> {
        let mut draft = json!({ "from_address": "hello@nexus.example", "from_name": "Nexus" });
        draft.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        serde_json::from_value::<Draft>(draft).unwrap().check()
    }

    #[test]
    fn without_settings_mail_comes_from_the_host_that_people_know() {
        let from = |url: &str| default(url).from_address;
        assert_eq!(from("https://nexus.example"), "no-reply@nexus.example");
        assert_eq!(from("http://localhost:8080"), "no-reply@localhost");
        assert_eq!(from("http://127.0.0.1:40001"), "no-reply@localhost");
        let sender = sender(default("https://nexus.example"), "https://nexus.example").unwrap();
        assert_eq!(sender.return_path, sender.from);
        assert_eq!(sender.link_origin, "https://nexus.example");
    }

    #[test]
    fn what_is_wrong_with_a_sender_is_pointed_at() {
        for (more, name) in [
            (json!({ "from_address": "a\r\nb@c.example" }), "AddressForm"),
            (json!({ "reply_to": "nobody" }), "AddressForm"),
            (json!({ "from_name": " \r\n " }), "SenderName"),
            (json!({ "link_origin": "https://a.example/path" }), "LinkOrigin"),
            (json!({ "link_origin": "javascript:alert(1)" }), "LinkOrigin"),
            (json!({ "sandbox_allow": ["@-"] }), "SandboxAllow"),
            (json!({ "recipient_hour_max": 0 }), "RecipientRate"),
        ] {
            assert_eq!(draft(more.clone()).unwrap_err().name, name, "{more}");
        }
        let name = draft(json!({ "from_name": "Nexus\r\nBcc: eve@example.org" })).unwrap();
        assert_eq!(name.from_name, "Nexus Bcc: eve@example.org");
        let allowed = draft(json!({ "sandbox_allow": ["Ada@Example.org", "@Test.example"] }));
        assert_eq!(allowed.unwrap().sandbox_allow, ["ada@example.org", "@test.example"]);
    }
}
