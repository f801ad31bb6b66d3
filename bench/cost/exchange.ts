// Puts another module in the place of those whose specifier fits, wherever they are imported from.

import { registerHooks } from "node:module";

export function exchange(specifiers: RegExp, by: URL): void {
  registerHooks({
    resolve(specifier, context, nextResolve) {
      return nextResolve(specifiers.test(specifier) ? by.href : specifier, context);
    },
  });
}
