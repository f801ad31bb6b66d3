// Where the dashboard begins in the browser. A sign-in link carries its secret in the fragment, which is in no request:
// it is taken out of the address before anything else happens, so that it stays in no history. It is used when the person
// says so: any page can lead a browser to a link of a stranger.

import { render } from "preact";
import { App } from "./app.tsx";
import { applyTheme } from "./shell/settings.ts";

const root = document.getElementById("app");
if (!root) throw new Error("the page has no place for the dashboard");

applyTheme();
open();
// A link opened where the dashboard is already: the browser changes only the fragment.
addEventListener("hashchange", () => {
  if (isSignIn()) open();
});

function isSignIn(): boolean {
  return location.hash.startsWith("#signin=");
}

function open(): void {
  const offer = isSignIn() ? { link: location.hash.slice("#signin=".length) } : undefined;
  if (offer) history.replaceState(null, "", location.pathname + location.search);
  if (root) render(<App offer={offer} />, root);
}
