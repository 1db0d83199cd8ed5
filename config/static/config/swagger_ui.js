/* The page around Swagger UI: its colours, and a sign-in that gives it the access token and keeps that fresh.

The tokens are in the memory of this tab alone, so that no other one uses the refresh token, too. */

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

const EARLY = 60_000; // milliseconds before it expires that an access token is traded
let session = null;

async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.detail), answer);
  return answer;
}

function show(text) {
  document.getElementById("session").textContent = text;
  document.getElementById("sign-in").hidden = session !== null;
  document.getElementById("sign-out").hidden = session === null;
}

function keep({ user, access, refresh, expires_in }) {
  session = { refresh, due: Date.now() + expires_in * 1000 - EARLY, isTrading: false };
  ui.preauthorizeApiKey("bearer", access); // `ui` is Swagger UI's, from its own script
  show(`Signed in as ${user.email}, until you leave this page. Your id in paths is ${user.id}, or me.`);
}

function end(text) {
  session = null;
  ui.authActions.logoutWithPersistOption(["bearer"]);
  show(text);
}

// Looked at often, as no timer goes on while a computer sleeps.
setInterval(async () => {
  const current = session;
  if (!current || current.isTrading || Date.now() < current.due) return;
  current.isTrading = true;
  try {
    const answer = await ask("/api/auth/refresh", { refresh: current.refresh });
    if (session === current) keep(answer);
  } catch (problem) {
    if (problem.status === 401 && session === current) end("Your session has ended: sign in again.");
  } finally {
    current.isTrading = false;
  }
}, 1000);

addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("sign-in");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      keep(await ask("/api/auth/login", { email: form.email.value, password: form.password.value }));
      form.reset();
    } catch (problem) {
      show(problem.message);
    }
  });
  document.getElementById("sign-out").addEventListener("click", async () => {
    const { refresh } = session;
    end("Signed out.");
    await ask("/api/auth/logout", { refresh });
  });
});
