// The page: signing in, the list of conversations, and what the buttons do. The conversation itself is in talk.js.

import * as api from "./api.js";
import { forgetFrames } from "./frames.js";
import * as talk from "./talk.js";
import { element, find, recallLanguage, switchLanguage, words } from "./words.js";

const PAGE = 50;

// --- signing in and out ---------------------------------------------------------

const door = find("sign-in");

function chooseMode(mode) {
  door.dataset.mode = mode;
  for (const tab of door.querySelectorAll(".tabs button")) {
    tab.setAttribute("aria-pressed", String(tab.dataset.mode === mode));
  }
  for (const part of door.querySelectorAll(".register-only")) part.hidden = mode !== "register";
  for (const part of door.querySelectorAll(".login-only")) part.hidden = mode !== "login";
  door.elements.password.autocomplete = mode === "register" ? "new-password" : "current-password";
  showProblem(null);
}

function showProblem(failure) {
  find("door-problem").hidden = !failure;
  find("door-problem").replaceChildren(failure ? failure.shown() : "");
}

door.addEventListener("click", ({ target }) => {
  const tab = target.closest(".tabs button");
  if (tab) chooseMode(tab.dataset.mode);
});

door.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password, nickname } = door.elements;
  const fields = { email: email.value, password: password.value };
  if (door.dataset.mode === "register" && nickname.value) fields.nickname = nickname.value;
  const button = door.querySelector("[type=submit]");
  button.disabled = true;
  showProblem(null);
  try {
    await api.enter(door.dataset.mode, fields);
    door.reset();
    await enter();
  } catch (failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    showProblem(failure);
  } finally {
    button.disabled = false;
  }
});

async function enter() {
  const { data: me } = await api.call("GET", "/users/me");
  find("who").textContent = me.nickname || me.email;
  await Promise.all([loadModels(), loadSessions()]);
  showRoom("chat");
  talk.line.open();
  await talk.open(asked());
  find("box").focus();
}

function showRoom(name) {
  for (const room of ["door", "chat"]) find(room).hidden = room !== name;
  for (const id of ["line", "toggle-list"]) find(id).hidden = name !== "chat";
}

api.on.refreshed = () => talk.line.signInAgain();
api.on.signedOut = (failure) => {
  talk.forget();
  forgetFrames();
  sessions.clear();
  for (const id of ["who", "title", "sessions", "model"]) find(id).replaceChildren();
  history.replaceState(null, "", location.pathname);
  showRoom("door");
  chooseMode("login");
  showProblem(failure);
};
find("sign-out").addEventListener("click", () => api.leave());

// --- models ---------------------------------------------------------------------

async function loadModels() {
  const models = [];
  for (let page = 1, total = 1; models.length < total; page += 1) {
    const { data, meta } = await api.call("GET", `/models?limit=100&page=${page}`);
    if (!data.length) break;
    models.push(...data);
    total = meta.total;
  }
  const groups = new Map();
  for (const model of models) {
    if (!groups.has(model.provider)) groups.set(model.provider, element("optgroup", { label: model.provider }));
    const option = element("option", { value: model.qualified_name, selected: model.is_default }, model.display_name);
    groups.get(model.provider).append(option);
  }
  find("model").replaceChildren(...groups.values());
}

/** Have the picker show a conversation's own model, or the default one if that is not offered any more. */
function pickModel(name) {
  const offered = [...find("model").options];
  const own = offered.find((option) => option.value === name) ?? offered.find((option) => option.defaultSelected);
  if (own) own.selected = true;
}

// --- the list of conversations ----------------------------------------------------

const sessions = new Map();
let pages = 1;
let reading = null;
let stale = false;

/** Read the list anew; if it changes while it is being read, it is read once more. */
function loadSessions() {
  stale = true;
  reading ??= (async () => {
    while (stale) {
      stale = false;
      await readSessions();
    }
  })().finally(() => (reading = null));
  return reading;
}

async function readSessions() {
  const found = [];
  let total = 0;
  for (let page = 1; page <= pages; page += 1) {
    const { data, meta } = await api.call("GET", `/sessions?limit=${PAGE}&page=${page}`);
    found.push(...data);
    total = meta.total;
  }
  if (!api.signedIn()) return;
  sessions.clear();
  for (const session of found) sessions.set(session.id, session);
  find("sessions").replaceChildren(...found.map(entry));
  find("no-sessions").hidden = found.length > 0;
  find("more-sessions").hidden = found.length >= total;
  showTitle();
}

const reloadSessions = () => loadSessions().catch(() => {}); // a later change reads it again
talk.on.sessions = reloadSessions;

function entry(session) {
  const open = session.id === talk.openId();
  const link = element("a", { href: `#${session.id}`, "aria-current": open ? "page" : null }, title(session));
  const rename = element("button", { type: "button", class: "quiet", click: () => renameSession(session) });
  rename.append(words("Rename", "重命名"));
  const remove = element("button", { type: "button", class: "quiet", click: () => deleteSession(session) });
  remove.append(words("Delete", "删除"));
  return element("li", {}, link, open ? element("span", { class: "actions" }, rename, remove) : null);
}

