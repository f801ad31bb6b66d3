// Ending on a signal: the first one stops in good order, a second one at once.

/** A signal so soon after the first is the same one again. */
const REPEAT_MS = 1_000;

export interface SignalLog {
  info(message: string): void;
  error(fields: object, message: string): void;
}

/** Waits for SIGINT, SIGTERM or SIGHUP, then stops. The process ends with 0, or with 1 if stopping failed. */
export async function stopOnSignal(stop: () => Promise<void>, log: SignalLog): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
  // A terminal's Ctrl-C arrives twice below npm: once from the terminal and once passed on. That is one wish, not two.
  const firstAt = performance.now();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (performance.now() - firstAt < REPEAT_MS) return;
      log.info("stopped at once by a second signal; what was open is closed by the next start");
      process.exit(130);
    });
  }
  try {
    await stop();
  } catch (cause) {
    log.error({ error: cause instanceof Error ? cause.message : "unknown" }, "stopping failed");
    process.exit(1);
  }
  process.exit(0);
}
