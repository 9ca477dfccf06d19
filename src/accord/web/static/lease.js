// @ts-check
// The lease: held on to every half minute while somebody is at it; its end is announced in time to keep it.

/** @typedef {import("./clock.js").Activity} Activity */

const BEAT = 30; // seconds
const AWAY = 300; // seconds without an input after which nobody holds on to it any more
const WARN = 120; // seconds before the end

/** @param {HTMLFormElement} form @param {Activity} activity */
export function holdLease(form, activity) {
  const bar = document.getElementById("lease");
  const says = document.getElementById("lease-says");
  if (!bar || !says) return;
  let end = performance.now() / 1000 + Number(form.dataset.left);
  let gone = false;

  const beat = async () => {
    const body = new URLSearchParams();
    for (const name of ["question", "number", "fence"]) body.append(name, String(new FormData(form).get(name)));
    try {
      const headers = { "Content-Type": "application/x-www-form-urlencoded", Accept: "application/json" };
      const answer = await fetch(`${form.getAttribute("action")}/beat`, { method: "POST", body, headers });
      if (!answer.ok || answer.redirected) return;
      const { left } = /** @type {{ left: number | null }} */ (await answer.json());
      gone = left === null;
      if (left !== null) end = performance.now() / 1000 + left;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // no line: the lease runs on, and its end is announced
    }
    show();
  };
  const show = () => {
    const left = end - performance.now() / 1000;
    let text = "";
    if (gone) text = "This question went to somebody else. What you send is kept all the same.";
    else if (left <= 0) text = "Your time on this question is over. What you send is kept all the same.";
    else if (left <= WARN) text = "This question is yours for two more minutes.";
    if (says.textContent !== text) says.textContent = text;
    bar.hidden = text === "";
    const keep = bar.querySelector("button");
    if (keep) keep.hidden = gone;
  };
  form.addEventListener("extend", () => void beat());
  setInterval(() => {
    if (!gone && document.visibilityState === "visible" && activity.idle() < AWAY) void beat();
  }, BEAT * 1000);
  setInterval(show, 5000);
  show();
}
