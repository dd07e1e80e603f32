/** Everything a test of a workflow needs: runs in memory and in virtual time, under Node and in workerd. */
export { RehearsalError } from "./rehearsal/error.ts";
export { rehearse } from "./rehearsal/start.ts";
export { hang } from "./rehearsal/hang.ts";
export type { CrashOptions, HistoryEntry, HookCall, HookReply, Rehearsal, Standing } from "./rehearsal/rehearsal.ts";
export type { ChildPart, RehearsalOptions, SentSignal, StandIn, StandInContext, StandIns } from "./rehearsal/script.ts";
