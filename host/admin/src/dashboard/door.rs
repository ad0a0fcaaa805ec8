//! In, out, and what buttons order. A form carries the session's own token, since a browser sends
//! the cookie along with anybody's form.

use super::parts::text;
use super::{document, go, order, page};
use crate::access::{COOKIE, Flash, LIFETIME, Seat};
use crate::problems;
use crate::routes::Surface;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::{Markup, html};
use nexus_runtime::{Problem, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

type Form = BTreeMap<String, String>;

/// `next` is where somebody wanted to go.
pub(super) fn login(next: Option<&String>, complaint: Option<&str>) -> Markup {
    let body = html! {
        main #main {
            img src="/assets/mark.svg" alt="" width="44" height="44";
            h1 { "Operate Nexus COS" }
            p.lead {
                "Sign in with your operator's token. On the machine itself, "
                code { "cat .nexus/admin-token" } " shows the one of root."
            }
            @if let Some(complaint) = complaint {
                div.notice.bad role="alert" { p { (complaint) } }
            }
            form.stack method="post" action="/login" {
                input type="hidden" name="next" value=(ours(next));
                div.field {
                    label for="token" { "Token" }
                    input #token name="token" type="password" autocomplete="current-password"
                        required autofocus spellcheck="false";
                }
                button.primary type="submit" { "Sign in" }
            }
        }
    };
    document::bare("Sign in", &body)
}

pub(super) async fn enter(
    surface: &Surface,
    form: &Form,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let token = form.get("token").map(String::as_str).unwrap_or_default().trim();
    let holder = match surface.access.holder_of(token).await {
        Ok((holder, _)) => holder,
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED => {
            let complaint = "Nobody has this token. Operators get theirs from an administrator.";
            return Ok(page(StatusCode::UNAUTHORIZED, &login(form.get("next"), Some(complaint))));
        }
        Err(problem) => return Err(problem),
    };
    let cookie = surface.access.sessions.begin(holder);
    let mut response = go(&ours(form.get("next")));
    set(&mut response, &cookie, LIFETIME.as_secs(), headers);
    Ok(response)
}

pub(super) fn leave(surface: &Surface, seat: &Seat, form: &Form) -> Result<Response, Problem> {
    check(seat, form)?;
    surface.access.sessions.end(seat);
    let mut response = go("/login");
    set(&mut response, "", 0, &HeaderMap::new());
    Ok(response)
}

