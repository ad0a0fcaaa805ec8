//! What these pages say after a form was sent.

web_kit::notices! {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_one_sentence() {
        for (at, notice) in ALL.iter().enumerate() {
            let first = ALL.iter().position(|other| other.word() == notice.word());
            assert_eq!(first, Some(at), "{}", notice.word());
        }
    }
}
