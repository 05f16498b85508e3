// The open conversation and everything that is being written: what is sent, what arrives, what is missing.
//
// Replies belong to the person and not to the page's view: one that goes on in another conversation is received all
// the same, and shown when that conversation is opened.

import { call, Failure, refresh } from "./api.js";
import { logFrame } from "./frames.js";
import { Answer, Said } from "./messages.js";
import { ENDED, isWhole, Reply } from "./reply.js";
import { Line } from "./socket.js";
import { element, find, words } from "./words.js";

// A longer frame is not taken by the server.
const MOST_BYTES = 64 * 1024;
const PAGE = 50;

/** Told when the line's state, the list of conversations, or the open one's id or title has changed. */
export const on = { line: () => {}, sessions: () => {}, opened: () => {}, titled: () => {} };

export const line = new Line({ state: (name, wait) => on.line(name, wait), frame: receive, log: logFrame });

/** By generation id: replies that have not ended. */
const replies = new Map();
/** By client_message_id: what was sent and is not accepted yet. After a break it is sent again under the same id. */
const waiting = new Map();
/** The conversation on the page: its id (null: not begun), its replies by message id, and the ids of all its messages. */
let view = { id: null, answers: new Map(), known: new Set() };

export const openId = () => view.id;

// --- opening a conversation ---------------------------------------------------

/** Show a conversation; null is a new one, which begins with its first message. */
export async function open(id) {
  if (view.id) line.send("unfollow", { session_id: view.id }, "follow");
  const mine = (view = { id, answers: new Map(), known: new Set() });
  find("messages").replaceChildren();
  find("earlier").hidden = true;
  following = true;
  tell(null);
  refreshComposer();
  on.opened(id);
  if (id === null) return;
  line.send("follow", { session_id: id }, "follow");
  await loadHistory(mine);
}

async function loadHistory(mine) {
  try {
    const { data, meta } = await call("GET", `/messages/session/${mine.id}?limit=${PAGE}`);
    if (mine !== view) return;
    const first = mine.known.size === 0;
    place(data, (made) => find("messages").append(made));
    if (first) showEarlier(data, meta);
  } catch (failure) {
    if (mine !== view) return;
    if (failure.status === 404) open(null);
    tell(failure.shown());
  }
  refreshComposer();
  keepAtEnd();
}

/** Load the page of messages before the first one that is shown. */
export async function loadEarlier() {
  const mine = view;
  try {
    const { data, meta } = await call("GET", `/messages/session/${mine.id}?limit=${PAGE}&before=${mine.oldest}`);
    if (mine !== view) return;
    const scroll = find("scroll");
    const below = scroll.scrollHeight - scroll.scrollTop;
    const top = find("messages").firstChild;
    place(data, (made) => find("messages").insertBefore(made, top));
    scroll.scrollTop = scroll.scrollHeight - below;
    showEarlier(data, meta);
  } catch (failure) {
    tell(failure.shown());
  }
}

function showEarlier(page, meta) {
  view.oldest = page[0]?.id;
  find("earlier").hidden = !meta.has_more;
}

/** Put stored messages on the page, those that are not there yet. */
function place(messages, put) {
  for (const message of messages) {
    // One of ours whose acceptance is still on its way has its place already.
    if (view.known.has(message.id) || waiting.has(message.client_message_id)) continue;
    view.known.add(message.id);
    if (message.role === "user") {
      put(new Said(message.content).at);
      continue;
    }
    const answer = new Answer();
    put(answer.at);
    view.answers.set(message.id, answer);
    const { generation, status } = message;
    if (generation && !ENDED.includes(status)) {
      const known = replies.get(generation.id);
      const reply = known ?? remember({ ...message, generation_id: generation.id, message_id: message.id });
      answer.show(reply);
      if (!known) resume(reply);
    } else {
      answer.show({ ...message, error: generation?.error, usage: message });
    }
  }
}

function remember(about) {
  const reply = new Reply(about);
  replies.set(reply.generation_id, reply);
  return reply;
}

// --- sending and stopping -------------------------------------------------------

const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

/** Say something in the open conversation. False if a reply is still being written in it. */
export function say(content, model) {
  if (isBusy()) return false;
  const id = newId();
  const data = { content, client_message_id: id };
  if (view.id) data.session_id = view.id;
  if (model) data.model_id = model;
  const said = new Said(content);
  const sent = { id, data, said, view, stopWanted: false };
  find("messages").append(said.at);
  following = true;
  if (new TextEncoder().encode(JSON.stringify({ type: "message", id, data })).length > MOST_BYTES) {
    const own = ["This is too long for one message. Send it in parts.", "内容太长，无法一次发送，请分段发送。"];
    refused(sent, new Failure({ code: "TOO_LARGE" }, { own }));
  } else {
    dispatch(sent);
  }
  keepAtEnd();
  return true;
}

