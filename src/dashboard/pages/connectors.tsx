// Connectors: the base URL to paste into the identity provider, the credentials with their last use, how the target
// answers, and the way through Okta's and Entra's forms.

import { useState } from "preact/hooks";
import type { ConnectorStatus } from "../api/types.ts";
import { useApi } from "../api/useApi.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Icon } from "../parts/icons.tsx";
import { Failure, Notice, Skeleton } from "../parts/states.tsx";
import { Tabs } from "../parts/tabs.tsx";
import { formatAge, Time } from "../parts/time.tsx";
import { Link } from "../routing/location.tsx";
import { BrokenBanner } from "../shell/badge.tsx";
import { useDesk } from "../shell/desk.ts";

const EVERY_MS = 10_000;

/** The page. */
export default function Connectors() {
  const { ledger, canRead } = useDesk();
  const { data, error, reload } = useApi<{ connectors: readonly ConnectorStatus[] }>(
    "/audit/v1/connectors",
    undefined,
    EVERY_MS,
  );
  if (error && !data) return <Failure error={error} retry={reload} />;
  if (!data) return <Skeleton rows={12} />;
  return (
    <>
      <BrokenBanner ledger={ledger} />
      {data.connectors.length === 0 ? (
        <Notice icon="connectors" title="No connector for this sign-in">
          <p>A connector is a section of the configuration; your sign-in may be for others.</p>
        </Notice>
      ) : (
        data.connectors.map((connector) => (
          <Connector key={connector.name} connector={connector} canRead={canRead} />
        ))
      )}
    </>
  );
}

function Connector({ connector, canRead }: { connector: ConnectorStatus; canRead: boolean }) {
  const { name, baseUrl, idp, ledger, targetHost, credentials } = connector;
  return (
    <section class="panel connector" aria-labelledby={`connector-${name}`}>
      <header class="panel-head">
        <h2 id={`connector-${name}`}>{name}</h2>
        <Health health={connector.health} />
        <span class="spread" />
        {canRead && (
          <Link
            class="more"
            to={`/activity?filter=${encodeURIComponent(`connector eq ${JSON.stringify(name)}`)}`}
          >
            Its activity
          </Link>
        )}
      </header>
      <div class="panel-body">
        <div class="paste">
          <span class="paste-label">SCIM base URL</span>
          <code class="paste-value">{baseUrl}</code>
          <CopyButton text={baseUrl} what="the base URL" label="Copy" />
        </div>
        <dl class="facts inline">
          <div>
            <dt>Target</dt>
            <dd>
              <code>{targetHost}</code>
            </dd>
          </div>
          <div>
            <dt>Identity provider</dt>
            <dd>{IDP_NAMES[idp] ?? idp}</dd>
          </div>
          <div>
            <dt>Ledger</dt>
            <dd>{ledger}</dd>
          </div>
          <div>
            <dt>Last answer</dt>
            <dd>
              <LastAnswers health={connector.health} />
            </dd>
          </div>
        </dl>
        <h3>Credentials</h3>
        <Credentials credentials={credentials} />
        <SetupGuide connector={connector} />
      </div>
    </section>
  );
}

const IDP_NAMES: Readonly<Record<string, string>> = {
  okta: "Okta",
  entra: "Microsoft Entra ID",
  other: "another",
};

const HEALTH_TONES = { ok: "good", failing: "bad", idle: "quiet" } as const;

/** How the target answers, as this instance saw it. */
function Health({ health }: { health: ConnectorStatus["health"] }) {
  return <span class={`badge ${HEALTH_TONES[health.state]}`}>{health.state}</span>;
}

/** The same in detail. */
function LastAnswers({ health }: { health: ConnectorStatus["health"] }) {
  return (
    <>
      {health.lastAnswered ? (
        <Time at={health.lastAnswered} />
      ) : (
        <span class="none">none since the start</span>
      )}
      {health.lastFailed && (
        <span class="fine">
          {" "}
          · last failure <Time at={health.lastFailed} />
          {health.failures > 0 && `, ${health.failures} in a row`}
        </span>
      )}
    </>
  );
}

