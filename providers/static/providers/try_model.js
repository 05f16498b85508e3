// The trial box of a model's admin page: posts the text, shows the answer line by line of JSON as it arrives.
"use strict";

(() => {
  const form = document.getElementById("trial");
  const stop = document.getElementById("trial-stop");
  const send = form.querySelector("button[type=submit]");
  const places = {
    text: document.getElementById("trial-answer"),
    thinking: document.getElementById("trial-thinking"),
    notice: document.getElementById("trial-note"),
    usage: document.getElementById("trial-note"),
    error: document.getElementById("trial-note"),
  };
  let running = null;

  function show(line) {
    if (!line) return;
    for (const [kind, text] of Object.entries(JSON.parse(line))) {
      if (kind === "text" || kind === "thinking") places[kind].append(text);
      else places[kind].textContent = text;
    }
  }

  async function read(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      lines.forEach(show);
    }
    show(rest);
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const place of Object.values(places)) place.textContent = "";
    running = new AbortController();
    send.disabled = true;
    stop.disabled = false;
    try {
      const response = await fetch(form.action, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        signal: running.signal,
      });
      if (!response.ok) throw new Error(String(response.status));
      await read(response);
    } catch (failure) {
      if (failure.name !== "AbortError") places.error.textContent = form.dataset.broken;
    } finally {
      send.disabled = false;
      stop.disabled = true;
    }
  });

  stop.addEventListener("click", () => running && running.abort());
})();
