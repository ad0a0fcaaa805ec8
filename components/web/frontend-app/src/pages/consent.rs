//! Another program wants to know who somebody is, or to act for them: yes or no.

use super::entry::{onward, segment};
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/account/consent", get(show).post(decide))
}

/// The program that asks.
#[derive(Debug, Deserialize)]
pub struct Asking {
    pub name: String,
    policy_uri: Option<String>,
    terms_uri: Option<String>,
}

/// One thing that it wants.
#[derive(Debug, Deserialize)]
pub struct Scope {
    in_words: String,
    #[serde(default)]
    known: bool,
}

/// What `auth` wants to have answered.
#[derive(Debug, Deserialize)]
struct Question {
    client: Asking,
    scopes: Vec<Scope>,
    returns_to: String,
}

#[derive(Debug, Deserialize)]
struct Onward {
    redirect_to: String,
}

/// What a program would get, and what it says of itself.
pub fn wishes(client: &Asking, scopes: &[Scope]) -> Markup {
    html! {
        @if scopes.is_empty() {
            p { "It wants nothing but to know that it is you." }
        } @else {
            p { strong { (client.name) } " could then:" }
            ul.checks {
                @for scope in scopes {
                    li.done {
                        (icon::check())
                        span {
                            (scope.in_words)
                            @if scope.known { span.badge { "Agreed before" } }
                        }
                    }
                }
            }
        }
        p.hint {
            @if let Some(policy) = web(client.policy_uri.as_deref()) {
                a href=(policy) rel="noopener noreferrer" { "Its privacy policy" } " "
            }
            @if let Some(terms) = web(client.terms_uri.as_deref()) {
                a href=(terms) rel="noopener noreferrer" { "Its terms" }
            }
        }
    }
}

/// A link of a stranger, if it is one to a web page.
fn web(link: Option<&str>) -> Option<&str> {
    link.filter(|link| link.starts_with("https://"))
}

fn form(question: &Question, request: &str) -> Markup {
    let body = html! {
        p.lead { strong { (question.client.name) } " asks for your agreement." }
        (wishes(&question.client, &question.scopes))
        form.stack method="post" action="/account/consent" {
            (hidden("request", request))
            button.primary.wide type="submit" name="answer" value="yes" { "Agree" }
            button.second.wide type="submit" name="answer" value="no" { "Decline" }
        }
        p.beneath {
            "You go on to " strong { (question.returns_to) }
            ". You can take it back any time under "
            a href="/account/programs" { "Connected apps" } "."
        }
    };
    narrow("Let it in?", None, &body)
}

fn over() -> Markup {
    let body = html! {
        p.lead { "This question was answered, or it has waited too long. Begin again over there." }
        a.button.primary.wide href="/account" { "Your account" }
    };
    narrow("That question is over", None, &body)
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let request = visitor.query("request");
    let path = format!("/api/auth/v1/requests/{}", segment(request));
    Ok(match visitor.ask::<Question>(call("auth").get(path)).await? {
        Ok(done) => page(StatusCode::OK, form(&done.value, request)),
        Err(_) => page(StatusCode::GONE, over()),
    })
}

async fn decide(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let path = format!("/api/auth/v1/requests/{}/decision", segment(posted.raw("request")));
    let decision = json!({ "approve": posted.raw("answer") == "yes" });
    match visitor.ask::<Onward>(call("auth").post(path).json(&decision)).await? {
        Ok(done) => Ok(onward(&done.value.redirect_to)),
        Err(_) => Ok(page(StatusCode::GONE, over())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_cannot_put_script_into_the_question() {
        let client = Asking {
            name: "<b>Bank</b>".into(),
            policy_uri: Some("javascript:alert(1)".into()),
            terms_uri: Some("https://example.org/terms".into()),
        };
        let question = Question { client, scopes: Vec::new(), returns_to: "example.org".into() };
        let shown = form(&question, "\"><script>").into_string();
        assert!(!shown.contains("<b>") && !shown.contains("<script>"), "{shown}");
        assert!(!shown.contains("javascript:"), "{shown}");
        assert!(shown.contains("https://example.org/terms"), "{shown}");
    }
}
