// What pages can do besides, where scripts run; without them, everything works as well.

// A tablet that says that it is a Mac.
const here = new URL(location.href);
const devices = document.querySelector(".devices");
if (devices && !here.searchParams.has("platform")) {
  const isTablet = /Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1;
  const hint = (navigator.userAgentData?.platform ?? "").toLowerCase();
  const known = { android: "android", ios: "ios", windows: "windows", macos: "macos", linux: "linux" };
  const shown = devices.querySelector("[aria-current]");
  const better = isTablet ? "ios" : shown ? null : known[hint];
  if (better) {
    here.searchParams.set("platform", better);
    location.replace(here);
  }
}

// Moments, as the visitor's region writes them in the page's language, in the visitor's own time.
const { lang } = document.documentElement;
const region = navigator.languages.find((tag) => tag.toLowerCase().startsWith(`${lang}-`)) ?? lang;
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  const format = new Intl.DateTimeFormat(region, { dateStyle: "long", timeStyle: "short" });
  if (!Number.isNaN(moment.getTime())) time.textContent = format.format(moment);
}

for (const box of document.querySelectorAll("[data-extras]")) box.hidden = !navigator.clipboard;

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.setAttribute("aria-live", "polite");
    button.textContent = button.dataset.done;
  });
}

for (const button of document.querySelectorAll("[data-share]")) {
  if (!navigator.share) continue;
  button.hidden = false;
  button.addEventListener("click", () => {
    navigator.share({ title: document.title, url: button.dataset.share }).catch(() => {});
  });
}

for (const button of document.querySelectorAll("[data-show]")) {
  const input = document.getElementById(button.dataset.show);
  const text = button.firstChild;
  const shown = text.data;
  button.hidden = false;
  button.addEventListener("click", () => {
    const visible = input.type === "password";
    input.type = visible ? "text" : "password";
    text.data = visible ? button.dataset.hideText : shown;
    button.setAttribute("aria-pressed", String(visible));
    input.focus();
  });
}

// A hint about the password, by the same rules by which it is judged when it is sent.
for (const hint of document.querySelectorAll("[data-strength-for]")) {
  const input = document.getElementById(hint.dataset.strengthFor);
  const username = document.getElementById("username");
  let common = new Set();
  const load = async () => {
    const answer = await fetch(input.dataset.common);
    if (answer.ok) common = new Set((await answer.text()).split("\n"));
    judge();
  };
  const judge = () => {
    const password = input.value;
    const name = (username?.value ?? "").split("@")[0].trim().toLowerCase();
    const length = [...password].length;
    let verdict = ["good", true];
    if (length < Number(input.dataset.least)) verdict = ["short", false];
    else if (name && password.toLowerCase() === name) verdict = ["name", false];
    else if (common.has(password.toLowerCase())) verdict = ["known", false];
    else if (length >= 14) verdict = ["long", true];
    hint.textContent = password ? hint.dataset[verdict[0]] : "";
    hint.classList.toggle("is-good", verdict[1]);
    hint.classList.toggle("is-bad", !verdict[1]);
  };
  input.addEventListener("focus", load, { once: true });
  input.addEventListener("input", judge);
  username?.addEventListener("input", judge);
}

// One click is enough: a second one would only ask again.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("[type=submit]");
    setTimeout(() => { button.disabled = true; });
    addEventListener("pageshow", () => { button.disabled = false; });
  });
}
