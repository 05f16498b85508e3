// The REST API, and staying signed in to it. Tokens are in this tab's session storage and nowhere else.

import { language, words } from "./words.js";

const ROOT = "/api/v1";
const STORE = "chatplatform.tokens";
// An access token is exchanged when a fifth of its life is left, but no earlier than a minute before its end.
const EARLY = 60_000;
// A request is not sent with a token that may expire on its way.
const MARGIN = 5_000;

/** Something that was not done: the server's own words for it, or ours where the server could not be asked. */
export class Failure extends Error {
  constructor({ code = "UNKNOWN", message = "", details = {}, retryable = false }, { status = 0, own = null } = {}) {
    super(`${code}: ${message}`);
    Object.assign(this, { code, message, details, retryable, status, own });
  }

  /** What to show a person. */
  shown() {
    const all = document.createDocumentFragment();
    all.append(this.own ? words(...this.own) : this.message || this.code);
    for (const [field, problems] of Object.entries(this.details)) {
      if (Array.isArray(problems)) all.append(` ${field}: ${problems.join(" ")}`);
    }
    const wait = Math.ceil(this.details.retry_after ?? 0);
    if (wait) all.append(" ", words(`Wait ${wait} s.`, `请等待 ${wait} 秒。`));
    return all;
  }
}

const unreachable = () =>
  new Failure(
    { code: "UNREACHABLE", retryable: true },
    { own: ["The server cannot be reached. Check the line and try again.", "无法连接服务器，请检查网络后重试。"] },
  );

/** Called when tokens were exchanged, and when this tab has been signed out (with the reason, if there is one). */
export const on = { refreshed: () => {}, signedOut: () => {} };

let tokens = JSON.parse(sessionStorage.getItem(STORE) ?? "null");
let exchange = null;
let timer = 0;

/** Whether this tab has been signed in. */
export const signedIn = () => tokens !== null;

/** The access token, for the one frame that carries it. */
export const accessToken = () => tokens?.access;

function keep(data) {
  const life = data.expires_in * 1000;
  tokens = { access: data.access_token, refresh: data.refresh_token, expires: Date.now() + life };
  sessionStorage.setItem(STORE, JSON.stringify(tokens));
  refreshLater(life - Math.min(EARLY, life / 5));
}

function forget(failure) {
  tokens = null;
  clearTimeout(timer);
  sessionStorage.removeItem(STORE);
  on.signedOut(failure);
}

function refreshLater(wait) {
  clearTimeout(timer);
  timer = setTimeout(() => refresh().catch(() => tokens && refreshLater(5_000)), Math.max(0, wait));
}

/** Exchange the refresh token; those who ask meanwhile wait for the same exchange. Refused: this tab is signed out. */
export function refresh() {
  exchange ??= exchangeTokens().finally(() => (exchange = null));
  return exchange;
}

async function exchangeTokens() {
  const before = tokens;
  try {
    const { data } = await ask("POST", "/auth/refresh", { refresh_token: before.refresh });
    if (tokens === before) keep(data);
  } catch (failure) {
    if (failure.status === 401 && tokens === before) forget(failure);
    throw failure;
  }
  on.refreshed();
}

async function ask(method, path, body, token) {
  const headers = { "Accept": "application/json", "Accept-Language": language() };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer, envelope;
  try {
    answer = await fetch(ROOT + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      // Tokens say who we are. A cookie of the admin's, in the same browser, must not.
      credentials: "omit",
    });
    envelope = await answer.json();
  } catch {
    throw unreachable();
  }
  if (!envelope.success) throw new Failure(envelope.error ?? {}, { status: answer.status });
  return envelope;
}

/** A request as whoever is signed in: `{data, meta}`, or a Failure. */
export async function call(method, path, body) {
  if (!tokens) throw new Failure({ code: "UNAUTHENTICATED" }, { status: 401 });
  if (tokens.expires - Date.now() < MARGIN) await refresh();
  const token = tokens?.access;
  try {
    return await ask(method, path, body, token);
  } catch (failure) {
    if (failure.status !== 401 || !tokens) throw failure;
    // Another request may have exchanged the tokens while this one was on its way.
    if (tokens.access === token) await refresh();
    return ask(method, path, body, tokens?.access);
  }
}

/** Sign in or register; afterwards `call` works. */
export async function enter(how, fields) {
  const { data } = await ask("POST", `/auth/${how}`, fields);
  keep(data);
}

/** Sign this tab out, here at once and on the server if it can be reached. */
export async function leave() {
  const { refresh: token } = tokens;
  forget(null);
  await ask("POST", "/auth/logout", { refresh_token: token }).catch(() => {});
}

if (tokens) refreshLater(tokens.expires - Date.now() - EARLY);
