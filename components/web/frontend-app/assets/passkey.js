// Passkeys: the one thing that a page cannot do without script. The page carries the question of
// the server as JSON; the browser's answer goes back with the page's own form. No request is made
// here, and nothing is kept.

const form = document.querySelector("form[data-passkey]");
const words = document.querySelector("[data-passkey-words]");

const bytes = (text) => {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
};

const text = (buffer) => {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

const known = (list) => (list ?? []).map((entry) => ({ ...entry, id: bytes(entry.id) }));

// WebAuthn Level 3, "parseCreationOptionsFromJSON" and "toJSON", for browsers without them.
const creation = (options) => ({
  ...options,
  challenge: bytes(options.challenge),
  user: { ...options.user, id: bytes(options.user.id) },
  excludeCredentials: known(options.excludeCredentials),
});

const request = (options) => ({
  ...options,
  challenge: bytes(options.challenge),
  allowCredentials: known(options.allowCredentials),
});

const answer = (credential) => {
  const given = credential.response;
  const response = { clientDataJSON: text(given.clientDataJSON) };
  if (given.attestationObject) {
    response.attestationObject = text(given.attestationObject);
    response.transports = given.getTransports?.() ?? [];
  } else {
    response.authenticatorData = text(given.authenticatorData);
    response.signature = text(given.signature);
    response.userHandle = given.userHandle ? text(given.userHandle) : null;
  }
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? null,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  };
};

const say = (sentence) => {
  words.textContent = sentence;
};

const excuses = {
  InvalidStateError: "This device has a passkey for your account already.",
  NotAllowedError: "It was cancelled or took too long. Try again when you are ready.",
  SecurityError: "This address cannot use passkeys. Open the site under its own name.",
};

const run = async () => {
  const options = JSON.parse(form.dataset.options);
  say("Follow your browser or device.");
  try {
    const credential = form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: creation(options) })
      : await navigator.credentials.get({ publicKey: request(options) });
    form.elements.credential.value = JSON.stringify(answer(credential));
    say("One moment.");
    form.submit();
  } catch (error) {
    say(excuses[error.name] ?? "Your browser could not use a passkey here.");
  }
};

if (form && words) {
  if (window.PublicKeyCredential) {
    form.querySelector("button").disabled = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run();
    });
    run();
  } else {
    say("This browser does not know passkeys. Please sign in another way.");
  }
}
