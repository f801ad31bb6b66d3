// The log: pino JSON, one line an event, pretty on a terminal. Lines are about the proxy, never about people: no
// names, addresses of accounts, bodies, queries or credentials. Values that come from outside are escaped by JSON.

import { type DestinationStream, type Logger, pino } from "pino";
import pretty from "pino-pretty";

export interface LogOptions {
  level: "debug" | "info" | "warn" | "error";
  format: "auto" | "json" | "pretty";
}

/** The program's log, on standard output unless a destination is given. */
export function createLog(options: LogOptions, destination?: DestinationStream): Logger {
  const isPretty =
    options.format === "pretty" || (options.format === "auto" && process.stdout.isTTY === true);
  const stream =
    destination ??
    (isPretty ? pretty({ colorize: process.stdout.isTTY === true, ignore: "pid,hostname,name" }) : undefined);
  const settings = {
    name: "scimseal",
    level: options.level,
    // The last line of defence for I5; nothing is meant to reach it.
    redact: ["authorization", "password", "token", "*.authorization", "*.password", "*.token"],
  };
  return stream ? pino(settings, stream) : pino(settings);
}