fn set(response: &mut Response, value: &str, seconds: u64, headers: &HeaderMap) {
    // Behind a proxy that speaks TLS, the cookie is for TLS only.
    let proto = headers.get("x-forwarded-proto").map(HeaderValue::as_bytes);
    let secure = if proto == Some(b"https") { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

fn check(seat: &Seat, form: &Form) -> Result<(), Problem> {
    if form.get("csrf") == Some(&seat.csrf) { Ok(()) } else { Err(problems::NO_CSRF) }
}

/// What a button orders: `call` is a method and a path of the API, and its JSON after them or in
/// `body`. Fields that begin with `set.` are texts of it, with `json.` any value. The page that
/// comes next says how it went.
pub(super) async fn act(
    surface: &Surface,
    seat: &Seat,
    form: &Form,
    peer: IpAddr,
    id: &str,
) -> Result<Response, Problem> {
    check(seat, form)?;
    let actor = surface.access.seated(seat).await?;
    let (method, mut path, mut body) = called(form)?;
    for (name, value) in form.iter().filter(|(_, value)| !value.is_empty()) {
        match name.split_once('.') {
            Some(("set", name)) => body[name] = value.as_str().into(),
            Some(("json", name)) => {
                body[name] = serde_json::from_str(value).map_err(|_| problems::FORM)?;
            }
            // A name that stands in the path, such as a variable's.
            Some(("at", name)) => {
                path = path.replace(&format!("{{{name}}}"), &super::parts::piece(value));
            }
            _ => {}
        }
    }
    let answered = order(surface, &actor, (&method, &path), &body, (peer, id)).await;
    let next = back(form, &path, answered.as_ref().ok());
    let flash = match &answered {
        // The page of what was begun says how it goes, also when it is over.
        Ok(_) if next.starts_with("/rollouts/") && path.starts_with("components/") => None,
        Ok(answer) => Some(Flash { good: true, words: told(&path, answer) }),
        Err(problem) => Some(Flash { good: false, words: sentence(problem) }),
    };
    if let Some(flash) = flash {
        surface.access.sessions.tell(seat, flash);
    }
    Ok(go(&next))
}

/// Method, path and body of what a form calls.
fn called(form: &Form) -> Result<(String, String, Value), Problem> {
    let call = form.get("call").ok_or(problems::FORM)?;
    let mut words = call.splitn(3, ' ');
    let (method, path) = words.next().zip(words.next()).ok_or(problems::FORM)?;
    let body = words.next().or(form.get("body").map(String::as_str)).unwrap_or("{}");
    let body: Value = serde_json::from_str(body).map_err(|_| problems::FORM)?;
    if body.is_object() { Ok((method.into(), path.into(), body)) } else { Err(problems::FORM) }
}

/// Where the button was; a rollout that was begun is looked at.
fn back(form: &Form, path: &str, answer: Option<&Value>) -> String {
    let rollout = answer.map(|answer| &answer["rollout"]).map(|rollout| text(rollout, "id"));
    if let Some(id) = rollout.filter(|id| !id.is_empty() && path.starts_with("components/")) {
        return format!("/rollouts/{id}");
    }
    ours(form.get("back"))
}

/// A path of ours, and no host of somebody else's.
fn ours(wanted: Option<&String>) -> String {
    let wanted = wanted.map(String::as_str).unwrap_or("/");
    let ours = wanted.starts_with('/') && !wanted.starts_with("//") && !wanted.contains('\\');
    if ours { wanted.to_owned() } else { "/".into() }
}

fn sentence(problem: &Problem) -> String {
    match problem.detail.is_empty() {
        true => format!("Not done: {}.", problem.title),
        false => format!("Not done: {}. {}", problem.title, problem.detail),
    }
}

/// What an answer says, in words.
fn told(path: &str, answer: &Value) -> String {
    if let Some(token) = answer["token"].as_str() {
        let name = text(answer, "name");
        return format!("{name} signs in with this token, which is shown only now: {token}");
    }
    if let Some(messages) = answer["messages"].as_u64() {
        return format!("Done: {messages} messages.");
    }
    let verb = path.rsplit('/').next().unwrap_or_default();
    let past = json!({
        "pause": "Paused.", "resume": "Goes on.", "run": "It runs.", "cancel": "Cancelled.",
        "promote": "Promoted.", "abort": "Aborted.", "rollback": "Rolled back.",
        "apply": "Applied.", "freezes": "Frozen.",
    });
    past[verb].as_str().unwrap_or("Done.").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_our_own_pages_only() {
        for (wanted, back) in [
            ("/queues?x=1", "/queues?x=1"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("", "/"),
        ] {
            let form = Form::from([("back".to_owned(), wanted.to_owned())]);
            assert_eq!(super::back(&form, "queues/a/b/pause", None), back, "{wanted}");
        }
        assert_eq!(ours(Some(&"/rollouts/1".into())), "/rollouts/1");
        let begun = json!({ "rollout": { "id": "r1" } });
        let form = Form::default();
        assert_eq!(super::back(&form, "components/a/deploy", Some(&begun)), "/rollouts/r1");
    }

    #[test]
    fn a_button_names_its_call_and_what_is_sent_with_it() {
        let form = |call: &str| Form::from([("call".to_owned(), call.to_owned())]);
        let (method, path, body) = called(&form(r#"POST freezes {"component":"a b"}"#)).unwrap();
        assert_eq!((method.as_str(), path.as_str()), ("POST", "freezes"));
        assert_eq!(body, json!({ "component": "a b" }));
        assert_eq!(called(&form("POST jobs/1/cancel")).unwrap().2, json!({}));
        for wrong in ["", "POST", "POST freezes [1]", "POST freezes {"] {
            assert!(called(&form(wrong)).is_err(), "{wrong}");
        }
    }
}
