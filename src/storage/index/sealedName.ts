// Where a sealed name stands: what it is bound to, so that a row of one account cannot pass for another's.

/** The additional data of `account_name.sealed`. `account` as PostgreSQL spells the bigint. */
export function sealedNamePlace(account: string | bigint | number, attribute: string): string {
  return `account_name\0${account}\0${attribute}`;
}
