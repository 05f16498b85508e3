// Text for people, in English and Chinese side by side where it is used, and the making of elements.
// Both languages are in the page; the style sheet shows the one that the page's `lang` names.

const STORE = "chatplatform.language";

/** A piece of text in both languages. */
export function words(en, zh) {
  const both = document.createDocumentFragment();
  both.append(element("span", { lang: "en" }, en), element("span", { lang: "zh" }, zh));
  return both;
}

/** A new element. Text children become text nodes: nothing that comes over the wire is ever read as HTML. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export const find = (id) => document.getElementById(id);

/** The language of the page, as the server knows it. */
export const language = () => (document.documentElement.lang.startsWith("zh") ? "zh-hans" : "en");

/** Show the page in another language; remembered on this device. */
export function switchLanguage() {
  document.documentElement.lang = language() === "en" ? "zh-Hans" : "en";
  try {
    localStorage.setItem(STORE, document.documentElement.lang);
  } catch {
    // A browser that keeps nothing asks again next time.
  }
}

/** Take up the language that was chosen before; without one, the browser's, which the server has put in already. */
export function recallLanguage() {
  try {
    const chosen = localStorage.getItem(STORE);
    if (chosen === "en" || chosen === "zh-Hans") document.documentElement.lang = chosen;
  } catch {
    // As above.
  }
}
