// Is somebody there? A page that asks again by itself would keep its session open for ever, also when the person has gone
// home: so it stops asking after a while without a key or a pointer, and the session ends as it should.

import { useEffect, useState } from "preact/hooks";

/** Less than the 30 minutes after which an unused session ends. */
const ATTENTION_MS = 10 * 60_000;

let lastInput = performance.now();
for (const kind of ["keydown", "pointerdown", "pointermove", "wheel", "focus"])
  window.addEventListener(
    kind,
    () => {
      lastInput = performance.now();
    },
    { passive: true, capture: true },
  );

/** Whether the page is looked at: in sight, and touched not long ago. */
export function isAttended(): boolean {
  return document.visibilityState === "visible" && performance.now() - lastInput < ATTENTION_MS;
}

/** The time, renewed every so often: for ages that are shown. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
