// Where the dashboard begins in the browser. A sign-in link carries its secret in the fragment, which is in no request:
// it is taken out of the address before anything else happens, so that it stays in no history.

import { render } from "preact";
import { App } from "./app.tsx";
import { applyTheme } from "./shell/settings.ts";

const root = document.getElementById("app");
if (!root) throw new Error("the page has no place for the dashboard");

const link = /^#signin=(.+)$/.exec(location.hash)?.[1];
if (link !== undefined) history.replaceState(null, "", location.pathname + location.search);
applyTheme();
render(<App link={link} />, root);
