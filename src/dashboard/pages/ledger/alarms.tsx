// What the monitor found, and the alarms that nobody took note of yet; an admin may, and that is recorded.

import { useState } from "preact/hooks";
import { type ApiError, pathOf, send } from "../../api/client.ts";
import type { Alarm, LedgerStatus } from "../../api/types.ts";
import { asApiError } from "../../api/useApi.ts";
import { Dialog } from "../../parts/dialog.tsx";
import { Icon } from "../../parts/icons.tsx";
import { formatAge, formatCount, Time } from "../../parts/time.tsx";
import { useDesk } from "../../shell/desk.ts";

/** What the open alarms are about. */
export function Findings({ ledger: { findings } }: { ledger: LedgerStatus }) {
  return (
    <section class="panel flush" aria-labelledby="findings">
      <header class="panel-head">
        <h2 id="findings">
          What was found <span class="count">{findings.length}</span>
        </h2>
      </header>
      <table class="plain">
        <thead>
          <tr>
            <th scope="col">Entry</th>
            <th scope="col">Finding</th>
            <th scope="col">In words</th>
          </tr>
        </thead>
        <tbody>
          {findings.map(({ seq, code, detail }) => (
            <tr key={`${seq} ${code}`}>
              <td>{seq === undefined ? "–" : `#${formatCount(seq)}`}</td>
              <td>
                <code>{code}</code>
              </td>
              <td>{detail}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="panel-note">
        What to do: read the alarm in the log, run <code>scimseal verify</code>, keep the anchors, any
        checkpoint that somebody else holds and a copy of the database as evidence, and decide. Entries before
        the first finding are proved by the checkpoints that cover them.{" "}
        <code>scimseal doctor --acknowledge</code>, or an admin on this page, takes note of an alarm: writes
        go on, and that is itself an entry.
      </p>
    </section>
  );
}

/** The open alarms. */
export function Alarms({ ledger }: { ledger: LedgerStatus }) {
  const { canAct, status } = useDesk();
  const [asked, setAsked] = useState<Alarm>();
  const [problem, setProblem] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const acknowledge = async (alarm: Alarm) => {
    setBusy(true);
    try {
      await send("POST", `/audit/v1${pathOf("ledgers", ledger.name, "alarms", alarm.id, "acknowledge")}`);
      setAsked(undefined);
      status.reload();
    } catch (cause) {
      setProblem(asApiError(cause));
    } finally {
      setBusy(false);
    }
  };
  const now = Date.now();
  return (
    <section class="panel flush" aria-labelledby="alarms">
      <header class="panel-head">
        <h2 id="alarms">
          Open alarms <span class="count">{ledger.alarms.length}</span>
        </h2>
      </header>
      {ledger.alarms.length === 0 ? (
        <p class="panel-empty">
          <Icon name={ledger.acknowledged > 0 ? "warning" : "check"} /> None is open.
          {ledger.acknowledged > 0 &&
            ` Somebody took note of ${formatCount(ledger.acknowledged)}; what was found there is not known to be mended.`}
        </p>
      ) : (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Raised</th>
              <th scope="col">What</th>
              <th scope="col">Entry</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {ledger.alarms.map((alarm) => (
              <tr key={alarm.id}>
                <td>
                  {alarm.raised === "" ? (
                    <span class="none">not known here</span>
                  ) : (
                    <>
                      <Time at={alarm.raised} /> <span class="fine">{formatAge(alarm.raised, now)}</span>
                    </>
                  )}
                </td>
                <td>
                  <code>{alarm.code}</code>
                </td>
                <td>{alarm.seq === null ? "–" : `#${formatCount(alarm.seq)}`}</td>
                <td>
                  {canAct ? (
                    <button type="button" class="button small" onClick={() => setAsked(alarm)}>
                      Acknowledge…
                    </button>
                  ) : (
                    <span class="badge bad">not acknowledged</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Dialog title="Acknowledge this alarm?" isOpen={asked !== undefined} close={() => setAsked(undefined)}>
        <p>
          It says that somebody looked at <code>{asked?.code}</code>. It repairs nothing, is recorded in the
          ledger under your sign-in, and lets writes through again if the alarm stopped them.
        </p>
        {problem && <p class="form-error">{problem.message}</p>}
        <div class="buttons">
          <button
            type="button"
            class="button primary"
            disabled={isBusy}
            onClick={() => asked && void acknowledge(asked)}
          >
            Acknowledge
          </button>
          <button type="button" class="button" onClick={() => setAsked(undefined)}>
            Not yet
          </button>
        </div>
      </Dialog>
    </section>
  );
}