function dispatch(sent) {
  waiting.set(sent.id, sent);
  sent.said.waiting();
  line.send("message", sent.data, sent.id);
  refreshComposer();
}

function refused(sent, failure) {
  waiting.delete(sent.id);
  const again = element("button", { type: "button", click: () => dispatch(sent) }, words("Try again", "重试"));
  const edit = element("button", { type: "button", click: () => takeBack(sent) }, words("Edit", "修改"));
  sent.said.refused(failure, failure.retryable ? again : null, edit);
  refreshComposer();
  keepAtEnd();
}

function takeBack(sent) {
  const box = find("box");
  box.value = box.value ? `${sent.data.content}\n${box.value}` : sent.data.content;
  box.focus();
  sent.said.at.remove();
  refreshComposer();
}

/** Stop what is being written in the open conversation; shown at once, carried out as soon as there is a line. */
export function stop() {
  for (const sent of waiting.values()) if (sent.view === view) sent.stopWanted = true;
  for (const reply of written()) stopReply(reply);
}

function stopReply(reply) {
  reply.stopWanted = true;
  line.send("stop", { generation_id: reply.generation_id }, "stop");
  paint(reply);
}

// --- what arrives ---------------------------------------------------------------

function receive(type, data, id) {
  switch (type) {
    case "ready":
      if (id === "auth") askAgain();
      else comeBack(data.running);
      break;
    case "accepted":
      accepted(data);
      break;
    case "typing":
      beginTyping(data);
      break;
    case "snapshot":
      takeSnapshot(data);
      break;
    case "resumed":
      if (replies.has(data.generation_id)) replies.get(data.generation_id).asked = false;
      break;
    case "session":
      if (data.session_id === view.id) on.titled(data);
      break;
    case "error":
      explain(data, id);
      break;
    default:
      if (data.generation_id) take(type, data);
      else if (type === "notice" && data.code !== "stopping") tell(data.message);
  }
}

/** The line is there: read on where each reply was, send what was not accepted, and look what else was said. */
function comeBack(running) {
  for (const about of running) if (!replies.has(about.generation_id)) remember(about);
  for (const reply of replies.values()) {
    reply.forgetPieces();
    reply.asked = true;
  }
  askAgain();
  if (view.id) {
    line.send("follow", { session_id: view.id }, "follow");
    loadHistory(view);
  }
}

/** Ask once more for everything that has no answer: the line had broken, or the token had expired. */
function askAgain() {
  for (const reply of replies.values()) {
    if (reply.asked) {
      reply.asked = false;
      resume(reply);
    }
    if (reply.stopWanted) stopReply(reply);
  }
  for (const sent of waiting.values()) line.send("message", sent.data, sent.id);
}

function resume(reply) {
  // One question at a time: what arrives before its answer may have the same hole.
  if (!reply.asked) reply.asked = line.send("resume", reply.place, `resume:${reply.generation_id}`);
}

function accepted(data) {
  const sent = waiting.get(data.client_message_id);
  if (sent) {
    waiting.delete(sent.id);
    sent.said.accepted();
    if (sent.view === view && view.id === null) begun(data.session_id);
  }
  const here = view.id === data.session_id;
  const asked = sent || view.known.has(data.user_message_id);
  if (here) view.known.add(data.user_message_id);
  let reply = replies.get(data.generation_id);
  if (reply || !here || !view.answers.has(data.message_id)) { // otherwise it has been shown to its end
    reply ??= remember(data);
    if (here && !view.answers.has(data.message_id)) show(reply, asked ? null : data.user_message_id);
    take("accepted", data);
    if (data.duplicate) resume(reply);
    if (sent?.stopWanted) stopReply(reply);
    on.sessions();
  }
  refreshComposer();
}

function begun(id) {
  view.id = id;
  line.send("follow", { session_id: id }, "follow");
  on.opened(id);
}

/** Give a reply its place; `missing` is the id of its question, if that is not on the page. */
function show(reply, missing) {
  const answer = new Answer();
  find("messages").append(answer.at);
  view.answers.set(reply.message_id, answer);
  view.known.add(reply.message_id);
  answer.show(reply);
  keepAtEnd();
  if (missing) showQuestion(missing, answer);
}

