//! German.

use super::{Language, Words};

pub const GERMAN: Language = Language {
    code: "de",
    greeting: "Hallo {{ name }},",
    greeting_nobody: "Hallo,",
    link: "Falls der Knopf nicht funktioniert, öffnen Sie diese Adresse im Browser:",
    automatic: "Diese Nachricht wurde von {{ brand }} verschickt. Antworten liest niemand.",
    unsubscribe: "Solche Nachrichten abbestellen",
    minutes: ["Minute", "Minuten"],
    hours: ["Stunde", "Stunden"],
    days: ["Tag", "Tage"],
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
    subject: "Sie haben bereits ein Konto",
    title: "Sie haben bereits ein Konto",
    lines: &["Jemand, wahrscheinlich Sie, wollte mit dieser Adresse ein Konto anlegen. Es gibt \
              schon eines, deshalb wurde nichts geändert."],
    facts: &[],
    action: "Neues Passwort wählen",
    notes: &["Wenn Sie Ihr Passwort kennen, melden Sie sich einfach an. Wenn Sie es nicht \
              waren, müssen Sie nichts tun."],
};

const VERIFY_EMAIL: Words = Words {
    subject: "Bestätigen Sie Ihre E-Mail-Adresse",
    title: "Bestätigen Sie Ihre E-Mail-Adresse",
    lines: &[
        "Bitte bestätigen Sie, dass diese Adresse Ihnen gehört. So können wir Sie erreichen, \
              und Sie kommen wieder hinein, falls Sie einmal Ihr Passwort vergessen.",
    ],
    facts: &[("Adresse", "address")],
    action: "Adresse bestätigen",
    notes: &[
        "{% if expires_in %}Der Link gilt einmal. Gültigkeit: {{ expires_in }}.{% endif %}",
        "Falls Sie sich nicht bei {{ brand }} angemeldet haben, beachten Sie diese Nachricht \
         nicht: Es geschieht nichts.",
    ],
};

const RECOVER_PASSWORD: Words = Words {
    subject: "Neues Passwort festlegen",
    title: "Neues Passwort festlegen",
    lines: &["Jemand, vermutlich Sie selbst, möchte ein neues Passwort für Ihr Konto bei \
              {{ brand }} festlegen."],
    facts: &[],
    action: "Neues Passwort festlegen",
    notes: &[
        "{% if expires_in %}Der Link gilt einmal. Gültigkeit: {{ expires_in }}.{% endif %}",
        "Falls Sie das nicht waren, beachten Sie diese Nachricht nicht: Ihr Passwort bleibt, wie \
         es ist.",
    ],
};

const MAGIC_LINK: Words = Words {
    subject: "Ihr Anmeldelink für {{ brand }}",
    title: "Bei {{ brand }} anmelden",
    lines: &["Mit diesem Link melden Sie sich an. Ein Passwort brauchen Sie dafür nicht."],
    facts: &[],
    action: "Anmelden",
    notes: &[
        "{% if expires_in %}Der Link gilt einmal. Gültigkeit: {{ expires_in }}.{% endif %}",
        "Geben Sie ihn nie weiter: Wer den Link hat, kann sich als Sie anmelden. Falls Sie ihn \
         nicht angefordert haben, beachten Sie diese Nachricht nicht.",
    ],
};

const PASSWORD_CHANGED: Words = Words {
    subject: "Ihr Passwort wurde geändert",
    title: "Ihr Passwort wurde geändert",
    lines: &["Das Passwort Ihres Kontos bei {{ brand }} wurde geändert. Falls Sie das waren, ist \
              nichts zu tun."],
    facts: &[("Gerät", "device"), ("Netzadresse", "address")],
    action: "Das war ich nicht",
    notes: &["Falls Sie das nicht waren, legen Sie sofort ein neues Passwort fest und sehen Sie \
              Ihre Sitzungen durch."],
};

const NEW_SIGN_IN: Words = Words {
    subject: "Neue Anmeldung bei Ihrem Konto",
    title: "Neue Anmeldung bei Ihrem Konto",
    lines: &[
        "Bei Ihrem Konto bei {{ brand }} hat sich jemand von einem Gerät angemeldet, das wir \
              noch nicht kennen. Falls Sie das waren, ist nichts zu tun.",
    ],
    facts: &[("Gerät", "device"), ("Netzadresse", "address")],
    action: "Meine Sitzungen ansehen",
    notes: &["Falls Sie das nicht waren, beenden Sie diese Sitzung und ändern Sie Ihr Passwort."],
};

const INVITE: Words = Words {
    subject: "{% if inviter %}{{ inviter }} lädt Sie ein{% else %}Sie sind eingeladen{% endif %}: \
              {{ organisation or brand }}",
    title: "Sie sind eingeladen: {{ organisation or brand }}",
    lines: &["{% if inviter %}{{ inviter }} möchte mit Ihnen zusammenarbeiten{% else %}Jemand \
              möchte mit Ihnen zusammenarbeiten{% endif %}: {{ organisation or brand }}."],
    facts: &[],
    action: "Einladung annehmen",
    notes: &[
        "{% if expires_in %}Gültigkeit der Einladung: {{ expires_in }}.{% endif %}",
        "Falls Sie nicht wissen, worum es geht, beachten Sie diese Nachricht nicht.",
    ],
};

const MFA_CHANGED: Words = Words {
    subject: "Ihr zweiter Faktor wurde geändert",
    title: "Ihr zweiter Faktor wurde geändert",
    lines: &["Ein zweiter Faktor Ihres Kontos bei {{ brand }} wurde hinzugefügt, geändert oder \
              entfernt. Falls Sie das waren, ist nichts zu tun."],
    facts: &[("Gerät", "device"), ("Netzadresse", "address")],
    action: "Mein Konto ansehen",
    notes: &["Falls Sie das nicht waren, ändern Sie sofort Ihr Passwort und richten Sie den \
              zweiten Faktor neu ein."],
};
