// The page Chat: draws a conversation out of data it is handed. Whatever a model, a document or a
// product says becomes text nodes, never HTML; nothing is fetched; a link is opened after a look at
// its whole address. What a person does goes to the server as one event.
"use strict";
(() => {
  const state = { words: {}, conversation: null, live: null, edits: null, rows: [], next: false };
  let parts = null;

  const word = (key, values = {}) =>
    (state.words[`chat.${key}`] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const tell = (name, more = {}) => emitEvent("waremill_chat", { do: name, ...more });

  const make = (tag, classes = "", text = null, more = {}) => {
    const node = document.createElement(tag);
    if (classes) node.className = classes;
    if (text !== null) node.textContent = text;
    for (const [name, value] of Object.entries(more)) node.setAttribute(name, value);
    return node;
  };
  const button = (text, classes, work, label = "") => {
    const node = make("button", classes, text, { type: "button" });
    if (label) {
      node.setAttribute("aria-label", label);
      node.title = label;
    }
    node.addEventListener("click", work);
    return node;
  };

  const chip = (number, turn) => {
    const source = turn?.sources.get(number);
    if (!source) return null;
    const node = button(String(number), "ch-chip", () => openSource(source, node));
    node.setAttribute("aria-label", `${word("source", { number })}: ${source.place}`);
    node.title = source.place;
    return node;
  };

  const draw = window.waremillMarkdown({ make, button, word, chip });

  // ---------------------------------------------------------------- one turn

  const drawTurn = (data) => {
    const turn = { ...data, sources: new Map(data.sources.map((one) => [one.number, one])) };
    const node = make("article", "ch-turn", null, { "data-turn": data.id });
    node.append(drawQuestion(turn), drawAnswer(turn));
    turn.node = node;
    return turn;
  };

  const drawQuestion = (turn) => {
    const box = make("div", "ch-question");
    box.append(make("div", "ch-asked", turn.question));
    const row = make("div", "ch-acts");
    if (turn.beside.length > 1) {
      const at = turn.beside.indexOf(turn.id);
      const step = (by) => tell("branch", { turn: turn.beside[at + by] });
      const back = button("‹", "ch-act", () => step(-1), word("earlier"));
      const on = button("›", "ch-act", () => step(1), word("later"));
      back.disabled = at <= 0;
      on.disabled = at >= turn.beside.length - 1;
      const label = make("span", "ch-of", `${at + 1}/${turn.beside.length}`);
      label.title = word("branch", { number: at + 1, count: turn.beside.length });
      row.append(back, label, on);
    }
    row.append(button("✎", "ch-act", () => edit(turn), word("edit")));
    box.append(row);
    return box;
  };

  const drawAnswer = (turn) => {
    const box = make("div", "ch-answer");
    turn.stepsBox = make("div", "ch-steps");
    turn.text = make("div", "ch-text");
    turn.cards = make("div", "ch-cards");
    turn.foot = make("div", "ch-foot");
    box.append(turn.stepsBox, turn.text, turn.cards, turn.foot);
    turn.calls = new Map();
    for (const one of turn.steps) turn.calls.set(one.id, one);
    drawSteps(turn);
    draw(turn.reply, turn.text, turn);
    for (const one of turn.drafts) turn.cards.append(drawDraft(one));
    if (turn.state !== "working") drawFoot(turn);
    else turn.text.append(make("p", "ch-wait", word("thinking")));
    return box;
  };

  const drawSteps = (turn) => {
    const all = [...turn.calls.values()];
    turn.stepsBox.hidden = !all.length;
    if (!all.length) return;
    const wasOpen = turn.stepsBox.querySelector("details")?.open ?? false;
    const details = make("details", "ch-looked");
    details.open = wasOpen;
    const last = all[all.length - 1];
    const summary = make("summary", "", all.length > 1 ? `${last.said} · ${all.length}` : last.said);
    if (!last.done) summary.append(make("span", "ch-dots", " …"));
    details.append(summary);
    for (const one of all) {
      const step = make("div", "ch-step");
      const said = one.done ? (one.failed ? word("step_failed") : "") : word("step_running");
      step.append(make("div", "ch-step-name", said ? `${one.said} (${said})` : one.said));
      step.append(make("code", "ch-step-args", `${one.name} ${one.arguments}`));
      if (one.content) step.append(make("pre", "ch-step-result", one.content));
      details.append(step);
    }
    turn.stepsBox.replaceChildren(details);
  };

  const drawFoot = (turn) => {
    const foot = turn.foot;
    foot.replaceChildren();
    const said = { stopped: "stopped", failed: "failed", truncated: "truncated", refused: "refused" };
    if (said[turn.state]) {
      const line = `${word(said[turn.state])}${turn.error ? ` ${turn.error}` : ""}`;
      foot.append(make("div", turn.state === "failed" ? "wm-bad" : "wm-muted", line));
    } else if (!turn.reply && !turn.drafts.length) foot.append(make("div", "wm-muted", word("empty")));
    for (const one of turn.notes) foot.append(make("div", "ch-note", one));
    const cited = turn.cited.map((number) => turn.sources.get(number)).filter(Boolean);
    if (cited.length) {
      const list = make("div", "ch-sources");
      list.append(make("span", "ch-sources-name", word("sources")));
      for (const one of cited) {
        const open = button("", "ch-source", () => openSource(one, open));
        open.append(make("span", "ch-chip", String(one.number)), make("span", "ch-place", one.place));
        list.append(open);
      }
      foot.append(list);
    }
    const line = make("div", "ch-figures");
    const figures = [turn.model];
    if (turn.first !== null) figures.push(word("first_token", { seconds: turn.first.toFixed(2) }));
    figures.push(word("whole", { seconds: turn.seconds.toFixed(1) }));
    figures.push(word("tokens", { input: turn.input, output: turn.output }), turn.cost);
    line.append(make("span", "", figures.filter(Boolean).join(" · ")));
    line.append(
      button("↻", "ch-act", () => again(turn), word("retry")),
      button("⧉", "ch-act", (event) => copy(turn.reply, event.currentTarget), word("copy")),
    );
    foot.append(line);
  };

  const copy = async (text, on) => {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    on.textContent = "✓";
    on.setAttribute("aria-label", word("copied"));
    setTimeout(() => {
      on.textContent = "⧉";
      on.setAttribute("aria-label", word("copy"));
    }, 1200);
  };

  // ---------------------------------------------------------------- cards

  const card = (title, classes = "") => {
    const node = make("section", `ch-card ${classes}`);
    node.append(make("h3", "", title));
    return node;
  };
  const anchor = (text, path, classes = "ch-go") => {
    const node = make("a", classes, text);
    node.setAttribute("href", path);
    return node;
  };

  const drawDraft = (one) => {
    if (one.kind === "selection") {
      const node = card(word("selection"));
      node.append(make("div", "ch-count", word("selection_count", { count: one.count })));
      node.append(make("code", "ch-sql", one.where));
      if (one.targets.length)
        node.append(make("div", "wm-muted", `${word("targets")} ${one.targets.join(", ")}`));
      const list = make("ul", "ch-samples");
      for (const each of one.samples) {
        const item = make("li");
        item.append(make("b", "", each.key), ` ${each.name === each.key ? "" : each.name}`);
        list.append(item);
      }
      if (one.samples.length) node.append(list);
      const row = make("div", "ch-row");
      row.append(anchor(word("open_catalogue"), one.open, "ch-go ch-primary"), anchor(word("open_run"), one.run));
      node.append(row);
      return node;
    }
    if (one.kind === "template") {
      const node = card(`${word("template")}: ${one.name}`);
      const pre = make("pre", "ch-code");
      pre.append(make("code", "", one.text));
      node.append(pre);
      for (const each of one.problems)
        node.append(make("div", "ch-note", each.line ? `${word("line", each)}: ${each.message}` : each.message));
      const row = make("div", "ch-row");
      if (one.open) row.append(anchor(word("open_editor"), one.open, "ch-go ch-primary"));
      node.append(row);
      return node;
    }
    const node = card(`${word("estimate")}: ${one.pipeline}`);
    node.append(make("div", "ch-count", `${word("cost")} ${one.cost || word("unknown")}`));
    node.append(make("div", "wm-muted", word("estimate_about", one)));
    return node;
  };

  const drawPermission = (turn, asked) => {
    const node = card(word("permission"), "ch-permission");
    node.setAttribute("role", "group");
    node.dataset.call = asked.id;
    node.append(make("div", "", word("permission_about")));
    node.append(make("div", "ch-count", asked.said));
    let shown = asked.arguments;
    try {
      shown = JSON.stringify(JSON.parse(asked.arguments), null, 2);
    } catch {
      shown = asked.arguments;
    }
    const pre = make("pre", "ch-code");
    pre.append(make("code", "", shown));
    const row = make("div", "ch-row");
    const answer = (allow) => {
      tell("permit", { call: asked.id, allow });
      row.replaceChildren(make("span", "wm-muted", word(allow ? "allowed" : "denied")));
    };
    const no = button(word("deny"), "ch-go", () => answer(false));
    row.append(button(word("allow"), "ch-go ch-primary", () => answer(true)), no);
    node.append(pre, row);
    turn.cards.append(node);
    no.focus(); // a key pressed by habit does nothing
  };

  // ---------------------------------------------------------------- the panel with a source

  let opener = null;
  const openSource = (source, from) => {
    opener = from;
    const panel = parts.panel;
    panel.replaceChildren();
    const head = make("div", "ch-panel-head");
    head.append(make("span", "ch-chip", String(source.number)), make("b", "", source.place));
    head.append(button("×", "wm-close", closeSource, word("close")));
    panel.append(head, make("div", "wm-muted", source.of), make("div", "ch-passage", source.text));
    if (source.link) panel.append(anchor(word("open_product"), source.link));
    parts.root.classList.add("ch-with-panel");
    panel.hidden = false;
    panel.focus();
  };
  const closeSource = () => {
    parts.panel.hidden = true;
    parts.root.classList.remove("ch-with-panel");
    if (opener?.isConnected) opener.focus();
    opener = null;
  };

  // ---------------------------------------------------------------- the thread

  const near = () => {
    const box = parts.thread;
    return box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  };
  const toEnd = () => {
    parts.thread.scrollTop = parts.thread.scrollHeight;
  };

  const show = (conversation) => {
    if (!parts) return;
    const stuck = near() || state.conversation?.id !== conversation?.id;
    const before = new Map((state.turns ?? []).map((one) => [one.id, one]));
    if (state.conversation?.id !== conversation?.id) closeSource();
    state.conversation = conversation;
    state.live = null;
    state.turns = [];
    const nodes = [];
    for (const data of conversation?.turns ?? []) {
      const said = JSON.stringify(data);
      const old = before.get(data.id);
      // What is as it was stays in the page: open details and a selection are not lost.
      const turn = old && old.said === said ? old : drawTurn(data);
      turn.said = said;
      state.turns.push(turn);
      nodes.push(turn.node);
      if (data.state === "working") state.live = turn;
    }
    parts.turns.replaceChildren(...nodes);
    parts.welcome.hidden = nodes.length > 0;
    parts.total.textContent = conversation ? word("total", { cost: conversation.cost }) : "";
    parts.exports.replaceChildren();
    for (const [format, path] of Object.entries(conversation?.exports ?? {})) {
      const node = anchor(word(`export_${format}`), path, "ch-export");
      node.setAttribute("download", "");
      parts.exports.append(node);
    }
    busy();
    mark();
    if (stuck) toEnd();
    if (!conversation) parts.box.focus();
  };

  let drawing = 0;
  const redraw = (turn) => {
    if (drawing) return;
    drawing = requestAnimationFrame(() => {
      drawing = 0;
      const stuck = near();
      turn.text.querySelector(".ch-wait")?.remove();
      draw(turn.reply, turn.text, turn);
      if (stuck) toEnd();
    });
  };

  const hear = (events) => {
    const turn = state.live;
    if (!turn) return;
    for (const one of events) {
      if (one.is === "text") {
        turn.reply += one.text;
        redraw(turn);
      } else if (one.is === "citation") turn.sources.set(one.source.number, one.source);
      else if (one.is === "call" || one.is === "result") {
        turn.calls.set(one.id, { ...one, done: one.is === "result" });
        drawSteps(turn);
      } else if (one.is === "permission") drawPermission(turn, one);
      else if (one.is === "draft") turn.cards.append(drawDraft(one.draft));
      else if (one.is === "note") turn.foot.append(make("div", "ch-note", one.text));
      if (one.is === "result")
        turn.cards.querySelector(`[data-call="${CSS.escape(one.id)}"] .ch-row:has(button)`)
          ?.replaceChildren(make("span", "wm-muted", word(one.failed ? "denied" : "allowed")));
    }
    if (near()) toEnd();
  };

  // ---------------------------------------------------------------- the question

  const send = () => {
    const text = parts.box.value.trim();
    if (!text || state.live || state.sending) return;
    state.sending = true;
    tell("send", { text, ...(state.edits && { edits: state.edits }) });
    parts.box.value = "";
    grow();
    leaveEdit();
    busy();
  };
  const again = (turn) => {
    if (state.live || state.sending) return;
    state.sending = true;
    tell("send", { retries: turn.id });
    busy();
  };
  const edit = (turn) => {
    state.edits = turn.id;
    parts.box.value = turn.question;
    parts.editing.hidden = false;
    grow();
    parts.box.focus();
  };
  const leaveEdit = () => {
    state.edits = null;
    parts.editing.hidden = true;
  };
  const busy = () => {
    const writing = Boolean(state.live);
    if (writing) state.sending = false;
    parts.send.hidden = writing;
    parts.stop.hidden = !writing;
    parts.send.disabled = Boolean(state.sending);
  };
  const grow = () => {
    parts.box.style.height = "auto";
    parts.box.style.height = `${Math.min(parts.box.scrollHeight + 2, 220)}px`;
  };

  const typed = (event) => {
    if (event.isComposing || event.keyCode === 229) return; // an input method is at work
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (state.live) tell("stop");
      else if (state.edits) {
        parts.box.value = "";
        leaveEdit();
        grow();
      } else parts.box.blur();
    } else if (event.key === "ArrowUp" && !parts.box.value && state.turns?.length && !state.live) {
      event.preventDefault();
      edit(state.turns[state.turns.length - 1]);
    }
  };

  // ---------------------------------------------------------------- the history

  const list = ({ rows, more, next }) => {
    if (!parts) return;
    state.rows = more ? [...state.rows, ...rows] : rows;
    state.next = next;
    const nodes = state.rows.map((one) => {
      const item = make("li", "ch-row-of", null, { "data-id": one.id });
      const open = button("", "ch-title", () => tell("open", { id: one.id }));
      open.append(make("span", "ch-title-text", one.title), make("span", "ch-when", one.at));
      const acts = make("span", "ch-row-acts");
      acts.append(
        button("✎", "ch-act", () => tell("rename", { id: one.id }), `${word("rename")}: ${one.title}`),
        button("×", "ch-act", () => tell("delete", { id: one.id }), `${word("delete")}: ${one.title}`),
      );
      item.append(open, acts);
      return item;
    });
    parts.list.replaceChildren(...nodes);
    parts.none.hidden = nodes.length > 0;
    parts.more.hidden = !next;
    mark();
  };
  const mark = () => {
    for (const item of parts.list.children) {
      const here = item.dataset.id === String(state.conversation?.id);
      item.firstChild.setAttribute("aria-current", here ? "page" : "false");
    }
  };

  // ---------------------------------------------------------------- the beginning

  const start = ({ words }) => {
    state.words = words;
    const root = document.getElementById("ch-root");
    if (!root) return;
    root.replaceChildren();
    const wide = matchMedia("(min-width: 1000px)").matches;
    const history = make("details", "ch-history");
    history.open = wide;
    history.append(make("summary", "", word("history")));
    const none = make("div", "wm-muted", word("none"));
    const rows = make("ul", "ch-list");
    const more = button(word("more"), "wm-text-button", () => tell("more"));
    more.hidden = true;
    history.append(none, rows, more);

    const thread = make("div", "ch-thread", null, { tabindex: "0", "aria-label": word("history") });
    const welcome = make("div", "ch-welcome");
    welcome.append(make("h2", "", word("welcome")), make("p", "wm-muted", word("about")));
    welcome.append(make("div", "ch-sources-name", word("try")));
    for (const n of [1, 2, 3])
      welcome.append(button(word(`try_${n}`), "ch-example", () => {
        parts.box.value = word(`try_${n}`);
        grow();
        parts.box.focus();
      }));
    const turns = make("div", "ch-turns", null, { role: "log", "aria-live": "polite" });
    thread.append(welcome, turns);

    const compose = make("form", "ch-compose");
    const editing = make("div", "ch-editing", word("editing"));
    editing.hidden = true;
    const box = make("textarea", "ch-box", null, {
      rows: "1", "aria-label": word("ask"), placeholder: word("ask"), maxlength: "20000",
    });
    const go = make("button", "ch-send ch-primary", word("send"), { type: "submit" });
    const stop = button(word("stop"), "ch-send", () => tell("stop"));
    stop.hidden = true;
    const row = make("div", "ch-compose-row");
    row.append(box, go, stop);
    const below = make("div", "ch-below");
    const total = make("span", "ch-total");
    const exports = make("span", "ch-exports");
    below.append(make("span", "ch-keys", word("keys")), exports, total);
    compose.append(editing, row, below);
    compose.addEventListener("submit", (event) => {
      event.preventDefault();
      send();
    });
    box.addEventListener("keydown", typed);
    box.addEventListener("input", grow);

    const panel = make("aside", "ch-panel", null, { tabindex: "-1", "aria-label": word("sources") });
    panel.hidden = true;
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      closeSource();
    });
    const middle = make("div", "ch-middle");
    middle.append(thread, compose);
    root.append(history, middle, panel);
    parts = {
      root, thread, welcome, turns, box, send: go, stop, editing, panel, list: rows, none, more,
      total, exports,
    };
  };

  window.waremillChat = {
    start, show, hear, list,
    focus: () => parts?.box.focus(),
    idle: () => {
      state.sending = false;
      if (parts) busy();
    },
    at: (path) => history.replaceState(null, "", path),
  };
})();
