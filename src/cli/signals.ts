// Ending on a signal: the first one stops in good order, a second one at once.

export interface SignalLog {
  info(message: string): void;
  error(fields: object, message: string): void;
}

/** Waits for SIGINT, SIGTERM or SIGHUP, then stops. The process ends with 0, or with 1 if stopping failed. */
export async function stopOnSignal(stop: () => Promise<void>, log: SignalLog): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
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
