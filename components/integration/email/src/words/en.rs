//! English.

use super::{Language, Words};

pub const ENGLISH: Language = Language {
    code: "en",
    greeting: "Hello {{ name }},",
    greeting_nobody: "Hello,",
    link: "If the button does not work, open this address in your browser:",
    automatic: "This message was sent by {{ brand }}. Nobody reads replies to it.",
    unsubscribe: "Unsubscribe from messages like this",
    minutes: ["minute", "minutes"],
    hours: ["hour", "hours"],
    days: ["day", "days"],
    messages: &[
        ("verify-email", VERIFY_EMAIL),
        ("account-exists", ACCOUNT_EXISTS),
        ("recover-password", RECOVER_PASSWORD),
        ("magic-link", MAGIC_LINK),
        ("password-changed", PASSWORD_CHANGED),
        ("new-sign-in", NEW_SIGN_IN),
        ("invite", INVITE),
        ("mfa-changed", MFA_CHANGED),
    ],
};

const ACCOUNT_EXISTS: Words = Words {
    subject: "You already have an account",
    title: "You already have an account",
    lines: &["Somebody, probably you, has tried to create an account with this address. There \
              is one already, so nothing was changed."],
    facts: &[],
    action: "Choose a new password",
    notes: &["If you know your password, just sign in. If it was not you, you need not do \
              anything."],
};

const VERIFY_EMAIL: Words = Words {
    subject: "Confirm your e-mail address",
    title: "Confirm your e-mail address",
    lines: &[
        "Please confirm that this address is yours, so that we can reach you and you can get \
              back in if you ever forget your password.",
    ],
    facts: &[("Address", "address")],
    action: "Confirm address",
    notes: &[
        "{% if expires_in %}The link works once, for {{ expires_in }}.{% endif %}",
        "If you have not signed up with {{ brand }}, ignore this message: nothing will happen.",
    ],
};

const RECOVER_PASSWORD: Words = Words {
    subject: "Set a new password",
    title: "Set a new password",
    lines: &["Somebody, most likely you, has asked to set a new password for your account at \
              {{ brand }}."],
    facts: &[],
    action: "Set a new password",
    notes: &[
        "{% if expires_in %}The link works once, for {{ expires_in }}.{% endif %}",
        "If it was not you, ignore this message: your password stays as it is.",
    ],
};

const MAGIC_LINK: Words = Words {
    subject: "Your sign-in link for {{ brand }}",
    title: "Sign in to {{ brand }}",
    lines: &["Use this link to sign in. No password is needed."],
    facts: &[],
    action: "Sign in",
    notes: &[
        "{% if expires_in %}The link works once, for {{ expires_in }}.{% endif %}",
        "Never pass it on: whoever has the link can sign in as you. If you did not ask for it, \
         ignore this message.",
    ],
};

const PASSWORD_CHANGED: Words = Words {
    subject: "Your password was changed",
    title: "Your password was changed",
    lines: &["The password of your account at {{ brand }} was changed. If that was you, there is \
              nothing to do."],
    facts: &[("Device", "device"), ("Network address", "address")],
    action: "It was not me",
    notes: &["If it was not you, set a new password at once and look through your sessions."],
};

const NEW_SIGN_IN: Words = Words {
    subject: "New sign-in to your account",
    title: "New sign-in to your account",
    lines: &[
        "Somebody has signed in to your account at {{ brand }} from a device that we have not \
              seen before. If that was you, there is nothing to do.",
    ],
    facts: &[("Device", "device"), ("Network address", "address")],
    action: "Look at my sessions",
    notes: &["If it was not you, end that session and change your password."],
};

const INVITE: Words = Words {
    subject: "{% if inviter %}{{ inviter }} invites you{% else %}You are invited{% endif %} to \
              {{ organisation or brand }}",
    title: "You are invited to {{ organisation or brand }}",
    lines: &["{% if inviter %}{{ inviter }} would like to work with you{% else %}Somebody would \
              like to work with you{% endif %} at {{ organisation or brand }}."],
    facts: &[],
    action: "Accept the invitation",
    notes: &[
        "{% if expires_in %}The invitation is good for {{ expires_in }}.{% endif %}",
        "If you do not know what this is about, ignore this message.",
    ],
};

const MFA_CHANGED: Words = Words {
    subject: "Your second factor was changed",
    title: "Your second factor was changed",
    lines: &["A second factor of your account at {{ brand }} was added, changed or removed. If \
              that was you, there is nothing to do."],
    facts: &[("Device", "device"), ("Network address", "address")],
    action: "Look at my account",
    notes: &["If it was not you, change your password at once and set up your second factor anew."],
};
