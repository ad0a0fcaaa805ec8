//! Who of a household is watching. Which profiles there are, and what each may see, is the
//! `profiles` service's; this remembers the choice in a cookie. A cookie of another account, or of
//! a profile that is gone, means nobody.
//!
//! The choice decides what these pages show. It is no wall against whoever writes cookies by hand:
//! a session does not know its viewer's profile, so neither do the services that are asked.

use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use web_kit::prelude::*;
use web_kit::return_to::with_query;

const COOKIE: &str = "nexus-profile";
/// Half a year: whoever watches this seldom is asked again.
const COOKIE_SECONDS: u32 = 15_552_000;

/// One who watches.
#[derive(Debug, Clone, Deserialize)]
pub struct Profile {
    pub id: Uuid,
    pub name: String,
    pub picture: String,
    pub maturity_max: i32,
    pub kid: bool,
    /// Asks for a PIN.
    pub locked: bool,
}

/// Those who watch with one account; nobody, where nobody is signed in.
#[derive(Debug, Default)]
pub struct Household {
    pub profiles: Vec<Profile>,
    pub watching: Option<Profile>,
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<Profile>,
}

impl Household {
    pub async fn of(visitor: &Visitor) -> Result<Household, Trouble> {
        if !visitor.is_signed_in() {
            return Ok(Household::default());
        }
        let list = call("profiles").get("/api/profiles/v1/me/subprofiles");
        let listed: Option<Listed> = visitor.want(list).await?;
        let profiles = listed.map(|it| it.items).unwrap_or_default();
        let chosen = chosen(visitor.cookies());
        let watching = profiles.iter().find(|it| Some(it.id) == chosen).cloned();
        Ok(Household { profiles, watching })
    }

    /// As [`Household::of`], once somebody has said who they are.
    ///
    /// # Errors
    /// On to the page that asks, where there are several to choose from.
    pub async fn known(visitor: &Visitor) -> Result<Result<Household, Response>, Trouble> {
        let household = Household::of(visitor).await?;
        match household.profiles.is_empty() || household.watching.is_some() {
            true => Ok(Ok(household)),
            false => {
                let ask = with_query("/tv/profiles", &[("return_to", visitor.back())]);
                Ok(Err(go(&ask)))
            }
        }
    }
}

fn chosen(cookies: Option<&HeaderValue>) -> Option<Uuid> {
    let cookies = cookies?.to_str().ok()?;
    let value = cookies.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    });
    value?.parse().ok()
}

/// Remembers a choice.
pub fn cookie(profile: Uuid, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE}={profile}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}"
    );
    HeaderValue::try_from(text).expect("an id and words of ours are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_read_from_among_other_cookies() {
        let id = Uuid::from_u128(7);
        let header = HeaderValue::try_from(format!("a=b; {COOKIE}={id}; c=d")).unwrap();
        assert_eq!(chosen(Some(&header)), Some(id));
        for other in ["", "nexus-profile=x", "other-nexus-profile=00000000"] {
            assert_eq!(chosen(Some(&HeaderValue::from_str(other).unwrap())), None, "{other}");
        }
        assert_eq!(chosen(None), None);
    }

    #[test]
    fn no_script_reads_the_choice_and_no_other_site_sends_it() {
        let cookie = cookie(Uuid::nil(), true);
        let text = cookie.to_str().unwrap();
        assert!(text.contains("HttpOnly") && text.contains("SameSite=Lax"), "{text}");
        assert!(text.ends_with("; Secure"), "{text}");
    }
}
