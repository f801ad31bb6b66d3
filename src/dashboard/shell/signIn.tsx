// Signing in. People come with a one-time link that an operator printed, and say that they want to use it: a page of
// somebody else can open a link of its own, and what the person does then would be done under another name. Or they paste
// one, and are told how to get one. There is no password to lose.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../api/client.ts";
import type { Session } from "../api/types.ts";
import { Icon, Mark } from "../parts/icons.tsx";

/** Asks whether a link that was opened is to be used. `session`: who is signed in now. */
export function UseLink({
  session,
  use,
  decline,
}: {
  session: Session | undefined;
  use: () => Promise<void>;
  decline: () => void;
}) {
  const [isBusy, setBusy] = useState(false);
  return (
    <Box title="Sign in with this link?">
      <p>
        It works once. Go on if you asked for it, or if whoever runs this instance gave it to you: what you do
        then stands in the ledger under the link’s name.
      </p>
      {session && (
        <p class="now-signed-in">
          You are signed in as{" "}
          <strong>
            <bdi>{session.name}</bdi>
          </strong>
          ; this ends that session.
        </p>
      )}
      <div class="sign-in-choice">
        <button
          type="button"
          class="button primary wide"
          disabled={isBusy}
          onClick={() => {
            setBusy(true);
            void use();
          }}
        >
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
        <button type="button" class="button wide" disabled={isBusy} onClick={decline}>
          {session ? "Stay as I am" : "Do not use it"}
        </button>
      </div>
    </Box>
  );
}

/** Asks for a sign-in link. */
export function SignIn({
  signIn,
  problem,
}: {
  signIn: (code: string) => Promise<void>;
  problem: ApiError | undefined;
}) {
  const [text, setText] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = (event: Event) => {
    event.preventDefault();
    const code = text.trim().replace(/^.*#signin=/s, "");
    if (code === "") return;
    setBusy(true);
    void signIn(code).finally(() => setBusy(false));
  };
  return (
    <Box title="Sign in to the auditor’s desk">
      <p>Open a one-time sign-in link, or paste it here. It works once, for fifteen minutes.</p>
      {problem && (
        <p class="form-error" role="alert">
          <Icon name="warning" />
          {problem.status === 401
            ? "This link does not work: it was used, is too old, or was not copied whole. Print a new one."
            : problem.message}
        </p>
      )}
      <form onSubmit={submit}>
        <label class="field">
          <span>Sign-in link</span>
          <input
            type="text"
            name="link"
            autocomplete="off"
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            placeholder="https://…/#signin=…"
          />
        </label>
        <button type="submit" class="button primary wide" disabled={isBusy || text.trim() === ""}>
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
      </form>
      <details class="how">
        <summary>Where do I get a link?</summary>
        <p>Whoever runs this instance prints one on its machine:</p>
        <pre class="command">
          <code>scimseal token signin --config FILE</code>
        </pre>
        <p>
          The demonstration prints one when it starts. For programs there are bearer tokens; see the{" "}
          <a href="/audit/v1/">audit API</a>.
        </p>
      </details>
    </Box>
  );
}

function Box({ title, children }: { title: string; children: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · scimseal`;
  }, [title]);
  return (
    <main class="sign-in">
      <div class="sign-in-box">
        <p class="brand">
          <Mark />
          scimseal
        </p>
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  );
}
