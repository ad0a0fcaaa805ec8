//! What a program may ask for: the words of OpenID Connect, and permissions of the suite.

use crate::oauth::{OauthError, invalid_scope};
use nexus_sdk::covers;

/// Words that give facts about a person, and no permission.
pub const ABOUT_PEOPLE: [&str; 4] = ["openid", "profile", "email", "offline_access"];

const WORDS_MAX: usize = 50;

/// The wanted words, each once, if all of them are allowed to the client.
///
/// # Errors
/// `invalid_scope`, with the word.
pub fn granted(wanted: &[&str], allowed: &[String]) -> Result<Vec<String>, OauthError> {
    if wanted.len() > WORDS_MAX {
        return Err(invalid_scope(format!("at most {WORDS_MAX} words")));
    }
    let mut scopes: Vec<String> = Vec::new();
    for word in wanted {
        if !ABOUT_PEOPLE.contains(word) && !allowed.iter().any(|held| covers(held, word)) {
            return Err(invalid_scope(format!("{word:?} is not allowed to this client")));
        }
        if !scopes.iter().any(|known| known == word) {
            scopes.push((*word).to_owned());
        }
    }
    Ok(scopes)
}

/// Whether all wanted words were agreed to.
pub fn agreed(wanted: &[String], agreed_to: &[String]) -> bool {
    wanted.iter().all(|word| agreed_to.contains(word))
}

/// What a word means, for the person who is asked.
pub fn in_words(word: &str) -> String {
    match word {
        "openid" => "Know who you are here, by a number".to_owned(),
        "profile" => "See your name and language".to_owned(),
        "email" => "See your e-mail address".to_owned(),
        "offline_access" => "Act for you while you are away".to_owned(),
        "*" => "Do everything that you may do".to_owned(),
        other => match other.split_once(':') {
            Some((service, "*")) => format!("Do everything that you may do in {service}"),
            Some((service, verb)) => format!("Use {service} for you: {verb}"),
            None => format!("Use {other} for you"),
        },
    }
}

#[test]
fn a_client_gets_what_it_was_allowed_and_nothing_else() {
    let allowed = ["catalog:*".to_owned(), "wallet:view".to_owned()];
    let wanted = ["openid", "catalog:edit", "wallet:view", "openid"];
    assert_eq!(
        granted(&wanted, &allowed),
        Ok(vec!["openid".into(), "catalog:edit".into(), "wallet:view".into()])
    );
    for word in ["wallet:spend", "*", "catalog", "catalogue:view"] {
        assert_eq!(granted(&[word], &allowed).map_err(|e| e.code), Err("invalid_scope"), "{word}");
    }
}
