// @ts-check
// A rater's page with a script: keys, drafts, a lease that is held on to, answers that survive a lost line.
// Everything here only adds to a form that works without it.

import { watchActivity } from "./clock.js";
import { keepDrafts, resend, send } from "./drafts.js";
import { listenToKeys } from "./keys.js";
import { holdLease } from "./lease.js";
import { watchMarks } from "./marks.js";
import { watchRanking } from "./ranking.js";

const notice = document.getElementById("notice");
if (notice?.textContent?.trim()) {
  // What stands there when a page is loaded is not announced; what comes in is.
  const said = notice.textContent;
  notice.textContent = "";
  setTimeout(() => (notice.textContent = said), 100);
}
if (location.search) history.replaceState(null, "", location.pathname);

const form = document.getElementById("answer");
if (form instanceof HTMLFormElement) begin(form);
const rater = document.querySelector("[data-rater]");
if (rater instanceof HTMLElement) void resend(rater.dataset.rater ?? "");

/** @param {HTMLFormElement} form */
function begin(form) {
  const activity = watchActivity(form);
  const task = form.dataset.task ?? "";
  keepDrafts(form, activity); // first: the others draw what it brings back
  if (task === "ranking") watchRanking(form);
  const marks = task === "critique" ? watchMarks(form) : null;
  holdLease(form, activity);
  listenToKeys(form, marks);
  form.addEventListener("submit", (event) => {
    const by = /** @type {SubmitEvent} */ (event).submitter;
    if (event.defaultPrevented || !(by instanceof HTMLButtonElement)) return;
    activity.write();
    // Another point, and what a correction changes, are pages of the server's.
    const looks = task === "correct" && by.name === "send" && !looked(form);
    if (by.name === "more" || by.name === "move" || looks) return;
    event.preventDefault();
    if (by.dataset.does === "extend") form.dispatchEvent(new CustomEvent("extend"));
    else void send(form, by);
  });
  document.getElementById("changes-title")?.focus();
  document.getElementById("problem")?.scrollIntoView({ block: "center" });
  form.dataset.ready = "1";
}

/** Whether what stands in the text is what was looked at. @param {HTMLFormElement} form */
function looked(form) {
  const text = form.elements.namedItem("text");
  const seen = form.elements.namedItem("looked");
  if (!(text instanceof HTMLTextAreaElement) || !(seen instanceof HTMLInputElement)) return true;
  return seen.value !== "" && text.value === text.defaultValue;
}
