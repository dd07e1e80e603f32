/**
 * Owns: what a request for an update does to a run: it is refused, accepted and answered, or recognized as a repetition.
 * Does not own: calling the function (handlers); how long a caller waits (objects).
 *
 * Invariant 1: an update is on record before its function is called, and its end before it is answered
 * (guarantee 1).
 * Invariant 2: the same key is the same update, whoever died in between, also after the run's end.
 */
import { authorOf } from "../../core/author.ts";
import { refuseEnded } from "../../core/lifecycle/action.ts";
import { HoldfastError } from "../../core/error.ts";
import { defined } from "../../core/record.ts";
import { validate } from "../../core/definition/schema.ts";
import { checkTogether } from "../../core/value/capacity.ts";
import type { UpdateAnswer, UpdateRequest } from "../../core/service/service.ts";
import type { RunState, Update } from "../../core/state/state.ts";
import { decode, encode, isSame } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import type { UpdateHandler } from "./handlers.ts";
import type { Execution } from "../execution.ts";
import type { Run } from "../run.ts";

/** An update that is on record; `end` resolves once its end is. */
export type Accepted = { readonly update: string; readonly end: Promise<UpdateAnswer> };

/**
 * Resolves once the update is on record.
 * @param isWanted false when nobody waits for it any more: it is then not taken
 * @throws update_not_found, update_invalid, run_ended, run_paused, version_missing,
 * idempotency_conflict, value_too_large, value_uncloneable
 */
export async function receiveUpdate(run: Run, request: UpdateRequest, isWanted: () => boolean): Promise<Accepted> {
  const known = knownUpdate(run.state, request);
  if (known !== undefined && known.end !== null) return toAccepted(known.id, answer(run.state, known.id));
  refuseEnded(run.state, "be updated");
  if (known === undefined) refuseIdle(run.state, request.name);
  const execution = await run.awake();
  const update = known?.id ?? (await accept(execution, request, isWanted));
  if (update === null) return await receiveUpdate(run, request, isWanted);
  return toAccepted(update, ended(execution, update));
}

function toAccepted(update: string, end: Promise<UpdateAnswer>): Accepted {
  // Nobody may be waiting for it any more, or yet.
  end.catch(() => {});
  return { update, end };
}

function knownUpdate(state: RunState, { key, name, argument }: UpdateRequest): Update | undefined {
  const id = key === undefined ? undefined : state.updateKeys.get(key);
  const known = id === undefined ? undefined : state.updates.get(id);
  if (known === undefined || (known.name === name && isSame(known.sent, argument))) return known;
  throw new HoldfastError("idempotency_conflict", `the key ${key} was used for another update`);
}

function refuseIdle({ paused, startedAt, created }: RunState, name: string): void {
  if (startedAt === null) {
    throw new HoldfastError("update_not_found", `run ${created?.id} has not begun and has no update ${name} yet`);
  }
  if (paused !== null) throw new HoldfastError("run_paused", `run ${created?.id} is paused and takes no updates`);
}

/** The update's id; null where the run goes on as new, and its next incarnation is to be asked. */
async function accept(execution: Execution, request: UpdateRequest, isWanted: () => boolean): Promise<string | null> {
  const { name, argument: sent } = request;
  const handler = execution.messageHandlers.findUpdate(name);
  if (handler === undefined) throw execution.messageHandlers.notFound("update", name);
  const argument = await fit(handler, sent);
  const { course, renewal } = execution;
  const taken = await course.turn(() => (isWanted() ? tryTake(execution, request, argument) : null));
  if (taken instanceof HoldfastError) throw taken;
  if (taken !== null && course.failure === null) return taken;
  // The handler asked to go on as new, and that is not on record yet.
  if (renewal.requested && !course.over) await course.stopped.rung();
  if (renewal.done) return null;
  throw course.failure ?? endOf(course.state);
}

/** The argument as its schema makes it. */
async function fit({ name, schema }: UpdateHandler, sent: Stored): Promise<Stored> {
  if (schema === undefined) return sent;
  const what = `the argument of update ${name}`;
  const fitted = encode(await validate(schema, decode(sent), "update_invalid", what), what);
  if (fitted !== sent) checkTogether([sent, fitted], `${what}, as it was sent and as its schema makes it, has`);
  return fitted;
}

/** As `take`, with its refusal as an answer: thrown in a turn, it would be taken for a fault of the journal. */
function tryTake(execution: Execution, request: UpdateRequest, argument: Stored): string | HoldfastError | null {
  try {
    return take(execution, request, argument);
  } catch (error) {
    if (error instanceof HoldfastError) return error;
    throw error;
  }
}

/**
 * Puts the update on record, which calls its function. Returns its id, or that of the update with the same key;
 * null where the run goes on as new.
 */
function take(execution: Execution, request: UpdateRequest, argument: Stored): string | null {
  const { state } = execution.course;
  const known = knownUpdate(state, request);
  if (known !== undefined) return known.id;
  if (execution.renewal.requested) return null;
  if (execution.silent || state.cancelling !== null) throw endOf(state);
  refuseIdle(state, request.name);
  const { name, argument: sent, key, reason } = request;
  const update = nextId(state);
  execution.course.record({
    kind: "update.accepted",
    name,
    update,
    argument,
    ...authorOf(request),
    ...defined({ reason, sent: argument === sent ? undefined : sent, key }),
  });
  return update;
}

/** Ids that updates of earlier incarnations have, or of the run that this one was forked from, are taken. */
function nextId({ updates }: RunState): string {
  for (let count = updates.size + 1; ; count++) if (!updates.has(`update-${count}`)) return `update-${count}`;
}

/** Its end, once that is on record. */
async function ended({ course, messageHandlers }: Execution, update: string): Promise<UpdateAnswer> {
  const { state } = course;
  while (state.updates.get(update)?.end === null && !course.over) {
    await Promise.race([messageHandlers.answered.rung(), course.stopped.rung()]);
  }
  if (course.failure !== null) throw course.failure;
  return await answer(state, update);
}

async function answer(state: RunState, id: string): Promise<UpdateAnswer> {
  const end = state.updates.get(id)?.end ?? null;
  if (end === null || (end.kind === "failed" && end.error.code === "run_ended")) throw endOf(state);
  return { ...end, update: id };
}

function endOf({ created }: RunState): HoldfastError {
  return new HoldfastError("run_ended", `run ${created?.id} has ended, is about to, or has gone on as new`);
}
