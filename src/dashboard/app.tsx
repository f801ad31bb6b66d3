// The whole dashboard: first who is there, then the shell around the page that the address names.

import { useCallback, useEffect, useState } from "preact/hooks";
import { ApiError, getJson, send, watchSignedOut } from "./api/client.ts";
import type { Session } from "./api/types.ts";
import { asApiError } from "./api/useApi.ts";
import { Activity } from "./pages/activity/activity.tsx";
import { Overview } from "./pages/overview.tsx";
import { lazy } from "./parts/lazy.tsx";
import { Notice, Skeleton } from "./parts/states.tsx";
import { Link, useLocation } from "./routing/location.tsx";
import { parseRoute, type Route } from "./routing/route.ts";
import { Shell } from "./shell/shell.tsx";
import { SignIn, UseLink } from "./shell/signIn.tsx";

const Transaction = lazy(() => import("./pages/transaction/transaction.tsx"));
const Accounts = lazy(() => import("./pages/accounts.tsx"));
const Account = lazy(() => import("./pages/account/account.tsx"));
const Ledger = lazy(() => import("./pages/ledger/ledger.tsx"));
const Connectors = lazy(() => import("./pages/connectors.tsx"));

const NOT_KEPT =
  "The link was taken, but this browser did not keep the session: it needs cookies, and HTTPS or localhost. The link is spent; print a new one.";

type Who = { readonly session: Session } | { readonly problem: ApiError } | "unknown" | "nobody";

/** The dashboard. `offer`: what a sign-in link carried; nothing is done with it before the person says so. */
export function App({ offer }: { offer: { readonly link: string } | undefined }) {
  const [who, setWho] = useState<Who>("unknown");
  const [offered, setOffered] = useState(offer);
  const { pathname } = useLocation();

  const signIn = useCallback(async (code: string | undefined) => {
    try {
      if (code !== undefined) await send("POST", "/session", { link: code });
      const { session } = await getJson<{ session: Session | null }>("/session/current");
      if (session) return setWho({ session });
      setWho(code === undefined ? "nobody" : { problem: new ApiError(0, "no_session", NOT_KEPT) });
    } catch (cause) {
      setWho({ problem: asApiError(cause) });
    }
  }, []);

  useEffect(() => {
    watchSignedOut(() => setWho("nobody"));
    void signIn(undefined);
  }, [signIn]);
  useEffect(() => setOffered(offer), [offer]);

  if (who === "unknown") return <Opening />;
  if (offered !== undefined)
    return (
      <UseLink
        session={typeof who === "object" && "session" in who ? who.session : undefined}
        use={() => signIn(offered.link).finally(() => setOffered(undefined))}
        decline={() => setOffered(undefined)}
      />
    );
  if (who === "nobody") return <SignIn signIn={signIn} problem={undefined} />;
  if ("problem" in who) return <SignIn signIn={signIn} problem={who.problem} />;
  const route = parseRoute(pathname);
  const signOut = async () => {
    await send("DELETE", "/session").catch((cause: unknown) => {
      // Nobody is signed in already: what was wanted.
      if (asApiError(cause).status !== 401) throw cause;
    });
    setWho("nobody");
  };
  return (
    <Shell session={who.session} route={route} signOut={signOut}>
      <Page route={route} />
    </Shell>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case "overview":
      return <Overview />;
    case "activity":
      return <Activity />;
    case "transaction":
      return <Transaction key={route.txn} ledger={route.ledger} txn={route.txn} />;
    case "accounts":
      return <Accounts />;
    case "account":
      return <Account key={`${route.type}/${route.id}`} type={route.type} id={route.id} />;
    case "ledger":
      return <Ledger />;
    case "connectors":
      return <Connectors />;
    case "nothing":
      return (
        <Notice icon="search" title="There is no such page">
          <p>The address leads nowhere here.</p>
          <Link to="/" class="button">
            To the overview
          </Link>
        </Notice>
      );
  }
}

/** Stands for the moment until it is known who is there; as large as the shell, so that nothing jumps. */
function Opening() {
  return (
    <div class="shell">
      <div class="side" />
      <main class="main">
        <Skeleton rows={6} label="Opening the desk" />
      </main>
    </div>
  );
}
