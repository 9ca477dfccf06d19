// @ts-check
// Drafts and answers on the line: kept on the server as they are written, in this browser while it is away.

/** @typedef {import("./clock.js").Activity} Activity */
/** @typedef {{ rater: string, action: string, body: string }} Unsent */

const UNSENT = "accord-unsent:"; // and its key: an answer until a server took it; by the key it is kept once
const DRAFT = "accord-draft"; // what was written and could not be kept by the server
const AGAIN = 3000; // milliseconds between two tries
const LATER = [429, 502, 503, 504]; // too much at once, or a proxy without its server

/** @param {HTMLFormElement} form @param {HTMLButtonElement | null} by */
function bodyOf(form, by) {
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) body.append(name, String(value));
  if (by?.name) body.append(by.name, by.value);
  return body;
}

/** What a person put in; the seconds that the page counts are none of it. @param {HTMLFormElement} form */
function written(form) {
  const body = bodyOf(form, null);
  for (const counted of ["active", "first_after"]) body.delete(counted);
  return body.toString();
}

/** @param {string} says @param {boolean} [bad] */
export function tell(says, bad = false) {
  const place = document.getElementById("saved");
  if (!place) return;
  place.parentElement?.classList.toggle("bad", bad);
  if (place.textContent !== says) place.textContent = says;
}

/** What a key did, said beside it: a draft that is saved meanwhile does not speak over it. @param {string} says */
export function announce(says) {
  const place = document.getElementById("told");
  if (place) place.textContent = says;
}

/** @param {HTMLFormElement} form @param {Activity} activity */
export function keepDrafts(form, activity) {
  const to = `${form.getAttribute("action")}/draft`;
  const question = String(new FormData(form).get("question"));
  let waiting = 0;
  let kept = written(form);
  restore(form, question);

  const keep = async () => {
    waiting = 0;
    const now = written(form);
    if (now === kept || form.dataset.sent) return;
    activity.write();
    const body = bodyOf(form, null).toString();
    try {
      const headers = { "Content-Type": "application/x-www-form-urlencoded", Accept: "application/json" };
      const answer = await fetch(to, { method: "PUT", body, headers, keepalive: body.length < 60000 });
      if (!answer.ok || answer.redirected) return;
      kept = now;
      localStorage.removeItem(DRAFT);
      tell("Saved as a draft.");
    } catch {
      localStorage.setItem(DRAFT, JSON.stringify({ rater: form.dataset.rater, question, body }));
      tell("No connection. What you write is kept in this browser.", true);
      waiting = window.setTimeout(() => void keep(), AGAIN);
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = window.setTimeout(() => void keep(), 800);
  });
  window.addEventListener("pagehide", () => void keep());
  window.addEventListener("online", () => void keep());
}

/** What was written while the line was away, into the form. @param {HTMLFormElement} form @param {string} question */
function restore(form, question) {
  const found = localStorage.getItem(DRAFT);
  if (!found) return;
  /** @type {{ rater: string, question: string, body: string }} */
  const draft = JSON.parse(found);
  if (draft.rater !== form.dataset.rater || draft.question !== question) return;
  for (const box of form.querySelectorAll('input[type="checkbox"]')) /** @type {HTMLInputElement} */ (box).checked = false;
  for (const [name, value] of new URLSearchParams(draft.body)) {
    for (const place of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (place instanceof HTMLTextAreaElement) place.value = value;
      else if (place instanceof HTMLSelectElement) chosen(place, value);
      else if (!(place instanceof HTMLInputElement)) continue;
      else if (place.type === "checkbox" || place.type === "radio") place.checked ||= place.value === value;
      else if (place.type !== "hidden" || name === "order") place.value = value;
    }
  }
  tell("What you had written is here again.");
}

/** A passage that was selected is in no list of a new page. @param {HTMLSelectElement} list @param {string} value */
function chosen(list, value) {
  list.value = value;
  if (value && list.value !== value) list.append(new Option(`The passage you selected (${value})`, value, false, true));
}

/** @param {HTMLFormElement} form @param {HTMLButtonElement} by */
export async function send(form, by) {
  if (form.dataset.sent) return;
  const action = by.getAttribute("formaction") ?? String(form.getAttribute("action"));
  /** @type {Unsent} */
  const unsent = { rater: form.dataset.rater ?? "", action, body: bodyOf(form, by).toString() };
  form.dataset.sent = "1";
  form.setAttribute("aria-busy", "true");
  const done = await sent(unsent);
  if (!done) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  }
}

/** Answers that earlier pages could not send. @param {string} rater */
export async function resend(rater) {
  for (const name of Object.keys(localStorage).filter((one) => one.startsWith(UNSENT))) {
    /** @type {Unsent} */
    const unsent = JSON.parse(localStorage.getItem(name) ?? "null");
    if (unsent?.rater === rater && (await sent(unsent))) return; // the next page sends the rest
  }
}

/** Sends it until somebody answers; true where the page goes on. @param {Unsent} unsent */
async function sent(unsent) {
  const name = `${UNSENT}${new URLSearchParams(unsent.body).get("key")}`;
  try {
    localStorage.setItem(name, JSON.stringify(unsent));
  } catch {
    // No room for it here: it is sent all the same.
  }
  for (;;) {
    try {
      const headers = { "Content-Type": "application/x-www-form-urlencoded", Accept: "application/json" };
      const answer = await fetch(unsent.action, { method: "POST", body: unsent.body, headers });
      const says = answer.headers.get("content-type")?.startsWith("application/json") ? await answer.json() : {};
      if (answer.ok && says.next) {
        localStorage.removeItem(name);
        localStorage.removeItem(DRAFT);
        location.assign(says.next);
        return true;
      }
      if (answer.redirected || answer.status === 401) {
        tell("You were signed out. Your answer is kept in this browser: sign in, and it is sent.", true);
        return false;
      }
      if (answer.status === 403) {
        tell(`Your answer is kept in this browser, and not sent yet. ${says.says ?? ""}`.trim(), true);
        return false;
      }
      if (!LATER.includes(answer.status)) {
        localStorage.removeItem(name);
        refuse(says);
        return false;
      }
      tell("The server cannot take it yet. Your answer is kept in this browser and sent again by itself.", true);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      tell("No connection. Your answer is kept in this browser and sent as soon as there is one.", true);
    }
    await new Promise((go) => setTimeout(go, AGAIN));
  }
}

/** @param {{ field?: string, says?: string, advice?: string }} problem */
function refuse(problem) {
  tell(`This was not sent. ${problem.says ?? "The server could not take it."} ${problem.advice ?? ""}`.trim(), true);
  const place = document.querySelector(`[name="${CSS.escape(problem.field ?? "")}"]:not([type="hidden"])`);
  if (place instanceof HTMLElement) {
    place.setAttribute("aria-invalid", "true");
    place.setAttribute("aria-describedby", "saved");
    place.focus();
  }
}
