// UUID version 7 (RFC 9562 §5.7): time-ordered, so that indexes over them grow at one edge. Within one millisecond
// a 12-bit counter keeps the order (§6.2, method 1). Time and randomness are injected.

export type UuidSource = () => string;

export interface UuidDeps {
  now(): number;
  randomBytes(size: number): Uint8Array;
}

/** A source of strictly increasing version 7 UUIDs for one process. */
export function uuidSource({ now, randomBytes }: UuidDeps): UuidSource {
  let lastMs = -1;
  let counter = 0;
  return () => {
    const ms = Math.max(now(), lastMs);
    counter = ms === lastMs ? counter + 1 : 0;
    // More than 4,096 in one millisecond: borrow from the next one rather than repeat or go backwards.
    lastMs = counter > 0xfff ? ms + 1 : ms;
    counter &= 0xfff;
    const tail = randomBytes(8);
    tail[0] = ((tail[0] ?? 0) & 0x3f) | 0x80;
    const time = lastMs.toString(16).padStart(12, "0");
    const random = Buffer.from(tail.buffer, tail.byteOffset, 8).toString("hex");
    return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, "0")}-${random.slice(0, 4)}-${random.slice(4)}`;
  };
}
