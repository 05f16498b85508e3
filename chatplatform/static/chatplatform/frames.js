// The last frames of the socket, both ways, for whoever wants to see what is going on. Tokens are never in it.

import { element, find } from "./words.js";

const MOST = 200;
const LONGEST = 2000;
const ARROWS = { in: "←", out: "→", closed: "×" };

const kept = [];

function written({ type, id, data, code }) {
  const secret = (name, value) => (name === "token" || name === "ticket" ? "•••" : value);
  const body = JSON.stringify(data ?? { code }, secret);
  const cut = body.length > LONGEST ? `${body.slice(0, LONGEST)}…` : body;
  return `${type ?? "closed"}${id === undefined ? "" : ` #${id}`} ${cut}`;
}

function line({ at, way, text }) {
  const time = new Date(at).toISOString().slice(11, 23);
  // Ids by their beginning, so that what differs is in sight; whole under the pointer.
  const short = text.replace(/([0-9a-f]{8})-[0-9a-f-]{27}/g, "$1…");
  return element("li", { class: way, title: text }, element("time", {}, time), ` ${ARROWS[way]} ${short}`);
}

/** Keep a frame; shown at once if somebody looks. */
export function logFrame(way, frame) {
  const entry = { at: Date.now(), way, text: written(frame) };
  kept.push(entry);
  if (kept.length > MOST) kept.shift();
  if (!find("log").open) return;
  const list = find("frames");
  const following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(line(entry));
  if (list.childElementCount > MOST) list.firstChild.remove();
  if (following) list.scrollTop = list.scrollHeight;
}

/** Forget everything: the next person at this tab has no business with it. */
export function forgetFrames() {
  kept.length = 0;
  find("frames").replaceChildren();
}

find("log").addEventListener("toggle", () => {
  find("frames").replaceChildren(...(find("log").open ? kept.map(line) : []));
  find("frames").scrollTop = find("frames").scrollHeight;
});
