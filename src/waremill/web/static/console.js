// Keys, the language switch and the viewer's time zone. Draws nothing; talks to nobody.
"use strict";
(() => {
  const cookie = (name, value) => {
    document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=31536000; samesite=lax`;
  };
  cookie("waremill_zone", Intl.DateTimeFormat().resolvedOptions().timeZone);

  const typing = (node) =>
    node instanceof HTMLElement &&
    (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName)) &&
    !/^(checkbox|radio|range|button|submit)$/.test(node.type || "");
  const busy = () => document.querySelector(".q-dialog, dialog[open]") !== null;

  const help = () => {
    const dialog = document.getElementById("wm-keys");
    if (!dialog || dialog.open) return;
    dialog.classList.toggle("wm-none", !document.querySelector("#wm-key-names[data-keys]"));
    dialog.showModal();
  };

  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.metaKey) return;
    const inside = typing(event.target);
    if (inside && event.key === "Escape") event.target.blur();
    if (busy()) return;
    const modified = (event.ctrlKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "");
    const name = modified + event.key;
    if (inside && !modified) return;
    if (going && Date.now() - going < 1500 && !modified) {
      going = 0;
      const link = document.querySelector(`.wm-nav a[data-go="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        link.click();
        return;
      }
    }
    if (name === "g") {
      going = Date.now();
      return;
    }
    if (name === "/") {
      const filter = document.querySelector("[data-filter] input, input[data-filter], [data-filter] textarea, textarea[data-filter]");
      if (filter) {
        event.preventDefault();
        filter.focus();
        filter.select();
      }
      return;
    }
    if (name === "?") {
      event.preventDefault();
      help();
      return;
    }
    const names = document.getElementById("wm-key-names")?.dataset.keys;
    if (!names || !names.split("\n").includes(name)) return;
    // Enter and space on a button or a link do what the button does.
    if (/^(Enter| )$/.test(name) && event.target.closest?.("button, a, summary, [role=tab]")) return;
    event.preventDefault();
    emitEvent("waremill_key", name);
  });

  // A list that is drawn anew keeps the focus: on the link or button of the same words.
  window.waremill = {
    keepFocus(id) {
      const place = document.getElementById(`c${id}`);
      const held = document.activeElement;
      if (!place || !held || !place.contains(held)) return;
      const words = held.textContent;
      setTimeout(() => {
        if (document.activeElement !== document.body) return;
        [...place.querySelectorAll("a, button")].find((one) => one.textContent === words)?.focus();
      }, 120);
    },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-language], [data-help], [data-sign-out]");
    if (!button) return;
    if (button.dataset.help) return help();
    const csrf = document.querySelector('meta[name="waremill-csrf"]')?.content;
    const tell = (path, method, body) =>
      fetch(path, {
        method,
        body: body && JSON.stringify(body),
        headers: { "X-CSRF-Token": csrf, ...(body && { "Content-Type": "application/json" }) },
      }).catch(() => undefined);
    if (button.dataset.signOut) {
      tell("/v1/session", "DELETE").then(() => location.assign("/login"));
      return;
    }
    const language = button.dataset.language;
    cookie("waremill_language", language);
    const kept = csrf ? tell("/v1/session/language", "PUT", { language }) : Promise.resolve();
    kept.then(() => location.reload());
  });
})();
