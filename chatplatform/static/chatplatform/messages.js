// How a message looks: one class for what a person said, one for what a model answers.

import { showText } from "./blocks.js";
import { ENDED } from "./reply.js";
import { element, words } from "./words.js";

const STATUS = {
  waiting: ["Not sent yet", "尚未发送"],
  refused: ["Not sent", "未发送"],
  queued: ["Waiting", "等待中"],
  running: ["Writing", "正在生成"],
  stopping: ["Stopping", "正在停止"],
  completed: ["Completed", "已完成"],
  stopped: ["Stopped", "已停止"],
  interrupted: ["Interrupted", "已中断"],
  failed: ["Failed", "失败"],
};

function badge(status) {
  return element("span", { class: "badge", "data-status": status }, words(...(STATUS[status] ?? [status, status])));
}

/** Something a person said. */
export class Said {
  constructor(text) {
    this.status = element("span");
    this.problem = element("p", { class: "problem", role: "alert", hidden: true });
    const body = element("div", { class: "body" }, element("div", { class: "text" }, text));
    const head = element("p", { class: "head" }, element("b", {}, words("You", "你")), this.status);
    this.at = element("article", { class: "said" }, head, body, this.problem);
  }

  /** On its way, until the server has stored it. */
  waiting() {
    this.status.replaceChildren(badge("waiting"));
    this.problem.hidden = true;
  }

  accepted() {
    this.status.replaceChildren();
  }

  /** The server would not have it: why, and what can be done. */
  refused(failure, ...actions) {
    this.status.replaceChildren(badge("refused"));
    this.problem.replaceChildren(failure.shown(), " ", ...actions);
    this.problem.hidden = false;
  }
}

/** What a model answers: thinking folded, text open, its state in words. */
export class Answer {
  constructor() {
    this.model = element("b");
    this.status = element("span");
    this.body = element("div", { class: "body" });
    this.typing = element("p", { class: "typing", hidden: true }, element("i"), element("i"), element("i"));
    this.notices = element("div", { class: "notices" });
    this.problem = element("p", { class: "problem", hidden: true });
    this.foot = element("p", { class: "foot faint" });
    const head = element("p", { class: "head" }, this.model, this.status);
    this.at = element("article", { class: "answer" }, head, this.body, this.typing, this.notices, this.problem, this.foot);
    this.segments = [];
  }

  /** Show a reply, or a stored message in the shape of one. */
  show({ parts, status, model, stopWanted, notices = [], error, usage, unproven = false }) {
    const ended = ENDED.includes(status);
    const shown = !ended && stopWanted ? "stopping" : status;
    if (this.shownStatus !== shown) {
      this.shownStatus = shown;
      this.status.replaceChildren(badge(shown));
      this.at.setAttribute("aria-busy", String(!ended));
    }
    this.model.textContent = model ?? "";
    this.#showParts(parts);
    // Thinking is folded: until there is text to see, something should move.
    this.typing.hidden = ended || parts.some((part) => part.type === "text");
    while (this.notices.childElementCount < notices.length) {
      const notice = notices[this.notices.childElementCount];
      this.notices.append(element("p", { class: "note" }, Array.isArray(notice) ? words(...notice) : notice));
    }
    this.problem.hidden = !error && !unproven;
    if (error) this.problem.textContent = error.message;
    else if (unproven) {
      this.problem.replaceChildren(
        words(
          "This text may not be whole, and the stored message could not be read. Reload the page.",
          "内容可能不完整，且无法读取已保存的消息，请刷新页面。",
        ),
      );
    }
    const counted = ended && usage && (usage.tokens_input || usage.tokens_output);
    if (counted && !this.foot.childNodes.length) {
      const about = usage.estimated ? "≈ " : "";
      this.foot.append(
        words(
          `${about}${usage.tokens_input} tokens read, ${usage.tokens_output} written`,
          `${about}输入 ${usage.tokens_input}，输出 ${usage.tokens_output} 个 token`,
        ),
      );
    }
  }

  #showParts(parts) {
    const seen = parts.filter((part) => part.type === "text" || part.type === "thinking");
    seen.forEach((part, i) => {
      if (this.segments[i]?.type !== part.type) {
        const made = segment(part.type);
        if (this.segments[i]) this.segments[i].at.replaceWith(made.at);
        else this.body.append(made.at);
        this.segments[i] = made;
      }
      showText(this.segments[i].place, part.text);
    });
    for (const extra of this.segments.splice(seen.length)) extra.at.remove();
  }
}

function segment(type) {
  const place = element("div", { class: type === "text" ? "words" : "thoughts" });
  if (type === "text") return { type, place, at: place };
  const summary = element("summary", {}, words("Thinking", "思考过程"));
  return { type, place, at: element("details", { class: "thinking" }, summary, place) };
}
