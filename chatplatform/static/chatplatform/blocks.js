// A reply's text on the page: fenced code and tables are set as such, everything else stands as it was written.
// Only elements and text nodes are made, so whatever a model writes is shown and never executed, loaded or followed.

import { element } from "./words.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/;
const RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** The cells of a table's line; `\|` is a letter like any other. */
function cells(line) {
  const found = [""];
  const inner = line.trim().replace(/^\|/, "");
  for (let i = 0; i < inner.length; i += 1) {
    if (inner[i] === "\\" && inner[i + 1] === "|") found[found.length - 1] += inner[(i += 1)];
    else if (inner[i] === "|") found.push("");
    else found[found.length - 1] += inner[i];
  }
  if (found.length > 1 && !found.at(-1).trim()) found.pop();
  return found.map((cell) => cell.trim());
}

const beginsTable = (line, next) =>
  line.includes("|") && next?.includes("|") && RULE.test(next) && cells(line).length === cells(next).length;

/** Cut a text into blocks `{kind: "text" | "code" | "table", text}`. */
export function blocksOf(text) {
  const lines = text.split("\n");
  const blocks = [];
  let plain = [];
  const closePlain = (last) => {
    // Beside a table or code the margin stands for the empty lines.
    let text = plain.join("\n");
    if (blocks.length) text = text.replace(/^(\s*\n)+/, "");
    if (!last || blocks.length) text = text.trimEnd();
    if (text) blocks.push({ kind: "text", text });
    plain = [];
  };
  for (let i = 0; i < lines.length; i += 1) {
    const fence = FENCE.exec(lines[i]);
    if (fence) {
      closePlain(false);
      const body = [];
      const closing = new RegExp(`^ {0,3}\\${fence[1][0]}{${fence[1].length},}\\s*$`);
      while (i + 1 < lines.length && !closing.test(lines[i + 1])) body.push(lines[(i += 1)]);
      i += 1;
      blocks.push({ kind: "code", text: body.join("\n") });
    } else if (beginsTable(lines[i], lines[i + 1])) {
      closePlain(false);
      const rows = [lines[i]];
      for (i += 2; i < lines.length && lines[i].includes("|"); i += 1) rows.push(lines[i]);
      i -= 1;
      blocks.push({ kind: "table", text: rows.join("\n") });
    } else {
      plain.push(lines[i]);
    }
  }
  closePlain(true);
  return blocks;
}

function tableOf(text) {
  const [head, ...rows] = text.split("\n").map(cells);
  const row = (tag) => (line) => element("tr", {}, ...head.map((_, i) => element(tag, {}, line[i] ?? "")));
  return element("table", {}, element("thead", {}, row("th")(head)), element("tbody", {}, ...rows.map(row("td"))));
}

/** Show `text` in `place`. What is there already from an earlier, shorter text is kept: only its end is made anew. */
export function showText(place, text) {
  if (place.shownText === text) return;
  place.shownText = text;
  const blocks = blocksOf(text);
  const before = place.shownBlocks ?? [];
  place.shownBlocks = blocks.map((block, i) => {
    const old = before[i];
    if (old?.kind === block.kind && old.text === block.text) return old;
    if (old?.kind === block.kind && old.letters) {
      // Appending keeps what a reader has selected.
      if (block.text.startsWith(old.text)) old.letters.appendData(block.text.slice(old.text.length));
      else old.letters.data = block.text;
      return { ...old, text: block.text };
    }
    const made = { ...block };
    if (block.kind === "table") {
      made.at = element("div", { class: "table", tabindex: "0" }, tableOf(block.text));
    } else {
      made.letters = document.createTextNode(block.text);
      made.at =
        block.kind === "code"
          ? element("pre", { tabindex: "0" }, element("code", {}, made.letters))
          : element("div", { class: "text" }, made.letters);
    }
    if (old) old.at.replaceWith(made.at);
    else place.append(made.at);
    return made;
  });
  for (const extra of before.slice(blocks.length)) extra.at.remove();
}
