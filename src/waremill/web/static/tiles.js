// Many items as tiles: a picture is fetched once its tile is in sight; rows are chosen as in a list.
"use strict";
(() => {
  const DWELL = 120; // milliseconds a tile is in sight before its picture is fetched
  const boards = new Map();

  const make = (tag, classes, text) => {
    const node = document.createElement(tag);
    if (classes) node.className = classes;
    if (text) node.textContent = text;
    return node;
  };

  const fetchLater = (board, tile) => {
    if (board.waiting.has(tile)) return;
    board.waiting.set(tile, setTimeout(() => {
      board.waiting.delete(tile);
      board.seen.unobserve(tile);
      const image = tile.querySelector("img");
      if (image) image.src = image.dataset.src;
    }, DWELL));
  };
  const begin = (id) => {
    const box = document.getElementById(`c${id}`);
    const known = boards.get(id);
    if (known && known.box === box) return known;
    const board = { id, box, grid: null, anchor: 0, waiting: new Map() };
    board.seen = new IntersectionObserver((entries) => {
      for (const one of entries) {
        if (one.isIntersecting) fetchLater(board, one.target);
        else {
          clearTimeout(board.waiting.get(one.target));
          board.waiting.delete(one.target);
        }
      }
    }, { root: box, rootMargin: "120px" });
    box.addEventListener("click", (event) => clicked(board, event));
    box.addEventListener("dblclick", (event) => {
      const tile = event.target.closest(".tl-tile");
      if (tile) emitEvent("tile_opened", Number(tile.dataset.id));
    });
    box.addEventListener("keydown", (event) => pressed(board, event));
    boards.set(id, board);
    return board;
  };

  const tiles = (board) => [...(board.grid?.children ?? [])];
  const tell = (board) => {
    clearTimeout(board.telling);
    board.telling = setTimeout(() => emitEvent("tiles_chosen", board.id), 60);
  };
  const pick = (board, tile, on) => {
    tile.setAttribute("aria-selected", String(on));
    tell(board);
  };
  const range = (board, from, to, on) => {
    const [low, high] = from < to ? [from, to] : [to, from];
    for (const one of tiles(board).slice(low, high + 1)) pick(board, one, on);
  };
  const focus = (board, place, scroll = true) => {
    const all = tiles(board);
    for (const one of all) one.tabIndex = -1;
    const tile = all[place];
    if (!tile) return;
    tile.tabIndex = 0;
    tile.focus({ preventScroll: true });
    if (scroll) tile.scrollIntoView({ block: "nearest" });
  };
  const isOn = (tile) => tile.getAttribute("aria-selected") === "true";

  const clicked = (board, event) => {
    const tile = event.target.closest(".tl-tile");
    if (!tile) return;
    const place = tiles(board).indexOf(tile);
    if (event.shiftKey) range(board, board.anchor, place, true);
    else {
      pick(board, tile, !isOn(tile));
      board.anchor = place;
    }
    focus(board, place, false);
  };
  const pickAll = (board) => {
    const all = tiles(board), on = !all.every(isOn);
    for (const one of all) pick(board, one, on);
  };
  const columns = (board) => getComputedStyle(board.grid).gridTemplateColumns.split(" ").length;
  const pressed = (board, event) => {
    if (event.altKey || event.metaKey) return;
    const all = tiles(board), place = all.indexOf(document.activeElement);
    if (event.key === "a" && event.ctrlKey) {
      event.preventDefault();
      pickAll(board);
      return;
    }
    if (place < 0 || event.ctrlKey) return;
    if (event.key === " ") {
      event.preventDefault();
      pick(board, all[place], !isOn(all[place]));
      board.anchor = place;
      return;
    }
    const by = columns(board);
    const to = {
      ArrowRight: place + 1, ArrowLeft: place - 1, ArrowDown: place + by, ArrowUp: place - by,
      Home: 0, End: all.length - 1, PageDown: place + 3 * by, PageUp: place - 3 * by,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = Math.min(Math.max(to, 0), all.length - 1);
    if (event.shiftKey) range(board, board.anchor, next, true);
    else board.anchor = next;
    focus(board, next);
  };

  const tile = (row, words) => {
    const node = make("div", "tl-tile");
    node.setAttribute("role", "option");
    node.setAttribute("aria-selected", "false");
    node.setAttribute("aria-label", row.label);
    node.tabIndex = -1;
    node.dataset.id = row.id;
    const box = make("span", "px-tile-image");
    if (row.src) {
      const image = make("img");
      image.alt = "";
      image.decoding = "async";
      image.dataset.src = row.src;
      box.append(image);
    } else {
      box.classList.add("px-broken");
      box.dataset.says = words.none;
    }
    const line = make("div", "tl-line");
    line.append(make("b", "", row.key), make("span", `wm-state wm-state-${row.state}`, row.word));
    node.append(box, make("span", "tl-pick"), line);
    if (row.target) node.append(make("div", "tl-line wm-muted", row.target));
    node.append(make("div", "tl-about", row.about));
    node.lastChild.title = row.about;
    if (row.more) node.append(make("span", "tl-more", row.more));
    return node;
  };

  window.waremillTiles = {
    show(id, rows, words) {
      const board = begin(id);
      for (const timer of board.waiting.values()) clearTimeout(timer);
      board.waiting.clear();
      board.seen.disconnect();
      const held = board.box.contains(document.activeElement);
      board.box.replaceChildren();
      board.anchor = 0;
      board.grid = make("div", "tl-grid");
      board.grid.setAttribute("role", "listbox");
      board.grid.setAttribute("aria-multiselectable", "true");
      board.grid.setAttribute("aria-label", words.label);
      board.grid.append(...rows.map((row) => tile(row, words)));
      if (rows.length) board.box.append(board.grid);
      else board.box.append(make("div", "tl-none", words.nothing));
      board.box.scrollTop = 0;
      for (const one of board.grid.children) board.seen.observe(one);
      if (board.grid.firstChild) board.grid.firstChild.tabIndex = 0;
      if (held) focus(board, 0);
    },
    // Another picture of the same rows: what is chosen stays.
    picture(id, sources) {
      const board = begin(id);
      for (const one of tiles(board)) {
        const image = one.querySelector("img"), wanted = sources[one.dataset.id];
        if (!image || !wanted) continue;
        image.removeAttribute("src");
        image.dataset.src = wanted;
        board.seen.observe(one);
      }
    },
    all: (id) => pickAll(begin(id)),
    chosen: (id) => tiles(begin(id)).filter(isOn).map((one) => Number(one.dataset.id)),
    focused(id) {
      const tile = begin(id).box.contains(document.activeElement) && document.activeElement.closest(".tl-tile");
      return tile ? Number(tile.dataset.id) : null;
    },
  };
})();
