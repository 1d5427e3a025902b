// Asking the box. Whatever it answers is a value; only silence is an error.

// What a request that changes something has to carry beside the cookie.
let token = "";
export const setToken = (value) => {
  token = value ?? "";
};

// With a body it is a command, else a question: {ok, status, value}.
export async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "content-type": "application/json", "x-portico-token": token },
    body: JSON.stringify(body),
  };
  const answer = await fetch(path, { ...options, cache: "no-store" });
  const text = answer.status === 204 ? "" : await answer.text();
  return { ok: answer.ok, status: answer.status, value: text ? JSON.parse(text) : null };
}

const SILENCE = { ok: false, status: 0, value: { error: "silence", message: "the box cannot be reached" } };

// The same for a command of the console, and never an error.
export const command = (words, body = {}) => ask(`/api/v1/${words}`, body).catch(() => SILENCE);
export const look = (topic) => ask(`/api/v1/${topic}`).catch(() => SILENCE);

// A sentence as people write it. Names that come first stay as they are.
export function sentence(text) {
  if (!text) return "";
  const first = /^[a-z]+( |$)/.test(text) ? text[0].toUpperCase() : text[0];
  return `${first}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;
}
