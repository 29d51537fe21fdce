"""What a person with poor sight or without a mouse needs, measured in the page itself."""

from __future__ import annotations

from playwright.sync_api import Page

LEAST_CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3, level AA; large text may have 3."""
_NAMES = r"""
() => {
  const seen = (node) => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && getComputedStyle(node).visibility !== "hidden" &&
      !node.closest("[aria-hidden=true]");
  };
  const text = (id) => document.getElementById(id)?.textContent.trim() ?? "";
  const name = (node) =>
    (node.getAttribute("aria-labelledby") ?? "").split(/\s+/).map(text).join("") ||
    node.getAttribute("aria-label")?.trim() ||
    [...(node.labels ?? [])].map((one) => one.textContent.trim()).join("") ||
    node.getAttribute("title")?.trim() ||
    (/^(INPUT|SELECT|TEXTAREA)$/.test(node.tagName) ? "" : node.textContent.trim()) ||
    [...node.querySelectorAll("[aria-label]")].map((one) => one.ariaLabel).join("");
  // The file input behind a drop-zone's button cannot be reached by a key.
  const wanted = "input:not([type=hidden], [type=file][tabindex='-1']), select, textarea, " +
    "button, a[href], [role=button], [role=combobox], [role=tab], [role=checkbox], [role=radio]";
  return [...document.querySelectorAll(wanted)]
    .filter((node) => seen(node) && !name(node))
    .map((node) => node.outerHTML.slice(0, 160));
}
"""
LEAST_OF_ICONS = 3.0
"""WCAG 2.2, success criterion 1.4.11, level AA: what a person must see to use a control."""
_CONTRAST = r"""
([least, icons]) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((one) => {
      const part = one / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const open = [...document.querySelectorAll(".q-dialog__inner, dialog[open]")].pop();
  const walker = document.createTreeWalker(open ?? document.body, NodeFilter.SHOW_TEXT);
  const poor = new Map();
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node) continue;
    const icon = node.closest(".q-icon") !== null; // drawn as letters, but no text
    if (icon !== icons) continue;
    // An icon is hidden from who does not see it, and still there for who does.
    if (node.closest("script, style, svg")) continue;
    if (!icon && node.closest("[aria-hidden=true]")) continue;
    if (node.closest(":disabled, [disabled], .disabled, [aria-disabled=true]")) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || box.bottom < 0 || box.top > innerHeight) continue;
    const style = getComputedStyle(node);
    if (style.visibility === "hidden" || !node.checkVisibility({ opacityProperty: true })) continue;
    const grounds = [];
    let opacity = 1;
    for (let up = node; up; up = up.parentElement) {
      const own = getComputedStyle(up);
      opacity *= Number(own.opacity);
      const colour = parse(own.backgroundColor);
      if (colour[3]) grounds.push(colour);
      if (colour[3] === 1) break;
    }
    const ground = grounds.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
    const ink = parse(style.color);
    const shown = over([ink[0], ink[1], ink[2], ink[3] * opacity], ground);
    const [high, low] = [light(shown), light(ground)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large && !icon ? 3 : least)) {
      poor.set(`${style.color} on ${ground.map(Math.round)}`,
        `${ratio.toFixed(2)}: “${text.data.trim().slice(0, 40)}” .${node.className}`);
    }
  }
  return [...poor].map(([colours, what]) => `${what} (${colours})`);
}
"""
_LANDMARKS = r"""
() => {
  const wrong = [];
  for (const [name, role] of [["main", "main"], ["header", "banner"]]) {
    const found = document.querySelectorAll(`${name}, [role=${role}]`);
    if (found.length !== 1) wrong.push(`${found.length} times <${name}>`);
    for (const one of found) {
      if (one.parentElement.closest("main, nav")) wrong.push(`<${name}> inside another`);
    }
  }
  if (document.querySelector("main .wm-nav")) wrong.push("the navigation is in <main>");
  const headings = document.querySelectorAll("h1, [aria-level='1']");
  if (headings.length !== 1) wrong.push(`${headings.length} headings of level 1`);
  return wrong;
}
"""
_UNMARKED = r"""
async () => {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const look = () => {
    const looks = [];
    for (let up = node, steps = 0; up && steps < 6; up = up.parentElement, steps++) {
      for (const part of [null, "::before", "::after"]) {
        const own = getComputedStyle(up, part);
        looks.push([own.outlineStyle, own.outlineWidth, own.outlineColor, own.boxShadow,
          own.borderTopColor, own.borderTopWidth, own.backgroundColor, own.left].join("|"));
      }
    }
    return looks.join("\n");
  };
  const settled = () => Promise.all(
    document.getAnimations().filter((one) => one.effect.getTiming().iterations < 9)
      .map((one) => one.finished.catch(() => {})));
  await settled();
  const focused = look();
  node.blur();
  await new Promise((done) => requestAnimationFrame(done));
  await settled();
  const without = look();
  node.focus({ focusVisible: true, preventScroll: true });
  return focused === without ? node.outerHTML.slice(0, 160) : null;
}
"""


def nameless(page: Page) -> list[str]:
    """Give the controls in sight that say nothing to a screen reader."""
    found: list[str] = page.evaluate(_NAMES)
    return found


def pale(page: Page) -> list[str]:
    """Give the texts in sight whose contrast is too low, one for each pair of colours."""
    found: list[str] = page.evaluate(_CONTRAST, [LEAST_CONTRAST, False])
    return found


def faint(page: Page) -> list[str]:
    """Give the icons in sight whose contrast is too low, one for each pair of colours."""
    found: list[str] = page.evaluate(_CONTRAST, [LEAST_OF_ICONS, True])
    return found


def landmarks(page: Page) -> list[str]:
    """Give what is wrong with a page's landmarks: it has one of each kind, none in another."""
    found: list[str] = page.evaluate(_LANDMARKS)
    return found


def unmarked(page: Page, stops: int) -> list[str]:
    """Walk with Tab; give the controls that look the same with the focus as without it."""
    same = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        if (found := page.evaluate(_UNMARKED)) is not None:
            same.append(found)
    return same
