// A model's Markdown as nodes of the page: whatever it says becomes text, never HTML. Pictures are
// not loaded, and an address is shown with its host and asked about, whole, before it is opened.
"use strict";
window.waremillMarkdown = ({ make, button, word, chip }) => {
  // Every part is bounded: a reply can be written so that what is not takes minutes to read.
  const INLINE = new RegExp(
    [
      "(?<!`)(?<code>`{1,20})(?!`)(?<inner>[\\s\\S]{0,2000}?[^`])\\k<code>(?!`)",
      "\\[(?<cite>\\d{1,3})\\]",
      "(?<picture>!)?\\[(?<label>[^\\]\\n]{0,500})\\]" +
        "\\(\\s{0,8}<?(?<target>[^)\\s>]{0,2000})>?(?:\\s[^)\\n]{0,500})?\\)",
      "<(?<angle>https?:[^>\\s]{1,2000})>",
      "(?<bare>https?:\\/\\/[^\\s<>\"'`）)】\\]]{1,2000})",
      "(?<mark>\\*\\*|__|~~)(?=\\S)(?<strong>[\\s\\S]{0,2000}?\\S)\\k<mark>",
      "(?<![\\w*])(?<em>[*_])(?=[^\\s*_])(?<soft>[^*_\\n]{0,2000}[^\\s*_])\\k<em>(?![\\w*])",
    ].join("|"),
    "g",
  );

  const inline = (text, into, turn) => {
    let last = 0;
    for (const found of text.matchAll(INLINE)) {
      const at = found.groups;
      if (found.index > last) into.append(text.slice(last, found.index));
      last = found.index + found[0].length;
      if (at.code) into.append(make("code", "", at.inner.trim() || at.inner));
      else if (at.cite) into.append(chip(Number(at.cite), turn) ?? found[0]);
      else if (at.target !== undefined && at.label !== undefined)
        into.append(link(at.label || at.target, at.target));
      else if (at.angle) into.append(link(at.angle, at.angle));
      else if (at.bare) {
        const tail = /[.,;:!?。，；：！？]+$/.exec(at.bare)?.[0] ?? "";
        const address = at.bare.slice(0, at.bare.length - tail.length);
        into.append(link(address, address), tail);
      } else if (at.mark) {
        const node = make(at.mark === "~~" ? "del" : "strong");
        inline(at.strong, node, turn);
        into.append(node);
      } else if (at.em) {
        const node = make("em");
        inline(at.soft, node, turn);
        into.append(node);
      }
    }
    if (last < text.length) into.append(text.slice(last));
  };

  // An address a model wrote is shown with its host, and asked about before it is opened.
  const link = (label, address) => {
    let url = null;
    try {
      url = new URL(address);
    } catch {
      url = null;
    }
    const node = make("span", "ch-link");
    if (!url || !/^https?:$/.test(url.protocol)) {
      node.textContent = label === address || !address ? label : `${label} (${address})`;
      return node;
    }
    const opener = button(label === address ? address : label, "ch-open", () => leave(url));
    opener.title = url.href;
    node.append(opener);
    if (label !== address) node.append(make("span", "ch-host", ` (${url.host})`));
    return node;
  };

  const leave = (url) => {
    const box = make("dialog", "ch-leave");
    box.append(
      make("h2", "", word("link_title")),
      make("p", "", word("link_about", { host: url.host })),
      make("code", "ch-address", url.href),
    );
    const row = make("div", "wm-actions");
    const close = () => {
      box.close();
      box.remove();
    };
    row.append(
      button(word("cancel"), "wm-plain", close),
      button(word("link_open", { host: url.host }), "ch-primary", () => {
        close();
        window.open(url.href, "_blank", "noopener,noreferrer");
      }),
    );
    box.append(row);
    box.addEventListener("cancel", () => setTimeout(() => box.remove()));
    document.body.append(box);
    box.showModal();
  };

  const MARK = /^(\s*)([-*+]|\d{1,3}[.)])\s+(.*)$/;
  const DEEPEST = 8; // quotations inside each other; what is deeper is text
  const isRow = (line) => line.trim().replace(/^\|/, "").includes("|");
  const isRule = (line) =>
    /^[\s|:-]+$/.test(line) && cells(line).every((one) => /^:?-+:?$/.test(one));

  // Parts a reply into blocks of whole lines; only the last can still change while it streams in.
  const blocksOf = (text) => {
    const lines = text.replace(/\r\n?/g, "\n").split("\n");
    const found = [];
    let at = 0;
    const take = (kind, more) => {
      const begin = at;
      at += 1;
      while (at < lines.length && more(lines[at], at)) at += 1;
      found.push({ kind, lines: lines.slice(begin, at) });
    };
    while (at < lines.length) {
      const line = lines[at];
      const fence = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
      if (!line.trim()) at += 1;
      else if (fence) {
        let closed = false;
        take("code", (one) => {
          if (closed) return false;
          closed = one.trim().startsWith(fence);
          return true;
        });
      } else if (/^#{1,6}\s/.test(line)) take("heading", () => false);
      else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) take("rule", () => false);
      else if (/^\s*>/.test(line)) take("quote", (one) => /^\s*>/.test(one));
      else if (MARK.test(line))
        take("list", (one, n) => MARK.test(one) || /^\s{2,}\S/.test(one) ||
          (!one.trim() && n + 1 < lines.length && MARK.test(lines[n + 1])));
      else if (isRow(line) && at + 1 < lines.length && isRule(lines[at + 1]))
        take("table", (one) => one.includes("|"));
      else
        take("text", (one, n) => one.trim() !== "" && !/^\s*(`{3,}|~{3,}|>|#{1,6}\s)/.test(one) &&
          !MARK.test(one) && !(isRow(one) && isRule(lines[n + 1] ?? "")));
    }
    return found.map((one) => ({ ...one, source: `${one.kind}\n${one.lines.join("\n")}` }));
  };

  const cells = (line) =>
    line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((one) => one.trim().replace(/\\\|/g, "|"));

  const drawBlock = (block, turn, depth) => {
    const { kind, lines } = block;
    if (kind === "code") {
      const closed = lines.length > 1 && /^\s*(`{3,}|~{3,})\s*$/.test(lines[lines.length - 1]);
      const pre = make("pre", "ch-code");
      pre.append(make("code", "", lines.slice(1, closed ? -1 : undefined).join("\n")));
      return pre;
    }
    if (kind === "rule") return make("hr");
    if (kind === "heading") {
      const marks = /^#+/.exec(lines[0])[0].length;
      const words = lines[0].slice(marks).trim();
      let end = words.length;
      while (words[end - 1] === "#") end -= 1;
      const node = make(`h${Math.min(6, marks + 2)}`);
      inline(words.slice(0, end), node, turn);
      return node;
    }
    if (kind === "quote") {
      const node = make("blockquote");
      const inner = lines.map((one) => one.replace(/^\s*>\s?/, "")).join("\n");
      if (depth < DEEPEST) draw(inner, node, turn, depth + 1);
      else node.append(inner);
      return node;
    }
    if (kind === "list") return drawList(lines, turn);
    if (kind === "table") return drawTable(lines, turn);
    const node = make("p");
    lines.forEach((one, n) => {
      if (n) node.append(/ {2,}$/.test(lines[n - 1]) ? make("br") : "\n");
      inline(one.trimEnd(), node, turn);
    });
    return node;
  };

  const drawList = (lines, turn) => {
    const first = MARK.exec(lines[0]);
    const list = make(/\d/.test(first[2]) ? "ol" : "ul");
    if (/\d/.test(first[2])) list.start = Number.parseInt(first[2], 10);
    const base = first[1].length;
    let at = 0;
    while (at < lines.length) {
      const found = MARK.exec(lines[at]);
      const item = make("li");
      inline(found ? found[3] : lines[at].trim(), item, turn);
      at += 1;
      const inner = [];
      while (at < lines.length) {
        const next = MARK.exec(lines[at]);
        if (next && next[1].length <= base + 1) break;
        inner.push(lines[at]);
        at += 1;
      }
      const nested = inner.filter((one) => one.trim());
      if (nested.length && MARK.test(nested[0])) item.append(drawList(nested, turn));
      else nested.forEach((one) => {
        item.append(" ");
        inline(one.trim(), item, turn);
      });
      list.append(item);
    }
    return list;
  };

  const drawTable = (lines, turn) => {
    const box = make("div", "ch-table");
    const table = make("table");
    const row = (line, tag) => {
      const node = make("tr");
      for (const one of cells(line)) {
        const cell = make(tag);
        inline(one, cell, turn);
        node.append(cell);
      }
      return node;
    };
    const head = make("thead");
    head.append(row(lines[0], "th"));
    const body = make("tbody");
    for (const line of lines.slice(2)) body.append(row(line, "td"));
    table.append(head, body);
    box.append(table);
    return box;
  };

  // Draws text into a place; blocks that did not change stay as they are, so nothing flickers.
  const draw = (text, into, turn, depth = 0) => {
    const before = into.blocks ?? [];
    const blocks = blocksOf(text);
    const known = turn ? turn.sources.size : 0;
    into.blocks = blocks.map((block, n) => {
      const old = before[n];
      const same = old && old.source === block.source && old.known === known;
      const node = same ? old.node : drawBlock(block, turn, depth);
      if (!same && old) old.node.replaceWith(node);
      else if (!old) into.append(node);
      return { source: block.source, known, node };
    });
    for (const old of before.slice(blocks.length)) old.node.remove();
  };

  return draw;
};
