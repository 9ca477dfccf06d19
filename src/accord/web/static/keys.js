// @ts-check
// Single keys. They act where nothing is written, without a modifier, and only while they are on.

/** @typedef {{ pick: (back: boolean) => void }} Marks */

/** @param {HTMLFormElement} form @param {Marks | null} marks */
export function listenToKeys(form, marks) {
  const given = form.dataset.keys;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target instanceof HTMLTextAreaElement)
      form.querySelector('[data-does="send"]')?.dispatchEvent(new MouseEvent("click", { cancelable: true }));
  });
  if (!given) return;
  /** @type {Record<string, string>} */
  const keys = JSON.parse(given);
  const actions = new Map(Object.entries(keys).map(([action, key]) => [key, action]));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || writes(event.target)) return;
    const key = event.key.toLowerCase();
    if (acts(form, marks, actions.get(key), event) || arranges(event, keys.same) || grades(form, key)) event.preventDefault();
  });
}

/** @param {EventTarget | null} target */
function writes(target) {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["radio", "checkbox"].includes(target.type);
}

/**
 * @param {HTMLFormElement} form @param {Marks | null} marks @param {string | undefined} action
 * @param {KeyboardEvent} event
 */
function acts(form, marks, action, event) {
  if (!action) return false;
  if (action === "pick" && marks) {
    marks.pick(event.shiftKey);
    return true;
  }
  const skips = document.getElementById("skips");
  if (action === "skip" && skips instanceof HTMLDetailsElement) {
    skips.open = true;
    skips.querySelector("button")?.focus();
    return true;
  }
  const button = form.querySelector(`button[data-does="${action}"]`);
  if (!(button instanceof HTMLButtonElement)) return false;
  button.click();
  return true;
}

/** Arrows and "same" on an answer of a ranking. @param {KeyboardEvent} event @param {string} same */
function arranges(event, same) {
  const row = event.target instanceof Element ? event.target.closest(".ranks > li") : null;
  const what = { ArrowUp: "up", ArrowDown: "down", [same]: "same" }[event.key];
  const button = row && what ? row.querySelector(`button[value^="${what}:"]`) : null;
  if (!(button instanceof HTMLButtonElement)) return false;
  button.click();
  return true;
}

/** A digit in a grade or a label: the group that has the focus, else the first one without an answer. */
function grades(/** @type {HTMLFormElement} */ form, /** @type {string} */ key) {
  if (!/^[0-9]$/.test(key)) return false;
  const groups = [...form.querySelectorAll("fieldset[data-digits]")];
  const focused = document.activeElement?.closest("fieldset[data-digits]");
  const open = groups.find((group) => !group.querySelector(":checked"));
  const group = focused ?? (form.dataset.task === "grade" || form.dataset.task === "label" ? (open ?? groups.at(-1)) : null);
  if (!group) return false;
  const radios = [...group.querySelectorAll("input")];
  const values = form.dataset.task === "label" && !group.closest(".point") ? radios.map((_, i) => String(i + 1)) : radios.map((r) => r.value);
  const wanted = key === "0" && !values.includes("0") ? "10" : key;
  const radio = radios[values.indexOf(wanted)];
  if (!radio) return false;
  radio.checked = true;
  radio.dispatchEvent(new Event("input", { bubbles: true }));
  const next = groups.find((one) => !one.querySelector(":checked"))?.querySelector("input");
  const send = form.querySelector('[data-does="send"]');
  if (!focused || group !== groups.at(-1)) (next ?? /** @type {HTMLElement | null} */ (send) ?? radio).focus();
  else (/** @type {HTMLElement | null} */ (send) ?? radio).focus();
  return true;
}
