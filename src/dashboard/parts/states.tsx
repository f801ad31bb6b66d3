// The states of a page that has nothing to show: loading, empty, an error, no permission. Each says what is so and what
// to do next; a skeleton has the size of what will stand there.

import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client.ts";
import { Icon, type IconName } from "./icons.tsx";

interface NoticeProps {
  icon: IconName;
  title: string;
  tone?: "bad" | "quiet";
  children?: ComponentChildren;
}

/** A notice in the place of content. */
export function Notice({ icon, title, tone = "quiet", children }: NoticeProps) {
  return (
    <div class={`notice ${tone}`} role={tone === "bad" ? "alert" : undefined}>
      <span class="notice-icon">
        <Icon name={icon} />
      </span>
      <h2>{title}</h2>
      {children && <div class="notice-text">{children}</div>}
    </div>
  );
}

const TITLES: Readonly<Record<string, string>> = {
  unreachable: "The server does not answer",
  ledger_inconsistent: "The ledger does not agree with itself",
  rate_limited: "Too many requests",
  search_timeout: "The search took too long",
  index_not_ready: "The index is not ready",
};

/** What went wrong, and the way on. */
export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  if (error.status === 403 || error.code === "role_missing")
    return <NoPermission what="this page">{error.message}</NoPermission>;
  const title = TITLES[error.code] ?? (error.status === 404 ? "Not found" : "This did not work");
  return (
    <Notice
      icon={error.status === 404 ? "search" : "warning"}
      title={title}
      tone={error.status === 404 ? "quiet" : "bad"}
    >
      <p>{error.message}</p>
      {error.status === 404 && <p>It may be another ledger's, or not be recorded at all.</p>}
      {retry && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
      <p class="fine">
        <code>{error.code}</code>
        {error.status > 0 && ` · HTTP ${error.status}`}
      </p>
    </Notice>
  );
}

/** For whom the page is not. */
export function NoPermission({ what, children }: { what: string; children?: ComponentChildren }) {
  return (
    <Notice icon="lock" title="Not for your role">
      <p>Your sign-in does not open {what}.</p>
      {children ? (
        <p>{children}</p>
      ) : (
        <p>Names and contents of changes are for auditors. Ask for a sign-in link with that role:</p>
      )}
      <p>
        <code>scimseal token signin --role auditor</code>
      </p>
    </Notice>
  );
}

/** Lines that stand where rows will. */
export function Skeleton({ rows = 8, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div class="skeleton" role="status">
      <span class="visually-hidden">{label}</span>
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} class={`bone w${row % 4}`} />
      ))}
    </div>
  );
}
