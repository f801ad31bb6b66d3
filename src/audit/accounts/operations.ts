// The operations on accounts, in the order of the documentation; what stands first is matched first.

import type { Operation } from "../http/operation.ts";
import { accountHistoryOperations } from "./account.ts";
import { listAccounts } from "./list.ts";
import { listMembers } from "./members.ts";

export const accountOperations: readonly Operation[] = [
  listAccounts,
  ...accountHistoryOperations,
  listMembers,
];