const title = (session) => session?.title || words("New conversation", "新会话");

function showTitle(session = sessions.get(talk.openId())) {
  find("title").replaceChildren(title(session));
}

async function renameSession(session) {
  const answer = await ask(words("Rename this conversation", "重命名该会话"), session.title);
  if (!answer?.trim()) return;
  await attempt(() => api.call("PUT", `/sessions/${session.id}`, { title: answer.trim() }));
}

async function deleteSession(session) {
  const question = words(
    "Delete this conversation? What is being written in it is stopped.",
    "删除该会话？正在生成的回复将停止。",
  );
  if ((await ask(question)) === null) return;
  if (!(await attempt(() => api.call("DELETE", `/sessions/${session.id}`)))) return;
  if (talk.openId() === session.id) startNew();
}

async function attempt(work) {
  try {
    await work();
    return true;
  } catch (failure) {
    talk.tell(failure.shown());
    return false;
  } finally {
    reloadSessions();
  }
}

/** A question in front of the page: the text that was entered, or "" where none is asked for; null if it was declined. */
function ask(question, text = null) {
  const dialog = find("ask");
  find("question").replaceChildren(question);
  find("answer-label").hidden = text === null;
  find("answer").value = text ?? "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    const closed = () => resolve(dialog.returnValue === "yes" ? find("answer").value : null);
    dialog.addEventListener("close", closed, { once: true });
  });
}
find("no").addEventListener("click", () => find("ask").close("no"));

// --- which conversation is open ---------------------------------------------------

/** The conversation that the address names, or null. */
const asked = () => /^#([0-9a-f-]{36})$/.exec(location.hash)?.[1] ?? null;

window.addEventListener("hashchange", () => {
  if (!api.signedIn() || asked() === talk.openId()) return;
  showList(false);
  talk.open(asked());
});

talk.on.opened = (id) => {
  if (id !== asked()) history.replaceState(null, "", id ? `#${id}` : location.pathname);
  // One that has just been begun is not in the list yet: its model is the one that was picked for it.
  if (sessions.has(id)) pickModel(sessions.get(id).model);
  find("sessions").replaceChildren(...[...sessions.values()].map(entry));
  showTitle();
};
talk.on.titled = showTitle;

function startNew() {
  history.pushState(null, "", location.pathname);
  showList(false);
  talk.open(null);
  find("box").focus();
}
find("new").addEventListener("click", startNew);
find("more-sessions").addEventListener("click", () => {
  pages += 1;
  reloadSessions();
});

/** On a narrow page the list lies over the conversation and is called for. */
function showList(shown) {
  find("list").classList.toggle("open", shown);
  find("toggle-list").setAttribute("aria-expanded", String(shown));
}
find("toggle-list").addEventListener("click", () => showList(!find("list").classList.contains("open")));

// --- writing ------------------------------------------------------------------------

const box = find("box");

function send() {
  if (box.value.trim() && talk.say(box.value, find("model").value)) box.value = "";
}

find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
box.addEventListener("keydown", (event) => {
  // While an input method composes, Enter picks its word; Safari says so by the key's old code alone.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  send();
});
find("stop").addEventListener("click", talk.stop);
find("earlier").addEventListener("click", talk.loadEarlier);
find("scroll").addEventListener("scroll", talk.scrolled, { passive: true });
find("end").addEventListener("click", talk.toTheEnd);

// --- the line -------------------------------------------------------------------------

const LINE = {
  connected: () => words("Connected", "已连接"),
  connecting: () => words("Connecting", "正在连接"),
  waiting: (wait) => {
    const seconds = Math.ceil(wait / 1000);
    return words(`Line lost, back in ${seconds} s`, `连接中断，${seconds} 秒后重连`);
  },
  off: () => words("Disconnected", "已断开"),
  refused: () => words("Refused: not in ALLOWED_ORIGINS", "被拒绝：不在 ALLOWED_ORIGINS 中"),
};

talk.on.line = (state, wait) => {
  find("line").dataset.state = state;
  find("line").replaceChildren(LINE[state](wait));
  find("drop").setAttribute("aria-pressed", String(state === "off"));
};
find("drop").addEventListener("click", () => (talk.line.wanted ? talk.line.close() : talk.line.open()));
window.addEventListener("online", () => talk.line.hurry());
document.addEventListener("visibilitychange", () => document.hidden || talk.line.hurry());
window.addEventListener("resize", talk.keepAtEnd);

// --- the beginning ----------------------------------------------------------------------

recallLanguage();
find("language").addEventListener("click", () => {
  switchLanguage();
  // The server speaks the language that a line was opened in.
  if (talk.line.wanted) talk.line.open();
});
if (api.signedIn()) {
  enter().catch((failure) => {
    if (!(failure instanceof api.Failure)) throw failure;
    if (failure.status !== 401) showRoom("door");
    showProblem(failure);
  });
} else {
  showRoom("door");
}
