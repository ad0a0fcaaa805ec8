//! Spanish.

use super::{Language, Words};

pub const SPANISH: Language = Language {
    code: "es",
    greeting: "Hola, {{ name }}:",
    greeting_nobody: "Hola:",
    link: "Si el botón no funciona, abra esta dirección en su navegador:",
    automatic: "Este mensaje lo ha enviado {{ brand }}. Nadie lee las respuestas.",
    unsubscribe: "Dejar de recibir mensajes como este",
    minutes: ["minuto", "minutos"],
    hours: ["hora", "horas"],
    days: ["día", "días"],
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
    subject: "Ya tiene una cuenta",
    title: "Ya tiene una cuenta",
    lines: &["Alguien, probablemente usted, ha intentado crear una cuenta con esta dirección. \
              Ya existe una, así que no se ha cambiado nada."],
    facts: &[],
    action: "Elegir una contraseña nueva",
    notes: &["Si conoce su contraseña, inicie sesión. Si no ha sido usted, no tiene que hacer \
              nada."],
};

const VERIFY_EMAIL: Words = Words {
    subject: "Confirme su dirección de correo",
    title: "Confirme su dirección de correo",
    lines: &[
        "Confirme que esta dirección es suya, para que podamos comunicarnos con usted y pueda \
              volver a entrar si alguna vez olvida su contraseña.",
    ],
    facts: &[("Dirección", "address")],
    action: "Confirmar la dirección",
    notes: &[
        "{% if expires_in %}El enlace sirve una sola vez, durante {{ expires_in }}.{% endif %}",
        "Si no se ha registrado en {{ brand }}, ignore este mensaje: no pasará nada.",
    ],
};

const RECOVER_PASSWORD: Words = Words {
    subject: "Elija una contraseña nueva",
    title: "Elija una contraseña nueva",
    lines: &["Alguien, probablemente usted, ha pedido una contraseña nueva para su cuenta en \
              {{ brand }}."],
    facts: &[],
    action: "Elegir una contraseña",
    notes: &[
        "{% if expires_in %}El enlace sirve una sola vez, durante {{ expires_in }}.{% endif %}",
        "Si no ha sido usted, ignore este mensaje: su contraseña no cambia.",
    ],
};

const MAGIC_LINK: Words = Words {
    subject: "Su enlace para entrar en {{ brand }}",
    title: "Entrar en {{ brand }}",
    lines: &["Use este enlace para entrar. No hace falta ninguna contraseña."],
    facts: &[],
    action: "Entrar",
    notes: &[
        "{% if expires_in %}El enlace sirve una sola vez, durante {{ expires_in }}.{% endif %}",
        "No lo comparta nunca: quien tenga el enlace puede entrar en su nombre. Si no lo ha \
         pedido, ignore este mensaje.",
    ],
};

const PASSWORD_CHANGED: Words = Words {
    subject: "Su contraseña ha cambiado",
    title: "Su contraseña ha cambiado",
    lines: &["La contraseña de su cuenta en {{ brand }} ha cambiado. Si ha sido usted, no tiene \
              que hacer nada."],
    facts: &[("Dispositivo", "device"), ("Dirección de red", "address")],
    action: "No he sido yo",
    notes: &["Si no ha sido usted, elija enseguida una contraseña nueva y revise sus sesiones."],
};

const NEW_SIGN_IN: Words = Words {
    subject: "Nuevo acceso a su cuenta",
    title: "Nuevo acceso a su cuenta",
    lines: &["Alguien ha entrado en su cuenta en {{ brand }} desde un dispositivo que aún no \
              conocíamos. Si ha sido usted, no tiene que hacer nada."],
    facts: &[("Dispositivo", "device"), ("Dirección de red", "address")],
    action: "Ver mis sesiones",
    notes: &["Si no ha sido usted, cierre esa sesión y cambie su contraseña."],
};

const INVITE: Words = Words {
    subject: "{% if inviter %}{{ inviter }} le invita{% else %}Tiene una invitación{% endif %}: \
              {{ organisation or brand }}",
    title: "Tiene una invitación: {{ organisation or brand }}",
    lines: &["{% if inviter %}{{ inviter }} quiere trabajar con usted{% else %}Alguien quiere \
              trabajar con usted{% endif %}: {{ organisation or brand }}."],
    facts: &[],
    action: "Aceptar la invitación",
    notes: &[
        "{% if expires_in %}La invitación vale durante {{ expires_in }}.{% endif %}",
        "Si no sabe de qué se trata, ignore este mensaje.",
    ],
};

const MFA_CHANGED: Words = Words {
    subject: "Su segundo factor ha cambiado",
    title: "Su segundo factor ha cambiado",
    lines: &[
        "Se ha añadido, cambiado o quitado un segundo factor de su cuenta en {{ brand }}. Si \
              ha sido usted, no tiene que hacer nada.",
    ],
    facts: &[("Dispositivo", "device"), ("Dirección de red", "address")],
    action: "Ver mi cuenta",
    notes: &[
        "Si no ha sido usted, cambie enseguida su contraseña y configure de nuevo su segundo \
              factor.",
    ],
};
