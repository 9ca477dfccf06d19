// @ts-check
// How long a person was at it: counted from one input to the next, half a minute at most, while the page is seen.

const PAUSE = 30; // seconds without an input that still count

/**
 * @typedef {object} Activity
 * @property {() => void} write puts what was counted into the form
 * @property {() => number} idle seconds since the last input
 */

/** @param {HTMLFormElement} form @returns {Activity} */
export function watchActivity(form) {
  const first = field(form, "first_after");
  const active = field(form, "active");
  const before = Number(active.value) || 0;
  let counted = 0;
  let last = performance.now();
  const touch = () => {
    const now = performance.now();
    const passed = (now - last) / 1000;
    if (document.visibilityState === "visible") counted += Math.min(passed, PAUSE);
    last = now;
  };
  const begun = () => {
    if (!first.value) first.value = (performance.now() / 1000).toFixed(2);
  };
  for (const kind of ["keydown", "pointerdown", "input"]) {
    document.addEventListener(kind, () => (begun(), touch()), { capture: true, passive: true });
  }
  for (const kind of ["scroll", "pointermove"]) document.addEventListener(kind, touch, { capture: true, passive: true });
  document.addEventListener("visibilitychange", touch);
  return {
    write: () => {
      touch();
      active.value = (before + counted).toFixed(2);
    },
    idle: () => (performance.now() - last) / 1000,
  };
}

/** @param {HTMLFormElement} form @param {string} name @returns {HTMLInputElement} */
export function field(form, name) {
  const found = form.elements.namedItem(name);
  if (!(found instanceof HTMLInputElement)) throw new Error(`the form has no field ${name}`);
  return found;
}
