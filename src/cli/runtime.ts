// The Node that may serve: 24.18.1 or newer. Older lines carry a request-smuggling hole in the HTTP parser, and an
// audit proxy that two parsers read differently is worth nothing.

export const MINIMUM_NODE = [24, 18, 1] as const;

/** Whether a version such as `24.18.1` or `v24.18.1` may serve. */
export function isNodeSupported(version: string): boolean {
  const parts = version.replace(/^v/, "").split(".").map(Number);
  const difference = MINIMUM_NODE.map((minimum, i) => (parts[i] ?? 0) - minimum).find((by) => by !== 0) ?? 0;
  return difference >= 0;
}

/** Throws on a Node that must not serve. */
export function checkRuntime(version = process.version): void {
  if (isNodeSupported(version)) return;
  throw new Error(
    `this is Node ${version}; scimseal serves on ${MINIMUM_NODE.join(".")} or newer, since older ones can be tricked into reading one request as two`,
  );
}
