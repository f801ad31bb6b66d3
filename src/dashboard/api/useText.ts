// One text of the server as state; undefined until it is there, and if it is not given.

import { useEffect, useState } from "preact/hooks";
import { ApiError } from "./client.ts";

/** Reads a path once. */
export function useText(path: string, read: (path: string) => Promise<string>): string | undefined {
  const [text, setText] = useState<string>();
  useEffect(() => {
    let isGone = false;
    read(path).then(
      (found) => {
        if (!isGone) setText(found);
      },
      (cause: unknown) => {
        // Nothing is shown in its place; the page says so.
        if (!(cause instanceof ApiError)) throw cause;
      },
    );
    return () => {
      isGone = true;
    };
  }, [path, read]);
  return text;
}
