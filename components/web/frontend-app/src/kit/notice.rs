//! What a page says after a form was sent and the browser was sent on: one of these sentences, by
//! its word in the query. Refuses any other text: a link could put words into our mouth.

use maud::{Markup, html};

use super::icon;

/// A sentence to be shown once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    word: &'static str,
    sentence: &'static str,
}

macro_rules! notices {
    ($($name:ident = $word:literal, $sentence:literal);* $(;)?) => {
        impl Notice {
            $(pub const $name: Notice = Notice { word: $word, sentence: $sentence };)*

            const ALL: &'static [Notice] = &[$(Notice::$name),*];
        }
    };
}

notices! {
    CONFIRMED = "confirmed", "Thank you. You can go on now: please send the form again.";
    DEVICE_CONNECTED = "device-connected", "Your device is connected. It goes on by itself.";
    DEVICE_DENIED = "device-denied", "The device was turned away.";
    DEVICE_REMOVED = "device-removed", "That device is signed out.";
    DEVICES_REMOVED = "devices-removed", "All your other devices are signed out.";
    EMAIL_VERIFIED = "email-verified", "Your e-mail address is confirmed. Welcome.";
    INVITE_ACCEPTED = "invite-accepted", "You are a member now.";
    INVITE_DECLINED = "invite-declined", "The invitation is declined.";
    INVITE_SENT = "invite-sent", "The invitation is on its way.";
    KEY_REVOKED = "key-revoked", "That key no longer opens anything.";
    MEMBER_REMOVED = "member-removed", "That person is no longer a member.";
    ORGANISATION_CREATED = "organisation-created", "Your organisation is ready.";
    PASSKEY_ADDED = "passkey-added", "Your passkey is ready to use.";
    PASSKEY_REMOVED = "passkey-removed", "That passkey is removed.";
    PASSKEY_RENAMED = "passkey-renamed", "The passkey has its new name.";
    PASSWORD_CHANGED = "password-changed", "Your password is changed.";
    PROFILE_SAVED = "profile-saved", "Your profile is saved.";
    PROGRAM_REVOKED = "program-revoked", "That program may no longer act for you.";
    PROVIDER_CONNECTED = "provider-connected", "From now on you can sign in that way, too.";
    PROVIDER_DISCONNECTED = "provider-disconnected", "That way in is closed.";
    SIGNED_IN = "signed-in", "You are signed in.";
    SIGNED_OUT = "signed-out", "You are signed out.";
    TOTP_OFF = "totp-off", "The authenticator app is no longer asked for.";
}

impl Notice {
    /// The notice of a word in a query.
    pub fn named(word: &str) -> Option<Notice> {
        Notice::ALL.iter().find(|notice| notice.word == word).copied()
    }

    /// `path` with this notice to be shown there.
    pub fn on(self, path: &str) -> String {
        let (path, fragment) = match path.split_once('#') {
            Some((path, fragment)) => (path, format!("#{fragment}")),
            None => (path, String::new()),
        };
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}notice={}{fragment}", self.word)
    }

    /// The bar that says it; `status` is read out without taking the focus.
    pub fn bar(self) -> Markup {
        html! {
            div.notice role="status" { (icon::check()) p { (self.sentence) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_sentences_are_shown() {
        assert_eq!(Notice::named("signed-out"), Some(Notice::SIGNED_OUT));
        for word in ["", "SIGNED-OUT", "<b>hello</b>", "call +1 555 0100"] {
            assert_eq!(Notice::named(word), None);
        }
    }

    #[test]
    fn a_word_means_one_sentence() {
        for (at, notice) in Notice::ALL.iter().enumerate() {
            let first = Notice::ALL.iter().position(|other| other.word == notice.word);
            assert_eq!(first, Some(at), "{}", notice.word);
        }
    }

    #[test]
    fn a_notice_joins_a_query_that_is_there_and_stands_before_the_fragment() {
        assert_eq!(Notice::SIGNED_OUT.on("/"), "/?notice=signed-out");
        assert_eq!(Notice::CONFIRMED.on("/a?b=c"), "/a?b=c&notice=confirmed");
        assert_eq!(Notice::TOTP_OFF.on("/a#totp"), "/a?notice=totp-off#totp");
    }
}