function Credentials({ credentials }: { credentials: ConnectorStatus["credentials"] }) {
  if (credentials.length === 0)
    return (
      <p class="panel-empty">
        <Icon name="warning" /> None: nobody can write through it.{" "}
        <code>scimseal token mint --connector NAME</code> makes one.
      </p>
    );
  const now = Date.now();
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col" class="wide-only">
            Begins with
          </th>
          <th scope="col">State</th>
          <th scope="col">Last use</th>
          <th scope="col" class="wide-only">
            Expires
          </th>
        </tr>
      </thead>
      <tbody>
        {credentials.map(({ name, method, prefix, state, lastUse, expires }) => (
          <tr key={`${name} ${prefix}`}>
            <th scope="row">{name}</th>
            <td class="wide-only">
              {prefix === null ? <span class="fine">{method}</span> : <code>{prefix}…</code>}
            </td>
            <td>
              <span class={`badge ${state === "active" ? "good" : "quiet"}`}>{state}</span>
            </td>
            <td>
              {lastUse ? (
                <>
                  <Time at={lastUse} /> <span class="fine">{formatAge(lastUse, now)}</span>
                </>
              ) : (
                <span class="none">never</span>
              )}
            </td>
            <td class="wide-only">
              {expires ? <Time at={expires} form="full" /> : <span class="none">never</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function SetupGuide({ connector: { name, idp, baseUrl } }: { connector: ConnectorStatus }) {
  const [chosen, choose] = useState(idp === "entra" ? "entra" : "okta");
  const token = (
    <>
      a token that <code>scimseal token mint --connector {name}</code> prints once
    </>
  );
  const oktaSteps = (
    <ol class="guide">
      <li>
        Open the application, <b>General</b>, App Settings: switch on <b>SCIM</b> provisioning.
      </li>
      <li>
        <b>Provisioning → Integration → Edit</b>:
        <dl class="facts">
          <Field name="SCIM connector base URL" value={baseUrl} />
          <Field name="Unique identifier field for users" value="userName" />
          <div>
            <dt>Supported actions</dt>
            <dd>Push New Users, Push Profile Updates, Push Groups</dd>
          </div>
          <div>
            <dt>Authentication Mode</dt>
            <dd>HTTP Header, with {token}</dd>
          </div>
        </dl>
      </li>
      <li>
        <b>Test Connector Configuration</b>, then Save. Its requests are reads; the first write appears under
        Activity.
      </li>
      <li>
        <b>To App</b>: switch on Create Users, Update User Attributes, Deactivate Users.
      </li>
    </ol>
  );
  const entraSteps = (
    <ol class="guide">
      <li>
        Enterprise application → <b>Provisioning</b> → Automatic.
      </li>
      <li>
        <b>Admin Credentials</b>:
        <dl class="facts">
          <Field name="Tenant URL" value={`${baseUrl}?aadOptscim062020`} />
          <div>
            <dt>Secret Token</dt>
            <dd>{token}</dd>
          </div>
        </dl>
        <p class="fine">
          The ending of the URL makes Entra follow RFC 7644: real booleans, and members removed one by one.
        </p>
      </li>
      <li>
        <b>Test Connection</b>, then Save.
      </li>
      <li>
        Assign users and groups, and start provisioning. A cycle runs every 40 minutes; “Provision on demand”
        is at once.
      </li>
    </ol>
  );
  return (
    <details class="setup">
      <summary>
        <Icon name="chevron" /> Setup guide
      </summary>
      <Tabs
        label={`Setup guide for ${name}`}
        chosen={chosen}
        choose={choose}
        tabs={[
          { id: "okta", label: "Okta", body: () => oktaSteps },
          { id: "entra", label: "Entra ID", body: () => entraSteps },
        ]}
      />
    </details>
  );
}

function Field({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <code class="wrap">{value}</code> <CopyButton text={value} what={name} />
      </dd>
    </div>
  );
}
