// Asks the device for a passkey, and sends what it answers with the form that it was asked by.
"use strict";
(() => {
  const bytes = (s) => Uint8Array.from(atob(s.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const keys = (list) => (list || []).map((k) => ({ ...k, id: bytes(k.id) }));
  const why = {
    InvalidStateError: "This device has a passkey for you here already.",
    SecurityError: "Passkeys belong to the portal's own address, and this page has another. Open the portal there.",
  };

  async function ask(kind, options) {
    options.challenge = bytes(options.challenge);
    if (kind === "create") {
      options.user.id = bytes(options.user.id);
      options.excludeCredentials = keys(options.excludeCredentials);
    } else {
      options.allowCredentials = keys(options.allowCredentials);
    }
    const found = await navigator.credentials[kind]({ publicKey: options });
    const said = { clientDataJSON: text(found.response.clientDataJSON) };
    for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (found.response[part]) said[part] = text(found.response[part]);
    }
    if (found.response.getTransports) said.transports = found.response.getTransports();
    return JSON.stringify({ id: found.id, rawId: text(found.rawId), type: found.type, response: said });
  }

  if (!window.PublicKeyCredential) return;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const button = form.querySelector("button"), told = form.querySelector("[role=alert]");
    form.hidden = false;
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      button.disabled = true;
      told.textContent = "";
      try {
        form.elements.answer.value = await ask(form.dataset.passkey, JSON.parse(form.dataset.options));
        form.submit();
      } catch (no) {
        told.textContent = why[no.name] || "No passkey was used. Try again, or take another way.";
        button.disabled = false;
      }
    });
  }
})();
