//! French.

use super::{Language, Words};

pub const FRENCH: Language = Language {
    code: "fr",
    greeting: "Bonjour {{ name }},",
    greeting_nobody: "Bonjour,",
    link: "Si le bouton ne fonctionne pas, ouvrez cette adresse dans votre navigateur :",
    automatic: "Ce message a été envoyé par {{ brand }}. Personne ne lit les réponses.",
    unsubscribe: "Ne plus recevoir de tels messages",
    minutes: ["minute", "minutes"],
    hours: ["heure", "heures"],
    days: ["jour", "jours"],
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
    subject: "Vous avez déjà un compte",
    title: "Vous avez déjà un compte",
    lines: &["Quelqu’un, sans doute vous, a voulu créer un compte avec cette adresse. Il en \
              existe déjà un : rien n’a été modifié."],
    facts: &[],
    action: "Choisir un nouveau mot de passe",
    notes: &["Si vous connaissez votre mot de passe, connectez-vous. Si ce n’était pas vous, \
              vous n’avez rien à faire."],
};

const VERIFY_EMAIL: Words = Words {
    subject: "Confirmez votre adresse e-mail",
    title: "Confirmez votre adresse e-mail",
    lines: &["Veuillez confirmer que cette adresse est la vôtre, afin que nous puissions vous \
              joindre et que vous retrouviez l’accès si vous oubliez votre mot de passe."],
    facts: &[("Adresse", "address")],
    action: "Confirmer l’adresse",
    notes: &[
        "{% if expires_in %}Le lien ne sert qu’une fois, pendant {{ expires_in }}.{% endif %}",
        "Si vous ne vous êtes pas inscrit chez {{ brand }}, ignorez ce message : rien ne se \
         passera.",
    ],
};

const RECOVER_PASSWORD: Words = Words {
    subject: "Choisissez un nouveau mot de passe",
    title: "Choisissez un nouveau mot de passe",
    lines: &["Quelqu’un, sans doute vous, a demandé un nouveau mot de passe pour votre compte \
              chez {{ brand }}."],
    facts: &[],
    action: "Choisir un mot de passe",
    notes: &[
        "{% if expires_in %}Le lien ne sert qu’une fois, pendant {{ expires_in }}.{% endif %}",
        "Si ce n’était pas vous, ignorez ce message : votre mot de passe reste inchangé.",
    ],
};

const MAGIC_LINK: Words = Words {
    subject: "Votre lien de connexion à {{ brand }}",
    title: "Connexion à {{ brand }}",
    lines: &["Utilisez ce lien pour vous connecter. Aucun mot de passe n’est nécessaire."],
    facts: &[],
    action: "Se connecter",
    notes: &[
        "{% if expires_in %}Le lien ne sert qu’une fois, pendant {{ expires_in }}.{% endif %}",
        "Ne le transmettez jamais : quiconque possède le lien peut se connecter à votre place. Si \
         vous ne l’avez pas demandé, ignorez ce message.",
    ],
};

const PASSWORD_CHANGED: Words = Words {
    subject: "Votre mot de passe a été modifié",
    title: "Votre mot de passe a été modifié",
    lines: &[
        "Le mot de passe de votre compte chez {{ brand }} a été modifié. Si c’était vous, il \
              n’y a rien à faire.",
    ],
    facts: &[("Appareil", "device"), ("Adresse réseau", "address")],
    action: "Ce n’était pas moi",
    notes: &[
        "Si ce n’était pas vous, choisissez aussitôt un nouveau mot de passe et vérifiez vos \
              sessions.",
    ],
};

const NEW_SIGN_IN: Words = Words {
    subject: "Nouvelle connexion à votre compte",
    title: "Nouvelle connexion à votre compte",
    lines: &[
        "Quelqu’un s’est connecté à votre compte chez {{ brand }} depuis un appareil que nous \
              ne connaissons pas encore. Si c’était vous, il n’y a rien à faire.",
    ],
    facts: &[("Appareil", "device"), ("Adresse réseau", "address")],
    action: "Voir mes sessions",
    notes: &["Si ce n’était pas vous, fermez cette session et changez votre mot de passe."],
};

const INVITE: Words = Words {
    subject: "{% if inviter %}{{ inviter }} vous invite{% else %}Vous êtes invité{% endif %} : \
              {{ organisation or brand }}",
    title: "Vous êtes invité : {{ organisation or brand }}",
    lines: &["{% if inviter %}{{ inviter }} souhaite travailler avec vous{% else %}Quelqu’un \
              souhaite travailler avec vous{% endif %} : {{ organisation or brand }}."],
    facts: &[],
    action: "Accepter l’invitation",
    notes: &[
        "{% if expires_in %}L’invitation est valable {{ expires_in }}.{% endif %}",
        "Si vous ne savez pas de quoi il s’agit, ignorez ce message.",
    ],
};

const MFA_CHANGED: Words = Words {
    subject: "Votre second facteur a été modifié",
    title: "Votre second facteur a été modifié",
    lines: &["Un second facteur de votre compte chez {{ brand }} a été ajouté, modifié ou \
              supprimé. Si c’était vous, il n’y a rien à faire."],
    facts: &[("Appareil", "device"), ("Adresse réseau", "address")],
    action: "Voir mon compte",
    notes: &[
        "Si ce n’était pas vous, changez aussitôt votre mot de passe et configurez à nouveau \
              votre second facteur.",
    ],
};
