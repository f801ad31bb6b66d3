/**
 * Comparison of secrets in constant time: both sides are digested first, so that neither length nor content shows in
 * the time it takes. The digest is keyed with a key of this process, so that it is of no use outside.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const PROCESS_KEY = randomBytes(32);

/** A keyed digest of several texts, kept apart from each other. */
export function digestSecret(...parts: readonly string[]): Buffer {
  const mac = createHmac("sha256", PROCESS_KEY);
  for (const part of parts) mac.update(`${Buffer.byteLength(part)}:`).update(part);
  return mac.digest();
}

/** The candidates whose digest equals; every one is compared, so that the time does not tell which matched. */
export function matchDigests<T extends { digest: Buffer }>(candidates: readonly T[], digest: Buffer): T[] {
  const found: T[] = [];
  for (const candidate of candidates) {
    if (timingSafeEqual(candidate.digest, digest)) found.push(candidate);
  }
  return found;
}
