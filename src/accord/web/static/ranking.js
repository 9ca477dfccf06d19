// @ts-check
// Answers up, down and into one place, as the server would do it, without a new page.

import { field } from "./clock.js";
import { announce } from "./drafts.js";

/** The same rule as ``moved`` in verdicts.py. @param {string[][]} tiers @param {string} what @param {string} letter */
export function moved(tiers, what, letter) {
  const at = tiers.findIndex((tier) => tier.includes(letter));
  if (at < 0) return tiers;
  const tier = tiers[at];
  const next = tiers.map((one) => [...one]);
  const rest = tier.filter((one) => one !== letter);
  if (rest.length) next.splice(at, 1, ...(what === "up" ? [[letter], rest] : [rest, [letter]]));
  else if (what === "same" && at > 0) next.splice(at - 1, 2, [...tiers[at - 1], letter]);
  else if (what === "up" && at > 0) next.splice(at - 1, 2, tier, tiers[at - 1]);
  else if (what === "down" && at + 1 < tiers.length) next.splice(at, 2, tiers[at + 1], tier);
  return next;
}

/** Not the attribute ``disabled``: a button that has the focus keeps it. @param {Element} row @param {string} what @param {boolean} can */
function able(row, what, can) {
  const button = row.querySelector(`button[value^="${what}:"]`);
  if (can) button?.removeAttribute("aria-disabled");
  else button?.setAttribute("aria-disabled", "true");
}

/** @param {HTMLFormElement} form */
export function watchRanking(form) {
  const order = field(form, "order");
  const list = document.getElementById("ranks");
  if (!list) return;
  let tiers = order.value.split(">").map((tier) => tier.split("="));

  const draw = () => {
    tiers.forEach((tier, i) =>
      tier.forEach((letter, k) => {
        const row = list.querySelector(`li[data-letter="${letter}"]`);
        if (!(row instanceof HTMLElement)) return;
        list.append(row);
        row.toggleAttribute("data-shared", k > 0);
        const place = row.querySelector("[data-place]");
        if (place) place.textContent = `Place ${i + 1}${tier.length > 1 ? ", shared" : ""}`;
        const same = row.querySelector('button[value^="same:"]');
        if (same) same.textContent = tier.length > 1 ? "Not the same" : "Same as above";
        const alone = tier.length === 1;
        able(row, "up", !alone || i > 0);
        able(row, "down", !alone || i + 1 < tiers.length);
        able(row, "same", !alone || i > 0);
      }),
    );
  };
  form.addEventListener("submit", (event) => {
    const by = /** @type {SubmitEvent} */ (event).submitter;
    if (!(by instanceof HTMLButtonElement) || by.name !== "move") return;
    event.preventDefault();
    const [what, letter] = by.value.split(":");
    tiers = moved(tiers, what, letter);
    order.value = tiers.map((tier) => tier.join("=")).join(">");
    draw();
    by.focus();
    by.closest("li")?.scrollIntoView({ block: "nearest" });
    order.dispatchEvent(new Event("input", { bubbles: true }));
    const place = tiers.findIndex((tier) => tier.includes(letter));
    const others = tiers[place].filter((one) => one !== letter);
    announce(`Answer ${letter}: place ${place + 1}${others.length ? `, with ${others.join(" and ")}` : ""}.`);
  });
  draw();
}
