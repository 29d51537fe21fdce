// Pictures on a stage: zoom, moving about, the line between before and after, heat-map, variants.
"use strict";
(() => {
  const MOST = 12; // times the size that fits
  const STEP = 1.25;
  const ALIKE = 0.03; // by how much two pictures' proportions may differ and still be laid over
  const looks = new WeakMap();
  // A card that is drawn anew shows what was in sight, and the variants that were chosen.
  const memory = { turn: null, shot: null, choices: new Map() };
  const liked = { mode: null, heat: false, strength: 100 }; // what a person chose holds for the next picture too

  const typing = (node) =>
    node instanceof HTMLElement &&
    (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName)) &&
    !/^(checkbox|radio|range|button|submit)$/.test(node.type || "");
  const busy = () => document.querySelector(".q-dialog, dialog[open]") !== null;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  const desk = () => document.querySelector(".px-desk");
  const current = () =>
    document.querySelector(".nr-field[aria-current] .px-stage") ??
    desk()?.querySelector(".px-stage:not([hidden])") ?? null;
  const view = (stage) => stage.querySelector(".px-view");
  const larges = (stage) => [...stage.querySelectorAll(".px-large")];
  const look = (stage) => {
    if (!looks.has(stage)) looks.set(stage, { scale: 1, x: 0, y: 0, cut: 50 });
    return looks.get(stage);
  };

  // A picture is drawn as large as its pane allows, so that what is transparent shows only inside.
  const fit = (image) => {
    const pane = image.closest(".px-pane");
    if (!pane || !image.naturalWidth || !pane.clientWidth) return;
    const by = Math.min(pane.clientWidth / image.naturalWidth, pane.clientHeight / image.naturalHeight);
    const width = image.naturalWidth * by, height = image.naturalHeight * by;
    Object.assign(image.style, {
      width: `${width}px`, height: `${height}px`,
      left: `${(pane.clientWidth - width) / 2}px`, top: `${(pane.clientHeight - height) / 2}px`,
    });
    image.classList.add("px-fits");
  };

  const settle = (stage) => {
    const box = view(stage);
    larges(stage).forEach(fit);
    if (box.dataset.mode) return;
    const before = stage.querySelector(".px-before .px-large");
    const made = stage.querySelector(".px-made .px-large");
    if (!before) return setMode(stage, "made");
    if (!before.naturalWidth || !made.naturalWidth) return;
    const ratio = (one) => one.naturalWidth / one.naturalHeight;
    const alike = box.dataset.sameFrame && Math.abs(ratio(before) / ratio(made) - 1) < ALIKE;
    setMode(stage, liked.mode ?? (alike ? "slide" : "beside"));
  };

  const setMode = (stage, mode) => {
    const box = view(stage);
    box.dataset.mode = mode;
    for (const one of stage.querySelectorAll("[data-mode].px-button")) {
      one.setAttribute("aria-pressed", String(one.dataset.mode === mode));
    }
    larges(stage).forEach(fit);
    move(stage, look(stage));
  };

  const setHeat = (stage, on) => {
    stage.toggleAttribute("data-heat-on", on);
    stage.querySelector("[data-heat]")?.setAttribute("aria-pressed", String(on));
    setStrength(stage, liked.strength);
  };
  const setStrength = (stage, percent) => {
    view(stage).style.setProperty("--heat", percent / 100);
    const slider = stage.querySelector(".px-strength");
    if (slider) slider.value = percent;
  };

  const setCut = (stage, percent) => {
    const own = look(stage);
    own.cut = clamp(percent, 0, 100);
    view(stage).style.setProperty("--cut", `${own.cut}%`);
    stage.querySelector(".px-line")?.setAttribute("aria-valuenow", String(Math.round(own.cut)));
  };

  const pane = (stage) => stage.querySelector(".px-made");
  const move = (stage, { scale, x, y }) => {
    const own = look(stage), box = view(stage), room = pane(stage);
    own.scale = clamp(scale, 1, MOST);
    own.x = clamp(x, room.clientWidth * (1 - own.scale), 0);
    own.y = clamp(y, room.clientHeight * (1 - own.scale), 0);
    box.style.setProperty("--scale", own.scale);
    box.style.setProperty("--x", `${own.x}px`);
    box.style.setProperty("--y", `${own.y}px`);
    box.classList.toggle("px-far", own.scale > 1);
    const times = stage.querySelector("[data-times]");
    if (times) times.textContent = `${own.scale.toFixed(1)}×`;
    larges(stage).forEach((one) => sharpen(one, own.scale));
  };

  // The whole picture is fetched once it is looked at so closely that it matters.
  const sharpen = (image, scale) => {
    const wanted = image.clientWidth * scale * devicePixelRatio;
    if (!image.naturalWidth || wanted <= image.naturalWidth * 1.05) return Promise.resolve();
    return whole(image);
  };
  const whole = (image) => {
    const address = image.dataset.whole;
    if (image.dataset.is === address) return Promise.resolve();
    image.dataset.is = address;
    const probe = new Image();
    probe.src = address;
    // What a browser cannot show stays as it is.
    return probe.decode().then(() => {
      if (image.dataset.whole === address) image.src = address;
      return image.decode();
    }).catch(() => undefined);
  };

  const zoomAt = (stage, scale, left, top) => {
    const own = look(stage), next = clamp(scale, 1, MOST), by = next / own.scale;
    move(stage, { scale: next, x: left - (left - own.x) * by, y: top - (top - own.y) * by });
  };
  const zoom = (stage, scale) => zoomAt(stage, scale, pane(stage).clientWidth / 2, pane(stage).clientHeight / 2);
  const actual = (stage) => {
    const image = stage.querySelector(".px-made .px-large");
    if (look(stage).scale > 1) return move(stage, { scale: 1, x: 0, y: 0 });
    whole(image).then(() => {
      if (!image.isConnected) return;
      zoom(stage, image.naturalWidth / image.clientWidth / devicePixelRatio);
    });
  };

  // Variants.

  const choose = (stage, number) => {
    if (!lookAt(stage, number)) return;
    memory.choices.set(stage.dataset.shot, number);
    if (!stage.querySelector("[data-choosing]")) return;
    const turn = Number(stage.closest("[data-turn]")?.dataset.turn);
    emitEvent("picture_chosen", { turn, field: Number(stage.dataset.shot), choice: number });
  };
  const lookAt = (stage, number) => {
    const wanted = stage.querySelector(`[data-choice="${number}"]`);
    if (!wanted) return false;
    for (const one of stage.querySelectorAll("[data-choice]")) {
      one.setAttribute("aria-pressed", String(one === wanted));
    }
    const image = stage.querySelector(".px-made .px-large:not(.px-heat)");
    image.dataset.whole = wanted.dataset.whole;
    delete image.dataset.is;
    image.src = wanted.dataset.large;
    stage.querySelector(".px-open").href = `${wanted.dataset.whole}?download=true`;
    // What a check found it found in the field's own picture.
    const own = wanted.dataset.own === "1";
    const heat = stage.querySelector("[data-heat]");
    if (heat) heat.disabled = !own;
    setHeat(stage, Boolean(heat) && own && liked.heat);
    const line = document.querySelector(`.rv-field[data-picture="${stage.dataset.shot}"]`);
    const small = wanted.querySelector("img"), drawn = line?.querySelector(".px-small img");
    if (drawn && small) drawn.src = small.src;
    const said = line?.querySelector(".px-of-own");
    if (said) said.hidden = own;
    return true;
  };

  // Which picture of a card is on the stage.

  const show = (number) => {
    const wanted = desk()?.querySelector(`.px-stage[data-shot="${number}"]`);
    if (!wanted) return;
    for (const one of desk().querySelectorAll(".px-stage")) one.hidden = one !== wanted;
    memory.shot = wanted.dataset.shot;
    settle(wanted);
    mark();
  };
  const mark = () => {
    const shown = desk()?.querySelector(".px-stage:not([hidden])")?.dataset.shot;
    for (const one of document.querySelectorAll(".rv-field[data-picture]")) {
      one.classList.toggle("px-current", one.dataset.picture === shown);
    }
  };
  document.addEventListener("focusin", (event) => {
    const place = event.target.closest?.(".rv-field[data-picture]");
    if (place) show(place.dataset.picture);
  });

  // What comes and goes on the page.

  const resized = new ResizeObserver((entries) => {
    for (const one of entries) {
      const stage = one.target.closest(".px-stage");
      larges(stage).forEach(fit);
      if (stage.isConnected) move(stage, look(stage));
    }
  });
  const begin = (stage) => {
    if (looks.has(stage)) return;
    look(stage);
    resized.observe(view(stage));
    if (liked.heat && stage.querySelector("[data-heat]")) setHeat(stage, true);
    const chosen = memory.choices.get(stage.dataset.shot);
    if (chosen && stage.closest("[data-turn]")?.dataset.turn === memory.turn) lookAt(stage, chosen);
    settle(stage);
  };
  let drawn = null;
  new MutationObserver(() => {
    const turn = document.querySelector("[data-turn]")?.dataset.turn ?? null;
    if (turn !== memory.turn) Object.assign(memory, { turn, shot: null, choices: new Map() });
    for (const stage of document.querySelectorAll(".px-stage")) begin(stage);
    if (desk() !== drawn) {
      drawn = desk();
      if (drawn && memory.shot !== null) show(memory.shot);
    }
    mark();
  }).observe(document.documentElement, { subtree: true, childList: true });
  document.addEventListener("load", (event) => {
    if (event.target.matches?.(".px-large")) settle(event.target.closest(".px-stage"));
  }, true);
  document.addEventListener("error", (event) => {
    const box = event.target.closest?.(".px-small, .px-tile-image, .px-pane, .px-cell");
    if (!box || event.target.tagName !== "IMG") return;
    box.classList.add("px-broken");
    box.dataset.says = event.target.alt;
  }, true);

  // By mouse, pen and finger.

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".px-stage button");
    if (!button) return;
    const stage = button.closest(".px-stage");
    if (button.dataset.mode) setMode(stage, (liked.mode = button.dataset.mode));
    if (button.dataset.heat) setHeat(stage, (liked.heat = !stage.hasAttribute("data-heat-on")));
    if (button.dataset.choice) choose(stage, Number(button.dataset.choice));
    if (button.dataset.zoom === "in") zoom(stage, look(stage).scale * STEP);
    if (button.dataset.zoom === "out") zoom(stage, look(stage).scale / STEP);
    if (button.dataset.zoom === "whole") actual(stage);
  });
  document.addEventListener("input", (event) => {
    if (!event.target.matches?.(".px-strength")) return;
    liked.strength = Number(event.target.value);
    setStrength(event.target.closest(".px-stage"), liked.strength);
  });
  const inPane = (stage, event) => {
    const beside = view(stage).dataset.mode === "beside" && event.target.closest?.(".px-before");
    const box = (beside || pane(stage)).getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  document.addEventListener("wheel", (event) => {
    const box = event.target.closest?.(".px-view");
    if (!box || event.ctrlKey) return;
    event.preventDefault();
    const stage = box.closest(".px-stage");
    const by = Math.exp(-clamp(event.deltaY, -120, 120) / 500);
    zoomAt(stage, look(stage).scale * by, ...inPane(stage, event));
  }, { passive: false });
  let held = null;
  document.addEventListener("pointerdown", (event) => {
    const box = event.target.closest?.(".px-view");
    if (!box || event.button) return;
    const stage = box.closest(".px-stage"), own = look(stage);
    const cuts = event.target.closest(".px-line") || (box.dataset.mode === "slide" && own.scale === 1);
    held = { stage, cuts, id: event.pointerId, left: event.clientX - own.x, top: event.clientY - own.y };
    box.setPointerCapture(event.pointerId);
    box.classList.toggle("px-held", !cuts && own.scale > 1);
    if (cuts) drag(event);
  });
  const drag = (event) => {
    const { stage, cuts, left, top } = held;
    if (!cuts) return move(stage, { scale: look(stage).scale, x: event.clientX - left, y: event.clientY - top });
    const box = view(stage).getBoundingClientRect();
    setCut(stage, ((event.clientX - box.left) / box.width) * 100);
  };
  document.addEventListener("pointermove", (event) => {
    if (held?.id === event.pointerId) drag(event);
  });
  for (const ending of ["pointerup", "pointercancel"]) {
    document.addEventListener(ending, (event) => {
      if (held?.id !== event.pointerId) return;
      view(held.stage).classList.remove("px-held");
      held = null;
    });
  }
  document.addEventListener("dblclick", (event) => {
    const box = event.target.closest?.(".px-view");
    if (box && !event.target.closest(".px-line")) actual(box.closest(".px-stage"));
  });

  // By keyboard. Letters and signs act on the picture in sight; arrows where the focus is.

  const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const arrow = (stage, event) => {
    const own = look(stage), [across, down] = ARROWS[event.key];
    const inside = event.target.closest?.(".px-view");
    if (!inside || inside.closest(".px-stage") !== stage) return false;
    const slides = view(stage).dataset.mode === "slide" && across;
    if (slides && (event.target.closest(".px-line") || own.scale === 1)) {
      setCut(stage, own.cut - across * (event.shiftKey ? 10 : 2));
      return true;
    }
    if (own.scale === 1) return false;
    const by = event.shiftKey ? 200 : 60;
    move(stage, { scale: own.scale, x: own.x + across * by, y: own.y + down * by });
    return true;
  };
  const MODES = ["slide", "beside", "made"];
  const keys = {
    "+": (stage) => zoom(stage, look(stage).scale * STEP),
    "=": (stage) => zoom(stage, look(stage).scale * STEP),
    "-": (stage) => zoom(stage, look(stage).scale / STEP),
    0: (stage) => move(stage, { scale: 1, x: 0, y: 0 }),
    z: actual,
    x: (stage) => {
      if (!stage.querySelector(".px-before")) return;
      liked.mode = MODES[(MODES.indexOf(view(stage).dataset.mode) + 1) % MODES.length];
      setMode(stage, liked.mode);
    },
    h: (stage) => {
      if (stage.querySelector("[data-heat]:not(:disabled)")) setHeat(stage, (liked.heat = !stage.hasAttribute("data-heat-on")));
    },
  };
  document.addEventListener("keydown", (event) => {
    const stage = current();
    if (!stage || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (typing(event.target) || busy()) return;
    if (ARROWS[event.key]) {
      if (arrow(stage, event)) event.preventDefault();
      return;
    }
    if (event.target.closest?.(".px-line") && (event.key === "Home" || event.key === "End")) {
      event.preventDefault();
      setCut(stage, event.key === "Home" ? 0 : 100);
      return;
    }
    if (keys[event.key]) return keys[event.key](stage);
    const choosing = stage.closest(".px-desk") && !document.querySelector(".rv-strip");
    if (choosing && !event.repeat && /^[1-9]$/.test(event.key)) choose(stage, Number(event.key));
  }, true);

  // A cell of a grid: rows that are not in sight are not in the page, so neither are their pictures.
  const cell = ({ value, data }) => {
    const box = document.createElement("span");
    box.className = "px-cell";
    if (!value) return box;
    const image = document.createElement("img");
    image.alt = data.key;
    image.decoding = "async";
    image.src = value;
    box.append(image);
    return box;
  };

  window.waremillPictures = {
    cell,
    preload: (addresses) => addresses.forEach((one) => { new Image().src = one; }),
  };
})();
