// The line to /ws/chat: opened with a one-time ticket, kept alive by a heartbeat, and opened again whenever it breaks.

import { accessToken, call, refresh } from "./api.js";
import { language } from "./words.js";

// Milliseconds. The first wait is short, because most breaks are; the longest keeps a restarted server from a stampede.
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
// A line that stood for so long was a good one: the next wait begins small again.
const STEADY = 5_000;
// How long to wait for the server's first word, and for any frame after a ping.
const ANSWER_WITHIN = 10_000;

const NOT_SIGNED_IN = 4401;
const FOREIGN_PAGE = 4403;

export class Line {
  /** `state(name, wait)` is told how the line stands, `frame(type, data, id)` what arrives, `log(way, frame)` both ways. */
  constructor({ state, frame, log }) {
    Object.assign(this, { state, frame, log });
  }

  ready = false;
  wanted = false;
  #socket = null;
  #tries = 0;
  #since = 0;
  #timers = { retry: 0, answer: 0, beat: 0 };
  #opening = 0;

  /** Have a line, now and after every break. */
  open() {
    this.wanted = true;
    this.#tries = 0;
    this.#connect();
  }

  /** Have none until `open`. */
  close() {
    this.wanted = false;
    this.#drop();
    this.state("off");
  }

  /** Something changed (the network came back, the page is looked at again): do not wait any longer. */
  hurry() {
    if (this.wanted && !this.#socket) this.#connect();
  }

  /** Send a frame; false if there is no line to send it over. */
  send(type, data = {}, id = undefined) {
    if (!this.ready) return false;
    const frame = { type, id, data };
    this.log("out", frame);
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Stay signed in on the open line with the token that was just received. */
  signInAgain() {
    this.send("auth", { token: accessToken() }, "auth");
  }

  async #connect() {
    this.#drop();
    const opening = ++this.#opening;
    this.state("connecting");
    let ticket;
    try {
      ({ ticket } = (await call("POST", "/auth/ws-ticket")).data);
    } catch (failure) {
      // A 401 has signed this tab out already.
      if (opening === this.#opening && failure.status !== 401) this.#retry((failure.details?.retry_after ?? 0) * 1000);
      return;
    }
    if (opening !== this.#opening) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const asked = new URLSearchParams({ ticket, language: language() });
    const socket = new WebSocket(`${scheme}://${location.host}/ws/chat?${asked}`);
    this.#socket = socket;
    this.#expectAnswer();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => this.#broken(code);
  }

  /** Let go of the socket. Its closing handshake may take minutes on a dead line: nobody waits for it. */
  #drop() {
    this.#opening += 1;
    this.ready = false;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #broken(code) {
    this.log("closed", { code });
    const steady = this.ready && Date.now() - this.#since > STEADY;
    this.#drop();
    if (steady) this.#tries = 0;
    if (code === FOREIGN_PAGE) {
      this.wanted = false;
      this.state("refused");
    } else if (code === NOT_SIGNED_IN) {
      // With fresh tokens the next attempt is let in; without, `refresh` signs this tab out.
      refresh().then(() => this.#retry(), (failure) => failure.status === 401 || this.#retry());
    } else {
      this.#retry();
    }
  }

  #retry(least = 0) {
    if (!this.wanted) return;
    this.#drop();
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#tries);
    this.#tries += 1;
    // Half of it by chance, so that a thousand pages do not come back in the same moment.
    const jittered = Math.max(least, wait / 2 + (Math.random() * wait) / 2);
    this.state("waiting", jittered);
    this.#timers.retry = setTimeout(() => this.#connect(), jittered);
  }

  #receive(frame) {
    this.log("in", frame);
    clearTimeout(this.#timers.answer);
    const { type, data, id } = frame;
    if (type === "reconnect") {
      // This worker is leaving; another one waits, after the time it names.
      this.#retry(data.after_ms);
      return;
    }
    if (type === "auth_expired") refresh().catch(() => {});
    // A `ready` to an `auth` frame of ours says no more than that we are still signed in.
    if (type === "ready" && !this.ready) this.#begin(data);
    this.frame(type, data, id);
  }

  #begin({ heartbeat }) {
    this.ready = true;
    this.#since = Date.now();
    this.state("connected");
    this.#timers.beat = setInterval(() => {
      this.send("ping");
      this.#expectAnswer();
    }, heartbeat * 1000);
  }

  #expectAnswer() {
    clearTimeout(this.#timers.answer);
    this.#timers.answer = setTimeout(() => this.#broken("silent"), ANSWER_WITHIN);
  }
}
