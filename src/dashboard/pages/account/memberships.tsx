// Who is in what: an account's groups over time, and a group's members at one.

import { pathOf } from "../../api/client.ts";
import type { AccountAnswer, MembersAnswer } from "../../api/types.ts";
import { useApi } from "../../api/useApi.ts";
import { shorten } from "../../parts/copy.tsx";
import { Failure, Skeleton } from "../../parts/states.tsx";
import { formatCount, Time } from "../../parts/time.tsx";
import { Foreign } from "../../parts/value/text.tsx";
import { Link } from "../../routing/location.tsx";
import { formatAccount } from "../../routing/route.ts";

/** An account's groups. */
export function Memberships({ answer: { memberships, account } }: { answer: AccountAnswer }) {
  return (
    <>
      <h3 class="in-panel">
        Groups <span class="count">{memberships.filter(({ to }) => to === null).length}</span>
      </h3>
      {memberships.length === 0 ? (
        <p class="panel-empty">None that the ledger knows of.</p>
      ) : (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Group</th>
              <th scope="col">From</th>
              <th scope="col">To</th>
            </tr>
          </thead>
          <tbody>
            {memberships.map(({ group, id, from, isFromKnown, to, isCertain }) => (
              <tr key={`${id} ${from.seq}`} class={to === null ? "" : "past"}>
                <th scope="row">
                  <Link to={formatAccount("Group", id, account.connector)}>
                    <Foreign text={group ?? shorten(id)} />
                  </Link>
                </th>
                <td>
                  {!isFromKnown && <span class="none">at the latest </span>}
                  <Time at={from.time} />
                </td>
                <td>
                  {to !== null ? (
                    <Time at={to.time} />
                  ) : (
                    <span class={`badge ${isCertain ? "good" : "wait"}`}>
                      {isCertain ? "member" : "not certain"}
                    </span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

/** A group's members at a time. */
export function Members({
  id,
  ledger,
  connector,
  at,
}: {
  id: string;
  ledger: string | undefined;
  connector: string;
  at: string | undefined;
}) {
  const path = ledger === undefined ? undefined : `/audit/v1${pathOf("groups", id, "members")}`;
  const { data, error, reload } = useApi<MembersAnswer>(path, { ledger, connector, at });
  return (
    <>
      <h3 class="in-panel">
        Members {data && <span class="count">{formatCount(data.members.length)}</span>}
      </h3>
      {error && !data ? (
        <Failure error={error} retry={reload} />
      ) : !data ? (
        <Skeleton rows={3} />
      ) : (
        <>
          {data.members.length === 0 ? (
            <p class="panel-empty">None that the ledger knows of at this time.</p>
          ) : (
            <ul class="members">
              {data.members.map((member) => (
                <li key={member.id}>
                  <Link to={formatAccount("User", member.id, connector)}>
                    {member.name === null ? (
                      <code>{shorten(member.id)}</code>
                    ) : (
                      <Foreign text={member.name} />
                    )}
                  </Link>
                  {!member.isCertain && <span class="badge wait">not certain</span>}
                  {member.since && (
                    <span class="fine">
                      since <Time at={member.since.time} />
                      {!member.isSinceKnown && " or before"}
                    </span>
                  )}
                </li>
              ))}
            </ul>
          )}
          {!data.isWhole && (
            <p class="panel-note">There may have been others, of whom the ledger never heard.</p>
          )}
        </>
      )}
    </>
  );
}
