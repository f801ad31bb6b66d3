// For `node --import`: attachments are stored and read in clear, in every thread. Only the benchmark of sealing does this.

import { registerHooks } from "node:module";

const clear = new URL("./clear.ts", import.meta.url).href;

registerHooks({
  resolve(specifier, context, nextResolve) {
    const isSealing = /\/attachment(?:Seal|Open)\.ts$/.test(specifier);
    return isSealing ? nextResolve(clear, context) : nextResolve(specifier, context);
  },
});
