// The frame around every page: where one can go, which ledger is looked at, how it stands, and what concerns the person:
// theme, time zone, help, signing out. On a phone the places are at the bottom, in reach of a thumb.

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { LedgerStatus, Session } from "../api/types.ts";
import { useApi } from "../api/useApi.ts";
import { Icon, type IconName, Mark } from "../parts/icons.tsx";
import { addressWith, Link, navigate, useLocation } from "../routing/location.tsx";
import type { Route } from "../routing/route.ts";
import { IntegrityBadge } from "./badge.tsx";
import { type Desk, DeskContext } from "./desk.ts";
import { Help } from "./help.tsx";
import { useShortcuts } from "./keyboard.ts";
import { applyTheme, useSetting } from "./settings.ts";

const STATUS_MS = 4_000;

const PLACES: readonly {
  page: Route["page"];
  to: string;
  label: string;
  icon: IconName;
  also?: Route["page"];
}[] = [
  { page: "overview", to: "/", label: "Overview", icon: "overview" },
  { page: "activity", to: "/activity", label: "Activity", icon: "activity", also: "transaction" },
  { page: "accounts", to: "/accounts", label: "Accounts", icon: "accounts", also: "account" },
  { page: "ledger", to: "/ledger", label: "Ledger", icon: "ledger" },
  { page: "connectors", to: "/connectors", label: "Connectors", icon: "connectors" },
];

const TITLES: Readonly<Record<Route["page"], string>> = {
  overview: "Overview",
  activity: "Activity",
  transaction: "Transaction",
  accounts: "Accounts",
  account: "Account",
  ledger: "Ledger",
  connectors: "Connectors",
  nothing: "Not found",
};

interface ShellProps {
  session: Session;
  route: Route;
  signOut: () => Promise<void>;
  children: ComponentChildren;
}

/** The frame. */
export function Shell({ session, route, signOut, children }: ShellProps) {
  const [isHelpOpen, setHelpOpen] = useState(false);
  const showHelp = useCallback(() => setHelpOpen(true), []);
  const closeHelp = useCallback(() => setHelpOpen(false), []);
  useShortcuts(showHelp);
  const { search } = useLocation();
  const status = useApi<{ ledgers: readonly LedgerStatus[] }>("/audit/v1/status", undefined, STATUS_MS);
  const [remembered, remember] = useSetting("ledger");
  const ledgers = status.data?.ledgers ?? [];
  const named = route.page === "transaction" ? route.ledger : new URLSearchParams(search).get("ledger");
  const ledger = ledgers.find(({ name }) => name === (named ?? remembered)) ?? ledgers[0];
  const desk = useMemo<Desk>(() => {
    const has = (...roles: readonly string[]) => session.roles.some((role) => roles.includes(role));
    return { session, status, ledger, canRead: has("auditor", "admin"), canAct: has("admin") };
  }, [session, status.data, status.error, ledger]);

  const main = useRef<HTMLElement>(null);
  const title = TITLES[route.page];
  const isFirst = useRef(true);
  // Another page is a new beginning for whoever listens.
  useEffect(() => {
    document.title = `${title} · scimseal`;
    if (!isFirst.current) main.current?.focus({ preventScroll: true });
    isFirst.current = false;
  }, [route.page, title]);

  return (
    <DeskContext.Provider value={desk}>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <div class="shell">
        <header class="side">
          <Link to="/" class="brand">
            <Mark />
            scimseal
          </Link>
          <LedgerChoice
            ledgers={ledgers}
            chosen={ledger?.name}
            choose={(name) => {
              remember(name);
              navigate(
                addressWith(
                  { ledger: undefined },
                  route.page === "transaction" ? "/activity" : location.pathname,
                ),
              );
            }}
          />
          <nav class="places" aria-label="Pages">
            {PLACES.map(({ page, to, label, icon, also }) => {
              const isHere = route.page === page || route.page === also;
              return (
                <Link key={page} to={to} class="place" {...(isHere && { "aria-current": "page" as const })}>
                  <Icon name={icon} />
                  <span>{label}</span>
                </Link>
              );
            })}
          </nav>
          <Personal session={session} signOut={signOut} showHelp={showHelp} />
        </header>
        <main class="main" id="main" tabIndex={-1} ref={main}>
          <div class="top">
            <h1>{title}</h1>
            <IntegrityBadge ledger={ledger} at={status.at} />
          </div>
          {children}
        </main>
      </div>
      <Help isOpen={isHelpOpen} close={closeHelp} />
    </DeskContext.Provider>
  );
}

function LedgerChoice({
  ledgers,
  chosen,
  choose,
}: {
  ledgers: readonly LedgerStatus[];
  chosen: string | undefined;
  choose: (name: string) => void;
}) {
  if (ledgers.length < 2)
    return (
      <p class="ledger-name" title={ledgers[0]?.origin}>
        {ledgers[0]?.origin ?? "\u00a0"}
      </p>
    );
  return (
    <label class="ledger-choice">
      <span class="visually-hidden">Ledger</span>
      <select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
        {ledgers.map(({ name }) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Personal({
  session,
  signOut,
  showHelp,
}: {
  session: Session;
  signOut: () => Promise<void>;
  showHelp: () => void;
}) {
  const [theme, setTheme] = useSetting("theme");
  const [zone, setZone] = useSetting("zone");
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const toggleTheme = () => {
    setTheme(isDark ? "light" : "dark");
    applyTheme();
  };
  return (
    <div class="personal">
      <p class="who">
        <bdi>{session.name}</bdi>
        <span>{session.roles.join(", ")}</span>
      </p>
      <div class="tools">
        <button
          type="button"
          class="icon-button zone"
          onClick={() => setZone(zone === "local" ? undefined : "local")}
          aria-label={`Times in ${zone === "local" ? "local time; show UTC" : "UTC; show local time"}`}
          title="UTC or local time"
        >
          {zone === "local" ? "Local" : "UTC"}
        </button>
        <button
          type="button"
          class="icon-button"
          onClick={toggleTheme}
          aria-label={isDark ? "Light theme" : "Dark theme"}
          title={isDark ? "Light theme" : "Dark theme"}
        >
          <Icon name={isDark ? "sun" : "moon"} />
        </button>
        <button
          type="button"
          class="icon-button"
          onClick={showHelp}
          aria-label="Keyboard help"
          title="Keyboard help (?)"
        >
          <Icon name="help" />
        </button>
        <button
          type="button"
          class="icon-button"
          onClick={() => void signOut()}
          aria-label="Sign out"
          title="Sign out"
        >
          <Icon name="out" />
        </button>
      </div>
    </div>
  );
}
