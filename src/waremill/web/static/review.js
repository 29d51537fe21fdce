// The review desk's keys: which item was in sight, moving between fields, writing in place.
"use strict";
(() => {
  const QUIET = 150; // milliseconds an item must have been in sight before a key can judge it
  let turn = null;
  let since = 0;
  let field = -1;

  const box = () => document.querySelector("[data-turn]");
  const fields = () => [...document.querySelectorAll(".rv-field")];
  const typing = (node) =>
    node instanceof HTMLElement &&
    (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName)) &&
    !/^(checkbox|radio|range|button|submit)$/.test(node.type || "");
  const busy = () => document.querySelector(".q-dialog, dialog[open]") !== null;

  const look = () => {
    const now = box()?.dataset.turn ?? null;
    if (now === turn) return;
    turn = now;
    since = performance.now();
    field = -1;
    document.querySelector(".rv-source")?.scrollTo(0, 0);
    const made = document.querySelector(".rv-made");
    made?.scrollTo(0, 0);
    // What is objected to is in sight at once.
    const first = made?.querySelector("mark, .rv-legend")?.closest(".rv-field");
    const under = first && first.getBoundingClientRect().bottom - made.getBoundingClientRect().bottom;
    if (under > 0) made.scrollTop = under + 8;
  };
  new MutationObserver(look).observe(document.documentElement, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-turn"],
  });

  const light = (place, follow) => {
    const wanted = place?.dataset.sources?.split(" ") ?? [];
    for (const pair of document.querySelectorAll("[data-source]")) {
      pair.classList.toggle("rv-stands", wanted.includes(pair.dataset.source));
    }
    if (follow) document.querySelector(".rv-stands")?.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("focusin", (event) => {
    const place = event.target.closest?.(".rv-field");
    if (!place) return;
    field = fields().indexOf(place);
    light(place, true);
  });
  document.addEventListener("mouseover", (event) => {
    const place = event.target.closest?.(".rv-field");
    if (place) light(place, false);
    else if (event.target.closest?.(".rv-made")) light(document.activeElement?.closest?.(".rv-field"), false);
  });

  const step = (by) => {
    const all = fields();
    if (!all.length) return;
    field = Math.min(Math.max(field + by, 0), all.length - 1);
    all[field].focus();
  };

  const count = (area) => {
    const place = document.querySelector(`[data-count="${area.dataset.field}"]`);
    if (!place) return;
    const parts = area.dataset.list ? area.value.split("\n").map((one) => one.trim()) : [area.value];
    const longest = Math.max(...parts.map((one) => [...one].length));
    const limit = Number(area.dataset.limit);
    place.textContent = limit ? `${longest} / ${limit}` : `${longest}`;
    place.classList.toggle("rv-over", limit > 0 && longest > limit);
  };
  const areas = () => [...document.querySelectorAll(".rv-edit")];
  document.addEventListener("input", (event) => {
    if (event.target.matches?.("textarea.rv-edit")) count(event.target);
  });

  const save = () => {
    const values = {};
    for (const one of areas()) values[one.dataset.field] = one.value;
    emitEvent("review_save", { turn: Number(box()?.dataset.turn), values });
  };

  document.addEventListener("keydown", (event) => {
    const place = box();
    if (!place || event.isComposing || event.metaKey) return;
    if (event.target.matches?.(".rv-edit")) {
      if (event.key === "Escape" && !busy()) {
        event.preventDefault();
        emitEvent("review_leave");
      } else if (event.key === "Enter" && event.ctrlKey && !event.repeat) {
        event.preventDefault();
        save();
      }
      return;
    }
    if (event.target.matches?.(".rv-note-box input") && event.key === "Enter") {
      event.preventDefault();
      document.querySelector(".rv-strip")?.focus();
      return;
    }
    if (event.ctrlKey && event.key === "Enter" && place.dataset.editing && !busy()) {
      event.preventDefault();
      save();
      return;
    }
    if (typing(event.target) || busy() || event.ctrlKey || event.altKey) return;
    // A key that is held down judges one item, not all that come by.
    if (event.repeat && (event.key.length === 1 || event.key === "Enter")) {
      event.preventDefault();
      return;
    }
    if (event.key === "j" || event.key === "k") {
      event.preventDefault();
      step(event.key === "j" ? 1 : -1);
      return;
    }
    if (!place.dataset.keys.includes(event.key)) return;
    if (performance.now() - since < QUIET) {
      event.preventDefault();
      return;
    }
    emitEvent("review_seen", Number(place.dataset.turn));
    if (event.key === "g") {
      event.preventDefault();
      emitEvent("waremill_key", "g");
    }
  }, true);

  // The second click of a double click falls on the next item's button.
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".rv-actions button") || performance.now() - since >= 2 * QUIET) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  // What was written and not saved is not lost by a closed window.
  window.addEventListener("beforeunload", (event) => {
    const changed = (one) => one.matches("textarea") && one.value !== one.defaultValue;
    if (areas().some(changed)) event.preventDefault();
  });

  window.waremillReview = {
    save,
    ready: () => turn !== null && performance.now() - since >= 2 * QUIET,
    field: () => field,
    strip: () => setTimeout(() => document.querySelector(".rv-strip")?.focus(), 0),
    edit: () => setTimeout(() => {
      const all = areas();
      all.filter((one) => one.matches("textarea")).forEach(count);
      const first = all[Math.max(field, 0)] ?? all[0];
      first?.focus();
      if (first?.setSelectionRange) first.setSelectionRange(first.value.length, first.value.length);
    }, 0),
  };
  look();
})();
