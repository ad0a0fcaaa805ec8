//! Signing in by another provider, and connecting one to an account. The browser goes there from a
//! form of ours and comes back with a GET; what came along is for `auth` to judge.

use super::entry::{self, Entered, onward, segment, status_of};
use super::sessions::Listed;
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::or_home;

pub fn router() -> Router {
    Router::new()
        .route("/account/sign-in/provider/{id}", post(begin))
        .route("/account/sign-in/provider/{id}/callback", get(come_back))
        .route("/account/security/providers/{id}/connect", post(connect))
        .route("/account/security/providers/{id}/disconnect", post(disconnect))
}

/// A provider by which people may come in.
#[derive(Debug, Deserialize)]
pub struct Provider {
    id: String,
    name: String,
}

/// One that an account is connected to.
#[derive(Debug, Deserialize)]
pub struct Connected {
    upstream_id: String,
    name: String,
}

/// None, where there is no `auth`: the page can do without.
pub async fn offered(visitor: &Visitor) -> Result<Vec<Provider>, Trouble> {
    let asked = call("auth").get("/api/auth/v1/providers");
    Ok(visitor.want(asked).await?.unwrap_or_default())
}

pub async fn connected(visitor: &Visitor) -> Result<Vec<Connected>, Trouble> {
    let asked = call("auth").get("/api/auth/v1/identities?limit=100");
    let listed: Option<Listed<Connected>> = visitor.want(asked).await?;
    Ok(listed.map(|listed| listed.items).unwrap_or_default())
}

/// A button for each on the sign-in page.
pub fn buttons(providers: &[Provider], return_to: &str) -> Markup {
    html! {
        @for provider in providers {
            form method="post" action={ "/account/sign-in/provider/" (segment(&provider.id)) } {
                (hidden("return_to", return_to))
                button.second.wide type="submit" {
                    (icon::forward()) "Sign in with " (provider.name)
                }
            }
        }
    }
}

/// The card on the page of security; nothing where there is no provider.
pub fn card(providers: &[Provider], connected: &[Connected]) -> Markup {
    let open = providers.iter().filter(|it| !connected.iter().any(|c| c.upstream_id == it.id));
    let action =
        |id: &str, verb: &str| format!("/account/security/providers/{}/{verb}", segment(id));
    html! {
        @if !providers.is_empty() || !connected.is_empty() {
            section.card #providers {
                h2 { "Other ways to sign in" }
                p { "Accounts elsewhere that open this one." }
                ul.list {
                    @for one in connected {
                        li {
                            div.item { (icon::check()) div { p.item-name { (one.name) } } }
                            form method="post" action=(action(&one.upstream_id, "disconnect")) {
                                button.danger.small type="submit" {
                                    "Disconnect" span.away { " " (one.name) }
                                }
                            }
                        }
                    }
                    @for one in open {
                        li {
                            div.item { (icon::forward()) div { p.item-name { (one.name) } } }
                            form method="post" action=(action(&one.id, "connect")) {
                                button.second.small type="submit" {
                                    "Connect" span.away { " " (one.name) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Onward {
    redirect_to: String,
}

async fn begin(visitor: Visitor, Path(id): Path<String>, posted: Posted) -> Answer {
    let wish = json!({ "return_to": or_home(posted.raw("return_to")) });
    let path = format!("/api/auth/v1/providers/{}/sign-ins", segment(&id));
    sent(&visitor, call("auth").post(path).json(&wish)).await
}

async fn connect(visitor: Visitor, Path(id): Path<String>, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let path = format!("/api/auth/v1/providers/{}/links", segment(&id));
    let wish = json!({ "return_to": "/account/security" });
    sent(&visitor, call("auth").post(path).json(&wish)).await
}

async fn sent(visitor: &Visitor, asked: nexus_sdk::Question) -> Answer {
    match visitor.ask::<Onward>(asked).await? {
        Ok(done) => Ok(with_cookies(onward(&done.value.redirect_to), &done.cookies)),
        Err(refused) => Ok(not_this_way(&refused)),
    }
}

/// What the provider sent along. `auth` knows the browser by its own cookie.
async fn come_back(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let given = |name: &str| Some(visitor.query(name)).filter(|value| !value.is_empty());
    let brought = json!({
        "state": visitor.query("state"), "code": given("code"), "iss": given("iss"),
        "error": given("error"),
    });
    let path = format!("/api/auth/v1/providers/{}/callback", segment(&id));
    let mut asked = call("auth").post(path).json(&brought);
    if let Some(cookies) = visitor.cookies() {
        asked = asked.header(header::COOKIE, cookies.clone());
    }
    let done = match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(done) => done,
        Err(refused) => return Ok(not_this_way(&refused)),
    };
    if done.value["state"] == "linked" {
        let response = go(&notice::PROVIDER_CONNECTED.on("/account/security"));
        return Ok(with_cookies(response, &done.cookies));
    }
    let wish = done.value["return_to"].as_str().unwrap_or_default().to_owned();
    let entered: Entered = serde_json::from_value(done.value).map_err(|why| {
        let failure = Failure::new(why).context("read how somebody came in");
        Trouble::failed(failure.into(), visitor.request_id())
    })?;
    let done = web_kit::ask::Done { value: entered, cookies: done.cookies };
    Ok(entry::go_on(done, &wish, None))
}

fn not_this_way(refused: &Refused) -> Response {
    let body = html! {
        (Complaints::of(refused).summary())
        a.button.primary.wide href="/account/sign-in" { "Sign in another way" }
    };
    page(status_of(refused), narrow("That did not work", None, &body))
}

async fn disconnect(visitor: Visitor, Path(id): Path<String>, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("auth").delete(format!("/api/auth/v1/identities/{}", segment(&id)));
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) => Ok(go(&notice::PROVIDER_DISCONNECTED.on("/account/security"))),
        Err(refused) if refused.status == 404 => Ok(go("/account/security")),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_name_is_text_and_its_id_stays_in_its_place() {
        let hostile = Provider { id: "../x?y".into(), name: "<b>Evil</b>".into() };
        let shown = buttons(&[hostile], "/account").into_string();
        assert!(shown.contains("&lt;b&gt;Evil"), "{shown}");
        assert!(shown.contains("/provider/%2E%2E%2Fx%3Fy\""), "{shown}");
    }

    #[test]
    fn what_is_connected_is_offered_no_more() {
        let providers = [Provider { id: "1".into(), name: "One".into() }];
        let connected = [Connected { upstream_id: "1".into(), name: "One".into() }];
        let shown = card(&providers, &connected).into_string();
        assert!(shown.contains("Disconnect") && !shown.contains("/1/connect"), "{shown}");
        assert!(card(&[], &[]).into_string().is_empty());
    }
}
