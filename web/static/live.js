// The live page: asks for its part anew when the stream says that something has changed.
(() => {
  "use strict";
  const part = document.getElementById("live");
  if (!part?.dataset.stream || !window.htmx || !window.EventSource) return; // the past stands still
  const RETRY_MS = 15000; // where there is no room for a stream: ask now and then
  let stream = null;
  let later = 0;
  let mark = part.dataset.mark;
  const said = document.getElementById("live-said");
  const state = () => document.getElementById("bot-state")?.textContent.trim() ?? "";
  let before = state();

  const following = (on) => {
    for (const each of document.querySelectorAll(".following")) each.hidden = !on;
  };
  const ask = () => htmx.trigger(part, "changed");
  const close = () => {
    clearTimeout(later);
    stream?.close();
    stream = null;
  };
  const open = () => {
    close();
    stream = new EventSource(`${part.dataset.stream}?seen=${encodeURIComponent(mark)}`);
    stream.onopen = () => following(true);
    stream.onmessage = (event) => {
      mark = event.lastEventId;
      ask();
    };
    stream.addEventListener("over", () => {
      close();
      following(false);
      ask(); // leads to the door
    });
    stream.onerror = () => {
      following(false);
      if (stream?.readyState !== EventSource.CLOSED) return; // it tries again by itself
      close();
      later = setTimeout(() => { ask(); open(); }, RETRY_MS);
    };
  };

  // A stream keeps a thread of the server: a tab that nobody looks at has none.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== part) return;
    following(stream?.readyState === EventSource.OPEN);
    // said once, and only when it is another one: nobody wants to hear every price
    if (state() !== before) said.textContent = before = state();
  });
  if (!document.hidden) open();
})();
