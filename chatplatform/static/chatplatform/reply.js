// A reply as it arrives, and the rule by which it is put together. Nothing here knows of sockets or of the page.
//
// Every event of a reply has an attempt and a number, `seq`, without holes. A merged delta also names the first number
// in it, `first`, and `off`, the length of its part before it in UTF-16 units, which is how JavaScript counts.
//   1. of a later attempt → resume, and take what comes
//   2. seq ≤ last → drop, we have it
//   3. first ≤ last + 1 → apply, cut by `off` where we have some of it
//   4. otherwise something is missing → resume
// Whatever is lost, repeated or late, every letter is shown once. At the end length and hash prove it.

export const ENDED = ["completed", "stopped", "interrupted", "failed"];

export class Reply {
  constructor({ generation_id, message_id, session_id, model = null }) {
    Object.assign(this, { generation_id, message_id, session_id, model });
    this.attempt = 0;
    this.last = 0;
    this.status = "queued";
    this.stopWanted = false;
    this.notices = [];
    this.error = null;
    this.usage = null;
    this.proof = null;
    this.#clear();
  }

  /** Runs of text and thinking in the order in which they were written, as a stored message has them. */
  parts;
  #length;
  #pieces = [];

  #clear() {
    this.parts = [];
    this.#length = {};
  }

  get text() {
    return this.parts.filter((part) => part.type === "text").map((part) => part.text).join("");
  }

  get ended() {
    return ENDED.includes(this.status);
  }

  /** What a `resume` for the rest has to say. */
  get place() {
    return { generation_id: this.generation_id, attempt: this.attempt, after: this.last };
  }

  /** Take a numbered frame: "applied", "dropped", or "resume" if the server has to be asked for what is missing. */
  take(type, data) {
    const { attempt, seq, first = seq } = data;
    if (this.ended || attempt < this.attempt) return "dropped";
    if (attempt > this.attempt) {
      // Who has nothing yet may begin with any attempt, at its beginning.
      if (this.last > 0 || first !== 1) return "resume";
      this.attempt = attempt;
    }
    if (seq <= this.last) return "dropped";
    if (first > this.last + 1) return "resume";
    if (type === "stream" && !this.#write(data.part, data.content, data.off)) {
      // The numbers agree and the text does not: begin again.
      Object.assign(this, { attempt: 0, last: 0 });
      this.#clear();
      return "resume";
    }
    this.last = seq;
    this.#note(type, data);
    return "applied";
  }

  #write(part, text, off) {
    const have = this.#length[part] ?? 0;
    if (off > have) return false;
    const fresh = text.slice(have - off);
    if (!fresh) return true;
    const open = this.parts.at(-1);
    if (open?.type === part) open.text += fresh;
    else this.parts.push({ type: part, text: fresh });
    this.#length[part] = have + fresh.length;
    return true;
  }

  #note(type, data) {
    if (data.model) this.model = data.model;
    switch (type) {
      case "stream":
        this.status = "running";
        break;
      case "notice":
        this.notices.push(data.message);
        break;
      case "usage":
        this.usage = data;
        break;
      case "done":
        this.status = data.status;
        this.error = data.error ?? null;
        this.usage = { ...this.usage, ...data.usage };
        this.proof = { length: data.length, sha256: data.sha256 };
        break;
    }
  }

  /** Take a piece of a snapshot; the final one replaces what was there: true then. */
  takeSnapshot(data) {
    if (this.ended || data.attempt < this.attempt) return false;
    const [head] = this.#pieces;
    if (head && (head.attempt !== data.attempt || head.seq !== data.seq)) this.#pieces = [];
    this.#pieces.push(data);
    if (!data.last) return false;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#clear();
    for (const piece of pieces) if (!this.#write(piece.part, piece.text, piece.off)) return false;
    this.attempt = data.attempt;
    this.last = data.seq;
    // A reply that has ended says so itself: its terminal event follows.
    if (!ENDED.includes(data.status)) this.status = data.status;
    return true;
  }

  /** A line that broke takes its half of a snapshot with it. */
  forgetPieces() {
    this.#pieces = [];
  }

  /** Take the stored message in the place of everything that was received. */
  takeMessage(message) {
    this.#clear();
    this.parts = message.parts;
    this.model = message.model ?? this.model;
    this.status = message.status;
    this.error = message.generation?.error ?? null;
  }
}

/** Whether `text` is what the server finished, by length and, where the browser offers hashing, by SHA-256. */
export async function isWhole(text, { length, sha256 }) {
  if (text.length !== length) return false;
  // Offered over https and on localhost only; elsewhere the length has to do.
  if (!globalThis.crypto?.subtle || !sha256) return true;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}
