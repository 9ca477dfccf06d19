// @ts-check
// Passages of an answer: what is selected, or one sentence after the other, into the point that is worked on.

import { announce } from "./drafts.js";

/** @typedef {{ pick: (back: boolean) => void }} Marks */

/** @param {HTMLFormElement} form @returns {Marks} */
export function watchMarks(form) {
  const points = [...form.querySelectorAll("[data-point]")];
  let current = points.find((point) => !filled(point)) ?? points[0];
  const show = () => {
    for (const point of points) point.classList.toggle("current", point === current && points.length > 1);
    highlight(where(current).value);
  };
  for (const point of points) {
    point.addEventListener("focusin", () => ((current = point), show()));
    where(point).addEventListener("change", show);
  }
  document.addEventListener("mouseup", () => {
    const passage = selected();
    if (passage) choose(where(current), passage.value, passage.text), show();
  });
  document.addEventListener("keyup", (event) => {
    // Text can be selected by keys too: caret browsing, or a screen reader.
    const passage = event.shiftKey || event.key === "Shift" ? selected() : null;
    if (passage) choose(where(current), passage.value, passage.text), show();
  });
  show();
  return {
    pick: (back) => {
      const list = where(current);
      const step = back ? -1 : 1;
      list.selectedIndex = (list.selectedIndex + step + list.options.length) % list.options.length;
      list.dispatchEvent(new Event("input", { bubbles: true }));
      show();
      announce(`Picked: ${list.selectedOptions[0]?.textContent?.trim()}`);
    },
  };
}

/** @param {Element} point @returns {HTMLSelectElement} */
function where(point) {
  const found = point.querySelector("select[data-where]");
  if (!(found instanceof HTMLSelectElement)) throw new Error("a point has no passage to choose");
  return found;
}

/** @param {Element} point */
function filled(point) {
  return [...point.querySelectorAll("textarea")].some((text) => text.value.trim() !== "");
}

/** @param {HTMLSelectElement} list @param {string} value @param {string} text */
function choose(list, value, text) {
  let option = [...list.options].find((one) => one.value === value);
  if (!option) {
    list.querySelector("[data-own]")?.remove();
    option = new Option(`Selected: ${text.length > 90 ? `${text.slice(0, 90)}…` : text}`, value);
    option.dataset.own = "";
    list.append(option);
  }
  option.selected = true;
  list.dispatchEvent(new Event("input", { bubbles: true }));
}

/** What is selected in an answer, as ``A:12-40`` in code points of the original. */
function selected() {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || selection.rangeCount === 0) return null;
  const range = selection.getRangeAt(0);
  const inside = (/** @type {Node} */ node) => (node instanceof Element ? node : node.parentElement)?.closest("[data-answer]");
  const answer = inside(range.startContainer);
  if (!(answer instanceof HTMLElement) || inside(range.endContainer) !== answer) return null;
  const start = place(answer, range.startContainer, range.startOffset, false);
  const end = place(answer, range.endContainer, range.endOffset, true);
  if (start === null || end === null || end <= start) return null;
  return { value: `${answer.dataset.answer}:${start}-${end}`, text: selection.toString().trim() };
}

/**
 * Where a point of the page lies in the original; in a character that is spelled out, before or behind it.
 * @param {Element} answer @param {Node} node @param {number} offset @param {boolean} behind
 */
function place(answer, node, offset, behind) {
  if (node instanceof Element) {
    const point = document.createRange();
    point.setStart(node, offset);
    const runs = [...answer.querySelectorAll("[data-start]")];
    const next = runs.find((run) => point.comparePoint(run, 0) >= 0);
    if (next && !(behind && next === runs[0])) return Number(/** @type {HTMLElement} */ (next).dataset.start);
    const last = /** @type {HTMLElement | undefined} */ (runs.at(-1));
    return last ? Number(last.dataset.start) + [...(last.textContent ?? "")].length : null;
  }
  const run = node.parentElement?.closest("[data-start]");
  if (!(run instanceof HTMLElement)) return null;
  if (run.dataset.end) return Number(behind ? run.dataset.end : run.dataset.start);
  return Number(run.dataset.start) + [...(node.textContent ?? "").slice(0, offset)].length;
}

/** Shows a passage in its answer, where the browser can highlight. @param {string} value */
function highlight(value) {
  if (!("highlights" in CSS)) return;
  CSS.highlights.delete("accord-passage");
  const match = /^([A-Z]):(\d+)-(\d+)$/.exec(value);
  const answer = match && document.querySelector(`[data-answer="${match[1]}"]`);
  if (!match || !answer) return;
  const [start, end] = [Number(match[2]), Number(match[3])];
  const ranges = [...answer.querySelectorAll("[data-start]")].flatMap((run) => {
    const range = part(/** @type {HTMLElement} */ (run), start, end);
    return range ? [range] : [];
  });
  if (ranges.length) CSS.highlights.set("accord-passage", new Highlight(...ranges));
}

/** @param {HTMLElement} run @param {number} start @param {number} end */
function part(run, start, end) {
  const first = Number(run.dataset.start);
  const text = [...(run.textContent ?? "")];
  const last = run.dataset.end ? Number(run.dataset.end) : first + text.length;
  const node = run.firstChild;
  if (!node || last <= start || first >= end) return null;
  const range = document.createRange();
  if (run.dataset.end) {
    range.selectNodeContents(run);
    return range;
  }
  const units = (/** @type {number} */ points) => text.slice(0, points).join("").length;
  range.setStart(node, units(Math.max(0, start - first)));
  range.setEnd(node, units(Math.min(text.length, end - first)));
  return range;
}
