// The plan saves as one types: say so when the server could not be reached, or refused all of it.
(() => {
  "use strict";
  const said = (event, text) => {
    if (event.detail.target?.id !== "plan-said" && event.detail.target?.id !== "plan") return;
    const line = document.createElement("p");
    line.className = "bad-line";
    line.textContent = `Not saved: ${text} What you typed is still here; “Save” tries again.`;
    document.getElementById("plan-said")?.replaceChildren(line);
  };
  document.addEventListener("htmx:responseError", (event) =>
    said(event, `the server refused it (${event.detail.xhr.status}).`));
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => said(event, "the server does not answer."));
  }
})();