/** Another device of this person asked: the socket tells of the reply, the question is read. */
async function showQuestion(id, answer) {
  try {
    const { data } = await call("GET", `/messages/${id}`);
    answer.at.before(new Said(data.content).at);
    refreshComposer();
    keepAtEnd();
  } catch (failure) {
    tell(failure.shown());
  }
}

function beginTyping({ message_id }) {
  for (const reply of replies.values()) {
    if (reply.message_id !== message_id || reply.status !== "queued") continue;
    reply.status = "running";
    paint(reply);
  }
}

function take(type, data) {
  const reply = replies.get(data.generation_id);
  if (!reply) return;
  const outcome = reply.take(type, data);
  if (outcome === "resume") resume(reply);
  if (outcome === "applied") paint(reply);
  if (reply.ended) ended(reply);
  else if (reply.last - (reply.acknowledged ?? 0) >= ACK_EVENTS) acknowledge(reply);
}

// Say what has been taken in: the server sends a reader only so much more than it has read.
const ACK_EVENTS = 32;
const ACK_MS = 1000;

function acknowledge(reply) {
  reply.acknowledged = reply.last;
  line.send("ack", { generation_id: reply.generation_id, seq: reply.last });
}

setInterval(() => {
  for (const reply of replies.values()) {
    if (line.ready && reply.last > (reply.acknowledged ?? 0)) acknowledge(reply);
  }
}, ACK_MS);

function takeSnapshot(data) {
  const reply = replies.get(data.generation_id);
  if (reply?.takeSnapshot(data)) paint(reply);
}

async function ended(reply) {
  replies.delete(reply.generation_id);
  refreshComposer();
  on.sessions();
  if (await isWhole(reply.text, reply.proof)) return;
  await readStored(reply);
}

/** What was received cannot be trusted or completed: the stored message is what counts. */
async function readStored(reply) {
  try {
    const { data } = await call("GET", `/messages/${reply.message_id}`);
    reply.takeMessage(data);
    reply.notices.push(["Read again from the stored message.", "已从保存的消息中重新读取。"]);
  } catch {
    reply.unproven = true;
  }
  paint(reply);
}

function explain(data, id) {
  const failure = new Failure(data);
  const sent = waiting.get(id);
  const signIn = failure.code === "TOKEN_EXPIRED" || failure.code === "UNAUTHENTICATED";
  if (signIn) refresh().catch(() => {});
  else if (sent) refused(sent, failure);
  else if (typeof id === "string" && id.startsWith("resume:")) giveUp(id.slice("resume:".length));
  else if (id !== "follow") tell(failure.shown());
}

/** A reply that the server cannot continue: it was deleted, or there is nothing to read on from. */
function giveUp(generationId) {
  const reply = replies.get(generationId);
  if (!reply) return;
  replies.delete(generationId);
  if (view.answers.has(reply.message_id)) readStored(reply).then(refreshComposer);
}

// --- what is seen ---------------------------------------------------------------

const dirty = new Set();

/** Show a reply as it stands, with the browser's next picture. */
function paint(reply) {
  if (!dirty.size) requestAnimationFrame(paintNow);
  dirty.add(reply);
}

function paintNow() {
  for (const reply of dirty) view.answers.get(reply.message_id)?.show(reply);
  dirty.clear();
  keepAtEnd();
}

const written = () => [...replies.values()].filter((reply) => view.answers.has(reply.message_id));
const isBusy = () => written().length > 0 || [...waiting.values()].some((sent) => sent.view === view);

function refreshComposer() {
  const busy = isBusy();
  find("stop").hidden = !busy;
  find("send").hidden = busy;
  find("empty").hidden = find("messages").childElementCount > 0;
}

let following = true;
let hush = 0;

/** Whether the end is in sight: then it stays there while text grows. Who scrolls up is left alone. */
export function scrolled() {
  const scroll = find("scroll");
  following = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  find("end").hidden = following;
}

export function keepAtEnd() {
  const scroll = find("scroll");
  if (following) scroll.scrollTop = scroll.scrollHeight;
  find("end").hidden = following;
}

export function toTheEnd() {
  following = true;
  keepAtEnd();
}

/** A word to the person that belongs to no message. */
export function tell(text) {
  clearTimeout(hush);
  find("notice").hidden = text === null;
  find("notice").replaceChildren(text ?? "");
  if (text !== null) hush = setTimeout(() => tell(null), 10_000);
}

/** Nothing of this person stays behind. */
export function forget() {
  line.close();
  replies.clear();
  waiting.clear();
  view = { id: null, answers: new Map(), known: new Set() };
  find("messages").replaceChildren();
  find("box").value = "";
  tell(null);
}
